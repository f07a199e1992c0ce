/** The daemon's SSH listeners against the client of ssh2, an implementation in JavaScript that shares no code with OpenSSH. */

import { generateKeyPairSync } from 'node:crypto';
import { once } from 'node:events';
import { readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import type { Duplex } from 'node:stream';
import { Client, type Config } from 'ssh2';
import { afterAll, afterEach, beforeAll, describe, expect, it } from 'vitest';
import { CIPHER_NAMES } from '../../src/listener/ssh/ciphers.ts';
import { createHostKeyFile, loadHostKey } from '../../src/listener/ssh/hostkey.ts';
import { type EncryptedStage, openEncryptedStage } from './encrypted-stage.ts';

const COMMAND = 'rsync --server --daemon .';
const GREETING = /^@RSYNCD: 32\.0 [a-z0-9 ]+\n$/;
const LIST = 'pub            \t\nteam           \t\nclosed         \t\n@RSYNCD: EXIT\n';

let stage: EncryptedStage;
/** The server's public key, as it must come over the wire. */
let hostKey: Buffer;
const ports = { anon_ssh: 0, authorized_ssh: 0 };
let clients: Client[] = [];

beforeAll(async () => {
  stage = await openEncryptedStage((dir) => {
    createHostKeyFile(join(dir, 'host'), 'test');
    const names = ['known', 'stranger'].map((name) => join(dir, name));
    for (const name of names) writeFileSync(`${name}.pub`, `${createHostKeyFile(name, 'test').publicLine}\n`);
    const [host, users] = ['host', 'known.pub'].map((name) => JSON.stringify(join(dir, name)));
    const key = `host_key_path = ${host}\n`;
    const authorized = `authorized_ssh = { address = "127.0.0.1:0", authorized_keys = ${users} }\n`;
    // Every test comes from one address: the process-wide gate must not slow it down.
    const limits = '[limits]\nsshKexPerSecond = 1000\n';
    return `${limits}[[listener]]\nanon_ssh = "127.0.0.1:0"\n${key}[[listener]]\n${authorized}${key}`;
  });
  hostKey = Buffer.from(loadHostKey(join(stage.dir, 'host')).publicLine.split(' ')[1]!, 'base64');
  for (const kind of ['anon_ssh', 'authorized_ssh'] as const) ports[kind] = await stage.port(kind);
});
afterEach(() => {
  for (const client of clients) client.end();
  clients = [];
});
afterAll(() => stage?.close());

/** Logs in, with the server's key verified. */
async function logIn(options: Partial<Config> = {}): Promise<Client> {
  const client = new Client();
  clients.push(client);
  const ready = once(client, 'ready');
  client.connect({
    host: '127.0.0.1',
    port: ports.anon_ssh,
    username: 'anybody',
    hostVerifier: (key) => key.equals(hostKey),
    ...options,
  });
  await ready;
  // What comes after the login is the business of the call that waits for it.
  client.on('error', () => {});
  return client;
}

/** Starts the daemon protocol. */
function exec(client: Client, command = COMMAND): Promise<Duplex> {
  return new Promise((resolve, reject) => {
    client.exec(command, {}, (error, channel) => (error === undefined ? resolve(channel) : reject(error)));
  });
}

/** Everything up to the end, with the exit status. */
async function rest(channel: Duplex): Promise<{ text: string; status: unknown }> {
  let text = '';
  channel.on('data', (chunk: Buffer) => {
    text += chunk.toString('latin1');
  });
  // Both may come with one packet.
  const [[status]] = await Promise.all([once(channel, 'exit'), once(channel, 'close')]);
  return { text, status };
}

/** Asks for the list over a channel whose greeting has not been read yet. */
async function expectList(channel: Duplex): Promise<void> {
  const [greeting] = (await once(channel, 'data')) as [Buffer];
  expect(greeting.toString()).toMatch(GREETING);
  const end = rest(channel);
  channel.write('@RSYNCD: 31.0 sha512\n#list\n');
  expect(await end).toEqual({ text: LIST, status: 0 });
}

/** The error of a call that must be refused. */
function refusal(call: (done: (error: Error | undefined) => void) => void): Promise<string> {
  return new Promise((resolve, reject) => {
    call((error) => (error === undefined ? reject(new Error('was not refused')) : resolve(error.message)));
  });
}

describe('an anonymous listener', () => {
  it.each(CIPHER_NAMES)('lists its modules over %s', async (cipher) => {
    const client = await logIn({ algorithms: { cipher: [cipher] } });
    await expectList(await exec(client));
  });

  it('has the key that the client is told to trust, and no other', async () => {
    const other = generateKeyPairSync('ed25519').publicKey.export({ format: 'raw-public' });
    const wrong = Buffer.concat([hostKey.subarray(0, -32), other]);
    await expect(logIn({ hostVerifier: (key) => key.equals(wrong) })).rejects.toThrow('Host denied');
  });

  it.each<[string, string, (client: Client, done: (error: Error | undefined) => void) => void]>([
    ['a shell', 'Unable to open shell', (client, done) => client.shell(false, done)],
    ['a terminal', 'Unable to request a pseudo-terminal', (client, done) => client.exec(COMMAND, { pty: true }, done)],
    ['sftp', 'Unable to start subsystem: sftp', (client, done) => client.sftp(done)],
    ['a port of ours', 'Unable to bind to 127.0.0.1:0', (client, done) => client.forwardIn('127.0.0.1', 0, done)],
    [
      'a connection from here',
      '(SSH) Channel open failure: ',
      (client, done) => client.forwardOut('127.0.0.1', 1, '127.0.0.1', 1, done),
    ],
  ])('refuses %s', async (_title, reason, call) => {
    const client = await logIn();
    expect(await refusal((done) => call(client, done))).toContain(reason);
  });

  it('refuses a second channel and goes on with the first', async () => {
    const client = await logIn();
    const first = await exec(client);
    expect(await refusal((done) => client.exec(COMMAND, {}, done))).toContain('Channel open failure');
    await expectList(first);
  });

  it('follows a change of keys that the client starts', async () => {
    const client = await logIn();
    const channel = await exec(client);
    const changed = once(client, 'handshake');
    client._protocol.rekey();
    await changed;
    await expectList(channel);
  });
});

describe('an authorized listener', () => {
  const as = (name: string): Promise<Client> =>
    logIn({ port: ports.authorized_ssh, privateKey: readFileSync(join(stage.dir, name)) });

  it('lets in the ed25519 key of its file', async () => {
    await expectList(await exec(await as('known')));
  });

  it('lets in no other key', async () => {
    await expect(as('stranger')).rejects.toThrow('All configured authentication methods failed');
  });

  it('lets in nobody without a key', async () => {
    await expect(logIn({ port: ports.authorized_ssh })).rejects.toThrow('All configured authentication methods failed');
  });
});
