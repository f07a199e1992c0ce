/** What the tests call of ssh2, which has no types of its own. */

declare module 'ssh2' {
  import type { EventEmitter } from 'node:events';
  import type { Duplex } from 'node:stream';

  type Done<T> = (error: (Error & { reason?: number }) | undefined, result: T) => void;

  export interface Config {
    readonly host: string;
    readonly port: number;
    readonly username: string;
    readonly privateKey?: Uint8Array;
    /** Judges the server's key, as a public key blob of RFC 4253 6.6. */
    readonly hostVerifier: (key: Buffer) => boolean;
    readonly algorithms?: { readonly cipher?: readonly string[] };
  }

  /** Emits `ready` after the login, `handshake` after each key exchange, `error` and `close`. */
  export class Client extends EventEmitter {
    connect(config: Config): this;
    exec(command: string, options: { readonly pty?: boolean }, done: Done<Duplex>): this;
    /** @param window `false` for none, which is no terminal. */
    shell(window: false, done: Done<Duplex>): this;
    sftp(done: Done<unknown>): this;
    forwardIn(address: string, port: number, done: Done<number>): this;
    forwardOut(fromAddress: string, fromPort: number, address: string, port: number, done: Done<Duplex>): this;
    setNoDelay(): this;
    end(): this;
    /** The only way to a change of keys on this side, and to packets that its own channels would not send. */
    readonly _protocol: { rekey(): void; channelData(recipient: number, data: Uint8Array): void };
  }
}
