/** The SSH session channel as a Transport (RFC 4254 5.2): windows both ways; channel.ts feeds it, the rsync session runs over it. */

import { Bug, PeerGone, ProtocolError, type RsyncError } from '../../errors.ts';
import type { Limits } from '../../limits.ts';
import type { PeerAddress, Transport } from '../../wire/transport.ts';
import { quietly } from '../quiet-promise.ts';
import { encodeMessage, encodeString, encodeUint32 } from './codec.ts';
import { EXTENDED_DATA_STDERR, MSG } from './constants.ts';
import { InputQueue } from './input-queue.ts';
import { OutputQueue } from './output-queue.ts';
import { MAX_DATA_BYTES } from './packet.ts';
import type { SshConnection } from './transport.ts';

const MAX_WINDOW = 2 ** 32 - 1;

const RESOLVED: Promise<void> = Promise.resolve();
const noop = (): void => {};

/** What the client said when it opened the channel. */
export interface ChannelFacts {
  /** The client's number for the channel. */
  readonly channel: number;
  /** Bytes that we may send before it allows more. */
  readonly window: number;
  /** Data that it takes in one packet, at least 1024. */
  readonly maxPacketBytes: number;
}

/** One channel's data. Everything that it sends goes through the connection in the order of the calls. */
export class SshTransport implements Transport {
  readonly peer: PeerAddress;
  readonly #connection: SshConnection;
  readonly #channel: number;
  readonly #maxPacketBytes: number;
  readonly #windowBytes: number;
  readonly #input = new InputQueue();
  readonly #output = new OutputQueue();
  /** Bytes that the client may still send. */
  #windowIn: number;
  /** Bytes that the session has read and the client was not told of. */
  #consumed = 0;
  #windowOut: number;
  #peerEnded = false;
  /** Our end of file was asked for. */
  #isEnding = false;
  /** … and went out. */
  #isEnded = false;
  #failure: RsyncError | null = null;
  #reader: PromiseWithResolvers<Buffer | null> | null = null;
  #outputWaiters: (() => void)[] = [];

  constructor(
    connection: SshConnection,
    peer: PeerAddress,
    facts: ChannelFacts,
    limits: Pick<Limits, 'sshWindowBytes'>,
  ) {
    this.#connection = connection;
    this.peer = peer;
    this.#channel = facts.channel;
    this.#windowOut = facts.window;
    this.#maxPacketBytes = Math.min(facts.maxPacketBytes, MAX_DATA_BYTES);
    this.#windowBytes = limits.sshWindowBytes;
    this.#windowIn = limits.sshWindowBytes;
    connection.onOutputResumed = () => this.#flush();
  }

  /** Counts what waits for the client's window and what waits for the kernel. */
  get queuedBytes(): number {
    return this.#output.bytes + this.#connection.queuedBytes;
  }

  get isBroken(): boolean {
    return this.#failure !== null;
  }

  tryRead(): Buffer | null {
    const chunk = this.#input.shift();
    if (chunk !== null) this.#consume(chunk.length);
    return chunk;
  }

