/** The daemon's SSH listeners against the client of ssh2, an implementation in JavaScript that shares no code with OpenSSH. */

import { generateKeyPairSync } from 'node:crypto';
import { once } from 'node:events';
import { readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import type { Client } from 'ssh2';
import { afterAll, afterEach, beforeAll, describe, expect, it } from 'vitest';
import { CIPHER_NAMES } from '../../src/listener/ssh/ciphers.ts';
import { createHostKeyFile, loadHostKey } from '../../src/listener/ssh/hostkey.ts';
import { type EncryptedStage, openEncryptedStage } from './encrypted-stage.ts';
import { COMMAND, exec, expectList, refusal, Ssh2Clients } from './ssh2-peer.ts';

let stage: EncryptedStage;
let anonymous: Ssh2Clients;
let authorized: Ssh2Clients;

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
  const { publicLine } = loadHostKey(join(stage.dir, 'host'));
  anonymous = new Ssh2Clients(await stage.port('anon_ssh'), publicLine);
  authorized = new Ssh2Clients(await stage.port('authorized_ssh'), publicLine);
});
afterEach(() => {
  for (const clients of [anonymous, authorized]) clients.endAll();
});
afterAll(() => stage?.close());

describe('an anonymous listener', () => {
  it.each(CIPHER_NAMES)('lists its modules over %s', async (cipher) => {
    const client = await anonymous.logIn({ algorithms: { cipher: [cipher] } });
    await expectList(await exec(client));
  });

  it('has the key that the client is told to trust, and no other', async () => {
    const other = generateKeyPairSync('ed25519').publicKey.export({ format: 'raw-public' });
    const wrong = Buffer.concat([anonymous.hostKey.subarray(0, -32), other]);
    await expect(anonymous.logIn({ hostVerifier: (key) => key.equals(wrong) })).rejects.toThrow('Host denied');
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
    const client = await anonymous.logIn();
    expect(await refusal((done) => call(client, done))).toContain(reason);
  });

  it('refuses a second channel and goes on with the first', async () => {
    const client = await anonymous.logIn();
    const first = await exec(client);
    expect(await refusal((done) => client.exec(COMMAND, {}, done))).toContain('Channel open failure');
    await expectList(first);
  });

  it('follows a change of keys that the client starts', async () => {
    const client = await anonymous.logIn();
    const channel = await exec(client);
    const changed = once(client, 'handshake');
    client._protocol.rekey();
    await changed;
    await expectList(channel);
  });
});

describe('an authorized listener', () => {
  const as = (name: string): Promise<Client> => authorized.logIn({ privateKey: readFileSync(join(stage.dir, name)) });

  it('lets in the ed25519 key of its file', async () => {
    await expectList(await exec(await as('known')));
  });

  it('lets in no other key', async () => {
    await expect(as('stranger')).rejects.toThrow('All configured authentication methods failed');
  });

  it('lets in nobody without a key', async () => {
    await expect(authorized.logIn()).rejects.toThrow('All configured authentication methods failed');
  });
});
