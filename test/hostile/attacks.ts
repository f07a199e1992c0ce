/** The attacks of the scoreboard: what each connection of a hostile client does, again and again (security.md B). */

import { randomBytesOf } from '../helpers/content.ts';
import {
  allDone,
  argumentList,
  data,
  enter,
  filterRecord,
  frame,
  greeting,
  ItemWriter,
  int32,
  NO_MORE_FILTERS,
  pullArguments,
  sumHead,
  TRANSFER,
  WHOLE_FILE,
} from '../session/support/wire.ts';
import type { Attacker } from './attacker.ts';

/** One line of the scoreboard. */
export interface Attack {
  readonly name: string;
  /** Row of security.md B. */
  readonly row: string;
  /** Connections that attack at once. */
  readonly connections: number;
  /** One connection's turn; it is played again when it has ended. */
  readonly play: (attacker: Attacker) => Promise<void>;
  /** Resident memory that the attack may add while it lasts. */
  readonly growthMiB?: number;
}

const PROTOCOL = 31;

/** Everything up to the file list of `paths` in the module `target`. */
function pullOf(paths: readonly string[], options: readonly string[] = [], filters: readonly Buffer[] = []): Buffer {
  const sources = paths.map((path) => `target/${path}`);
  return Buffer.concat([
    enter('target'),
    pullArguments(options, PROTOCOL, sources),
    ...filters.map((filter) => data(PROTOCOL, filter)),
    data(PROTOCOL, NO_MORE_FILTERS),
  ]);
}

/** A pull that asks for the list and goes. */
function listing(paths: readonly string[], options: readonly string[] = [], filters: readonly Buffer[] = []) {
  const bytes = Buffer.concat([pullOf(paths, options, filters), data(PROTOCOL, allDone())]);
  return async (attacker: Attacker): Promise<void> => attacker.playOut(bytes);
}

/** Requests `zeros`, the only entry of its list, with sums. */
function delta(head: Buffer, sums: Buffer) {
  const item = new ItemWriter().item(0, TRANSFER, head);
  const parts = [pullOf(['zeros']), data(PROTOCOL, item)];
  for (let at = 0; at < sums.length; at += 1 << 20) parts.push(data(PROTOCOL, sums.subarray(at, at + (1 << 20))));
  const bytes = Buffer.concat([...parts, data(PROTOCOL, allDone())]);
  return async (attacker: Attacker): Promise<void> => attacker.playOut(bytes);
}

/** `count` block sums with the given weak sums and strong bytes that match nothing. */
function sums(count: number, strongLength: number, weak: (index: number) => number): Buffer {
  const bytes = Buffer.alloc(count * (4 + strongLength), 0xa5);
  for (let index = 0; index < count; index++) bytes.writeInt32LE(weak(index) | 0, index * (4 + strongLength));
  return bytes;
}

const rules = (count: number, rule: (index: number) => string): Buffer[] => {
  const all = Buffer.concat(Array.from({ length: count }, (_, index) => filterRecord(rule(index))));
  const parts: Buffer[] = [];
  for (let at = 0; at < all.length; at += 1 << 20) parts.push(all.subarray(at, at + (1 << 20)));
  return parts;
};

/** Sends the bytes one by one, a tenth of a second apart. */
async function trickle(attacker: Attacker, bytes: Buffer): Promise<void> {
  await attacker.open();
  for (const byte of bytes) {
    if (!(await attacker.send(Buffer.of(byte)))) return;
    await attacker.pause(100);
  }
}

/** Sends the same bytes for as long as the server takes them. */
async function flood(attacker: Attacker, start: Buffer, again: Buffer): Promise<void> {
  await attacker.open();
  if (!(await attacker.send(start))) return;
  while (await attacker.send(again));
}

