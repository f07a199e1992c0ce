/** Listeners behind a proxy: whose header counts, and that everything else sees the client that it names. */

import { mkdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { createHostKeyFile } from '../../src/listener/ssh/hostkey.ts';
import { connectingWith, headerV1, headerV2, TCP4, TCP6, UNSPEC } from '../helpers/proxy-headers.ts';
import { rsync } from '../helpers/rsync.ts';
import type { RunResult } from '../helpers/run.ts';
import { mustRun } from '../helpers/run.ts';
import { removeTree, scratchDir } from '../helpers/scratch.ts';
import { haveTool } from '../interop/ssh-tools.ts';
import { hasRoot } from '../setup/clients.ts';
import { Peer } from './support/peer.ts';
import { Server } from './support/server.ts';

const isReady = hasRoot() && haveTool('ssh') && haveTool('openssl');

const LISTING = 'pub            \t\nnear           \t\n';
const ASK_LIST = '@RSYNCD: 31.0 sha512\n#list\n';

describe.runIf(isReady)('behind a proxy', () => {
  let dir: string;
  let server: Server;
  const ports = new Map<string, number>();
  const port = (kind: string): number => ports.get(kind)!;

  beforeAll(async () => {
    dir = scratchDir('proxy');
    mkdirSync(join(dir, 'pub'));
    writeFileSync(join(dir, 'pub/file'), 'content\n');
    createHostKeyFile(join(dir, 'key'), 'test');
    await mustRun('openssl', [
      ...[
        'req',
        '-x509',
        '-nodes',
        '-newkey',
        'ec',
        '-pkeyopt',
        'ec_paramgen_curve:P-256',
        '-subj',
        '/CN=test',
        '-days',
        '2',
      ],
      ...['-keyout', join(dir, 'tls.key'), '-out', join(dir, 'tls.pem')],
    ]);
    const trusted = 'proxy_protocol = true\nproxy_trusted = ["127.0.0.1/32"]';
    const module = (name: string, more = '') =>
      `[[module]]\nname = "${name}"\npath = ${JSON.stringify(join(dir, 'pub'))}\n${more}`;
    server = new Server({
      toml: [
        'max_connections_per_address = 2\n[limits]\nproxyHeaderMs = 500\nsshKexPerSecond = 1000',
        `[[listener]]\nrsyncd = "127.0.0.1:0"\n${trusted}`,
        `[[listener]]\nanon_ssh = "127.0.0.1:0"\nhost_key_path = ${JSON.stringify(join(dir, 'key'))}\n${trusted}`,
        `[[listener]]\ntls = "127.0.0.1:0"\ntls_certificate = "${dir}/tls.pem"\ntls_key = "${dir}/tls.key"\n${trusted}`,
        module('pub'),
        module('near', 'hosts_allow = ["192.0.2.0/24", "2001:db8::/32"]\n'),
      ].join('\n'),
    });
    for (const kind of ['rsyncd', 'anon_ssh', 'tls']) {
      const { address } = await server.waitFor((line) => line.msg === 'listening' && line.listener === kind);
      ports.set(kind, Number(String(address).split(':').at(-1)));
    }
  });
  afterAll(async () => {
    await server?.stop();
    if (isReady) removeTree(dir);
  });

  const list = (header: Uint8Array, url: string): Promise<RunResult> =>
    rsync([url], { env: { RSYNC_CONNECT_PROG: connectingWith(dir, port('rsyncd'), header) } });

  /** What a client gets that sends `parts`, one after the other. */
  const answerTo = async (...parts: readonly (string | Uint8Array)[]): Promise<string> => {
    const peer = await Peer.connect(port('rsyncd'));
    peer.send(...parts);
    await peer.ended();
    return peer.text;
  };

  it.each([
    ['version 1', headerV1('TCP4 192.0.2.7 127.0.0.1 4711 873'), '192.0.2.7', 4711],
    ['version 1 over IPv6', headerV1('TCP6 2001:db8::7 ::1 4712 873'), '2001:db8::7', 4712],
    ['version 2', headerV2(0x21, TCP4, '192.0.2.7', 4713), '192.0.2.7', 4713],
    ['version 2 over IPv6', headerV2(0x21, TCP6, '2001:db8::7', 4714), '2001:db8::7', 4714],
    [
      'version 2 with TLVs',
      headerV2(0x21, TCP4, '192.0.2.7', 4715, Buffer.from('2000020102', 'hex')),
      '192.0.2.7',
      4715,
    ],
  ])('%s names the client to access lists and log', async (_title, header, peer, sourcePort) => {
    const { exitCode, stdout } = await list(header, 'rsync://proxied/near/');
    expect([exitCode, stdout.toString()]).toEqual([0, expect.stringContaining('file')]);
    expect(await server.sessionEnd(sourcePort, 0)).toMatchObject({ peer, module: 'near', outcome: 'ok' });
  });

  it('a client that may not use a module is refused by its own address', async () => {
    const { stderr } = await list(headerV2(0x21, TCP4, '198.51.100.1', 5), 'rsync://proxied/near/');
    expect(stderr.toString()).toContain('@ERROR: access denied to near from UNDETERMINED (198.51.100.1)');
  });

  it.each([
    ['LOCAL', headerV2(0x20, UNSPEC)],
    ['LOCAL with an address', headerV2(0x20, TCP4, '192.0.2.7', 9)],
    ['UNSPEC', headerV2(0x21, UNSPEC)],
    ['UNKNOWN', headerV1('UNKNOWN')],
  ])('%s stands for the proxy itself', async (_title, header) => {
    expect((await list(header, 'rsync://proxied/')).stdout.toString()).toBe(LISTING);
    const { stderr } = await list(header, 'rsync://proxied/near/');
    expect(stderr.toString()).toContain('access denied to near from UNDETERMINED (127.0.0.1)');
  });

  it('the header may come in one packet with what follows, or byte by byte', async () => {
    const header = headerV2(0x21, TCP4, '192.0.2.9', 9);
    expect(await answerTo(Buffer.concat([header, Buffer.from(ASK_LIST)]))).toContain(LISTING);
    expect(await answerTo(...[...header].map((byte) => Buffer.of(byte)), ASK_LIST)).toContain(LISTING);
  });

  it('the cap on connections of one address counts clients, not the proxy', async () => {
    const enter = async (address: string): Promise<Peer> => {
      const peer = await Peer.connect(port('rsyncd'));
      peer.send(headerV2(0x21, TCP4, address, 1));
      await peer.untilText('\n');
      return peer;
    };
    const peers = [await enter('203.0.113.1'), await enter('203.0.113.1'), await enter('203.0.113.2')];
    const refused = await enter('203.0.113.1');
    peers.push(await enter('203.0.113.2'));
    await refused.untilText('@ERROR: max connections (2) reached');
    for (const peer of [...peers, refused]) peer.close();
  });

  it.each([
    ['no header', ASK_LIST],
    ['a greeting of TLS', Buffer.from('16030100', 'hex')],
    ['a wrong line', headerV1('TCP4 1.2.3.4 1.2.3.4 99999 1')],
    ['a header of 0x8000 bytes', Buffer.from('0d0a0d0a000d0a515549540a21118000', 'hex')],
    ['a header of 0xffff bytes', Buffer.from('0d0a0d0a000d0a515549540a2111ffff', 'hex')],
    ['a header shorter than its addresses', Buffer.from('0d0a0d0a000d0a515549540a2111000400000000', 'hex')],
  ])('3.4.2 hygiene: %s closes the connection without a word', async (_title, sent) => {
    expect(await answerTo(sent)).toBe('');
  });

  it.each([
    ['nothing', ''],
    ['half a line', 'PROXY TCP4 1.2'],
    ['half a header', Buffer.from('0d0a0d0a000d0a515549540a2111000c01020304', 'hex')],
  ])('3.4.2 hygiene: a connection with %s is closed in time', async (_title, sent) => {
    const since = server.logged.length;
    expect(await answerTo(sent)).toBe('');
    const line = await server.waitFor(({ outcome }) => outcome === 'timeout', since);
    expect(line).toMatchObject({ msg: 'no PROXY header', peer: '127.0.0.1', limit: 'proxyHeaderMs' });
  });

  it('SSH sees the client behind the header', async () => {
    const command = connectingWith(dir, port('anon_ssh'), headerV2(0x21, TCP4, '192.0.2.21', 4721));
    const options = ['StrictHostKeyChecking=no', 'UserKnownHostsFile=/dev/null', 'LogLevel=ERROR', 'BatchMode=yes'];
    writeFileSync(
      join(dir, 'ssh_config'),
      `ProxyCommand ${command}\n${options.map((one) => one.replace('=', ' ')).join('\n')}\n`,
    );
    const { exitCode } = await rsync(['-e', `ssh -F ${join(dir, 'ssh_config')}`, 'rsync://proxied/near/']);
    expect(exitCode).toBe(0);
    expect(await server.sessionEnd(4721, 0)).toMatchObject({ peer: '192.0.2.21', listener: 'anon_ssh' });
  });

  it('TLS sees the client behind the header', async () => {
    const script = join(dir, 'tls.cjs');
    writeFileSync(
      script,
      `const socket = require('node:net').connect(${port('tls')}, '127.0.0.1');
socket.write(Buffer.from('${headerV2(0x21, TCP4, '192.0.2.22', 4722).toString('hex')}', 'hex'));
const secure = require('node:tls').connect({ socket, rejectUnauthorized: false });
process.stdin.pipe(secure).pipe(process.stdout);
`,
    );
    const env = { RSYNC_CONNECT_PROG: `${process.execPath} ${script}` };
    expect((await rsync(['rsync://proxied/near/'], { env })).exitCode).toBe(0);
    expect(await server.sessionEnd(4722, 0)).toMatchObject({ peer: '192.0.2.22', listener: 'tls' });
  });
});

describe.runIf(isReady)('a listener with other proxies', () => {
  it('CVE-2026-53791: closes who comes past them, with and without a header', async () => {
    const listener = '[[listener]]\nrsyncd = "127.0.0.1:0"\nproxy_protocol = true\nproxy_trusted = ["192.0.2.0/24"]\n';
    const server = new Server({ toml: `${listener}[[module]]\nname = "usr"\npath = "/usr/share"\n` });
    try {
      const { address } = await server.waitFor((line) => line.msg === 'listening');
      for (const sent of [headerV1('TCP4 192.0.2.7 127.0.0.1 1 873'), headerV2(0x21, TCP4, '192.0.2.7'), ASK_LIST]) {
        const peer = await Peer.connect(Number(String(address).split(':').at(-1)));
        peer.send(sent, ASK_LIST);
        await peer.ended();
        expect(peer.text).toBe('');
      }
      const line = await server.waitFor(({ msg }) => msg === 'no PROXY header');
      expect(line).toMatchObject({ outcome: 'access:proxy', detail: 'not a trusted proxy', peer: '127.0.0.1' });
    } finally {
      await server.stop();
    }
  });
});
