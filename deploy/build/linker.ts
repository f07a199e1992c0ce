/**
 * Puts the program together while it runs. split.ts has made functions of its parts, in a few files: what a start needs, what transfers
 * need, and the rest. A file is compiled when a part of it is needed. launcher.ts and code-cache-recorder.ts call this.
 */

type Names = Readonly<Record<string, unknown>>;

/** Runs a part, once. @returns what it exports. */
type Part = () => Names | undefined;

/** What the text of a file is: its parts by name. `link` gives what a part of any file exports, `load` does so later. */
export type ProgramFile = (
  require: (part: string) => unknown,
  entry: string,
  link: (name: string) => Names,
  load: (name: string) => Promise<Names>,
) => Readonly<Record<string, Part>>;

/**
 * Starts the program.
 * @param compile gives a file by its name; called once for each.
 * @param entry address of the file that Node was started with.
 */
export function startProgram(compile: (file: string) => ProgramFile, entry: string): void {
  const files = new Map<string, Readonly<Record<string, Part>>>();
  const linked = new Map<string, Names>();
  const partsOf = (file: string) => {
    const parts = files.get(file) ?? compile(file)(partOfNode, entry, link, load);
    files.set(file, parts);
    return parts;
  };
  const link = (name: string): Names => {
    const known = linked.get(name);
    if (known !== undefined) return known;
    const [file, part] = name.split('/') as [string, string];
    const names = partsOf(file)[part]!() ?? {};
    linked.set(name, names);
    return names;
  };
  const load = async (name: string): Promise<Names> => link(name);
  link('start/main');
}

/** All that is in no file of the program. Node's own `require` would load what finds packages, and maps of sources. */
function partOfNode(name: string): unknown {
  const part: unknown = process.getBuiltinModule(name);
  if (part === undefined) throw Object.assign(new Error(`Cannot find module '${name}'`), { code: 'MODULE_NOT_FOUND' });
  return part;
}
