/** Small trees on disk, their lists, and what an independent decoder makes of them. */

import { mkdirSync, symlinkSync, utimesSync, writeFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import type { FileLists } from '../../../src/flist/lists.ts';
import { parseSourceArgument } from '../../../src/flist/source-argument.ts';
import { removeTree, scratchDir } from '../../helpers/scratch.ts';
import { dataOf, messagesOf } from '../support/bytes.ts';
import { type DecodedEntry, type DecodedList, StreamDecoder } from '../support/list-decoder.ts';
import { type ContextPlan, makeSession, type SessionFixture, sendLists } from '../support/session-context.ts';

/** Path → content; a name that ends in a slash is a directory, a content that begins with `-> ` a link. */
export type Tree = Readonly<Record<string, string>>;

export const TREE_MTIME = 1_600_000_000;

const cleanups: (() => void)[] = [];

/** Removes what the test made; call in afterEach. */
export function cleanUp(): void {
  for (const cleanup of cleanups.splice(0).reverse()) cleanup();
}

/** Makes a module on disk; all files have TREE_MTIME. */
export function makeTree(tree: Tree): string {
  const root = scratchDir('tree');
  cleanups.push(() => removeTree(root));
  for (const [path, content] of Object.entries(tree)) {
    const full = join(root, path);
    mkdirSync(path.endsWith('/') ? full : dirname(full), { recursive: true });
    if (content.startsWith('-> ')) symlinkSync(content.slice(3), full);
    else if (!path.endsWith('/')) {
      writeFileSync(full, content);
      utimesSync(full, TREE_MTIME, TREE_MTIME);
    }
  }
  return root;
}

export interface Listed {
  readonly fixture: SessionFixture;
  readonly lists: FileLists;
  /** `code:text` of each message. */
  readonly messages: string[];
}

/** Sends the first list of some arguments (cleaned, without the module name). */
export async function list(root: string, args: readonly string[], plan: Partial<ContextPlan> = {}): Promise<Listed> {
  const fixture = await makeSession({ root, ...plan });
  cleanups.push(() => fixture.close());
  const { relative } = fixture.context.options;
  const lists = await sendLists(
    fixture,
    args.map((text) => parseSourceArgument(Buffer.from(text), relative)),
  );
  return {
    fixture,
    lists,
    get messages() {
      return messagesOf(fixture.sent());
    },
  };
}

export interface SentList extends DecodedList {
  /** Number of the directory whose contents it is; null for the first list. */
  readonly directory: number | null;
  readonly start: number;
}

/** Everything sent so far, as a client reads it. */
export interface DecodedLists {
  readonly lists: SentList[];
  /** True when the end of all lists was said. */
  readonly isComplete: boolean;
  readonly users: [number, string][];
  readonly groups: [number, string][];
  /** The word behind the list below protocol 30. */
  readonly ioErrorWord: number | null;
}

export function decode({ fixture }: Listed): DecodedLists {
  const { protocol, compatFlags, incRecurse, options } = fixture.context;
  const { owner = false, group = false, links = false, devices = false } = options;
  const decoder = new StreamDecoder(dataOf(fixture.sent()), { protocol, compatFlags, owner, group, links, devices });
  let start = incRecurse ? 1 : 0;
  const lists: SentList[] = [{ directory: null, start, ...decoder.list(start) }];
  const ids = { users: [] as [number, string][], groups: [] as [number, string][], ioErrorWord: null as number | null };
  if (!incRecurse) {
    if (owner && !options.numericIds) ids.users = decoder.ids();
    if (group && !options.numericIds) ids.groups = decoder.ids();
    if (protocol < 30) ids.ioErrorWord = decoder.int();
    if (!decoder.isAtEnd) throw new Error('bytes behind the list');
    return { lists, isComplete: true, ...ids };
  }
  while (!decoder.isAtEnd) {
    const ndx = decoder.ndx();
    if (ndx === -2) {
      if (!decoder.isAtEnd) throw new Error('bytes behind the last list');
      return { lists, isComplete: true, ...ids };
    }
    start += lists.at(-1)!.entries.length + 1;
    lists.push({ directory: -101 - ndx, start, ...decoder.list(start) });
  }
  return { lists, isComplete: false, ...ids };
}

/** Sends all sub-lists that are left. */
export async function sendAll({ lists }: Listed): Promise<void> {
  while (!lists.isComplete) await lists.sendSubList();
}

const TOP = 0x1;
const NO_CONTENT = 0x100;

/** Name and type: directories end in a slash; T and N stand for the content bits of directories. */
export function shown({ name, mode, flags }: DecodedEntry): string {
  if ((mode & 0o170000) !== 0o40000) return name;
  return `${name}/${flags & TOP ? 'T' : ''}${flags & NO_CONTENT ? 'N' : ''}`;
}

/** The entries of all lists in alphabetical order: the order of transmission is the directory's own. */
export function shownSorted(decoded: DecodedLists): string[] {
  return decoded.lists.flatMap(({ entries }) => entries.map(shown)).sort();
}
