/** Requests that a read-only daemon refuses, and what the client's user sees of it. */

import { mkdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { startDaemon } from '../helpers/daemon.ts';
import type { ModuleSpec } from '../helpers/module-spec.ts';
import { startReferenceDaemon } from '../helpers/reference-daemon.ts';
import { rsync } from '../helpers/rsync.ts';
import type { RunningDaemon } from '../helpers/running-daemon.ts';
import { removeTree, scratchDir } from '../helpers/scratch.ts';
import { makeTree } from '../helpers/tree.ts';
import { hasRoot } from '../setup/clients.ts';

const self = process.env.EQUIVALENCE_SELF === '1';

type Request = readonly [args: string, exitCode: number, text: RegExp];

/**
 * What a client asks, what it ends with from protocol 31 on, and what its user must read. URL stands for the daemon.
 * Below 31 a refusal behind the greeting ends with 12, because the code cannot be told (3-transfer.md 8.6). The
 * reference is no measure here: it loses the text below 31 and resets connections with unread input (1-session.md 6.5).
 */
const REFUSED_LATE: readonly Request[] = [
  ['-a upload URL/pub/', 1, /^ERROR: module is read only$/m],
  ['-a --delete ./ URL/pub/', 1, /^ERROR: module is read only$/m],
  [
    '-a --remove-source-files URL/pub/ dst/',
    1,
    /^ERROR: --remove-source-files cannot be used with a read-only module$/m,
  ],
  ['-r -M--no-such-option URL/pub/ dst/', 4, /^rsync: on remote machine: --no-such-option: unknown option$/m],
  ['-r -M--daemon URL/pub/ dst/', 4, /^rsync: Attempt to hack rsync thwarted!$/m],
  ['-rc URL/refusing/ dst/', 4, /^(rsync: )?The server is configured to refuse --checksum/m],
];

/** Requests to which the reference gives a definite answer: ours must be the same. */
const ANSWERED: readonly string[] = [
  'URL/',
  '-r URL/unknown/ dst/',
  '-r URL/pub/missing dst/',
  '-r URL/pub/missing/ dst/',
  '-r URL/pub/file/ dst/',
  '-r URL/locked/ dst/',
  '-r URL/denied/ dst/',
  '-r URL/pub dst/',
];

describe.skipIf(!hasRoot())('requests that are refused', () => {
  let dir: string;
  const daemons: RunningDaemon[] = [];

  beforeAll(async () => {
    dir = scratchDir('refusals');
    const path = join(dir, 'module');
    mkdirSync(path);
    await makeTree(path, [{ name: 'file', content: 'content' }]);
    writeFileSync(join(dir, 'upload'), 'upload');
    writeFileSync(join(dir, 'secrets'), 'alice:secret\n', { mode: 0o600 });
    const modules: ModuleSpec[] = [
      { name: 'pub', path, keys: { comment: 'public files' } },
      { name: 'hidden', path, keys: { list: false } },
      { name: 'locked', path, keys: { auth_users: ['alice'], secrets_file: join(dir, 'secrets') } },
      { name: 'denied', path, keys: { hosts_deny: ['0.0.0.0/0'] } },
      { name: 'refusing', path, keys: { refuse_options: ['checksum'] } },
    ];
    daemons.push(await startReferenceDaemon(modules));
    daemons.push(self ? await startReferenceDaemon(modules) : await startDaemon({ modules }));
  });

  afterAll(async () => {
    for (const daemon of daemons) await daemon.stop();
    removeTree(dir);
  });

  async function ask(daemon: RunningDaemon, args: string, protocol: number): Promise<Answer> {
    const url = `rsync://127.0.0.1:${daemon.port}`;
    const asked = [`--protocol=${protocol}`, ...args.replace('URL', url).split(' ')];
    const result = await rsync(asked, { cwd: dir, env: { RSYNC_PASSWORD: 'wrong' } });
    const stderr = shownText(result.stderr.toString('latin1'), daemon);
    return { exitCode: result.exitCode, stdout: result.stdout.toString('latin1'), stderr };
  }

  describe.each([27, 28, 29, 30, 31, 32])('with protocol %i', (protocol) => {
    it.each(ANSWERED)('answers %s as C rsync does', async (args) => {
      const expected = await ask(daemons[0]!, args, protocol);
      expect(await ask(daemons[1]!, args, protocol)).toEqual(expected);
    });

    it.skipIf(self).each(REFUSED_LATE)('refuses %s', async (args, exitCode, text) => {
      const answer = await ask(daemons[1]!, args, protocol);
      expect(answer.exitCode).toBe(protocol >= 31 ? exitCode : 12);
      expect(answer.stderr).toMatch(text);
    });
  });
});

interface Answer {
  readonly exitCode: number | null;
  readonly stdout: string;
  readonly stderr: string;
}

/** What a person reads, without line numbers of the client's source and the races of its processes. */
function shownText(stderr: string, daemon: RunningDaemon): string {
  return stderr
    .split('\n')
    .map((line) => line.replaceAll(`:${daemon.port}`, ':PORT').replace(/ at \w+\.c\(\d+\) \[\w+=/, ' at [client='))
    .map((line) =>
      line.replace(/\(\d+ bytes received so far\)/, '').replace(/\[(generator|receiver|Receiver)\]/, '[client]'),
    )
    .filter((line) => line !== '' && (daemon.name === 'ours' || !/Connection reset by peer|Broken pipe/.test(line)))
    .sort()
    .join('\n');
}
