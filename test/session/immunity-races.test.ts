/** Public rsync issues that are races or costs: names swapped while we read them, sums made to be slow. */

import { mkdirSync, symlinkSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { cpuSeconds } from '../helpers/process-stats.ts';
import { mustRun } from '../helpers/run.ts';
import { makeTree } from '../helpers/tree.ts';
import { hasRoot } from '../setup/clients.ts';
import { startFlipper } from './support/flipper.ts';
import { openStage, type Stage } from './support/stage.ts';
import {
  allDone,
  data,
  enter,
  ItemWriter,
  int32,
  NO_MORE_FILTERS,
  pullArguments,
  sumHead,
  TRANSFER,
  WHOLE_FILE,
} from './support/wire.ts';

const CANARY = 'canary-77e1';
const MIB = 1024 * 1024;

describe.skipIf(!hasRoot())('immunity against races', { timeout: 60_000 }, () => {
  let stage: Stage;

  beforeAll(async () => {
    stage = await openStage({
      globals: { 'limits.logLinesPerSecond': 100_000 },
      prepare: async (dir) => {
        mkdirSync(join(dir, 'raced'));
        await makeTree(join(dir, 'raced'), [
          { name: 'leaf', content: 'honest\n' },
          ...Array.from({ length: 200 }, (_, index) => ({ name: `parent/${index}`, content: 'honest\n' })),
        ]);
        mkdirSync(join(dir, 'outside'));
        for (let index = 0; index < 200; index++) writeFileSync(join(dir, `outside/${index}`), `${CANARY}\n`);
        mkdirSync(join(dir, 'evil'));
        symlinkSync('../outside/0', join(dir, 'evil/leaf'));
        symlinkSync('../outside', join(dir, 'evil/parent'));
        symlinkSync(`../outside/${CANARY}`, join(dir, `outside/${CANARY}`));
        await mustRun('mkfifo', [join(dir, 'evil/fifo')]);
        mkdirSync(join(dir, 'costly'));
        await makeTree(join(dir, 'costly'), [{ name: 'zeros', content: Buffer.alloc(MIB) }]);
      },
      modules: (dir) => [
        { name: 'raced', path: join(dir, 'raced') },
        { name: 'costly', path: join(dir, 'costly') },
      ],
    });
  });
  afterAll(async () => {
    await stage.expectHonestPull();
    await stage.close();
  });

  /** Lists and fetches again and again while `name` is swapped for its evil twin; every byte that came is returned. */
  async function pullWhileSwapped(name: string, evil: string, paths: readonly string[], options: readonly string[]) {
    const flipper = await startFlipper(join(stage.dir, 'raced', name), join(stage.dir, 'evil', evil));
    const outcomes = new Set<string>();
    let leaks = 0;
    for (let round = 0; round < 60; round++) {
      const items = new ItemWriter();
      const requests = [0, 1, 2, 3].map((ndx) => items.item(ndx, TRANSFER, WHOLE_FILE));
      const list = pullArguments(options, 31, [...paths]);
      const send = Buffer.concat([
        enter('raced'),
        list,
        data(31, NO_MORE_FILTERS),
        data(31, ...requests.slice(round % 3), allDone()),
      ]);
      const { answer, line } = await stage.play({ send, ends: true });
      if (answer.data.includes(CANARY)) leaks++;
      outcomes.add(String(line.outcome));
    }
    const swaps = await flipper.stop();
    return { leaks, outcomes, swaps };
  }

  it.each([
    ['CVE-2024-12747: a file swapped for a link', 'leaf', 'leaf', ['raced/leaf']],
    ['CVE-2026-29518: a directory swapped for a link while it is listed', 'parent', 'parent', ['raced/parent/']],
    [
      'CVE-2026-53801: a directory swapped for a link while its files are read',
      'parent',
      'parent',
      ['raced/parent/1', 'raced/parent/2', 'raced/'],
    ],
  ])('%s sends nothing from outside', async (_title, name, evil, paths) => {
    for (const options of [[], ['-l'], ['-c', '-l']]) {
      const { leaks, outcomes, swaps } = await pullWhileSwapped(name, evil, paths, options);
      expect(leaks).toBe(0);
      expect(swaps).toBeGreaterThan(100);
      expect([...outcomes].filter((outcome) => /bug|internal/.test(outcome))).toEqual([]);
    }
  });

  it('CVE-2024-12747: a file swapped for a FIFO is answered without waiting for its writer', async () => {
    const flipper = await startFlipper(join(stage.dir, 'raced/leaf'), join(stage.dir, 'evil/fifo'));
    for (let round = 0; round < 100; round++) {
      const request = new ItemWriter().item(0, TRANSFER, WHOLE_FILE);
      const send = Buffer.concat([
        enter('raced'),
        pullArguments([], 31, ['raced/leaf']),
        data(31, NO_MORE_FILTERS),
        data(31, request, allDone()),
      ]);
      expect((await stage.play({ send, ends: true })).line.outcome).not.toMatch(/timeout|bug/);
    }
    await flipper.stop();
  });

  /** CPU that the daemon spends on one request for `zeros` at protocol 29, where blocks may be of any length. */
  async function costOf(head: Buffer, sums: Buffer, protocol = 31): Promise<number> {
    const before = cpuSeconds(stage.server.pid);
    const request = new ItemWriter(protocol).item(1, TRANSFER, head, sums);
    const list = pullArguments([], protocol, ['costly/']);
    const parts = [enter('costly', protocol), list, data(protocol, NO_MORE_FILTERS)];
    // A data frame holds 16 MiB at most.
    const send = Buffer.concat([...parts, data(protocol, request), data(protocol, allDone(protocol))]);
    const { answer, line } = await stage.play({ protocol, send });
    expect(line).toMatchObject({ outcome: 'ok', files: 1 });
    expect(answer.data.length).toBeGreaterThan(0);
    return cpuSeconds(stage.server.pid) - before;
  }

  const weakAndStrong = (count: number, weak: (index: number) => number, strongLength: number): Buffer =>
    Buffer.concat(
      Array.from({ length: count }, (_, index) =>
        Buffer.concat([int32(weak(index)), Buffer.alloc(strongLength, 0x5a)]),
      ),
    );

  /** An honest delta of 1 MiB costs some 20 ms; a quadratic search costs minutes. One second is both generous and telling. */
  const ENOUGH_SECONDS = 1;

  it('CVE-2026-70453: 40 000 equal weak sums cost no more than an honest search', async () => {
    expect(
      await costOf(
        sumHead(40_000, 700, 2, 0),
        weakAndStrong(40_000, () => 0, 2),
      ),
    ).toBeLessThan(ENOUGH_SECONDS);
  });

  it('CVE-2026-119741: a weak sum that hits at every offset runs into the budget of strong sums', async () => {
    expect(
      await costOf(
        sumHead(1, 131_072, 16, 0),
        weakAndStrong(1, () => 0, 16),
      ),
    ).toBeLessThan(ENOUGH_SECONDS);
    expect(
      await costOf(
        sumHead(8, 65_536, 16, 0),
        weakAndStrong(8, () => 0, 16),
      ),
    ).toBeLessThan(ENOUGH_SECONDS);
  });

  it('Own requirement: 40 000 distinct weak sums that share their low half cost no more either', async () => {
    const crowded = weakAndStrong(40_000, (index) => index << 16, 2);
    expect(await costOf(sumHead(40_000, 700, 2, 0), crowded)).toBeLessThan(ENOUGH_SECONDS);
  });
});
