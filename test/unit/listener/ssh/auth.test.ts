/** Logging in with keys, over a whole connection in memory. */

import { generateKeyPairSync, sign } from 'node:crypto';
import { describe, expect, it } from 'vitest';
import type { Identity } from '../../../../src/listener/ssh/auth.ts';
import { parseAuthorizedKeys } from '../../../../src/listener/ssh/authorized-keys.ts';
import { encodeMessage, encodeString } from '../../../../src/listener/ssh/codec.ts';
import { MSG } from '../../../../src/listener/ssh/constants.ts';
import { generateHostKey, type HostKey } from '../../../../src/listener/ssh/ed25519-key.ts';
import type { TestClient } from './client.ts';
import { serve } from './serve.ts';

const KEY = generateHostKey();
const OTHER = generateHostKey();
const KEYS = parseAuthorizedKeys(`from="203.0.113.0/24",environment="GOKR_MODULES=a,b" ${KEY.publicLine}`);

/** A connection that asks for keys, up to the first failure of `none`. */
async function asked(options: { address?: string; onLogin?: (who: Identity) => void } = {}) {
  const served = serve({}, { authentication: KEYS, ...options });
  await served.client.connect();
  await served.client.requestAuth();
  served.client.sendAuth('none');
  expect((await served.client.expect(MSG.USERAUTH_FAILURE)).nameList('methods')).toEqual(['publickey']);
  return served;
}

function signature(client: TestClient, key: HostKey, user = 'somebody'): Buffer {
  const request = encodeMessage(
    MSG.USERAUTH_REQUEST,
    ...[user, 'ssh-connection', 'publickey'].map((name) => encodeString(name)),
    Buffer.of(1),
    encodeString('ssh-ed25519'),
    encodeString(key.blob),
  );
  return key.sign(Buffer.concat([encodeString(client.sessionId!), request]));
}

function sendKey(client: TestClient, key: HostKey, signed: Buffer | null, algorithm = 'ssh-ed25519'): void {
  const fields = [encodeString(algorithm), encodeString(key.blob)];
  if (signed === null) client.sendAuth('publickey', Buffer.of(0), ...fields);
  else client.sendAuth('publickey', Buffer.of(1), ...fields, encodeString(signed));
}

describe('publickey', () => {
  it('announces, signs and is let in with the rights of its line', async () => {
    const seen: Identity[] = [];
    const { client } = await asked({ onLogin: (who) => seen.push(who) });
    sendKey(client, KEY, null);
    const ok = await client.expect(MSG.USERAUTH_PK_OK);
    expect([ok.name('algorithm'), ok.string('blob')]).toEqual(['ssh-ed25519', KEY.blob]);
    sendKey(client, KEY, signature(client, KEY));
    await client.expect(MSG.USERAUTH_SUCCESS);
    await client.open();
    expect(seen).toEqual([{ user: Buffer.from('somebody'), modules: ['a', 'b'], fingerprint: KEY.fingerprint }]);
  });

  it.each([
    ['an unknown key', (client: TestClient) => sendKey(client, OTHER, signature(client, OTHER))],
    ['an unknown key announced', (client: TestClient) => sendKey(client, OTHER, null)],
    ['a signature of another key', (client: TestClient) => sendKey(client, KEY, signature(client, OTHER))],
    ['a signature for another user', (client: TestClient) => sendKey(client, KEY, signature(client, KEY, 'root'))],
    ['a signature of another session', (client: TestClient) => sendKey(client, KEY, KEY.sign(Buffer.from('other')))],
    ['an algorithm that does not fit', (client: TestClient) => sendKey(client, KEY, null, 'rsa-sha2-256')],
    ['an RSA key', (client: TestClient) => sendRsa(client)],
    ['a password', (client: TestClient) => client.sendAuth('password', Buffer.of(0), encodeString('x'))],
    ['keyboard-interactive', (client: TestClient) => client.sendAuth('keyboard-interactive')],
    ['none again', (client: TestClient) => client.sendAuth('none')],
  ])('refuses %s', async (_, attempt) => {
    const { client } = await asked();
    attempt(client);
    await client.expect(MSG.USERAUTH_FAILURE);
  });

  it('refuses the right key from another address', async () => {
    const { client } = await asked({ address: '198.51.100.1' });
    sendKey(client, KEY, signature(client, KEY));
    await client.expect(MSG.USERAUTH_FAILURE);
  });

  it('ends after six failures besides the first none', async () => {
    const { client } = await asked();
    for (let i = 0; i < 6; i++) {
      client.sendAuth('none');
      await client.expect(MSG.USERAUTH_FAILURE);
    }
    expect(await client.disconnectText()).toBe('Too many authentication failures');
  });

  it('lets nobody announce keys forever', async () => {
    const { client } = await asked();
    for (let i = 0; i < 6; i++) {
      sendKey(client, KEY, null);
      await client.expect(MSG.USERAUTH_PK_OK);
    }
    expect(await client.disconnectText()).toBe('Too many authentication failures');
  });
});

function sendRsa(client: TestClient): void {
  const { privateKey } = generateKeyPairSync('rsa', { modulusLength: 2048 });
  const blob = encodeString(Buffer.concat([encodeString('ssh-rsa'), encodeString('nonsense')]));
  const signed = encodeString(sign('sha256', Buffer.from('x'), privateKey));
  client.sendAuth('publickey', Buffer.of(1), encodeString('rsa-sha2-256'), blob, signed);
}