  /**
   * The next bytes; null at the client's end of file and, other than on a socket, once our own end of file is out: closing a channel
   * destroys nothing that is under way, so nobody needs to wait for the client.
   */
  read(): Promise<Buffer | null> {
    if (this.#reader !== null) return Promise.reject(new Bug('two reads of one transport at the same time'));
    const chunk = this.tryRead();
    if (chunk !== null || this.#peerEnded || this.#isEnded) return Promise.resolve(chunk);
    if (this.#failure !== null) return quietly(Promise.reject(this.#failure));
    this.#reader = Promise.withResolvers();
    return quietly(this.#reader.promise);
  }

  write(bytes: Uint8Array, released: () => void = noop): void {
    if (this.#failure !== null || this.#isEnding || bytes.length === 0) {
      released();
      return;
    }
    this.#output.push(bytes, released);
    this.#flush();
  }

  drained(maxQueuedBytes: number): Promise<void> {
    if (this.#failure !== null) return quietly(Promise.reject(this.#failure));
    if (this.queuedBytes <= maxQueuedBytes) return RESOLVED;
    return quietly(this.#waitDrained(maxQueuedBytes));
  }

  endWrite(): void {
    if (this.#isEnding || this.#failure !== null) return;
    this.#isEnding = true;
    this.#flush();
  }

  destroy(): void {
    this.fail(new PeerGone('channel closed by us'));
  }

  /** Ends every wait with `reason`; nothing is sent any more. */
  fail(reason: RsyncError): void {
    if (this.#failure !== null) return;
    this.#failure = reason;
    this.#output.clear();
    this.#reader?.reject(reason);
    this.#reader = null;
    this.#wakeOutput();
  }

  /** Data has come. @throws ProtocolError when the window did not allow it. */
  receiveData(data: Buffer): void {
    if (data.length > this.#windowIn || this.#peerEnded) throw new ProtocolError('SSH: data beyond the window');
    this.#windowIn -= data.length;
    if (data.length === 0) {
      this.#connection.countIdle();
      return;
    }
    if (this.#failure !== null || this.#isEnded) {
      // Nobody reads it, and the client may wait until it could send it.
      this.#consume(data.length);
      return;
    }
    this.#input.push(data);
    this.#wakeReader();
  }

  /** @throws ProtocolError for a second one. */
  receiveEof(): void {
    if (this.#peerEnded) throw new ProtocolError('SSH: end of file twice');
    this.#peerEnded = true;
    this.#wakeReader();
  }

  /** The client takes more. @throws ProtocolError when its window passes 2^32 - 1. */
  widenWindow(bytes: number): void {
    this.#windowOut += bytes;
    if (this.#windowOut > MAX_WINDOW) throw new ProtocolError('SSH: window too large');
    this.#flush();
  }

  /** Sends text to the client's standard error, cut to what its window allows now. */
  writeError(text: string): void {
    const bytes = Buffer.from(text).subarray(0, Math.min(this.#windowOut, this.#maxPacketBytes));
    if (bytes.length === 0) return;
    this.#windowOut -= bytes.length;
    const type = encodeUint32(EXTENDED_DATA_STDERR);
    const fields = [encodeUint32(this.#channel), type, encodeString(bytes)];
    this.#connection.send(encodeMessage(MSG.CHANNEL_EXTENDED_DATA, ...fields));
  }

  #flush(): void {
    const before = this.#output.bytes;
    while (this.#output.bytes > 0 && this.#windowOut > 0 && !this.#connection.isOutputHeld) {
      this.#windowOut -= this.#output.take(this.#windowOut, (part) => {
        this.#connection.sendData(this.#channel, part, this.#maxPacketBytes);
      });
    }
    if (this.#output.bytes === 0 && this.#isEnding && !this.#isEnded && this.#failure === null) this.#sendEof();
    if (this.#output.bytes < before) this.#wakeOutput();
  }

  #sendEof(): void {
    this.#isEnded = true;
    this.#connection.send(encodeMessage(MSG.CHANNEL_EOF, encodeUint32(this.#channel)));
    this.#wakeReader();
  }

  #wakeReader(): void {
    if (this.#reader === null) return;
    const chunk = this.tryRead();
    if (chunk === null && !this.#peerEnded && !this.#isEnded) return;
    this.#reader.resolve(chunk);
    this.#reader = null;
  }

  /** Opens the client's window again in halves, so that it neither stalls nor gets a message per packet. */
  #consume(bytes: number): void {
    this.#consumed += bytes;
    if (this.#consumed * 2 < this.#windowBytes || this.#peerEnded) return;
    this.#windowIn += this.#consumed;
    const fields = [encodeUint32(this.#channel), encodeUint32(this.#consumed)];
    this.#consumed = 0;
    this.#connection.send(encodeMessage(MSG.CHANNEL_WINDOW_ADJUST, ...fields));
  }

  async #waitDrained(maxQueuedBytes: number): Promise<void> {
    while (this.queuedBytes > maxQueuedBytes) {
      if (this.#failure !== null) throw this.#failure;
      if (this.#output.bytes > maxQueuedBytes) await new Promise<void>((wake) => this.#outputWaiters.push(wake));
      else await this.#connection.drained(maxQueuedBytes - this.#output.bytes);
    }
    if (this.#failure !== null) throw this.#failure;
  }

  #wakeOutput(): void {
    for (const wake of this.#outputWaiters.splice(0)) wake();
  }
}
