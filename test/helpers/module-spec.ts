/** A module as both daemons are told of it: TOML for ours, rsyncd.conf for the reference. */

type KeyValue = string | number | boolean | readonly string[];

export interface ModuleSpec {
  readonly name: string;
  readonly path: string;
  /** Further keys under our names; the reference's names are the same with spaces for underscores. */
  readonly keys?: Readonly<Record<string, KeyValue>>;
}

/** Most tests start a daemon of their own and are served by its main thread; those of workers say how many they want. */
const ONE_WORKER = { workers: 1 };

/** Our configuration. JSON strings, numbers, booleans and arrays of strings are valid TOML. */
export function toToml(modules: readonly ModuleSpec[], globals: Readonly<Record<string, KeyValue>> = {}): string {
  const table = (keys: Readonly<Record<string, KeyValue>>): string =>
    Object.entries(keys)
      .map(([key, value]) => `${key} = ${JSON.stringify(value)}\n`)
      .join('');
  const listener = '\n[[listener]]\nrsyncd = "127.0.0.1:0"\n';
  const sections = modules.map(({ name, path, keys }) => `\n[[module]]\n${table({ name, path, ...keys })}`);
  return table({ ...ONE_WORKER, ...globals }) + listener + sections.join('');
}

/** The reference's configuration of the same modules, reading as nobody when started as root. */
export function toRsyncdConf(modules: readonly ModuleSpec[], port: number): string {
  const text = (value: KeyValue): string => {
    if (typeof value === 'boolean') return value ? 'yes' : 'no';
    return Array.isArray(value) ? value.join(' ') : String(value);
  };
  const isRoot = process.getuid?.() === 0;
  const identity = isRoot ? 'uid = nobody\ngid = nogroup\nuse chroot = yes\n' : 'use chroot = no\n';
  const globals = `address = 127.0.0.1\nport = ${port}\nmunge symlinks = no\nread only = yes\nreverse lookup = no\n${identity}`;
  const sections = modules.map(({ name, path, keys = {} }) => {
    const lines = Object.entries(keys).map(([key, value]) => `${key.replaceAll('_', ' ')} = ${text(value)}\n`);
    return `\n[${name}]\npath = ${path}\n${lines.join('')}`;
  });
  return globals + sections.join('');
}
