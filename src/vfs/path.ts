/** Paths inside a module as bytes: components, joining, and directories that stay valid while links around them change. */

const SLASH = 0x2f;

/** The non-empty components of a path, `.` left out; `..` is kept for the caller to judge. */
export function splitPath(path: Buffer): Buffer[] {
  const components: Buffer[] = [];
  let start = 0;
  for (let i = 0; i <= path.length; i++) {
    if (i < path.length && path[i] !== SLASH) continue;
    if (i > start && !(i === start + 1 && path[start] === 0x2e)) components.push(path.subarray(start, i));
    start = i + 1;
  }
  return components;
}

export function isDotDot(component: Buffer): boolean {
  return component.length === 2 && component[0] === 0x2e && component[1] === 0x2e;
}

/** `directory/name`, or just `name` when the directory is empty. */
export function joinPath(directory: Buffer, name: Buffer): Buffer {
  if (directory.length === 0) return name;
  const joined = Buffer.allocUnsafe(directory.length + 1 + name.length);
  directory.copy(joined);
  joined[directory.length] = SLASH;
  name.copy(joined, directory.length + 1);
  return joined;
}

/** A real directory of a module, named by the chain of real directories above it: no component is a link. */
export class DirectoryPath {
  readonly parent: DirectoryPath | null;
  readonly name: Buffer;
  /** 0 for the module root. */
  readonly depth: number;

  private constructor(parent: DirectoryPath | null, name: Buffer) {
    this.parent = parent;
    this.name = name;
    this.depth = parent === null ? 0 : parent.depth + 1;
  }

  static root(): DirectoryPath {
    return new DirectoryPath(null, Buffer.alloc(0));
  }

  child(name: Buffer): DirectoryPath {
    return new DirectoryPath(this, name);
  }

  /** Path from the module root without leading slash; empty for the root. */
  toBuffer(): Buffer {
    return this.parent === null ? this.name : joinPath(this.parent.toBuffer(), this.name);
  }
}
