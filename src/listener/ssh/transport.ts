/**
 * The SSH transport protocol (RFC 4253, strict key exchange as OpenSSH defines it): versions, key exchanges, then messages both ways.
 * server.ts makes one per connection; auth.ts and channel.ts talk through it.
 */

import { PeerGone, ProtocolError, RsyncError, TimeoutError } from '../../errors.ts';
import type { Limits } from '../../limits.ts';
import { ByteReader } from '../../wire/reader.ts';
import type { Transport } from '../../wire/transport.ts';
import {
  type Agreement,
  encodeKexInit,
  type KexInit,
  negotiate,
  parseKexInit,
  wantsExtInfo,
  wantsStrictKex,
} from './algorithms.ts';
import { CIPHER_SIZES, type CipherName, createPacketCipher, type PacketCipher } from './ciphers.ts';
import { encodeMessage, encodeString, encodeUint32, PayloadReader } from './codec.ts';
import { FIRST_UPPER_MESSAGE, MSG } from './constants.ts';
import type { HostKey } from './ed25519-key.ts';
import {
  deriveKey,
  exchangeHash,
  type KeyLetter,
  type KeyMaterial,
  MAX_CLIENT_SHARE_BYTES,
  respondToKex,
} from './kex.ts';
import type { KexGate } from './kex-gate.ts';
import { MessageRate } from './message-rate.ts';
import { PacketReader, PacketWriter } from './packet.ts';
import { SIGNATURE_ALGORITHMS } from './public-key.ts';
import { RekeyPolicy } from './rekey.ts';

/** Says nothing about versions; a minus sign would end the name (RFC 4253 4.2). */
const OUR_VERSION = Buffer.from('SSH-2.0-gokr_rsyncd');

/** Version line with its CR but without LF: 255 with both. */
const MAX_VERSION_BYTES = 254;

export interface TransportOptions {
  readonly hostKey: HostKey;
  readonly limits: Readonly<Limits>;
  readonly kexGate: KexGate;
}

/** Facts about the connection's algorithms, for the log. */
export interface KexFacts {
  readonly kex: string;
  readonly cipherIn: string;
  readonly cipherOut: string;
  readonly isStrict: boolean;
}

/** One connection's transport layer. */
export class SshConnection {
  /** The client's version line, as bytes of printable ASCII; '' before it came. */
  clientVersion = '';
  /** The first exchange's algorithms; null before it. */
  facts: KexFacts | null = null;
  /** Runs when held output may go on. */
  onOutputResumed: () => void = () => {};
  readonly #inner: Transport;
  readonly #options: TransportOptions;
  readonly #source: ByteReader;
  readonly #reader: PacketReader;
  readonly #writer: PacketWriter;
  readonly #rate: MessageRate;
  readonly #rekey: RekeyPolicy;
  readonly #aborted = Promise.withResolvers<never>();
  #deadline: NodeJS.Timeout | undefined;
  #rekeyDeadline: NodeJS.Timeout | undefined;
  #sessionId: Buffer | null = null;
  #isStrict = false;
  /** No exchange has ended yet. */
  #isFirstExchange = true;
  /** From the first KEXINIT to the client's NEWKEYS. */
  #isExchanging = false;
  /** Our KEXINIT, until our NEWKEYS is out. */
  #ourInit: Buffer | null = null;
  /** Messages of the upper layers that wait for the end of a key exchange. */
  #held: Buffer[] = [];

  constructor(inner: Transport, options: TransportOptions) {
    this.#inner = inner;
    this.#options = options;
    this.#source = new ByteReader(inner);
    this.#reader = new PacketReader(this.#source, options.limits);
    this.#writer = new PacketWriter(inner);
    this.#rate = new MessageRate(options.limits);
    this.#rekey = new RekeyPolicy(options.limits);
    this.#aborted.promise.catch(() => {});
  }

  /** The hash that names this connection; signatures of users cover it. */
  get sessionId(): Buffer {
    return this.#sessionId!;
  }

  /** True during a key exchange, when nothing of the upper layers may be sent. */
  get isOutputHeld(): boolean {
    return this.#ourInit !== null;
  }

  /** Bytes that the kernel has not taken. */
  get queuedBytes(): number {
    return this.#inner.queuedBytes;
  }

