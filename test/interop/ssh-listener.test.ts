/** The daemon's SSH listeners end to end: real rsync over real ssh, and everything else that a client may try. */

import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { appendFileSync, chmodSync, existsSync, mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import { connect, createServer } from 'node:net';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { createHostKeyFile, loadHostKey } from '../../src/listener/ssh/hostkey.ts';
import { withEdits } from '../helpers/content.ts';
import { rsync } from '../helpers/rsync.ts';
import { mustRun, type RunResult, run } from '../helpers/run.ts';
import { removeTree, scratchDir } from '../helpers/scratch.ts';
import { runToEnd } from '../session/support/server.ts';
import { hasRoot } from '../setup/clients.ts';
import { type EncryptedStage, openEncryptedStage, textOfErrors } from './encrypted-stage.ts';
import { haveTool } from './ssh-tools.ts';

const HOST_KEY = 'ssh_host_ed25519_key';

/** Nothing of this machine's configuration, but the server's key must be ours. */
function sshOptions(dir: string): string[] {
  const hosts = join(dir, 'known_hosts');
  const strict = [`UserKnownHostsFile=${hosts}`, 'StrictHostKeyChecking=yes', 'IdentityAgent=none', 'BatchMode=yes'];
  return ['-F', 'none', ...strict.flatMap((option) => ['-o', option])];
}

/** Makes the host key, and the file in which a client finds it. */
function makeHostKey(dir: string): void {
  const { publicLine } = createHostKeyFile(join(dir, HOST_KEY), 'test');
  writeFileSync(join(dir, 'known_hosts'), `* ${publicLine}\n`);
}

/** Every test comes from one address: the process-wide gate must not slow it down. */
const LIMITS = '[limits]\nsshKexPerSecond = 1000\n';

const isReady = hasRoot() && haveTool('ssh') && haveTool('ssh-keygen') && haveTool('sftp');

describe.runIf(isReady)('an anonymous SSH listener', () => {
  let stage: EncryptedStage;
  let shell: string;
  let port: number;

  beforeAll(async () => {
    stage = await openEncryptedStage((dir) => {
      makeHostKey(dir);
      return `${LIMITS}[[listener]]\nanon_ssh = "127.0.0.1:0"\nhost_key_path = ${JSON.stringify(join(dir, HOST_KEY))}\n`;
    });
    port = await stage.port('anon_ssh');
    shell = ['ssh', ...sshOptions(stage.dir), '-p', port].join(' ');
  });
  afterAll(() => stage?.close());

  const pull = (...args: string[]): Promise<RunResult> => rsync(['-e', shell, ...args], { cwd: stage.dir });
  const ssh = (options: readonly string[], command: readonly string[] = []): Promise<RunResult> =>
    run('ssh', [...sshOptions(stage.dir), '-p', String(port), ...options, 'anybody@127.0.0.1', ...command], {
      deadlineMs: 30_000,
    });

  it('says its fingerprint in the log', async () => {
    const { fingerprint } = loadHostKey(join(stage.dir, HOST_KEY));
    expect(await stage.server.waitFor(({ listener }) => listener === 'anon_ssh')).toMatchObject({
      hostKey: fingerprint,
    });
  });

  it.each(['rsync://127.0.0.1/', '127.0.0.1::', 'rsync://nobody-here@127.0.0.1/'])(
    'lists modules for %s',
    async (url) => {
      const { exitCode, stdout } = await pull(url);
      expect(exitCode).toBe(0);
      expect(stdout.toString()).toBe('pub            \t\nteam           \t\nclosed         \t\n');
    },
  );

  it.each([[[]], [['-z']], [['--compress', '--compress-choice=zlib']], [['--protocol=31']], [['--checksum']]])(
    'sends everything with %j',
    (args) => stage.expectPull('rsync://127.0.0.1/pub/', ['-e', shell, ...args]),
  );

  it('logs who came and what was sent', async () => {
    await stage.expectPull('rsync://backup@127.0.0.1/team/', ['-e', shell.replace(/^ssh/, 'ssh -l joe')]);
    const session = await stage.server.waitFor((line) => line.msg === 'session ended' && line.module === 'team');
    expect(session).toMatchObject({ listener: 'anon_ssh', peer: '127.0.0.1', outcome: 'ok', files: 4 });
    const login = await stage.server.waitFor((line) => line.msg === 'SSH login' && line.port === session.port);
    expect([login.sshUser, session.sshUser]).toEqual(['joe', 'joe']);
    expect(login.client).toMatch(/^SSH-2\.0-OpenSSH/);
  });

  it('sends no more than what has changed', async () => {
    const got = join(stage.dir, 'delta');
    await mustRun('cp', ['-a', join(stage.dir, 'pub'), got]);
    writeFileSync(join(got, 'big'), withEdits(readFileSync(join(got, 'big')), [500_000, 1_500_000]));
    const args = ['-a', '--no-whole-file', '--stats', 'rsync://127.0.0.1/pub/', 'delta/'];
    const { exitCode, stdout } = await pull(...args);
    expect(exitCode).toBe(0);
    expect(Number(/Literal data: ([\d,]+)/.exec(stdout.toString())![1]!.replaceAll(',', ''))).toBeLessThan(10_000);
    stage.expectTree(got);
  });

  it('has no other modules than the configured ones', async () => {
    const result = await pull('rsync://127.0.0.1/nix/', 'got/');
    expect([result.exitCode, textOfErrors(result).split('\n')[0]]).toEqual([5, "@ERROR: Unknown module 'nix'"]);
  });

  it('holds access lists against the address of the SSH client', async () => {
    const result = await pull('rsync://127.0.0.1/closed/', 'got/');
    expect(textOfErrors(result)).toContain('@ERROR: access denied to closed from UNDETERMINED (127.0.0.1)');
  });

  it('takes no uploads', async () => {
    const result = await pull('-a', 'pub/file', 'rsync://127.0.0.1/pub/');
    expect([result.exitCode, textOfErrors(result)]).toEqual([1, expect.stringContaining('ERROR: module is read only')]);
    expect(textOfErrors(await pull('-a', 'pub/file', '127.0.0.1:/tmp/'))).toContain('read-only and takes no uploads');
  });

  it('CVE-2026-53783: tells who asks for a path of the host which URL to use', async () => {
    const result = await pull('-a', '127.0.0.1:/etc/passwd', 'got/');
    expect(result.exitCode).not.toBe(0);
    expect(textOfErrors(result)).toContain('rsync -e ssh rsync://HOST/MODULE/PATH');
    expect(existsSync(join(stage.dir, 'got'))).toBe(false);
  });

  it.each([
    ['a command', [], ['rm', '-rf', '/'], 'this server runs no commands'],
    ['a command behind ours', [], ['rsync --server --daemon .; id'], 'only a shell understands'],
    ['a command inside ours', [], ['rsync --server --daemon $(id)'], 'only a shell understands'],
    ['a command in the next line', [], ['rsync --server --daemon .\nid'], 'only a shell understands'],
    ['the old scp', [], ['scp', '-f', '/etc/passwd'], 'this server runs no commands'],
    ['a shell', ['-T'], [], 'shell request failed'],
    ['a terminal', ['-tt'], [], 'PTY allocation request failed'],
    ['the sftp subsystem', ['-s'], ['sftp'], 'subsystem request failed'],
    ['a port of ours', ['-N', '-o', 'ExitOnForwardFailure=yes', '-R', '0:127.0.0.1:1'], [], 'port forwarding failed'],
    ['a connection from here', ['-W', '127.0.0.1:1'], [], 'administratively prohibited: open failed'],
  ])('CVE-2026-53790: refuses %s', async (_title, options, command, reason) => {
    const result = await ssh(options, command);
    expect(result.exitCode).not.toBe(0);
    expect([result.stdout.length, textOfErrors(result)]).toEqual([0, expect.stringContaining(reason)]);
  });

  it('refuses sftp and scp', async () => {
    const fixed = [...sshOptions(stage.dir), '-P', String(port)];
    const sftp = await run('sftp', [...fixed, '-b', '/dev/null', 'anybody@127.0.0.1']);
    const scp = await run('scp', [...fixed, 'anybody@127.0.0.1:/etc/passwd', join(stage.dir, 'stolen')]);
    expect([sftp.exitCode, scp.exitCode]).not.toContain(0);
    expect(existsSync(join(stage.dir, 'stolen'))).toBe(false);
  });

  it('forwards nothing for ssh -N -L', async () => {
    const canary = createServer(() => expect.unreachable('the daemon has connected'));
    canary.listen(0, '127.0.0.1');
    await once(canary, 'listening');
    const target = (canary.address() as { port: number }).port;
    const local = join(stage.dir, 'forward');
    const args = [
      ...sshOptions(stage.dir),
      '-p',
      String(port),
      '-N',
      '-L',
      `${local}:127.0.0.1:${target}`,
      'a@127.0.0.1',
    ];
    const client = spawn('ssh', args, { stdio: 'ignore' });
    while (!existsSync(local)) await new Promise((resolve) => setTimeout(resolve, 20));
    const socket = connect(local).on('error', () => {});
    socket.end('GET / HTTP/1.0\r\n\r\n');
    await new Promise((resolve) => socket.on('close', resolve).resume());
    expect(socket.bytesRead).toBe(0);
    await stage.server.waitFor(({ request }) => request === 'channel direct-tcpip');
    client.kill();
    canary.close();
  });

  it('refuses a second channel and goes on with the first', async () => {
    const control = join(stage.dir, 'control');
    const command = ['rsync', '--server', '--daemon', '.'];
    const fixed = [...sshOptions(stage.dir), '-p', String(port), '-S', control];
    const first = spawn('ssh', [...fixed, '-M', 'a@127.0.0.1', ...command], { stdio: ['pipe', 'pipe', 'ignore'] });
    let received = '';
    first.stdout.on('data', (chunk: Buffer) => {
      received += chunk.toString('latin1');
    });
    await once(first.stdout, 'data');
    const second = await run('ssh', [...fixed, 'a@127.0.0.1', ...command], { deadlineMs: 30_000 });
    expect(textOfErrors(second)).toContain('Session open refused by peer');
    first.stdin.end('@RSYNCD: 31.0 sha512\n#list\n');
    const [exitCode] = (await once(first, 'close')) as [number];
    expect([exitCode, received.endsWith('@RSYNCD: EXIT\n')]).toEqual([0, true]);
  });

  it('is healthy after all of that', () => stage.expectPull('rsync://127.0.0.1/pub/', ['-e', shell]));
});

describe.runIf(isReady)('an authorized SSH listener', () => {
  let stage: EncryptedStage;
  let port: number;

  const NAMES = ['all', 'team', 'far', 'near', 'late', 'stranger'] as const;
  type Name = (typeof NAMES)[number];
  const OPTIONS: Partial<Record<Name, string>> = {
    all: '',
    team: 'restrict,environment="GOKR_MODULES=team" ',
    far: 'from="192.0.2.0/24" ',
    near: 'from="127.0.0.0/8",environment="GOKR_MODULES=pub" ',
  };
  const publicKey = (dir: string, name: Name): string => readFileSync(join(dir, `${name}.pub`), 'utf8');

  beforeAll(async () => {
    stage = await openEncryptedStage(async (dir) => {
      makeHostKey(dir);
      for (const name of NAMES)
        await mustRun('ssh-keygen', [
          '-q',
          '-t',
          name === 'near' ? 'ecdsa' : 'ed25519',
          '-N',
          '',
          '-f',
          join(dir, name),
        ]);
      const lines = Object.entries(OPTIONS).map(([name, options]) => options + publicKey(dir, name as Name));
      writeFileSync(join(dir, 'authorized_keys'), lines.join(''), { mode: 0o644 });
      const [key, users] = [HOST_KEY, 'authorized_keys'].map((name) => JSON.stringify(join(dir, name)));
      return `${LIMITS}[[listener]]\nauthorized_ssh = { address = "127.0.0.1:0", authorized_keys = ${users} }\nhost_key_path = ${key}\n`;
    });
    port = await stage.port('authorized_ssh');
  });
  afterAll(() => stage?.close());

  const shell = (name: Name): string =>
    ['ssh', ...sshOptions(stage.dir), '-p', port, '-i', join(stage.dir, name), '-o', 'IdentitiesOnly=yes'].join(' ');
  const list = async (name: Name): Promise<string> => {
    const { stdout, stderr } = await rsync(['-e', shell(name), 'rsync://127.0.0.1/'], { cwd: stage.dir });
    return stdout.toString().replace(/ *\t\n/g, ' ') + (stdout.length === 0 ? stderr.toString() : '');
  };

  it.each([
    ['all', 'pub team closed '],
    ['team', 'team '],
    ['near', 'pub '],
  ] as const)('shows to the key "%s" the modules %j', async (name, modules) => {
    expect(await list(name)).toBe(modules);
  });

  it.each(['stranger', 'far'] as const)('does not let in the key "%s"', async (name) => {
    expect(await list(name)).toContain('Permission denied (publickey)');
  });

  it('serves a key what it may see and knows nothing else', async () => {
    await stage.expectPull('rsync://127.0.0.1/team/', ['-e', shell('team')]);
    const result = await rsync(['-e', shell('team'), 'rsync://127.0.0.1/pub/file', 'got'], { cwd: stage.dir });
    expect([result.exitCode, textOfErrors(result)]).toEqual([
      5,
      expect.stringContaining("@ERROR: Unknown module 'pub'"),
    ]);
  });

  it('logs the fingerprint of the key', async () => {
    const { stdout } = await mustRun('ssh-keygen', ['-l', '-f', join(stage.dir, 'team.pub')]);
    const fingerprint = /SHA256:\S+/.exec(stdout.toString())![0];
    const login = await stage.server.waitFor((line) => line.msg === 'SSH login' && line.sshKey === fingerprint);
    const session = await stage.server.waitFor((line) => line.msg === 'session ended' && line.port === login.port);
    expect(session).toMatchObject({ listener: 'authorized_ssh', sshKey: fingerprint });
  });

  it('does without a password and without an account', async () => {
    const { stderr } = await run('ssh', [...sshOptions(stage.dir), '-p', String(port), 'root@127.0.0.1', 'id']);
    expect(stderr.toString()).toContain('Permission denied (publickey)');
  });

  it('takes a new key with SIGHUP, and keeps the old ones while the file is wrong', async () => {
    const file = join(stage.dir, 'authorized_keys');
    appendFileSync(file, publicKey(stage.dir, 'late'));
    expect(await list('late')).toContain('Permission denied');
    chmodSync(file, 0o666);
    stage.server.kill('SIGHUP');
    const { detail } = await stage.server.waitFor(({ msg }) => String(msg).startsWith('keys not read again'));
    expect(detail).toContain('authorized_keys" has mode 0666');
    expect([await list('team'), await list('late')]).toEqual(['team ', expect.stringContaining('Permission denied')]);
    chmodSync(file, 0o644);
    stage.server.kill('SIGHUP');
    const { authorizedKeys } = await stage.server.waitFor(({ msg }) => msg === 'keys read again');
    expect([authorizedKeys, await list('late')]).toEqual([5, 'pub team closed ']);
  });
});

describe.runIf(isReady)('a daemon with an SSH listener', () => {
  let dir: string;
  beforeAll(() => {
    dir = scratchDir('ssh-start');
    mkdirSync(join(dir, 'pub'));
  });
  afterAll(() => removeTree(dir));

  const toml = (key: string): string =>
    `[[listener]]\nanon_ssh = "127.0.0.1:0"\nhost_key_path = "${join(dir, key)}"\n[[module]]\nname = "pub"\npath = "${join(dir, 'pub')}"\n`;

  it('does not start without its key, and makes none', async () => {
    const { exitCode, stderr } = await runToEnd({ toml: toml('absent') });
    expect(exitCode).toBe(1);
    expect(stderr).toContain(`"${join(dir, 'absent')}": no such file; make the host key with --keygen`);
    expect(existsSync(join(dir, 'absent'))).toBe(false);
  });

  it('does not start with a key that others can read', async () => {
    createHostKeyFile(join(dir, 'open'), 'test');
    chmodSync(join(dir, 'open'), 0o644);
    const { exitCode, stderr } = await runToEnd({ toml: toml('open') });
    expect([exitCode, stderr]).toEqual([1, expect.stringContaining('open" has mode 0644')]);
  });

  it('starts with the key that --keygen has made, on the address of --gokr.anonssh_listen', async () => {
    const key = join(dir, HOST_KEY);
    const { stdout } = await runToEnd({ args: ['--keygen', key] });
    const fingerprint = /^fingerprint: (\S+)$/m.exec(stdout)![1];
    const stage = await openEncryptedStage(() => toml(HOST_KEY).split('[[module]]', 1)[0]!, {
      args: ['--gokr.anonssh_listen=[::1]:0'],
    });
    const { address, hostKey } = await stage.server.waitFor(({ listener }) => listener === 'anon_ssh');
    await stage.close();
    expect([address, hostKey]).toEqual([expect.stringMatching(/^\[::1\]:\d+$/), fingerprint]);
  });

  it('serves a socket named anon_ssh that a service manager has opened', async () => {
    createHostKeyFile(join(dir, 'activated'), 'test');
    const listener = createServer().listen(0, '127.0.0.1');
    await once(listener, 'listening');
    const { port } = listener.address() as { port: number };
    const { fd } = (listener as unknown as { _handle: { fd: number } })._handle;
    const stage = await openEncryptedStage(() => toml('activated').split('[[module]]', 1)[0]!, {
      wrap: ['sh', '-c', 'LISTEN_PID=$$ exec "$@"', 'sh'],
      env: { LISTEN_FDS: '1', LISTEN_FDNAMES: 'anon_ssh' },
      descriptors: [fd],
    });
    listener.close();
    const options = ['-F', 'none', '-o', 'StrictHostKeyChecking=no', '-o', 'UserKnownHostsFile=/dev/null'];
    const shell = ['ssh', ...options, '-o', 'LogLevel=ERROR', '-p', port].join(' ');
    await stage.expectPull('rsync://127.0.0.1/pub/', ['-e', shell]);
    await stage.close();
  });
});
