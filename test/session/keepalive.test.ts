/** Timeouts between real clients and the daemon (1-session.md 6.4): who gives up on whom, and who must not. */

import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdirSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { makeTree } from '../helpers/tree.ts';
import { hasRoot, systemClient } from '../setup/clients.ts';
import { openStage, type Stage } from './support/stage.ts';

const HUGE = 1.5 * 2 ** 30;
const TIMEOUT_SEC = 2;

describe.skipIf(!hasRoot())('with a timeout of two seconds', { timeout: 60_000 }, () => {
  let stage: Stage;

  beforeAll(async () => {
    stage = await openStage({
      prepare: async (dir) => {
        mkdirSync(join(dir, 'huge'));
        await makeTree(join(dir, 'huge'), [{ name: 'hole', sparse: true, size: HUGE }]);
      },
      modules: (dir) => [
        { name: 'huge', path: join(dir, 'huge') },
        { name: 'strict', path: join(dir, 'huge'), keys: { timeout: TIMEOUT_SEC } },
      ],
    });
  });
  afterAll(() => stage.close());

  it('clients of old and new protocols outlive a checksum that takes longer', async () => {
    // At the same time, so that each waits for the other's sum as well: 1.5 GiB alone can be done within two seconds.
    const asks = [
      ['-rcn', `--timeout=${TIMEOUT_SEC}`, '--protocol=29', 'URL/huge/', 'old/'],
      ['-rcn', `--timeout=${TIMEOUT_SEC}`, '--checksum-choice=md5', 'URL/huge/', 'new/'],
      // Takes the timeout that the daemon announces.
      ['-rcn', '--checksum-choice=md5', 'URL/strict/', 'told/'],
    ];
    const results = await Promise.all(asks.map((args) => stage.rsync(args)));
    const shown = results.map(({ exitCode, stderr }) => ({ exitCode, stderr: stderr.toString() }));
    expect(shown).toEqual(asks.map(() => ({ exitCode: 0, stderr: '' })));
    const ends = () => stage.server.logged.filter((line) => line.msg === 'session ended');
    await stage.server.waitFor(() => ends().length === asks.length);
    for (const line of ends()) expect(line.seconds).toBeGreaterThan(TIMEOUT_SEC);
  });

  it('a client that is stopped in the middle of a file is let go, and exits like one that was cut off', async () => {
    const mark = stage.server.logged.length;
    const [command, ...prefix] = systemClient().command;
    const args = ['-rv', `--timeout=${TIMEOUT_SEC}`, '--outbuf=L', `rsync://127.0.0.1:${stage.port}/huge/`, 'stopped/'];
    // A group of its own: the client is two processes.
    const child = spawn(command, [...prefix, ...args], {
      cwd: stage.dir,
      detached: true,
      stdio: ['ignore', 'pipe', 'pipe'],
    });
    const closed = once(child, 'close');
    for await (const text of child.stdout) if (String(text).includes('hole')) break;
    process.kill(-child.pid!, 'SIGSTOP');
    const line = await stage.server.waitFor(({ module }) => module === 'huge', mark);
    expect(line).toMatchObject({ outcome: 'timeout', exit: 30 });
    process.kill(-child.pid!, 'SIGCONT');
    const [exitCode] = await closed;
    expect([12, 30]).toContain(exitCode);
  });

  it('the next client is served', () => stage.expectHonestPull());
});
