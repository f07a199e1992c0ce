/** The scripts of deploy/reverse-backup through a real ssh -R. */

import { existsSync, mkdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { textOf } from '../helpers/content.ts';
import { NOBODY } from '../helpers/one-shot.ts';
import { mustRun, type RunResult, run } from '../helpers/run.ts';
import { makeTree } from '../helpers/tree.ts';
import { haveSshd, type Sshd, startSshd, writeProgram } from './sshd-server.ts';

const SCRIPTS = join(import.meta.dirname, '../../deploy/reverse-backup');
const DROP = `setpriv --reuid=${NOBODY} --regid=${NOBODY} --clear-groups`;

const runnable = haveSshd();

describe.runIf(runnable)('a reverse backup', () => {
  let sshd: Sshd;
  let program: string;

  beforeAll(async () => {
    sshd = await startSshd(['AllowTcpForwarding remote']);
    program = writeProgram(sshd.dir, 'gokr-rsyncd-as-nobody', `${DROP} ${process.execPath}`);
    for (const name of ['files', 'partly']) mkdirSync(join(sshd.dir, name));
    await makeTree(join(sshd.dir, 'files'), [
      { name: 'big', content: textOf('big', 3_000_000) },
      { name: 'dir/nested', content: 'nested\n' },
    ]);
    writeFileSync(join(sshd.dir, 'partly/closed'), '', { mode: 0 });
    // What a key may do on the backup server, to the letter of the README.
    const forced = `command="${join(SCRIPTS, 'pull.sh')} ${sshd.home}/laptop",restrict,port-forwarding`;
    sshd.authorize(`${forced},permitlisten="127.0.0.1:*"`);
  });
  afterAll(() => sshd?.close());

  const options = (): string[] => sshd.ssh({ user: sshd.user, restricted: true }).slice(1);
  const backUp = (directory: string, more: Readonly<Record<string, string>> = {}): Promise<RunResult> => {
    const args = ['home', join(sshd.dir, directory), ...options(), '127.0.0.1'];
    return run(join(SCRIPTS, 'backup.sh'), args, { env: { GOKR_RSYNCD: program, ...more } });
  };
  const order = (command: string, input = ''): Promise<RunResult> =>
    run('ssh', [...options(), '127.0.0.1', command], { input: Buffer.from(input) });

  it('pulls everything through the tunnel, and both ends say so', async () => {
    const { exitCode, stdout, stderr } = await backUp('files');
    expect({ exitCode, stderr: stderr.toString().replace(/^\{.*\n/gm, '') }).toEqual({ exitCode: 0, stderr: '' });
    expect(JSON.parse(stdout.toString())).toMatchObject({ outcome: 'ok', exit: 0, module: 'home', files: 2 });
    await mustRun('diff', ['-r', join(sshd.dir, 'files'), join(sshd.home, 'laptop')]);
  });

  it('tells by its exit code that something is missing', async () => {
    const { exitCode, stdout } = await backUp('partly');
    expect([exitCode, JSON.parse(stdout.toString())]).toEqual([
      23,
      expect.objectContaining({ outcome: 'ok', exit: 23 }),
    ]);
  });

  it('ends when the server cannot pull, and does not say that all is well', async () => {
    const { exitCode, stdout } = await backUp('files', { SSH: join(sshd.dir, 'broken-ssh') });
    expect([exitCode === 0, stdout.toString()]).toEqual([false, expect.not.stringContaining('"outcome":"ok"')]);
  });

  it('ends with the complaint of a server that cannot serve', async () => {
    const { exitCode, stderr } = await backUp('absent');
    expect([exitCode, stderr.toString()]).toEqual([1, expect.stringContaining('absent')]);
  });

  it.each([
    ['rsync --server --sender -r . /', ''],
    ['pull 22; touch INJECTED', ''],
    ['pull $(touch INJECTED)', ''],
    ['pull 22', '{"module":"$(touch INJECTED)","user":"a b","password":"`touch INJECTED`"}\n'],
    ['pull 123456', ''],
    ['cat', ''],
  ])('lets its key order nothing but a pull: %j', async (command, input) => {
    const target = join(sshd.home, 'INJECTED');
    const { exitCode, stderr } = await order(
      command.replaceAll('INJECTED', target),
      input.replaceAll('INJECTED', target),
    );
    expect([exitCode, stderr.toString(), existsSync(target)]).toEqual([1, expect.stringContaining('pull.sh: '), false]);
  });
});
