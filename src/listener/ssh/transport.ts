/**
 * The SSH transport protocol (RFC 4253): versions, then messages both ways with key exchanges between them.
 * server.ts makes one per connection; auth.ts and channel.ts talk through it.
 */

import { PeerGone, ProtocolError, RsyncError, TimeoutError } from '../../errors.ts';
import { limitHits } from '../../limit-hits.ts';
import type { Limits } from '../../limits.ts';
import { ByteReader } from '../../wire/reader.ts';
import type { Transport } from '../../wire/transport.ts';
import { encodeMessage, encodeString, encodeUint32 } from './codec.ts';
import { FIRST_UPPER_MESSAGE, MSG } from './constants.ts';
import { type ExchangeOptions, type KexFacts, KeyExchange } from './key-exchange.ts';
import { MessageRate } from './message-rate.ts';
import { PacketReader, PacketWriter } from './packet.ts';

/** Says nothing about versions; a minus sign would end the name (RFC 4253 4.2). */
const OUR_VERSION = Buffer.from('SSH-2.0-gokr_rsyncd');

/** Version line with its CR but without LF: 255 with both. */
const MAX_VERSION_BYTES = 254;

/** Limits that are deadlines of a connection. */
type DeadlineLimit = 'sshLoginMs' | 'authMs' | 'outputStallMs' | 'drainMs';

/** One connection's transport layer. */
export class SshConnection {
  /** Runs when held output may go on. */
  onOutputResumed: () => void = () => {};
  readonly #inner: Transport;
  readonly #limits: Readonly<Limits>;
  readonly #source: ByteReader;
  readonly #reader: PacketReader;
  readonly #writer: PacketWriter;
  readonly #exchange: KeyExchange;
  readonly #rate: MessageRate;
  readonly #aborted = Promise.withResolvers<never>();
  #deadline: NodeJS.Timeout | undefined;
  #rekeyDeadline: NodeJS.Timeout | undefined;
  /** Messages of the upper layers that wait for the end of a key exchange. */
  #held: Buffer[] = [];

