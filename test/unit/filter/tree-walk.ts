/** Lists a tree that exists only as a record, through our filters, as flist/ lists a real one. */

import { ClientFilterList } from '../../../src/filter/list.ts';
import type { FilterScope, MergeReader, ModuleFilter } from '../../../src/filter/types.ts';
import { DEFAULT_LIMITS } from '../../../src/limits.ts';

/** Paths from the module root, latin1; a trailing slash makes a directory, a value is a file's content. */
export type Tree = Readonly<Record<string, string>>;

export interface WalkRequest {
  readonly tree: Tree;
  /** Path argument: `dir/` lists contents, `dir` the directory itself; empty is the module root. */
  readonly path?: string;
  readonly protocol?: number;
  readonly records?: readonly string[];
  readonly cvsLetter?: boolean;
  readonly module?: ModuleFilter;
}

/** latin1 text → bytes. */
export function bytes(text: string): Buffer {
  return Buffer.from(text, 'latin1');
}

/** A finished client list of these records. */
export function clientList(records: readonly string[], protocol = 31, cvsLetter = false): ClientFilterList {
  const list = new ClientFilterList({ protocol, limits: DEFAULT_LIMITS, cvsLetter });
  for (const record of records) list.addRecord(bytes(record));
  list.finish();
  return list;
}

/** Names that a sender would list, `.` included, sorted. */
export function listTree(request: WalkRequest): string[] {
  const { tree, module } = request;
  const path = request.path ?? '';
  const nodes = expand(tree);
  const visible = (full: string) => !module?.hidesWithParents(bytes(full), nodes.get(full) === null);
  const readMerge: MergeReader = (name) => {
    const full = name.toString('latin1');
    const content = nodes.get(full);
    return typeof content === 'string' && visible(full) ? bytes(content) : null;
  };
  const list = clientList(request.records ?? [], request.protocol ?? 29, request.cvsLetter ?? false);
  const contents = path === '' || path.endsWith('/');
  const base = contents ? path.replace(/\/$/, '') : path.split('/').slice(0, -1).join('/');
  const scope = list.rootScope(bytes(base), readMerge);
  const found: string[] = [];
  const walk = (parent: FilterScope, directory: string) => {
    const here = parent.enter(bytes(directory || '.'));
    for (const name of childrenOf(nodes, joined(base, directory))) add(here, joined(directory, name));
  };
  const add = (here: FilterScope, name: string) => {
    const isDirectory = nodes.get(joined(base, name)) === null;
    if (!visible(joined(base, name)) || here.hides(bytes(name), isDirectory)) return;
    found.push(name);
    if (isDirectory) walk(here, name);
  };
  if (!contents) add(scope, path.slice(base ? base.length + 1 : 0));
  else if (base === '' || visible(base)) {
    found.push('.');
    walk(scope, '');
  }
  return found.sort();
}

/** All paths; null for directories. */
function expand(tree: Tree): Map<string, string | null> {
  const nodes = new Map<string, string | null>();
  for (const [path, content] of Object.entries(tree)) {
    const parts = path.split('/').filter((part) => part !== '');
    for (let count = 1; count < parts.length; count++) nodes.set(parts.slice(0, count).join('/'), null);
    nodes.set(parts.join('/'), path.endsWith('/') ? null : content);
  }
  return nodes;
}

function joined(directory: string, name: string): string {
  return directory === '' || name === '' ? directory + name : `${directory}/${name}`;
}

function childrenOf(nodes: Map<string, string | null>, directory: string): string[] {
  const prefix = directory === '' ? '' : `${directory}/`;
  const names = [...nodes.keys()].filter((path) => path.startsWith(prefix) && path !== directory);
  return names.map((path) => path.slice(prefix.length)).filter((name) => name !== '' && !name.includes('/'));
}
