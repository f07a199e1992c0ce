/** Real clients that list the same at the same time: each directory is read for all, and each gets what it would get alone. */

import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { compareSnapshots } from '../helpers/compare-snapshots.ts';
import { moduleUrl, rsync } from '../helpers/rsync.ts';
import { removeTree, scratchDir } from '../helpers/scratch.ts';
import { makeTree } from '../helpers/tree.ts';
import { MONITORED, metricsOf } from '../session/support/limit-hits.ts';
import { Server } from '../session/support/server.ts';
import { hasRoot } from '../setup/clients.ts';
import { makeListTree, OPTION_SETS, pullInto } from './list-cases.ts';

const TEST_MS = 240_000;
/** Directories and their files: enough for several clients to be in the middle of it. */
const [DIRECTORIES, FILES] = [20, 30];
const TOGETHER = 5;

let dir: string;
let server: Server;
let port: number;

beforeAll(async () => {
  if (!hasRoot()) return;
  dir = scratchDir('common-readings');
  await makeListTree(dir);
  const numbers = (count: number) => Array.from({ length: count }, (_, i) => i);
  await makeTree(
    dir,
    numbers(DIRECTORIES).flatMap((i) => numbers(FILES).map((j) => ({ name: `tree/bulk/${i}/file${j}`, size: 0 }))),
  );
  server = new Server({
    toml: `workers = 1
[[listener]]\nrsyncd = "127.0.0.1:0"
[[module]]\nname = "pub"\npath = ${JSON.stringify(join(dir, 'tree'))}\n`,
    args: MONITORED,
  });
  const { address } = await server.waitFor(({ msg }) => msg === 'listening');
  port = Number(String(address).split(':').at(-1));
}, TEST_MS);

afterAll(async () => {
  await server?.stop();
  if (dir !== undefined) removeTree(dir);
});

const pull = (options: string) => pullInto(dir, port, 'pub', options);

const list = () => rsync(['-r', '--list-only', moduleUrl(port, 'pub')]);

/** Directories that were taken from other sessions so far. */
async function shared(): Promise<number> {
  const text = await metricsOf(server);
  return Number(/^gokr_rsyncd_events_total\{event="directories_read_by_others"\} (\d+)$/m.exec(text)?.[1]);
}

describe.skipIf(!hasRoot())('clients at the same time', () => {
  it(
    'get what each would get alone, whatever the options of each',
    async () => {
      const alone = [];
      for (const options of OPTION_SETS) alone.push(await pull(options));
      const before = await shared();
      for (let first = 0; first < OPTION_SETS.length; first += TOGETHER) {
        const group = OPTION_SETS.slice(first, first + TOGETHER);
        const got = await Promise.all([...group, ...group].map(pull));
        for (const [i, together] of got.entries()) {
          const wanted = alone[first + (i % group.length)]!;
          expect({ ...together, tree: null }).toEqual({ ...wanted, tree: null });
          if (wanted.tree !== null) expect(compareSnapshots(wanted.tree, together.tree!)).toEqual([]);
        }
      }
      expect((await shared()) - before).toBeGreaterThan(DIRECTORIES);
    },
    TEST_MS,
  );

  it(
    'see what was there when they came, however many are at it',
    async () => {
      const before = await shared();
      let isOver = false;
      const others = Array.from({ length: TOGETHER }, async () => {
        while (!isOver) await list();
      });
      for (let i = 0; i < 20; i++) {
        const path = `bulk/${i % DIRECTORIES}/new${i}`;
        writeFileSync(join(dir, 'tree', path), '');
        expect((await list()).stdout.toString()).toContain(` ${path}\n`);
      }
      isOver = true;
      await Promise.all(others);
      expect((await shared()) - before).toBeGreaterThan(DIRECTORIES);
    },
    TEST_MS,
  );
});