  constructor(inner: Transport, options: ExchangeOptions) {
    this.#inner = inner;
    this.#limits = options.limits;
    this.#source = new ByteReader(inner);
    this.#reader = new PacketReader(this.#source, options.limits);
    this.#writer = new PacketWriter(inner);
    this.#rate = new MessageRate(options.limits);
    this.#aborted.promise.catch(() => {});
    this.#exchange = new KeyExchange(options, {
      reader: this.#reader,
      writer: this.#writer,
      serverVersion: OUR_VERSION,
      handleIdle: (payload) => this.#idleMessage(payload),
      onStarted: () => this.#startRekeyDeadline(),
      onKeysSent: () => this.#resumeOutput(),
      onFinished: () => clearTimeout(this.#rekeyDeadline),
    });
  }

  /** The client's version line: printable ASCII. */
  get clientVersion(): string {
    return this.#exchange.clientVersion.toString('latin1');
  }

  /** The first exchange's algorithms; null before it. */
  get facts(): KexFacts | null {
    return this.#exchange.facts;
  }

  /** The hash that names this connection; signatures of users cover it. Only after the handshake. */
  get sessionId(): Buffer {
    return this.#exchange.sessionId!;
  }

  /** True during a key exchange, when nothing of the upper layers may be sent. */
  get isOutputHeld(): boolean {
    return this.#exchange.holdsOutput;
  }

  /** Bytes that the kernel has not taken. */
  get queuedBytes(): number {
    return this.#inner.queuedBytes;
  }

  /** Makes every wait fail with TimeoutError after the time of a limit; replaces the deadline before. */
  setDeadline(limit: DeadlineLimit, what: string): void {
    this.clearDeadline();
    this.#deadline = this.#abortAfter(limit, what);
  }

  /** From here on nothing needs to come. */
  clearDeadline(): void {
    clearTimeout(this.#deadline);
  }

  /** Makes the current and every later wait fail with `reason`. */
  abort(reason: RsyncError): void {
    this.#source.abort(reason);
    this.#aborted.reject(reason);
  }

  /**
   * Exchanges versions and keys.
   * @param onKeysSent runs when the client has all that it needs to show a person our fingerprint.
   */
  async handshake(onKeysSent: () => void): Promise<void> {
    this.#inner.write(Buffer.concat([OUR_VERSION, Buffer.from('\r\n')]));
    this.#exchange.start();
    this.#exchange.clientVersion = parseVersion(await this.#source.readUntil(0x0a, MAX_VERSION_BYTES, 'SSH version'));
    this.onOutputResumed = onKeysSent;
    for (let payload = await this.#reader.read(); ; payload = await this.#reader.read()) {
      if (payload[0] === MSG.KEXINIT) {
        await this.#exchange.run(payload);
        this.onOutputResumed = () => {};
        return;
      }
      this.#idleMessage(payload);
    }
  }

  /**
   * The next message for the upper layers; the buffer belongs to the caller. Key exchanges happen inside.
   * @throws PeerGone at the end of the connection, LimitError, ProtocolError, TimeoutError.
   */
  async receive(): Promise<Buffer> {
    for (;;) {
      const payload = await this.#reader.read();
      this.#exchange.startIfDue();
      const type = payload[0]!;
      if (type >= FIRST_UPPER_MESSAGE || type === MSG.SERVICE_REQUEST) return payload;
      if (type === MSG.KEXINIT) await this.#exchange.run(payload);
      else this.#idleMessage(payload);
    }
  }

  /** Queues one message of an upper layer. */
  send(payload: Buffer): void {
    if (this.isOutputHeld) this.#held.push(payload);
    else this.#writer.write(payload);
  }

  /** Queues channel data; only while output is not held. `data` may be reused when this returns. */
  sendData(channel: number, data: Uint8Array, maxPacketBytes: number): void {
    this.#writer.writeData(channel, data, maxPacketBytes);
    this.#exchange.startIfDue();
  }

  /** Answers a message that nobody knows, and counts it. */
  refuseUnknown(): void {
    this.countIdle();
    this.#writer.write(encodeMessage(MSG.UNIMPLEMENTED, encodeUint32((this.#reader.sequence - 1) >>> 0)));
  }

  /** Counts a message that costs work and brings nothing. @throws LimitError for too many in a minute. */
  countIdle(): void {
    this.#rate.count();
  }

  /**
   * Waits until at most `maxQueuedBytes` have not gone out.
   * @throws PeerGone, or the reason of an abort.
   */
  async drained(maxQueuedBytes: number): Promise<void> {
    if (this.#inner.queuedBytes <= maxQueuedBytes) return;
    await Promise.race([this.#inner.drained(maxQueuedBytes), this.#aborted.promise]);
  }

  /** Queues the last message of the connection. */
  disconnect(reason: number, text: string): void {
    this.#writer.write(encodeMessage(MSG.DISCONNECT, encodeUint32(reason), encodeString(text), encodeString('')));
  }

  /**
   * Lets what is queued go out and reads on until the peer closes, for at most `drainMs`; then closes.
   * @param order who half-closes first. After a channel that ended well it is the client, as with OpenSSH's sshd: PuTTY and dropbear
   * look at our end of file before the messages in front of it, and would call the connection broken.
   */
  async close(order: 'us-first' | 'peer-first'): Promise<void> {
    const { drainMs, drainBytes } = this.#limits;
    this.clearDeadline();
    clearTimeout(this.#rekeyDeadline);
    if (order === 'us-first') this.#inner.endWrite();
    const timer = setTimeout(() => {
      limitHits.count('drainMs');
      this.#inner.destroy();
    }, drainMs);
    try {
      if (!(await this.#source.discard(drainBytes))) limitHits.count('drainBytes');
      this.#inner.endWrite();
      await this.#inner.drained(0);
    } catch (thrown) {
      if (!(thrown instanceof RsyncError)) throw thrown;
    } finally {
      clearTimeout(timer);
      this.#inner.destroy();
    }
  }

  #abortAfter(limit: DeadlineLimit, what: string): NodeJS.Timeout {
    return setTimeout(() => this.abort(new TimeoutError(`timeout: ${what}`, { limit })), this.#limits[limit]);
  }

  /** The first exchange is inside the login's deadline. Later the client answers when it has read what is under way to it. */
  #startRekeyDeadline(): void {
    if (this.#exchange.isFirst) return;
    this.#rekeyDeadline = this.#abortAfter('outputStallMs', 'the change of keys');
  }

  #resumeOutput(): void {
    for (const payload of this.#held.splice(0)) this.#writer.write(payload);
    this.onOutputResumed();
  }

  /** Messages that may come at any time (RFC 4253 11). */
  #idleMessage(payload: Buffer): void {
    const type = payload[0]!;
    if (type === MSG.DISCONNECT) throw new PeerGone('disconnected by the SSH client');
    const isKnown = type === MSG.IGNORE || type === MSG.UNIMPLEMENTED || type === MSG.DEBUG;
    if (isKnown || (type === MSG.EXT_INFO && !this.#exchange.isFirst)) this.countIdle();
    else if (this.#exchange.isFirst || type >= MSG.KEXINIT) throw new ProtocolError('SSH: message out of place');
    else this.refuseUnknown();
  }
}

function parseVersion(line: Buffer): Buffer {
  const text = line.toString('latin1').replace(/\r$/, '');
  if (!/^SSH-2\.0-[\x20-\x7e]+$/.test(text)) {
    throw new ProtocolError('SSH: not an SSH 2.0 client', { code: 'ssh-version' });
  }
  return Buffer.from(text, 'latin1');
}
