/** Files that change while a session runs: the client's exit code and result must be those of C rsync's daemon. */

import * as fs from 'node:fs';
import { join } from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { compareSnapshots } from '../helpers/compare-snapshots.ts';
import { startDaemon } from '../helpers/daemon.ts';
import { startReferenceDaemon } from '../helpers/reference-daemon.ts';
import { moduleUrl, rsync } from '../helpers/rsync.ts';
import type { RunningDaemon } from '../helpers/running-daemon.ts';
import { removeTree, scratchDir } from '../helpers/scratch.ts';
import { type Snapshot, snapshot } from '../helpers/snapshot.ts';
import { makeTree, type TreeEntry } from '../helpers/tree.ts';
import { hasRoot } from '../setup/clients.ts';

const self = process.env.EQUIVALENCE_SELF === '1';

/** Sent first and throttled: while it is under way the list has been sent and nothing else was opened. */
const FIRST = 'a-first';
const ENTRIES: readonly TreeEntry[] = [
  { name: FIRST, size: 3_000_000 },
  ...['dir/inside', 'middle', 'victim', 'z-last'].map((name) => ({ name, size: 50_000 })),
];

/** Refused when it is opened (3-transfer.md 2.5); the reference opens it, fails to read it and tries once more. */
const OTHER_TYPE = 'a file becomes a directory';

/** What happens in the directory being pulled, by name. */
const CHANGES: readonly (readonly [string, (root: string) => void])[] = [
  ['a file vanishes', (root) => fs.rmSync(join(root, 'victim'))],
  ['a file shrinks', (root) => fs.truncateSync(join(root, 'victim'), 1000)],
  ['a file becomes empty', (root) => fs.truncateSync(join(root, 'victim'), 0)],
  ['a file grows', (root) => fs.appendFileSync(join(root, 'victim'), Buffer.alloc(100_000, 'x'))],
  ['a file becomes unreadable', (root) => fs.chmodSync(join(root, 'victim'), 0)],
  [OTHER_TYPE, (root) => replace(join(root, 'victim'), (path) => fs.mkdirSync(path))],
  ['the directory of a file vanishes', (root) => fs.rmSync(join(root, 'dir'), { recursive: true })],
  ['the file being sent is truncated', (root) => fs.truncateSync(join(root, FIRST), 5000)],
  ['the file being sent vanishes', (root) => fs.rmSync(join(root, FIRST))],
  ['the file being sent grows', (root) => fs.appendFileSync(join(root, FIRST), 'more')],
];

describe.skipIf(!hasRoot())('files that change during a transfer', () => {
  let dir: string;
  let reference: RunningDaemon;
  let ours: RunningDaemon;
  let pulls = 0;
  const startedMs = Date.now() - 1000;

  beforeAll(async () => {
    dir = scratchDir('changes');
    const path = join(dir, 'module');
    fs.mkdirSync(path);
    const modules = [{ name: 'pub', path }];
    reference = await startReferenceDaemon(modules);
    ours = self ? await startReferenceDaemon(modules) : await startDaemon({ modules });
  });

  afterAll(async () => {
    await ours?.stop();
    await reference?.stop();
    removeTree(dir);
  });

  /** Every pull has a directory of the module for itself, so that many can run at once. */
  async function pullDuring(daemon: RunningDaemon, change: (root: string) => void, protocol: number): Promise<Result> {
    const name = `pull${pulls++}`;
    const root = join(dir, 'module', name);
    const destination = join(dir, name);
    fs.mkdirSync(root);
    fs.mkdirSync(destination);
    await makeTree(root, ENTRIES);
    const url = moduleUrl(daemon.port, 'pub', `${name}/`);
    const pulled = rsync(['-r', '--bwlimit=2500', `--protocol=${protocol}`, url, `${destination}/`]);
    // On a loaded machine the pull may be over before we have had a look at it.
    if (!(await isSeenUnderWay(destination, pulled))) return pullDuring(daemon, change, protocol);
    change(root);
    const { exitCode, stderr } = await pulled;
    const messages = messagesOf(stderr).map((line) => line.replaceAll(new RegExp(`/?${name}/`, 'g'), ''));
    return { exitCode, messages, tree: snapshot(destination, { startedMs }) };
  }

  // When the client is starved of CPU, the daemon may be further than what the client has written: then the change comes too late.
  describe.concurrent.each([27, 28, 29, 30, 31, 32])('with protocol %i', { retry: 4 }, (protocol) => {
    it.each(CHANGES)('ends as with C rsync when %s', async (what, change) => {
      const [expected, actual] = await Promise.all([
        pullDuring(reference, change, protocol),
        pullDuring(ours, change, protocol),
      ]);
      expect(actual.exitCode).toBe(expected.exitCode);
      if (what !== OTHER_TYPE) expect(actual.messages).toEqual(expected.messages);
      expect(compareSnapshots(expected.tree, actual.tree)).toEqual([]);
    });
  });
});

interface Result {
  readonly exitCode: number | null;
  readonly messages: readonly string[];
  readonly tree: Snapshot;
}

function replace(path: string, make: (path: string) => void): void {
  fs.rmSync(path);
  make(path);
}

/** True as soon as the client has begun to write its temporary copy of the first file; false when it ends unseen. */
async function isSeenUnderWay(destination: string, pulled: Promise<unknown>): Promise<boolean> {
  let isOver = false;
  void pulled.finally(() => {
    isOver = true;
  });
  while (!isOver) {
    const temporary = fs.readdirSync(destination).find((name) => name.startsWith(`.${FIRST}.`));
    if (temporary !== undefined && (sizeOf(join(destination, temporary)) ?? 0) > 0) return true;
    await delay(5);
  }
  return false;
}

function sizeOf(path: string): number | undefined {
  return fs.statSync(path, { throwIfNoEntry: false })?.size;
}

/** The daemon's messages; the client's own depend on which of its processes is first. */
function messagesOf(stderr: Buffer): string[] {
  const lines = stderr.toString('latin1').split('\n');
  return lines.filter((line) => /\[sender\]|vanished|diminished|verification|^WARNING|^ERROR/.test(line)).sort();
}
