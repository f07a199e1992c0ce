/** Hostile clients of a real daemon's SSH listeners: each costs itself its connection, and the next one is served. */

import { once } from 'node:events';
import { connect, type Socket } from 'node:net';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import type { Client } from 'ssh2';
import { afterAll, afterEach, beforeAll, describe, expect, it } from 'vitest';
import { createHostKeyFile, loadHostKey } from '../../src/listener/ssh/hostkey.ts';
import type { LogLine } from '../session/support/server.ts';
import { type EncryptedStage, openEncryptedStage } from './encrypted-stage.ts';
import { exec, expectList, Ssh2Clients } from './ssh2-peer.ts';

const VERSION = 'SSH-2.0-hostile\r\n';
/** Time for the key exchange, which every half-open handshake must wait out. */
const LOGIN_MS = 5000;
/** Fewer than make the daemon drop some of those that come. */
const HALF_OPEN = 24;

let stage: EncryptedStage;
let clients: Ssh2Clients;
let port: number;
/** Lines of the log before the test. */
let since = 0;

/** Makes the host key. @param limit lines of their own. */
function listenerIn(dir: string, limit: string): string {
  const key = join(dir, 'host');
  createHostKeyFile(key, 'test');
  const listener = `[[listener]]\nanon_ssh = "127.0.0.1:0"\nhost_key_path = ${JSON.stringify(key)}\n`;
  return `[limits]\nsshKexPerSecond = 1000\n${limit}\n${listener}`;
}

beforeAll(async () => {
  stage = await openEncryptedStage((dir) => listenerIn(dir, `sshLoginMs = ${LOGIN_MS}`));
  port = await stage.port('anon_ssh');
  clients = new Ssh2Clients(port, loadHostKey(join(stage.dir, 'host')).publicLine);
});
afterEach(async () => {
  clients.endAll();
  await clients.expectService();
  clients.endAll();
  since = stage.server.logged.length;
});
afterAll(() => stage?.close());

/** The line with which the connection of this test ended. */
const ending = (isWanted: (line: LogLine) => boolean): Promise<LogLine> =>
  stage.server.waitFor((line) => String(line.msg).endsWith(' ended') && isWanted(line), since);

const closed = (client: Client): Promise<unknown> => new Promise((resolve) => client.on('close', resolve));

/** Connects, sends `bytes` and waits for the end. */
async function tryBytes(bytes: Buffer | string): Promise<void> {
  const socket = connect(port, '127.0.0.1').on('error', () => {});
  socket.resume().write(bytes);
  await once(socket, 'close');
}

/** The length word and what is needed for it to be read. */
function packetOf(lengthBytes: number): Buffer {
  const packet = Buffer.alloc(64);
  packet.writeUInt32BE(lengthBytes);
  return Buffer.concat([Buffer.from(VERSION), packet]);
}

describe('a hostile client of an SSH listener', () => {
  it('gets no hundred changes of keys', async () => {
    const client = await clients.logIn();
    await exec(client);
    const end = closed(client);
    let isOpen = true;
    let changes = 0;
    void end.then(() => {
      isOpen = false;
    });
    client.on('handshake', () => changes++);
    while (isOpen) {
      client._protocol.rekey();
      await Promise.race([sleep(5), end]);
    }
    expect(changes).toBe(1);
    expect(await ending(({ outcome }) => outcome === 'limit:sshPeerRekeyMs')).toBeDefined();
  });

  it('gets no thousand channels', async () => {
    const client = await clients.logIn();
    await exec(client);
    const end = closed(client);
    const opened: unknown[] = [];
    for (let channel = 0; channel < 1000; channel++) {
      client.exec('rsync --server --daemon .', {}, (error, stream) => error === undefined && opened.push(stream));
    }
    await end;
    expect(opened).toEqual([]);
    expect(await ending(({ outcome }) => outcome === 'limit:sshMessagesPerMinute')).toBeDefined();
    const refused = stage.server.logged.slice(since).filter(({ msg }) => msg === 'SSH request refused');
    expect(refused.length).toBeLessThanOrEqual(100);
  });

  it.each([
    ['35 001 bytes', packetOf(35_001)],
    ['2 GiB', packetOf(0x7fff_ffff)],
    ['4 GiB', packetOf(0xffff_ffff)],
    ['no bytes', packetOf(0)],
  ])('is not waited for when its first packet has %s', async (_title, bytes) => {
    await tryBytes(bytes);
    expect(await ending(({ outcome }) => outcome !== 'timeout' && outcome !== 'ok')).toBeDefined();
  });

  it.each([
    ['a version that does not end', `SSH-2.0-${'x'.repeat(100_000)}`],
    ['another protocol', 'GET / HTTP/1.1\r\nHost: localhost\r\n\r\n'],
    ['noise', Buffer.concat([Buffer.from(VERSION), Buffer.alloc(100_000, 0xa5)])],
  ])('is not waited for when it sends %s', async (_title, bytes) => {
    await tryBytes(bytes);
    expect(await ending(({ outcome }) => outcome !== 'timeout' && outcome !== 'ok')).toBeDefined();
  });

  it('ends its session with a packet that is too long', async () => {
    const client = await clients.logIn();
    await exec(client);
    const end = closed(client);
    client._protocol.channelData(0, Buffer.alloc(40_000));
    await end;
    expect(await ending(({ outcome }) => outcome !== 'timeout' && outcome !== 'ok')).toBeDefined();
  });

  it('ends its session with more data than the window takes', async () => {
    const client = await clients.logIn();
    await exec(client);
    const end = closed(client);
    for (let sent = 0; sent < 100; sent++) client._protocol.channelData(0, Buffer.alloc(32_000));
    await end;
    expect(await ending(({ outcome }) => outcome !== 'timeout' && outcome !== 'ok')).toBeDefined();
  });

  it('tires of half-open handshakes first, and others come in between', async () => {
    const starts = ['', 'SSH-2.0-', VERSION, packetOf(1000)];
    const sockets = Array.from({ length: HALF_OPEN }, (_, index): Socket => {
      const socket = connect(port, '127.0.0.1').on('error', () => {});
      socket.resume().write(starts[index % starts.length]!);
      return socket;
    });
    const ends = Promise.all(sockets.map((socket) => once(socket, 'close')));
    await clients.expectService();
    await ends;
    expect(await ending(({ outcome }) => outcome === 'timeout')).toBeDefined();
  });
});

describe('a client that may change its keys as often as it likes', () => {
  it('is followed a hundred times and then served', async () => {
    const generous = await openEncryptedStage((dir) => listenerIn(dir, 'sshPeerRekeyMs = 1\ngreetingMs = 60000'));
    const { publicLine } = loadHostKey(join(generous.dir, 'host'));
    const honest = new Ssh2Clients(await generous.port('anon_ssh'), publicLine);
    try {
      const client = (await honest.logIn()).setNoDelay();
      const channel = await exec(client);
      for (let changes = 0; changes < 100; changes++) {
        const changed = once(client, 'handshake');
        client._protocol.rekey();
        await changed;
        // ssh2 takes no order for another one before its own turn has ended.
        await sleep(1);
      }
      await expectList(channel);
    } finally {
      honest.endAll();
      await generous.close();
    }
  });
});
