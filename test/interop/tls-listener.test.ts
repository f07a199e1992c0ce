/** The daemon's TLS listener end to end: rsync-ssl, openssl, old protocols, stalls, renewed certificates. */

import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { chmodSync, existsSync, writeFileSync } from 'node:fs';
import { connect } from 'node:net';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { rsync } from '../helpers/rsync.ts';
import { mustRun, type RunResult, run } from '../helpers/run.ts';
import { removeTree, scratchDir } from '../helpers/scratch.ts';
import { limitHitsOf, MONITORED } from '../session/support/limit-hits.ts';
import { runToEnd } from '../session/support/server.ts';
import { hasRoot } from '../setup/clients.ts';
import { type EncryptedStage, openEncryptedStage, textOfErrors } from './encrypted-stage.ts';
import { haveTool } from './ssh-tools.ts';
import { makeCertificate, protectKey, throughTls, tlsListener } from './tls-files.ts';

const isReady = hasRoot() && haveTool('openssl') && haveTool('rsync-ssl');

describe.runIf(isReady)('a TLS listener', () => {
  let stage: EncryptedStage;
  let port: number;
  let ca: string;

  beforeAll(async () => {
    stage = await openEncryptedStage(
      async (dir) => {
        await makeCertificate(dir, 'server');
        return `[limits]\ntlsHandshakeMs = 500\ntlsHandshakesPerSecond = 1000\nhandshakes = 400\n${tlsListener(dir, 'server')}`;
      },
      { args: MONITORED },
    );
    port = await stage.port('tls');
    ca = join(stage.dir, 'server.pem');
  });
  afterAll(() => stage?.close());

  const client = (options: readonly string[], input = '', trust = ca): Promise<RunResult> => {
    const place = ['-connect', `127.0.0.1:${port}`, '-CAfile', trust, '-verify_return_error'];
    return run('openssl', ['s_client', ...place, ...options], { input: Buffer.from(input), deadlineMs: 30_000 });
  };
  const through = (...options: string[]) => throughTls(port, ca, ...options);

  it('says in the log which certificate it has', async () => {
    const { stdout } = await mustRun('openssl', ['x509', '-in', ca, '-noout', '-fingerprint', '-sha256']);
    const { certificate } = await stage.server.waitFor((line) => line.listener === 'tls');
    expect(stdout.toString()).toContain(`=${String(certificate)}`);
  });

  it.each([[[]], [['-z']]])('sends everything to rsync-ssl with %j', async (args) => {
    const env = { RSYNC_SSL_CA_CERT: ca, RSYNC_SSL_PORT: String(port) };
    const got = join(stage.dir, 'ssl');
    const { exitCode } = await run('rsync-ssl', ['-a', ...args, 'rsync://localhost/pub/', `${got}/`], { env });
    expect(exitCode).toBe(0);
    stage.expectTree(got);
    removeTree(got);
  });

  it.each([
    ['-tls1_2', '-cipher', 'ECDHE+AESGCM'],
    ['-tls1_2', '-cipher', 'ECDHE+CHACHA20'],
    ['-tls1_3', '-ciphersuites', 'TLS_AES_256_GCM_SHA384'],
    ['-tls1_3', '-ciphersuites', 'TLS_CHACHA20_POLY1305_SHA256'],
  ])('sends everything through openssl with %s %s %s', (...options) =>
    stage.expectPull('rsync://127.0.0.1/pub/', [], { env: through(...options) }),
  );

  it('logs sessions with the kind of their listener, and refuses what the others refuse', async () => {
    const env = through();
    const refused = await rsync(['-a', 'rsync://127.0.0.1/closed/', 'got/'], { cwd: stage.dir, env });
    expect(textOfErrors(refused)).toContain('@ERROR: access denied to closed from UNDETERMINED (127.0.0.1)');
    const upload = await rsync(['-a', 'pub/file', 'rsync://127.0.0.1/pub/'], { cwd: stage.dir, env });
    expect(textOfErrors(upload)).toContain('ERROR: module is read only');
    const session = await stage.server.waitFor((line) => line.module === 'pub' && line.outcome === 'usage');
    expect(session).toMatchObject({ listener: 'tls', peer: '127.0.0.1' });
  });

  it.each(['-tls1', '-tls1_1'])('refuses %s with an alert', async (version) => {
    const { exitCode, stderr } = await client([version, '-cipher', 'ALL:@SECLEVEL=0']);
    expect([exitCode, stderr.toString()]).toEqual([1, expect.stringContaining('alert protocol version')]);
  });

  it.each(['AES128-GCM-SHA256', 'ECDHE-ECDSA-AES128-SHA', 'ECDHE-ECDSA-AES256-SHA384', 'aNULL'])(
    'has no cipher %s',
    async (cipher) => {
      const { exitCode, stderr } = await client(['-tls1_2', '-cipher', `${cipher}:@SECLEVEL=0`]);
      expect([exitCode, stderr.toString()]).toEqual([1, expect.stringContaining('handshake failure')]);
    },
  );

  it('does not renegotiate', async () => {
    const args = ['s_client', '-tls1_2', '-connect', `127.0.0.1:${port}`, '-CAfile', ca];
    const asking = spawn('openssl', args);
    let said = '';
    asking.stderr.on('data', (chunk: Buffer) => {
      said += chunk.toString();
    });
    // The greeting shows that the handshake is over; the program takes a line R for a command.
    asking.stdout.on('data', (chunk: Buffer) => {
      if (chunk.includes('@RSYNCD')) asking.stdin.write('R\n');
    });
    await once(asking, 'close');
    expect(said).toContain('no renegotiation');
  });

  it.each(['-tls1_2', '-tls1_3'])('resumes no session of %s', async (version) => {
    const session = join(stage.dir, `session${version}`);
    const list = '@RSYNCD: 31.0 sha512\n#list\n';
    await client([version, '-ign_eof', '-sess_out', session], list);
    const again = await client([version, '-ign_eof', ...(existsSync(session) ? ['-sess_in', session] : [])], list);
    expect(again.stdout.toString()).toMatch(/^New, TLSv1\.[23]/m);
    expect(again.stdout.toString()).not.toMatch(/^Reused/m);
    expect(again.stdout.toString()).toContain('@RSYNCD: EXIT');
  });

  it('says nothing to a client that speaks no TLS', async () => {
    const result = await rsync([`rsync://127.0.0.1:${port}/`]);
    expect(result.exitCode).not.toBe(0);
    expect(result.stdout.toString()).not.toContain('pub');
    await stage.server.waitFor((line) => /handshake failed: ERR_SSL/.test(String(line.detail)));
  });

  it('lets no stalled handshake stay, and an honest client in between', async () => {
    const sockets = Array.from({ length: 150 }, (_, index) => {
      const socket = connect(port, '127.0.0.1');
      // Some say nothing, some begin a record that never ends.
      if (index % 2 === 0) socket.write(Buffer.from([22, 3, 1, 2, 0, 1]));
      return socket.on('error', () => {});
    });
    const closed = sockets.map((socket) => new Promise((resolve) => socket.on('close', resolve).resume()));
    await stage.expectPull('rsync://127.0.0.1/pub/', [], { env: through() });
    await Promise.all(closed);
    await stage.server.waitFor((line) => line.detail === 'timeout in the TLS handshake');
    expect((await limitHitsOf(stage.server)).get('tlsHandshakeMs')).toBeGreaterThan(0);
  });

  it('shows a renewed certificate after SIGHUP and leaves running sessions alone', async () => {
    const slow = join(stage.dir, 'slow');
    const env = through();
    const pull = rsync(['-a', '--bwlimit=1000', 'rsync://127.0.0.1/team/', `${slow}/`], { cwd: stage.dir, env });
    while (!existsSync(slow)) await new Promise((resolve) => setTimeout(resolve, 20));
    await makeCertificate(stage.dir, 'server', 'rsa:2048');
    stage.server.kill('SIGHUP');
    await stage.server.waitFor(({ msg }) => msg === 'keys read again');
    const { exitCode, stdout } = await client(['-brief', '-ign_eof'], '@RSYNCD: 31.0 sha512\n#list\n');
    expect([exitCode, stdout.toString()]).toEqual([0, expect.stringContaining('pub')]);
    expect((await pull).exitCode).toBe(0);
    stage.expectTree(slow);
  });

  it('keeps its certificate when the new one is of another key', async () => {
    await makeCertificate(stage.dir, 'other');
    const old = join(stage.dir, 'old.pem');
    await mustRun('cp', [ca, old]);
    await mustRun('cp', [join(stage.dir, 'other.pem'), ca]);
    stage.server.kill('SIGHUP');
    const { detail } = await stage.server.waitFor(({ msg }) => String(msg).startsWith('keys not read again'));
    expect(detail).toContain('server.key" is not the key of "');
    expect((await client(['-brief', '-ign_eof'], '@RSYNCD: 31.0 sha512\n#list\n', old)).exitCode).toBe(0);
  });
});

