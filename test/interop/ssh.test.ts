/** The SSH listener against real clients: OpenSSH, dropbear, PuTTY, ssh-audit. */

import { randomBytes } from 'node:crypto';
import { readFileSync, writeFileSync } from 'node:fs';
import { connect } from 'node:net';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { CIPHER_NAMES } from '../../src/listener/ssh/ciphers.ts';
import { createHostKeyFile, loadHostKey } from '../../src/listener/ssh/hostkey.ts';
import { KEX_NAMES } from '../../src/listener/ssh/kex.ts';
import { mustRun, type RunResult, run } from '../helpers/run.ts';
import { removeTree, scratchDir } from '../helpers/scratch.ts';
import { type SshServer, startSshServer } from './ssh-server.ts';
import { haveTool, knownKex } from './ssh-tools.ts';

const COMMAND = ['rsync', '--server', '--daemon', '.'];
const CONTENT = randomBytes(3_000_000);
const MIB = 1024 * 1024;

const hasOpenSsh = haveTool('ssh') && haveTool('ssh-keygen') && haveTool('sftp');
const hasDropbear = haveTool('dbclient');
const hasPutty = haveTool('plink');
const hasAudit = haveTool('ssh-audit');

let server: SshServer;
let scratch = '';
beforeAll(async () => {
  scratch = scratchDir('ssh');
  server = await startSshServer();
});
afterAll(async () => {
  await server.close();
  removeTree(scratch);
});

interface Call {
  readonly to?: SshServer;
  readonly options?: readonly string[];
  readonly input?: Uint8Array;
}

/** Runs `ssh` without any configuration of this machine. */
function ssh(
  command: readonly string[],
  { to = server, options = [], input = Buffer.alloc(0) }: Call = {},
): Promise<RunResult> {
  const fixed = [
    '-F',
    'none',
    '-o',
    'StrictHostKeyChecking=no',
    '-o',
    'UserKnownHostsFile=/dev/null',
    '-o',
    'BatchMode=yes',
  ];
  const place = ['-o', 'IdentityAgent=none', '-p', String(to.port), 'anybody@127.0.0.1'];
  return run('ssh', [...fixed, ...options, ...place, ...command], { input, deadlineMs: 60_000 });
}