export const ATTACKS: readonly Attack[] = [
  {
    name: 'silent connections',
    row: 'B-2',
    connections: 30,
    play: async (attacker) => {
      await attacker.open();
      await attacker.ended();
    },
  },
  {
    name: 'connections opened and dropped',
    row: 'B-1',
    connections: 10,
    play: async (attacker) => {
      await attacker.open();
      attacker.drop();
    },
  },
  {
    name: 'a queue that is filled',
    row: 'B-1b',
    connections: 100,
    play: (attacker) => attacker.playOut(enter('narrow')),
  },
  {
    name: 'clients that come to a queue and go',
    row: 'B-1b',
    connections: 30,
    play: async (attacker) => {
      await attacker.open();
      await attacker.send(enter('narrow'));
      await attacker.pause(Math.random() * 20);
      attacker.drop();
    },
  },
  {
    name: 'trickled greeting',
    row: 'B-3',
    connections: 30,
    play: (attacker) => trickle(attacker, Buffer.alloc(500, '@')),
  },
  { name: 'trickled arguments', row: 'B-5', connections: 30, play: (attacker) => trickle(attacker, enter('target')) },
  {
    name: 'an argument without an end',
    row: 'B-5',
    connections: 4,
    play: (attacker) => flood(attacker, enter('target'), Buffer.alloc(1 << 20, 'x')),
  },
  {
    name: 'a thousand arguments',
    row: 'B-5',
    connections: 1,
    play: listing(Array.from({ length: 900 }, (_, index) => `many/${index}`)),
  },
  {
    name: '60 wildcards over a flat directory',
    row: 'B-7',
    connections: 1,
    play: listing(Array.from({ length: 60 }, (_, index) => `fl*t/*a*e*i*o*${index}`)),
  },
  { name: 'a wildcard that matches everything', row: 'B-7', connections: 1, play: listing(['*/*', '*/*/*']) },
  {
    name: '10 000 rules that never match',
    row: 'B-9',
    connections: 1,
    play: listing(
      ['flat/'],
      [],
      rules(10_000, (index) => `- name-${index}-*x`),
    ),
  },
  {
    name: 'patterns that backtrack',
    row: 'B-10',
    connections: 1,
    play: listing(
      ['flat/', 'many/'],
      [],
      rules(1000, (index) => `- *e*n*t*r*y*-*${index}*[a-z]`),
    ),
  },
  {
    name: 'patterns as long as they may be',
    row: 'B-10',
    connections: 1,
    play: listing(
      ['flat/'],
      [],
      rules(250, () => `- ${'**/*?[!b]'.repeat(450)}`),
    ),
  },
  {
    name: '60 merge files in each directory',
    row: 'B-11',
    connections: 1,
    play: listing(
      ['merges/'],
      [],
      rules(60, (index) => `: ${'./'.repeat(index)}rules`),
    ),
  },
  { name: 'a list of many directories', row: 'B-13', connections: 1, play: listing(['many/']) },
  { name: 'a list of one big directory', row: 'B-13', connections: 1, play: listing(['flat/']) },
  {
    name: 'a list that nobody reads',
    row: 'B-18',
    connections: 20,
    play: async (attacker) => {
      await attacker.open();
      attacker.stopReading();
      await attacker.send(Buffer.concat([pullOf(['many/', 'flat/']), data(PROTOCOL, allDone())]));
      await attacker.ended();
    },
  },
  {
    name: 'a million names that do not exist',
    row: 'B-13c',
    connections: 1,
    play: listing([''], ['--files-from=names']),
  },
  {
    name: 'names sent as fast as they are taken',
    row: 'B-13c',
    connections: 1,
    play: (attacker) =>
      flood(
        attacker,
        pullOf([''], ['--files-from=-', '--from0']),
        data(PROTOCOL, Buffer.from('no/such/name\0'.repeat(5000))),
      ),
  },
  { name: '--checksum over everything', row: 'B-13f', connections: 1, play: listing(['zeros', 'many/'], ['-c']) },
  { name: '--checksum, ten at once', row: 'B-13f', connections: 10, play: listing(['zeros', 'many/'], ['-c']) },
  {
    name: 'sums of one bucket',
    row: 'B-14',
    connections: 1,
    play: delta(
      sumHead(40_000, 700, 2, 0),
      sums(40_000, 2, (index) => (index << 16) | 1),
    ),
  },
  {
    name: 'a weak sum that always hits',
    row: 'B-15',
    connections: 1,
    play: delta(
      sumHead(1, 131_072, 16, 0),
      sums(1, 16, () => 0),
    ),
  },
  {
    name: 'two million sums',
    row: 'B-16',
    connections: 1,
    play: delta(
      sumHead(2_000_000, 700, 16, 0),
      sums(2_000_000, 16, (index) => Math.imul(index, 0x9e3779b1)),
    ),
    growthMiB: 220,
  },
  {
    name: 'more sums than are kept',
    row: 'B-16',
    connections: 1,
    play: (attacker) =>
      flood(
        attacker,
        Buffer.concat([
          pullOf(['zeros']),
          data(PROTOCOL, new ItemWriter().item(0, TRANSFER, sumHead(2 ** 29, 700, 16, 0))),
        ]),
        data(PROTOCOL, Buffer.alloc(1 << 20)),
      ),
  },
  {
    name: 'the same file twice, all files',
    row: 'B-19',
    connections: 1,
    play: async (attacker) => {
      const items = new ItemWriter();
      const item = items.item(0, TRANSFER, WHOLE_FILE);
      await attacker.playOut(Buffer.concat([pullOf(['zeros']), data(PROTOCOL, item, allDone())]));
    },
  },
  {
    name: 'the strongest compression',
    row: 'B-22',
    connections: 4,
    play: async (attacker) => {
      const item = new ItemWriter().item(0, TRANSFER, WHOLE_FILE);
      const options = ['--old-compress', '--compress-level=9'];
      await attacker.playOut(Buffer.concat([pullOf(['names'], options), data(PROTOCOL, item, allDone())]));
    },
  },
  {
    name: 'a flood of empty frames',
    row: 'B-24',
    connections: 4,
    play: (attacker) => flood(attacker, pullOf(['zeros']), Buffer.concat(Array<Buffer>(5000).fill(frame(0)))),
  },
  {
    name: 'frames that announce 16 MiB',
    row: 'B-24',
    connections: 4,
    play: async (attacker) => attacker.playOut(Buffer.concat([pullOf(['zeros']), frame(0, int32(0), 0xffffff)])),
  },
  {
    name: 'module lists',
    row: 'B-13e',
    connections: 10,
    play: (attacker) => attacker.playOut(Buffer.from('@RSYNCD: 31.0\n#list\n')),
  },
  {
    name: 'wrong passwords',
    row: 'B-3',
    connections: 10,
    play: (attacker) => attacker.playOut(Buffer.from('@RSYNCD: 31.0 sha512\nlocked\nalice aGVsbG8\n')),
  },
  {
    name: 'clients that vanish in the middle',
    row: 'B-17',
    connections: 10,
    play: async (attacker) => {
      await attacker.open();
      await attacker.send(
        Buffer.concat([pullOf(['many/']), data(PROTOCOL, new ItemWriter().item(5, TRANSFER, WHOLE_FILE))]),
      );
      await attacker.pause(Math.random() * 50);
      attacker.drop();
    },
  },
  {
    name: 'noise behind the greeting',
    row: 'B-3',
    connections: 4,
    play: (attacker) => attacker.playOut(Buffer.concat([greeting(), randomBytesOf('noise', 1 << 16)])),
  },
  {
    name: 'options that nobody knows',
    row: 'B-5',
    connections: 4,
    play: (attacker) =>
      attacker.playOut(
        Buffer.concat([
          enter('target'),
          argumentList(['--server', '--sender', `--${'x'.repeat(4000)}`, '.', 'target/']),
        ]),
      ),
  },
];