describe.runIf(isReady)('a daemon with a TLS listener', () => {
  let dir: string;
  beforeAll(async () => {
    dir = scratchDir('tls-start');
    for (const name of ['one', 'two']) await makeCertificate(dir, name);
    await mustRun('openssl', [
      'pkey',
      '-in',
      join(dir, 'one.key'),
      '-aes256',
      '-passout',
      'pass:x',
      '-out',
      join(dir, 'locked.key'),
    ]);
    protectKey(join(dir, 'locked.key'));
    writeFileSync(join(dir, 'text.pem'), 'no certificate');
    await mustRun('cp', [join(dir, 'one.key'), join(dir, 'open.key')]);
    chmodSync(join(dir, 'open.key'), 0o644);
  });
  afterAll(() => removeTree(dir));

  it.each([
    ['one', 'two', 'two.key" is not the key of "'],
    ['one', 'absent', 'absent.key": no such file'],
    ['absent', 'one', 'absent.pem": no such file'],
    ['text', 'one', 'text.pem": no PEM certificate'],
    ['one', 'locked', 'locked.key": no PEM private key without passphrase'],
    ['one', 'open', 'open.key" has mode 0644: expected 0640 or stricter'],
  ])('does not start with the certificate "%s" and the key "%s"', async (certificate, key, reason) => {
    const toml = `${tlsListener(dir, certificate, key)}[[module]]\nname = "pub"\npath = "/usr/share"\n`;
    const started = await runToEnd({ toml });
    expect([started.exitCode, started.stderr]).toEqual([1, expect.stringContaining(reason)]);
    const checked = await runToEnd({ toml, args: ['--check'] });
    expect([checked.exitCode, checked.stderr]).toEqual([1, expect.stringContaining(reason)]);
  });
});