describe.runIf(hasOpenSsh)('OpenSSH', () => {
  const known = hasOpenSsh ? knownKex() : [];
  for (const kex of KEX_NAMES) {
    if (!known.includes(kex))
      console.warn(`\n*** the installed OpenSSH does not know ${kex}: not tested with it ***\n`);
  }

  it.each(
    KEX_NAMES.filter((kex) => known.includes(kex)).flatMap((kex) =>
      CIPHER_NAMES.map((cipher) => [kex, cipher] as const),
    ),
  )('moves bytes both ways with %s and %s', async (kex, cipher) => {
    const options = ['-c', cipher, '-o', `KexAlgorithms=${kex}`];
    const { exitCode, stdout } = await ssh(COMMAND, { options, input: CONTENT });
    expect(exitCode).toBe(0);
    expect(stdout.equals(CONTENT)).toBe(true);
    expect(server.logins.at(-1)).toBe(`anybody ${kex} ${cipher}`);
  });

  it('comes through with its defaults, and through many changes of keys that it asks for', async () => {
    const input = Buffer.alloc(100 * MIB, CONTENT);
    const { exitCode, stdout, stderr } = await ssh(COMMAND, { options: ['-v', '-o', 'RekeyLimit=20M'], input });
    expect(exitCode).toBe(0);
    expect(stdout.equals(input)).toBe(true);
    expect(stderr.toString().match(/SSH2_MSG_NEWKEYS received/g)!.length).toBeGreaterThan(3);
  });

  it.each(CIPHER_NAMES)('follows the changes of keys that we ask for, with %s', async (cipher) => {
    const to = await startSshServer({ limits: { sshRekeyBytes: MIB } });
    const input = Buffer.alloc(20 * MIB, CONTENT);
    const { exitCode, stdout, stderr } = await ssh(COMMAND, { to, options: ['-v', '-c', cipher], input });
    await to.close();
    expect(exitCode).toBe(0);
    expect(stdout.equals(input)).toBe(true);
    expect(stderr.toString().match(/SSH2_MSG_NEWKEYS received/g)!.length).toBeGreaterThan(5);
  });

  it.each([
    [['rsync', '--server', '--sender', '-vlogDtpr', '.', '/etc/passwd'], 'rsync://HOST/MODULE/'],
    [['rsync', '--server', '-vlogDtpr', '.', '/tmp/x'], 'read-only'],
    [['rm -rf /'], 'runs no commands'],
    [['rsync --server --daemon .; id'], 'only a shell understands'],
    [['rsync --server --daemon $(id)'], 'only a shell understands'],
    [['rsync --server --daemon .\nid'], 'only a shell understands'],
    [['scp', '-f', '/etc/passwd'], 'runs no commands'],
  ])('is refused %j with a reason and status 1', async (command, reason) => {
    const { exitCode, stdout, stderr } = await ssh(command);
    expect([exitCode, stdout.length]).toEqual([1, 0]);
    expect(stderr.toString()).toContain(reason);
  });

  it.each([
    ['an interactive shell', ['-tt'], 'PTY allocation request failed'],
    ['a shell', ['-T'], 'shell request failed'],
    ['a subsystem', ['-s', 'sftp'], 'subsystem request failed'],
    [
      'a remote forwarding',
      ['-N', '-o', 'ExitOnForwardFailure=yes', '-R', '0:127.0.0.1:1'],
      'remote port forwarding failed',
    ],
    ['a tunnel', ['-N', '-o', 'ExitOnForwardFailure=yes', '-w', 'any'], ''],
  ])('is refused %s', async (_, options, reason) => {
    const isSubsystem = options[0] === '-s';
    const { exitCode, stderr } = await ssh(isSubsystem ? ['sftp'] : [], { options: isSubsystem ? ['-s'] : options });
    expect(exitCode).toBe(255);
    expect(stderr.toString()).toContain(reason);
  });

  it('is refused a local forwarding', async () => {
    const { stderr } = await ssh([], { options: ['-W', '127.0.0.1:1'] });
    expect(stderr.toString()).toContain('administratively prohibited: open failed');
    expect(server.refused).toContain('channel direct-tcpip');
  });

  it('is refused sftp', async () => {
    const options = [
      '-F',
      'none',
      '-o',
      'StrictHostKeyChecking=no',
      '-o',
      'UserKnownHostsFile=/dev/null',
      '-b',
      '/dev/null',
    ];
    const result = await run('sftp', [...options, '-P', String(server.port), 'a@127.0.0.1']);
    expect(result.exitCode).not.toBe(0);
  });

  it('may send its environment and forward its agent without effect', async () => {
    const { exitCode, stdout } = await ssh(COMMAND, { options: ['-A', '-o', 'SetEnv=A=b'], input: Buffer.from('x') });
    expect([exitCode, String(stdout)]).toEqual([0, 'x']);
  });

  it.each(['ed25519', 'ecdsa', 'rsa'])('logs in with an authorized %s key, and not with another', async (type) => {
    const file = join(scratch, `user-${type}`);
    for (const name of [file, `${file}-other`]) await mustRun('ssh-keygen', ['-q', '-t', type, '-N', '', '-f', name]);
    const to = await startSshServer({ authorizedKeys: readFileSync(`${file}.pub`, 'utf8') });
    const good = await ssh(COMMAND, { to, options: ['-i', file, '-o', 'IdentitiesOnly=yes'], input: Buffer.from('x') });
    const bad = await ssh(COMMAND, { to, options: ['-i', `${file}-other`, '-o', 'IdentitiesOnly=yes'] });
    await to.close();
    expect([good.exitCode, String(good.stdout)]).toEqual([0, 'x']);
    expect([bad.exitCode, String(bad.stderr).includes('Permission denied (publickey)')]).toEqual([255, true]);
  });

  it('reads the host keys that we make, and we read its', async () => {
    const ours = join(scratch, 'ours');
    const key = createHostKeyFile(ours, 'made by us');
    expect(String((await mustRun('ssh-keygen', ['-y', '-f', ours])).stdout)).toBe(`${key.publicLine} made by us\n`);
    expect(String((await mustRun('ssh-keygen', ['-l', '-f', ours])).stdout)).toContain(key.fingerprint);
    const theirs = join(scratch, 'theirs');
    await mustRun('ssh-keygen', ['-q', '-t', 'ed25519', '-N', '', '-f', theirs]);
    expect(readFileSync(`${theirs}.pub`, 'utf8')).toContain(loadHostKey(theirs).publicLine);
  });

  it('gets the host key that we have', async () => {
    const hosts = join(scratch, 'known_hosts');
    writeFileSync(hosts, `[127.0.0.1]:${server.port} ${server.hostKey.publicLine}\n`);
    const options = ['-o', `UserKnownHostsFile=${hosts}`, '-o', 'StrictHostKeyChecking=yes'];
    const strict = await run('ssh', ['-F', 'none', ...options, '-p', String(server.port), 'a@127.0.0.1', ...COMMAND]);
    expect(strict.exitCode).toBe(0);
  });
});

