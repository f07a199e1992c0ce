/** The client of ssh2 for tests of the SSH listeners: honest logins and sessions, and the raw packets of a hostile one. */

import { once } from 'node:events';
import type { Duplex } from 'node:stream';
import { Client, type Config } from 'ssh2';
import { expect } from 'vitest';

export const COMMAND = 'rsync --server --daemon .';
const GREETING = /^@RSYNCD: 32\.0 [a-z0-9 ]+\n$/;
/** The modules of encrypted-stage.ts. */
const LIST = 'pub            \t\nteam           \t\nclosed         \t\n@RSYNCD: EXIT\n';

/** Clients of one server; those that are left over are ended together. */
export class Ssh2Clients {
  readonly #port: number;
  readonly #hostKey: Buffer;
  readonly #clients: Client[] = [];

  /** @param publicLine the server's key in OpenSSH's form: no other is accepted. */
  constructor(port: number, publicLine: string) {
    this.#port = port;
    this.#hostKey = Buffer.from(publicLine.split(' ')[1]!, 'base64');
  }

  /** The server's public key, as it must come over the wire. */
  get hostKey(): Buffer {
    return this.#hostKey;
  }

  /** Logs in, with the server's key verified. */
  async logIn(options: Partial<Config> = {}): Promise<Client> {
    const client = new Client();
    this.#clients.push(client);
    const ready = once(client, 'ready');
    client.connect({
      host: '127.0.0.1',
      port: this.#port,
      username: 'anybody',
      hostVerifier: (key) => key.equals(this.#hostKey),
      ...options,
    });
    await ready;
    // What comes after the login is the business of the call that waits for it.
    client.on('error', () => {});
    return client;
  }

  /** A client that does nothing wrong is served. */
  async expectService(): Promise<void> {
    await expectList(await exec(await this.logIn()));
  }

  endAll(): void {
    for (const client of this.#clients.splice(0)) client.end();
  }
}

/** Starts the daemon protocol. */
export function exec(client: Client, command = COMMAND): Promise<Duplex> {
  return new Promise((resolve, reject) => {
    client.exec(command, {}, (error, channel) => (error === undefined ? resolve(channel) : reject(error)));
  });
}

/** Asks for the list over a channel whose greeting has not been read yet. */
export async function expectList(channel: Duplex): Promise<void> {
  const [greeting] = (await once(channel, 'data')) as [Buffer];
  expect(greeting.toString()).toMatch(GREETING);
  const end = rest(channel);
  channel.write('@RSYNCD: 31.0 sha512\n#list\n');
  expect(await end).toEqual({ text: LIST, status: 0 });
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

/** The error of a call that must be refused. */
export function refusal(call: (done: (error: Error | undefined) => void) => void): Promise<string> {
  return new Promise((resolve, reject) => {
    call((error) => (error === undefined ? reject(new Error('was not refused')) : resolve(error.message)));
  });
}
