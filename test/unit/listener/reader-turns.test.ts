/** Readers of large files for -c: so many in the process, so many of one address, in order, over all workers. */

import { describe, expect, it } from 'vitest';
import type { LimitName } from '../../../src/limits.ts';
import { addressKey } from '../../../src/listener/address-key.ts';
import { ConnectionTable } from '../../../src/listener/connection-table.ts';
import { ReaderTurns } from '../../../src/listener/reader-turns.ts';
import { hitsOf } from '../../helpers/hits.ts';

const WIDE = { digestReaders: 100, digestReadersPerAddress: 100 };

/** Lets everything happen that waits for nothing. */
const settled = (): Promise<void> => new Promise((resolve) => setImmediate(resolve));

/** Two workers over one table, with connections that read until they are told. */
class Readers {
  readonly events: string[] = [];
  readonly #ends = new Map<string, () => void>();
  readonly #done = new Map<string, Promise<void>>();
  readonly #workers;

  constructor(limits: typeof WIDE) {
    const memory = new SharedArrayBuffer(ConnectionTable.BYTES);
    this.#workers = [0, 1].map((worker) => {
      const table = new ConnectionTable({ memory, worker });
      return { table, turns: new ReaderTurns(table, limits) };
    });
  }

  begin(name: string, worker: number, address: string): void {
    const { table, turns } = this.#workers[worker]!;
    const row = table.add(addressKey(address), () => true)!;
    const done = turns.run(row, async () => {
      this.events.push(name);
      await new Promise<void>((resolve) => this.#ends.set(name, resolve));
    });
    this.#done.set(name, done);
  }

  async end(name: string): Promise<void> {
    while (!this.#ends.has(name)) await settled();
    this.#ends.get(name)!();
    await this.#done.get(name);
  }
}

describe('readers', () => {
  it('of all workers come in order of arrival, so many at once', async () => {
    const readers = new Readers({ ...WIDE, digestReaders: 2 });
    for (const [index, name] of ['a', 'b', 'c', 'd'].entries()) readers.begin(name, index % 2, '');
    await settled();
    expect(readers.events).toEqual(['a', 'b']);
    await readers.end('b');
    await readers.end('c');
    await readers.end('a');
    await readers.end('d');
    expect(readers.events).toEqual(['a', 'b', 'c', 'd']);
  });

  it('of one address leave the other places to others', async () => {
    const readers = new Readers({ digestReaders: 2, digestReadersPerAddress: 1 });
    for (const name of ['a', 'b', 'c']) readers.begin(name, 0, '192.0.2.1');
    readers.begin('other', 1, '192.0.2.2');
    await settled();
    expect(readers.events).toEqual(['a', 'other']);
    for (const name of ['a', 'b', 'c', 'other']) await readers.end(name);
    expect(readers.events).toEqual(['a', 'other', 'b', 'c']);
  });

  it('that fail give their place on', async () => {
    const table = new ConnectionTable();
    const turns = new ReaderTurns(table, { digestReaders: 1, digestReadersPerAddress: 1 });
    const row = table.add(addressKey(''), () => true)!;
    await expect(turns.run(row, () => Promise.reject(new Error('unreadable')))).rejects.toThrow('unreadable');
    expect(await turns.run(row, async () => 'read')).toBe('read');
  });

  it.each(['digestReaders', 'digestReadersPerAddress'] as const)(
    '%s lets N - 1 and N read at once, makes one more wait and counts it',
    async (limit: LimitName) => {
      const readingAmong = async (count: number): Promise<[reading: number, hits: number]> => {
        const readers = new Readers({ ...WIDE, [limit]: 3 });
        const hits = await hitsOf(limit, async () => {
          for (let index = 0; index < count; index++) readers.begin(`${index}`, index % 2, '192.0.2.1');
          await settled();
        });
        const reading = readers.events.length;
        for (let index = 0; index < count; index++) await readers.end(`${index}`);
        return [reading, hits];
      };
      const seen = [await readingAmong(2), await readingAmong(3), await readingAmong(4)];
      expect(seen).toEqual([
        [2, 0],
        [3, 0],
        [3, 1],
      ]);
    },
  );
});