  /** Makes every wait fail with TimeoutError after `ms`; replaces the deadline before. 0 is none. */
  setDeadline(ms: number, what: string): void {
    clearTimeout(this.#deadline);
    this.#deadline = ms === 0 ? undefined : this.#abortAfter(ms, what);
  }

  /** Makes the current and every later wait fail with `reason`. */
  abort(reason: RsyncError): void {
    this.#source.abort(reason);
    this.#aborted.reject(reason);
  }

  /**
   * Exchanges versions and keys.
   * @param onKeysSent runs when what is left to do may take a person: the client shows our fingerprint.
   */
  async handshake(onKeysSent: () => void): Promise<void> {
    this.#inner.write(Buffer.concat([OUR_VERSION, Buffer.from('\r\n')]));
    this.#startExchange();
    this.clientVersion = parseVersion(await this.#source.readUntil(0x0a, MAX_VERSION_BYTES, 'SSH version'));
    await this.#exchangeKeys(await this.#firstKexInit(), onKeysSent);
  }

  /**
   * The next message for the upper layers; the buffer belongs to the caller. Key exchanges happen inside.
   * @throws PeerGone at the end of the connection, LimitError, ProtocolError, TimeoutError.
   */
  async receive(): Promise<Buffer> {
    for (;;) {
      const payload = await this.#reader.read();
      this.#rekeyIfDue();
      const type = payload[0]!;
      if (type >= FIRST_UPPER_MESSAGE || type === MSG.SERVICE_REQUEST) return payload;
      if (type === MSG.KEXINIT) await this.#exchangeKeys(payload);
      else this.#transportMessage(payload);
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
    this.#rekeyIfDue();
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

  /** Half-closes, lets what is queued go out and reads on until the peer closes, for at most `drainMs`; then closes. */
  async close(): Promise<void> {
    const { drainMs, drainBytes } = this.#options.limits;
    clearTimeout(this.#deadline);
    clearTimeout(this.#rekeyDeadline);
    this.#inner.endWrite();
    const timer = setTimeout(() => this.#inner.destroy(), drainMs);
    try {
      await this.#source.discard(drainBytes);
      await this.#inner.drained(0);
    } catch (thrown) {
      if (!(thrown instanceof RsyncError)) throw thrown;
    } finally {
      clearTimeout(timer);
      this.#inner.destroy();
    }
  }

  /** The client's first KEXINIT; only messages that mean nothing may come before, and none at all with strict key exchange. */
  async #firstKexInit(): Promise<Buffer> {
    for (;;) {
      const payload = await this.#reader.read();
      if (payload[0] === MSG.KEXINIT) return payload;
      this.#transportMessage(payload);
    }
  }

  #abortAfter(ms: number, what: string): NodeJS.Timeout {
    return setTimeout(() => this.abort(new TimeoutError(`timeout: ${what}`)), ms);
  }

  #startExchange(): void {
    this.#isExchanging = true;
    this.#ourInit = encodeKexInit();
    this.#writer.write(this.#ourInit);
    // The first one is inside the login's deadline. Later the client answers when it has read what is under way to it.
    if (!this.#isFirstExchange) {
      this.#rekeyDeadline = this.#abortAfter(this.#options.limits.outputStallMs, 'the change of keys');
    }
  }

  /** Bytes under the current key, in the busier direction. */
  get #keyBytes(): number {
    return Math.max(this.#reader.bytes, this.#writer.bytes);
  }

  #rekeyIfDue(): void {
    if (!this.#isExchanging && this.#rekey.isDue(this.#keyBytes)) this.#startExchange();
  }

  /** One key exchange from the client's KEXINIT to its NEWKEYS. */
  async #exchangeKeys(clientInit: Buffer, onKeysSent: () => void = () => {}): Promise<void> {
    const offer = parseKexInit(clientInit);
    if (this.#isFirstExchange) this.#startStrictness(offer);
    if (!this.#isExchanging) {
      this.#rekey.countPeer(this.#keyBytes);
      this.#startExchange();
    }
    const agreement = negotiate(offer, this.#isStrict);
    if (agreement.dropsGuess) await this.#reader.read();
    const share = new PayloadReader(await this.#kexMessage(MSG.KEX_INIT));
    share.byte('message number');
    const clientShare = share.string('key exchange value', MAX_CLIENT_SHARE_BYTES);
    share.end('key exchange message');
    // The gate has no abort: it is entered in turn, within seconds.
    await this.#options.kexGate.enter();
    const material = this.#replyToKex(agreement, clientInit, clientShare);
    this.#finishOutput(agreement, material, this.#isFirstExchange && wantsExtInfo(offer));
    onKeysSent();
    const newKeys = await this.#kexMessage(MSG.NEWKEYS);
    if (newKeys.length !== 1) throw new ProtocolError('SSH: bytes after the end of NEWKEYS');
    this.#reader.changeKey(derivedCipher(agreement.cipherIn, material, ['A', 'C']), this.#isStrict);
    this.#rekey.reset();
    this.#isFirstExchange = false;
    this.#isExchanging = false;
    clearTimeout(this.#rekeyDeadline);
  }

  #startStrictness(offer: KexInit): void {
    this.#isStrict = wantsStrictKex(offer);
    // SECURITY: a message slipped in before would shift the sequence numbers behind it (Terrapin).
    if (this.#isStrict && this.#reader.sequence !== 1) throw new ProtocolError('SSH: KEXINIT is not the first message');
  }

  /** Computes the secret, signs the exchange and sends our half. */
  #replyToKex(agreement: Agreement, clientInit: Buffer, clientShare: Buffer): KeyMaterial {
    const { hostKey } = this.#options;
    const { share, secret } = respondToKex(agreement.kex, clientShare);
    const hash = exchangeHash({
      clientVersion: Buffer.from(this.clientVersion, 'latin1'),
      serverVersion: OUR_VERSION,
      clientInit,
      serverInit: this.#ourInit!,
      hostKey: hostKey.blob,
      clientShare,
      serverShare: share,
      secret,
    });
    const fields = [hostKey.blob, share, hostKey.sign(hash)].map((field) => encodeString(field));
    this.#writer.write(encodeMessage(MSG.KEX_REPLY, ...fields));
    return { secret, hash, sessionId: this.#sessionId ?? hash };
  }

  /** Ends our side of the exchange: from NEWKEYS on the new key, then what was held. */
  #finishOutput(agreement: Agreement, material: KeyMaterial, sendsExtInfo: boolean): void {
    this.#writer.write(encodeMessage(MSG.NEWKEYS));
    this.#writer.changeKey(derivedCipher(agreement.cipherOut, material, ['B', 'D']), this.#isStrict);
    this.#ourInit = null;
    this.#sessionId = material.sessionId;
    this.facts ??= { ...agreement, isStrict: this.#isStrict };
    if (sendsExtInfo) this.#writer.write(encodeExtInfo());
    for (const payload of this.#held.splice(0)) this.#writer.write(payload);
    this.onOutputResumed();
  }

  /** The next message of a key exchange. */
  async #kexMessage(type: number): Promise<Buffer> {
    for (;;) {
      const payload = await this.#reader.read();
      if (payload[0] === type) return payload;
      // SECURITY: with strict key exchange nothing but the exchange itself may pass before the first NEWKEYS.
      const isBare = this.#isStrict && this.#isFirstExchange && payload[0] !== MSG.DISCONNECT;
      if (isBare || payload[0]! >= MSG.SERVICE_REQUEST) {
        throw new ProtocolError('SSH: unexpected message during the key exchange', { code: 'ssh-kex' });
      }
      this.#transportMessage(payload);
    }
  }

  /** Messages that any party may send at any time (RFC 4253 11). */
  #transportMessage(payload: Buffer): void {
    switch (payload[0]) {
      case MSG.DISCONNECT:
        throw new PeerGone('disconnected by the SSH client');
      case MSG.IGNORE:
      case MSG.UNIMPLEMENTED:
      case MSG.DEBUG:
      case MSG.EXT_INFO:
        this.countIdle();
        return;
      default:
        if (this.#isFirstExchange || payload[0]! >= MSG.KEXINIT) throw new ProtocolError('SSH: message out of place');
        this.refuseUnknown();
    }
  }
}

function parseVersion(line: Buffer): string {
  const text = line.toString('latin1').replace(/\r$/, '');
  if (!/^SSH-2\.0-[\x20-\x7e]+$/.test(text))
    throw new ProtocolError('SSH: not an SSH 2.0 client', { code: 'ssh-version' });
  return text;
}

/** Which signatures of users we verify (RFC 8308 3.1); without it OpenSSH would not use RSA keys. */
function encodeExtInfo(): Buffer {
  return encodeMessage(
    MSG.EXT_INFO,
    encodeUint32(1),
    encodeString('server-sig-algs'),
    encodeString(SIGNATURE_ALGORITHMS.join(',')),
  );
}

function derivedCipher(
  name: CipherName,
  material: KeyMaterial,
  letters: readonly [KeyLetter, KeyLetter],
): PacketCipher {
  const { keyBytes, ivBytes } = CIPHER_SIZES[name];
  return createPacketCipher(name, deriveKey(material, letters[1], keyBytes), deriveKey(material, letters[0], ivBytes));
}
