/** Requests that a read-only daemon refuses: the client's exit code and text must be those of C rsync's daemon. */

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

/** Client arguments; URL stands for the daemon. */
const REQUESTS: readonly (readonly [string, ...string[]])[] = [
  ['URL/'],
  ['-r', 'URL/unknown/', 'dst/'],
  ['-r', 'URL/pub/missing', 'dst/'],
  ['-r', 'URL/pub/missing/', 'dst/'],
  ['-r', 'URL/pub/file/', 'dst/'],
  ['-a', 'upload', 'URL/pub/'],
  ['-a', '--delete', './', 'URL/pub/'],
  ['-a', '--remove-source-files', 'URL/pub/', 'dst/'],
  ['-r', '-M--no-such-option', 'URL/pub/', 'dst/'],
  ['-r', '-M--daemon', 'URL/pub/', 'dst/'],
  ['-r', 'URL/locked/', 'dst/'],
  ['-r', 'URL/denied/', 'dst/'],
  ['-rc', 'URL/refusing/', 'dst/'],
  ['-r', 'URL/pub', 'dst/'],
  ['-rI', 'URL/pub/file', 'dst/', '--password-file=/dev/null'],
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
    const self = process.env.EQUIVALENCE_SELF === '1';
    daemons.push(self ? await startReferenceDaemon(modules) : await startDaemon({ modules }));
  });

  afterAll(async () => {
    for (const daemon of daemons) await daemon.stop();
    removeTree(dir);
  });

  async function ask(daemon: RunningDaemon, args: readonly string[]): Promise<object> {
    const url = `rsync://127.0.0.1:${daemon.port}`;
    const env = { RSYNC_PASSWORD: 'wrong' };
    const result = await rsync(
      args.map((arg) => arg.replace('URL', url)),
      { cwd: dir, env },
    );
    return {
      exitCode: result.exitCode,
      stdout: result.stdout.toString('latin1'),
      stderr: shownText(result.stderr.toString('latin1'), daemon),
    };
  }

  describe.each([27, 29, 30, 31, 32])('with protocol %i', (protocol) => {
    it.each(REQUESTS.map((args) => [args.join(' '), args] as const))('answers %s as C rsync does', async (_, args) => {
      const asked = [`--protocol=${protocol}`, ...args];
      const expected = await ask(daemons[0]!, asked);
      expect(await ask(daemons[1]!, asked)).toEqual(expected);
    });
  });
});

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