describe.runIf(hasDropbear)('dbclient', () => {
  it('moves bytes both ways', async () => {
    const args = ['-y', '-y', '-p', String(server.port), 'a@127.0.0.1', ...COMMAND];
    const { exitCode, stdout } = await run('dbclient', args, { input: CONTENT, env: { HOME: scratch } });
    expect(exitCode).toBe(0);
    expect(stdout.equals(CONTENT)).toBe(true);
  });
});

describe.runIf(hasPutty)('plink', () => {
  it('moves bytes both ways', async () => {
    const trust = ['-ssh', '-batch', '-hostkey', server.hostKey.fingerprint];
    const args = [...trust, '-P', String(server.port), 'a@127.0.0.1', ...COMMAND];
    const { exitCode, stdout } = await run('plink', args, { input: CONTENT, env: { HOME: scratch } });
    expect(exitCode).toBe(0);
    expect(stdout.equals(CONTENT)).toBe(true);
  });
});

describe.runIf(hasAudit)('ssh-audit', () => {
  /** Names that are younger than the 2.5.0 of Debian 12; it says of each that it is unknown, and nothing else. */
  const YOUNGER = /(?:mlkem768x25519-sha256|kex-strict-s-v00@openssh\.com) +-- \[warn\] unknown algorithm$/;

  it('CVE-2002-20001: finds no failure and no warning', async () => {
    const { stdout } = await run('ssh-audit', ['-n', '-p', String(server.port), '127.0.0.1']);
    const lines = stdout.toString().split('\n');
    expect(lines.filter((line) => /\[(?:fail|warn)\]/.test(line) && !YOUNGER.test(line))).toEqual([]);
    expect(lines.some((line) => line.startsWith('(key) ssh-ed25519'))).toBe(true);
  });
});

describe('a flood of half-open handshakes', () => {
  it('CVE-2002-20001: leaves room for an honest client and ends by itself', async () => {
    const to = await startSshServer({ limits: { sshLoginMs: 2000 } });
    const sockets = Array.from({ length: 300 }, () => connect(to.port, '127.0.0.1'));
    const ended = sockets.map(
      (socket) =>
        new Promise((resolve) =>
          socket
            .on('close', resolve)
            .on('error', () => {})
            .resume(),
        ),
    );
    if (hasOpenSsh) expect((await ssh(COMMAND, { to, input: Buffer.from('x') })).stdout.toString()).toBe('x');
    await Promise.all(ended);
    await to.close();
    const outcomes = await Promise.all(to.outcomes);
    const errors = outcomes.filter(({ who }) => who === null).map(({ error }) => error?.code);
    expect(errors).toEqual(sockets.map(() => 'timeout'));
  });
});
