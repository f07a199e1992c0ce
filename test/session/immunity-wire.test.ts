/** Public rsync issues in requests, sums, messages and lists: one test for each row of security.md A.1 that a daemon can suffer there. */

import { afterAll, afterEach, beforeAll, describe, expect, it } from 'vitest';
import { smallestGrowthMiB } from '../helpers/steady-memory.ts';
import { hasRoot } from '../setup/clients.ts';
import { FILE_CONTENT, NDX, openStage, type Played, type Stage } from './support/stage.ts';
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
  vstring,
  WHOLE_FILE,
} from './support/wire.ts';

const NEGOTIATING = ['--server', '--sender', '-re.LsfxCIvu'];

describe.skipIf(!hasRoot())('immunity on the wire', { timeout: 30_000 }, () => {
  let stage: Stage;

  beforeAll(async () => {
    stage = await openStage({
      // Hundreds of sessions in a second: their lines must all be there.
      globals: { 'limits.logLinesPerSecond': 100_000 },
    });
  });
  afterAll(() => stage.close());
  afterEach(() => stage.expectHonestPull());

  const upToList = (options: readonly string[] = []): Buffer =>
    Buffer.concat([enter('pub'), pullArguments(options), data(31, NO_MORE_FILTERS)]);

  /** Negotiates `sum`, then sends requests; each frame is data. */
  const negotiated = (sum: string, ...requests: readonly Uint8Array[]): Buffer => {
    const args = argumentList([...NEGOTIATING, '.', 'pub/']);
    return Buffer.concat([enter('pub'), args, vstring(sum), data(31, NO_MORE_FILTERS), data(31, ...requests)]);
  };

  const request = (head: Uint8Array, ...sums: Uint8Array[]): Buffer =>
    new ItemWriter().item(NDX.file, TRANSFER, head, ...sums);

  async function outcomeOf(send: Buffer): Promise<Played> {
    return stage.play({ send, ends: true });
  }

  it('CVE-2002-0048: every integer of a request is refused outside its range, and nothing grows', async () => {
    const fields = [0, 1, 2, 3].flatMap((field) =>
      [-1, -(2 ** 31), 2 ** 31 - 1].map((value) => {
        const head: [number, number, number, number] = [1, 700, 2, 0];
        head[field] = value;
        return sumHead(...head);
      }),
    );
    const offerAll = async (): Promise<void> => {
      for (const head of fields) {
        const { line } = await outcomeOf(Buffer.concat([upToList(), data(31, request(head))]));
        expect(['protocol', 'limit:blockSumsRefused']).toContain(line.outcome);
      }
      for (const length of [-1, -(2 ** 31), 2 ** 31 - 1]) {
        const send = Buffer.concat([enter('pub'), pullArguments(), data(31, int32(length))]);
        expect((await outcomeOf(send)).line.outcome).toBe('limit:filterRecordBytes');
      }
    };
    expect(await smallestGrowthMiB(stage.server.pid, 4, offerAll)).toBeLessThan(4);
  });

  it('CVE-2017-17433: an extra name is echoed and never opened', async () => {
    const name = '../../../../etc/passwd';
    const item = new ItemWriter().item(NDX.file, 0x9000, vstring(name), WHOLE_FILE);
    const { answer, line } = await outcomeOf(Buffer.concat([upToList(), data(31, item, allDone())]));
    expect(line.outcome).toBe('ok');
    expect(answer.data.includes(vstring(name))).toBe(true);
    expect(answer.data.includes(FILE_CONTENT)).toBe(true);
    expect(answer.data.includes('root:')).toBe(false);
  });

  it('CVE-2024-12084: strong sums longer than the digest are refused', async () => {
    for (const sum of ['md5', 'xxh64', 'xxh128', 'sha1']) {
      for (const length of [sum === 'sha1' ? 21 : 17, 64, 65, 2 ** 31 - 1]) {
        const { answer, line } = await outcomeOf(negotiated(sum, request(sumHead(1, 700, length, 0))));
        expect(line, `${sum} ${length}`).toMatchObject({ outcome: 'protocol', exit: 2 });
        expect(answer.messages).toMatch(/invalid strong sum length/);
      }
    }
    expect((await outcomeOf(negotiated('sha1', request(sumHead(0, 0, 20, 0)), allDone()))).line.outcome).toBe('ok');
  });

  it('CVE-2024-12085: of strong sums beyond the digest only the digest is compared, and only that length is echoed', async () => {
    for (const length of [9, 12, 16]) {
      const sums = Buffer.alloc(4 + length, 0xff);
      const send = negotiated('xxh64', request(sumHead(1, 700, length, 0), sums), allDone());
      const { answer, line } = await outcomeOf(send);
      expect(line.outcome).toBe('ok');
      expect(answer.data.includes(Buffer.concat([Buffer.from([0x00, 0x80]), sumHead(1, 700, 8, 0)]))).toBe(true);
    }
  });

  it('CVE-2025-10158: only indexes that were given out and not taken back are looked up', async () => {
    const args = argumentList(['--server', '--sender', '-re.iLsfxC', '.', 'pub/']);
    const start = Buffer.concat([enter('pub'), args, data(31, NO_MORE_FILTERS)]);
    const writer = () => new ItemWriter();
    const foreign = [
      Buffer.from([0xff, 0x01, 0, 0]),
      writer().item(1000, 0),
      writer().item(2 ** 31 - 1, 0),
      // With incremental recursion 1 to 5 are the first list; its DONE releases it.
      Buffer.concat([writer().done(), writer().item(2, 0)]),
    ];
    for (const bytes of foreign) {
      const { line } = await outcomeOf(Buffer.concat([start, data(31, bytes)]));
      expect(line).toMatchObject({ outcome: 'protocol', exit: 2 });
    }
    const single = argumentList(['--server', '--sender', '-re.iLsfxC', '.', 'pub/file']);
    const parent = Buffer.concat([enter('pub'), single, data(31, NO_MORE_FILTERS), data(31, writer().item(0, 0))]);
    expect((await outcomeOf(parent)).line).toMatchObject({ outcome: 'protocol', exit: 2 });
  });

  it('CVE-2026-53792: blocks of no length, of too much and with too long a rest are refused', async () => {
    for (const head of [sumHead(1, 0, 0, 0), sumHead(1, 131_073, 16, 0), sumHead(1, 700, 16, 701)]) {
      const { line } = await outcomeOf(Buffer.concat([upToList(), data(31, request(head))]));
      expect(line).toMatchObject({ outcome: 'protocol', exit: 2 });
    }
  });

  it('CVE-2026-70461: names that end in a backslash or hold half a pattern are just missing', async () => {
    const names = ['a\\b\\', '\\', '[', ...Array<string>(1000).fill('a\\')];
    const send = Buffer.concat([upToList(['--files-from=-', '--from0']), data(31, argumentList(names))]);
    expect((await outcomeOf(send)).line).toMatchObject({ outcome: 'ok', exit: 23 });
  });

  it('3.5.0 fuzz batch: floods of empty messages and of unknown ones end the session', async () => {
    const floods = [frame(42), frame(102, int32(1))].map((one) => Buffer.concat(Array<Buffer>(40_000).fill(one)));
    for (const [index, outcome] of ['limit:messagesPerSecond', 'protocol'].entries()) {
      const peer = await stage.connect();
      peer.send(upToList());
      await peer.push(floods[index]!);
      expect((await stage.finish(peer)).line.outcome).toBe(outcome);
    }
  });

  it('3.5.0 fuzz batch: an append head for an empty file and two equal sums longer than the file are survived', async () => {
    const append = Buffer.concat([
      upToList(['--append', '--append']),
      data(31, new ItemWriter().item(NDX.empty, TRANSFER, sumHead(1, 1, 0, 0)), allDone()),
    ]);
    expect((await outcomeOf(append)).line.outcome).toBe('ok');
    const length = FILE_CONTENT.length;
    const equal = request(sumHead(2, length + 1, 4, length), Buffer.alloc(16, 7));
    const { answer, line } = await outcomeOf(Buffer.concat([upToList(), data(31, equal, allDone())]));
    expect(line.outcome).toBe('ok');
    expect(answer.data.includes(FILE_CONTENT)).toBe(true);
  });

  it('3.5.0 fuzz batch: an I/O error word, unknown codes and control bytes reach neither state nor log', async () => {
    const { line } = await outcomeOf(Buffer.concat([upToList(), frame(22, int32(-1))]));
    expect(line).toMatchObject({ outcome: 'protocol', exit: 12 });
    await outcomeOf(Buffer.concat([greeting(), Buffer.from('\x1b[2J\x07\n')]));
    expect(stage.server.lines.filter((text) => /[^\x20-\x7e]/.test(text))).toEqual([]);
  });

  it('V8 CVE-2026-21717: rules and names that look like integers do not stall other clients', async () => {
    // Strings whose hashes V8 derives from their value; a flooded table made this take tens of seconds.
    const numbers = Array.from({ length: 9000 }, (_, index) => String(index * 2 ** 20 + 7));
    const list = numbers.map((number) => filterRecord(`- ${number}`));
    const args = pullArguments(['--files-from=-', '--from0']);
    const names = data(31, argumentList(numbers));
    const send = Buffer.concat([enter('pub'), args, data(31, ...list, NO_MORE_FILTERS), names]);
    const peer = await stage.connect();
    peer.send(send);
    peer.end();
    await stage.expectHonestPull();
    expect((await stage.finish(peer)).line).toMatchObject({ outcome: 'ok' });
  });

  it('writes one line about each of the sessions above, and no other', () => stage.expectOneLinePerSession());
});
