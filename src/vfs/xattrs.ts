/**
 * Extended attributes through the C library, which Node has no calls for: the only user of FFI outside sandbox/.
 * module-root.ts calls it with paths below its held descriptors; cli/ loads it when a module says `xattrs = true`.
 */

import { ConfigError, FileError } from '../errors.ts';
import { limitHits } from '../limit-hits.ts';
import { E2BIG, ENAMETOOLONG, ENODATA, ENOTSUP, ERANGE, errnoText, systemError } from './errno.ts';

/** XATTR_SIZE_MAX and XATTR_LIST_MAX of Linux: what one call can give. */
const KERNEL_MAX = 65_536;

/** First try: the kernel allocates and clears as much as it is offered, which takes longer than all the rest of a call. */
const USUAL_MAX = 1024;

/** Room for `/proc/self/fd/<fd>/<name>` and for an attribute's name: neither exceeds 300 bytes. */
const PATH_BYTES = 512;

const NUL = 0;

/** The system calls as FFI shows them: sizes in, size or -1 out. */
export interface XattrFunctions {
  readonly llistxattr: (path: Buffer, list: Buffer, size: bigint) => bigint;
  readonly lgetxattr: (path: Buffer, name: Buffer, value: Buffer, size: bigint) => bigint;
  /** errno of the call before, in this thread. */
  readonly errno: () => number;
}

/**
 * Reads attributes of entries, never through a link in the last place. Each call is complete within the tick, so that
 * all sessions of a process share one object and its buffers.
 */
export class XattrCalls {
  readonly #functions: XattrFunctions;
  readonly #path = Buffer.alloc(PATH_BYTES);
  readonly #name = Buffer.alloc(PATH_BYTES);
  readonly #result = Buffer.alloc(KERNEL_MAX);

  constructor(functions: XattrFunctions) {
    this.#functions = functions;
  }

  /** Names in the kernel's order, in memory of their own; none where the file system has no attributes. @throws FileError */
  names(path: Buffer): Buffer[] {
    const { llistxattr } = this.#functions;
    const entry = terminated(this.#path, path);
    const list = this.#call((into, size) => llistxattr(entry, into, size));
    return list === null ? [] : splitNames(list);
  }

  /**
   * A value in memory of its own; null when the entry has no such attribute.
   * @throws FileError; E2BIG above `maxBytes`.
   */
  value(path: Buffer, attribute: Buffer, maxBytes: number): Buffer | null {
    const { lgetxattr } = this.#functions;
    const entry = terminated(this.#path, path);
    const name = terminated(this.#name, attribute);
    const value = this.#call((into, size) => lgetxattr(entry, name, into, size));
    if (value !== null && value.length > maxBytes) {
      limitHits.count('xattrValueBytes');
      throw new FileError(errnoText(E2BIG), E2BIG);
    }
    return value;
  }

  /** What a call puts into a buffer, copied; null when there is nothing of the kind. */
  #call(fill: (into: Buffer, size: bigint) => bigint): Buffer | null {
    for (const size of [USUAL_MAX, KERNEL_MAX]) {
      const length = Number(fill(this.#result, BigInt(size)));
      if (length >= 0) return Buffer.from(this.#result.subarray(0, length));
      const reason = this.#functions.errno();
      if (reason === ENODATA || reason === ENOTSUP) return null;
      if (reason !== ERANGE) throw systemError(reason);
    }
    // Both sizes were too small, although the second is all that the kernel allows.
    throw new FileError(errnoText(E2BIG), E2BIG);
  }
}

/**
 * Binds the system calls; main thread only, since errno belongs to a thread.
 * @throws ConfigError where Node was built or started without FFI, or the system is not Linux.
 */
export async function loadXattrCalls(): Promise<XattrCalls> {
  try {
    const { dlopen, getInt32 } = await import('node:ffi');
    const { functions } = dlopen(null, {
      llistxattr: { arguments: ['buffer', 'buffer', 'u64'], return: 'i64' },
      lgetxattr: { arguments: ['buffer', 'buffer', 'buffer', 'u64'], return: 'i64' },
      __errno_location: { arguments: [], return: 'pointer' },
    });
    const errnoPointer = functions.__errno_location();
    return new XattrCalls({
      llistxattr: functions.llistxattr,
      lgetxattr: functions.lgetxattr,
      errno: () => getInt32(errnoPointer),
    });
  } catch (thrown) {
    const reason = thrown instanceof Error ? thrown.message : String(thrown);
    throw new ConfigError(
      `xattrs = true needs Linux and Node's FFI (node:ffi, on by default from 26.9; not with --no-experimental-ffi): ${reason}`,
      { cause: thrown },
    );
  }
}

/** Copies a C string into `scratch`. */
function terminated(scratch: Buffer, text: Buffer): Buffer {
  // SECURITY: the kernel reads up to the NUL; a longer text would be cut to the name of something else.
  if (text.length >= scratch.length || text.includes(NUL)) throw new FileError(errnoText(ENAMETOOLONG), ENAMETOOLONG);
  text.copy(scratch);
  scratch[text.length] = NUL;
  return scratch;
}

/** The kernel's list: each name ended by NUL. Slices of `list`. */
function splitNames(list: Buffer): Buffer[] {
  const names: Buffer[] = [];
  for (let start = 0; start < list.length; ) {
    const end = list.indexOf(NUL, start);
    if (end < 0) break;
    names.push(list.subarray(start, end));
    start = end + 1;
  }
  return names;
}
