/** One hostile connection after the other, as process: arguments are the port and the name of an attack; it ends when it is told. */

import { once } from 'node:events';
import { connect, type Socket } from 'node:net';
import { ATTACKS } from './attacks.ts';

/** All connections are of one client; the honest one has another address. */
const HOSTILE_ADDRESS = '127.0.0.2';

/** What an attack does its turns with. It keeps nothing of what the server says. */
export class Attacker {
  readonly #port: number;
  #socket: Socket | null = null;
  #ended: Promise<void> = Promise.resolve();

  constructor(port: number) {
    this.#port = port;
  }

  /** Connects; waits a little where the server takes nobody. */
  async open(): Promise<void> {
    const socket = connect({ port: this.#port, host: '127.0.0.1', localAddress: HOSTILE_ADDRESS, noDelay: true });
    this.#socket = socket;
    socket.on('data', () => {});
    socket.on('error', () => {});
    this.#ended = new Promise((resolve) => socket.once('end', resolve).once('close', () => resolve()));
    await once(socket, 'connect').catch(() => this.pause(20));
  }

  /** Sends and waits until the kernel took it; false when the server is gone. */
  async send(bytes: Uint8Array): Promise<boolean> {
    const socket = this.#socket!;
    if (!socket.writable) return false;
    if (!socket.write(bytes)) await Promise.race([once(socket, 'drain').catch(() => {}), this.#ended]);
    return socket.writable;
  }

  /** Opens, sends everything and waits for the end. */
  async playOut(bytes: Uint8Array): Promise<void> {
    await this.open();
    await this.send(bytes);
    await this.ended();
  }

  ended(): Promise<void> {
    return this.#ended;
  }

  stopReading(): void {
    this.#socket!.pause();
  }

  /** Goes away without a word. */
  drop(): void {
    this.#socket?.resetAndDestroy();
  }

  close(): void {
    this.#socket?.destroy();
  }

  pause(ms: number): Promise<void> {
    return new Promise((resolve) => setTimeout(resolve, ms));
  }
}

async function attackForEver(port: number, name: string): Promise<never> {
  const attack = ATTACKS.find((one) => one.name === name);
  if (attack === undefined) throw new Error(`no attack ${name}`);
  // Whoever measures waits for this: starting a process takes a second on a busy machine.
  console.log('attacking');
  // Sockets that nobody reads do not keep a process.
  setInterval(() => {}, 60_000);
  const turns = Array.from({ length: attack.connections }, async () => {
    for (;;) {
      const attacker = new Attacker(port);
      await attack.play(attacker);
      attacker.close();
      // Without this, a server that refuses at once would be refused the processor by its attackers.
      await attacker.pause(1);
    }
  });
  return Promise.race(turns);
}

if (import.meta.main) await attackForEver(Number(process.argv[2]), process.argv[3]!);
