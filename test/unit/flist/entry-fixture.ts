/** Entries and encoders for the tests of the list's bytes; the captured tree of 2-file-list.md 10. */

import { EntryEncoder, type EntryLayout } from '../../../src/flist/encode.ts';
import { CONTENT_LISTED, CONTENT_TOP, type FileEntry, newEntry } from '../../../src/flist/entry.ts';
import { HardLinks } from '../../../src/flist/hard-links.ts';
import { MentionedIds } from '../../../src/flist/ids.ts';
import { DEFAULT_LIMITS } from '../../../src/limits.ts';
import { FrameWriter } from '../../../src/wire/writer.ts';
import { FakeTransport } from '../support/fake-transport.ts';

export type Fields = Partial<Omit<FileEntry, 'name' | 'linkTarget'>> & { name: string; linkTarget?: string };

export function entry(fields: Fields): FileEntry {
  const { name, linkTarget, ...rest } = fields;
  return {
    ...newEntry(),
    ...rest,
    name: Buffer.from(name, 'latin1'),
    linkTarget: linkTarget === undefined ? null : Buffer.from(linkTarget, 'latin1'),
  };
}

const NAMES = new Map([
  [0, Buffer.from('root')],
  [1, Buffer.from('daemon')],
]);

export interface EncoderFixture {
  readonly encoder: EntryEncoder;
  readonly users: MentionedIds;
  readonly groups: MentionedIds;
  readonly writer: FrameWriter;
  /** Bytes that `produce` adds to the stream. */
  bytesOf(produce: () => void): Buffer;
}

/** An encoder for the options of `-a`, which write every field but atimes, checksums and hard links. */
export function makeEncoder(
  protocol: number,
  layout: Partial<EntryLayout> & { hardLinks?: boolean } = {},
): EncoderFixture {
  const transport = new FakeTransport();
  const writer = new FrameWriter(transport, 1 << 20);
  const users = new MentionedIds(NAMES);
  const groups = new MentionedIds(NAMES);
  const { hardLinks = false, ...fields } = layout;
  const encoder = new EntryEncoder(
    {
      protocol,
      incRecurse: false,
      varintFlags: false,
      safeFlist: protocol >= 31,
      owner: true,
      group: true,
      devices: true,
      specials: true,
      links: true,
      atimes: false,
      checksumLength: 0,
      ...fields,
    },
    writer,
    { users, groups },
    hardLinks ? new HardLinks(DEFAULT_LIMITS) : null,
  );
  const bytesOf = (produce: () => void) => {
    writer.flush();
    const before = transport.sent.length;
    produce();
    writer.flush();
    return transport.sent.subarray(before);
  };
  return { encoder, users, groups, writer, bytesOf };
}

const T = 0x63b0cd00;
const T_LINKED = 0x61f9e61a;
const DIR = 0o40755;
const FILE = 0o100644;
const LINKED: Partial<FileEntry> = {
  mode: 0o104755,
  sizeBytes: 3,
  mtimeSec: T_LINKED,
  linkCount: 4,
  device: 0xfe00n,
  inode: 0x2149a4n,
};
const SPECIAL: Partial<FileEntry> = { mtimeSec: T, device: 0xfe00n, inode: 9n };

function file(name: string, fields: Partial<FileEntry>): FileEntry {
  return { ...entry({ name }), mode: FILE, device: 0xfe00n, ...fields };
}

function dir(name: string, content = CONTENT_LISTED): FileEntry {
  return entry({ name, mode: DIR, sizeBytes: 4096, mtimeSec: T, content, linkCount: 2, device: 0xfe00n });
}

/** The first list of the captured tree, in order of transmission. */
export const FIRST_LIST: readonly FileEntry[] = [
  dir('.', CONTENT_TOP),
  dir('d1b'),
  file('fifo', { ...SPECIAL, mode: 0o10644 }),
  entry({ name: 'sl', mode: 0o120777, sizeBytes: 5, mtimeSec: 0x5d7616b5, linkTarget: 'a.txt' }),
  dir('d1'),
  dir('empty'),
  file('h2', LINKED),
  file('sock', { ...SPECIAL, mode: 0o140644 }),
  file('blk', { ...SPECIAL, mode: 0o60644, rdevMajor: 259, rdevMinor: 70000 }),
  file('L'.repeat(250), { mtimeSec: T_LINKED, inode: 0x2149b0n }),
  file('h1', LINKED),
  file('null', { ...SPECIAL, mode: 0o20644, rdevMajor: 1, rdevMinor: 3 }),
  file('big', { sizeBytes: 5e9, mtimeSec: T_LINKED, inode: 0x2149b4n }),
  file('null5', { ...SPECIAL, mode: 0o20644, rdevMajor: 1, rdevMinor: 5 }),
  file('a.txt', { sizeBytes: 6, mtimeSec: 0x5e0d5da5, uid: 1234, gid: 4321, inode: 0x21499dn }),
];

/** What stands in `d1`. */
export const SUB_LIST: readonly FileEntry[] = [
  dir('d1/d2'),
  file('d1/b.txt', { sizeBytes: 6, mtimeSec: 0x609395d9, mtimeNsec: 123456789, uid: 1, gid: 1, inode: 0x21499en }),
  file('d1/h3', LINKED),
  file('d1/h4', LINKED),
];

/** Bytes of each entry of the captured tree, by name, the first list starting at `start`. */
export function encodeTree(fixture: EncoderFixture, start: number, subStart: number | null): Map<string, string> {
  const bytes = new Map<string, string>();
  const put = (one: FileEntry, listStart: number, position: number) => {
    const encoded = fixture.bytesOf(() => fixture.encoder.put(one, listStart, position));
    bytes.set(one.name.toString('latin1'), encoded.toString('hex'));
  };
  for (const [i, one] of FIRST_LIST.entries()) put(one, start, i);
  for (const [i, one] of SUB_LIST.entries()) put(one, subStart ?? start, subStart === null ? FIRST_LIST.length + i : i);
  return bytes;
}
