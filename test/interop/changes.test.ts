/** Files that change while a session runs: the client's exit code and result must be those of C rsync's daemon. */

import * as fs from 'node:fs';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { compareSnapshots } from '../helpers/compare-snapshots.ts';
import { randomBytesOf } from '../helpers/content.ts';
import { startDaemon } from '../helpers/daemon.ts';
import { openHeldRelay } from '../helpers/held-relay.ts';
import { startReferenceDaemon } from '../helpers/reference-daemon.ts';
import { moduleUrl, rsync } from '../helpers/rsync.ts';
import type { RunningDaemon } from '../helpers/running-daemon.ts';
import { removeTree, scratchDir } from '../helpers/scratch.ts';
import { type Snapshot, snapshot } from '../helpers/snapshot.ts';
import { makeTree, type TreeEntry } from '../helpers/tree.ts';
import { hasRoot } from '../setup/clients.ts';

const self = process.env.EQUIVALENCE_SELF === '1';

/**
 * Sent first, and held up half-way: while it is under way the list has been sent and nothing else was opened. It is larger than what
 * kernel and daemon keep for a client that does not read.
 */
const FIRST = 'a-first';
const FIRST_BYTES = 8_000_000;

/** More than the list. */
const HELD_AFTER_BYTES = 100_000;

const ENTRIES: readonly TreeEntry[] = [
  { name: FIRST, content: randomBytesOf(FIRST, FIRST_BYTES) },
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
    const relay = await openHeldRelay(daemon.port, HELD_AFTER_BYTES);
    const url = moduleUrl(relay.port, 'pub', `${name}/`);
    const pulled = rsync(['-r', `--protocol=${protocol}`, url, `${destination}/`]);
    expect(await Promise.race([relay.held, pulled])).toBe('held');
    change(root);
    relay.release();
    const { exitCode, stderr } = await pulled;
    relay.close();
    const messages = messagesOf(stderr).map((line) => line.replaceAll(new RegExp(`/?${name}/`, 'g'), ''));
    const tree = snapshot(destination, { startedMs });
    for (const path of [root, destination]) fs.rmSync(path, { recursive: true });
    return { exitCode, messages, tree };
  }

  describe.concurrent.each([27, 28, 29, 30, 31, 32])('with protocol %i', (protocol) => {
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

/** The daemon's messages; the client's own depend on which of its processes is first. */
function messagesOf(stderr: Buffer): string[] {
  const lines = stderr.toString('latin1').split('\n');
  return lines.filter((line) => /\[sender\]|vanished|diminished|verification|^WARNING|^ERROR/.test(line)).sort();
}
