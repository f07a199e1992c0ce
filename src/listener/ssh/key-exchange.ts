/** The key exchanges of one connection, ours and the client's (RFC 4253 7, strict as OpenSSH defines it); transport.ts owns one. */

import { ProtocolError } from '../../errors.ts';
import type { Limits } from '../../limits.ts';
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
import { MSG } from './constants.ts';
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
import type { PacketReader, PacketWriter } from './packet.ts';
import { SIGNATURE_ALGORITHMS } from './public-key.ts';
import { RekeyPolicy } from './rekey.ts';

/** Algorithms of a connection, for the log. */
export interface KexFacts {
  readonly kex: string;
  readonly cipherIn: string;
  readonly cipherOut: string;
  readonly isStrict: boolean;
}

export interface ExchangeOptions {
  readonly hostKey: HostKey;
  readonly limits: Readonly<Limits>;
  readonly kexGate: KexGate;
}

/** What an exchange needs of its connection. */
export interface ExchangePlace {
  readonly reader: PacketReader;
  readonly writer: PacketWriter;
  readonly serverVersion: Buffer;
  /** Takes a message that may come at any time. @throws ProtocolError for others. */
  handleIdle(payload: Buffer): void;
  /** Our KEXINIT is out: nothing of the upper layers may follow. */
  onStarted(): void;
  /** Our NEWKEYS is out: the upper layers may go on. */
  onKeysSent(): void;
  /** Both sides use the new keys. */
  onFinished(): void;
}

/** Runs key exchanges, one at a time. */
export class KeyExchange {
  /** The client's version line; set before the first exchange. */
  clientVersion: Buffer = Buffer.alloc(0);
  /** The first exchange's algorithms; null before it. */
  facts: KexFacts | null = null;
  /** The hash of the first exchange; null before it. */
  sessionId: Buffer | null = null;
  /** No exchange has ended yet. */
  isFirst = true;
  readonly #options: ExchangeOptions;
  readonly #place: ExchangePlace;
  readonly #policy: RekeyPolicy;
  #isStrict = false;
  /** From the first KEXINIT to the client's NEWKEYS. */
  #isRunning = false;
  /** Our KEXINIT, until our NEWKEYS is out. */
  #ourInit: Buffer | null = null;

  constructor(options: ExchangeOptions, place: ExchangePlace) {
    this.#options = options;
    this.#place = place;
    this.#policy = new RekeyPolicy(options.limits);
  }

  /** True while nothing of the upper layers may be sent. */
  get holdsOutput(): boolean {
    return this.#ourInit !== null;
  }

  /** Sends our KEXINIT. */
  start(): void {
    this.#isRunning = true;
    this.#ourInit = encodeKexInit();
    this.#place.writer.write(this.#ourInit);
    this.#place.onStarted();
  }

  /** Starts an exchange when the keys have been used long enough. */
  startIfDue(): void {
    if (!this.#isRunning && this.#policy.isDue(this.#keyBytes)) this.start();
  }

  /**
   * Goes through an exchange, from the client's KEXINIT to its NEWKEYS.
   * @throws ProtocolError, LimitError when the client starts too many.
   */
  async run(clientInit: Buffer): Promise<void> {
    const { reader } = this.#place;
    const offer = parseKexInit(clientInit);
    if (this.isFirst) this.#startStrictness(offer);
    if (!this.#isRunning) {
      this.#policy.countPeer(this.#keyBytes);
      this.start();
    }
    const agreement = negotiate(offer, this.#isStrict);
    if (agreement.dropsGuess) await reader.read();
    const clientShare = parseShare(await this.#next(MSG.KEX_INIT));
    await this.#options.kexGate.enter();
    const material = this.#reply(agreement, clientInit, clientShare);
    this.#sendNewKeys(agreement, material, this.isFirst && wantsExtInfo(offer));
    const newKeys = await this.#next(MSG.NEWKEYS);
    if (newKeys.length !== 1) throw new ProtocolError('SSH: bytes after the end of NEWKEYS');
    reader.changeKey(derivedCipher(agreement.cipherIn, material, ['A', 'C']), this.#isStrict);
    this.#policy.reset();
    this.isFirst = false;
    this.#isRunning = false;
    this.#place.onFinished();
  }

  /** Bytes under the current key, in the busier direction. */
  get #keyBytes(): number {
    return Math.max(this.#place.reader.bytes, this.#place.writer.bytes);
  }

  #startStrictness(offer: KexInit): void {
    this.#isStrict = wantsStrictKex(offer);
    // SECURITY: a message slipped in before would shift the sequence numbers behind it (Terrapin, CVE-2023-48795).
    if (this.#isStrict && this.#place.reader.sequence !== 1) {
      throw new ProtocolError('SSH: KEXINIT is not the first message', { code: 'ssh-kex' });
    }
  }

  /** Computes the secret, signs the exchange and sends our half. */
  #reply(agreement: Agreement, clientInit: Buffer, clientShare: Buffer): KeyMaterial {
    const { hostKey } = this.#options;
    const { share, secret } = respondToKex(agreement.kex, clientShare);
    const hash = exchangeHash({
      clientVersion: this.clientVersion,
      serverVersion: this.#place.serverVersion,
      clientInit,
      serverInit: this.#ourInit!,
      hostKey: hostKey.blob,
      clientShare,
      serverShare: share,
      secret,
    });
    const fields = [hostKey.blob, share, hostKey.sign(hash)].map((field) => encodeString(field));
    this.#place.writer.write(encodeMessage(MSG.KEX_REPLY, ...fields));
    return { secret, hash, sessionId: this.sessionId ?? hash };
  }

  #sendNewKeys(agreement: Agreement, material: KeyMaterial, sendsExtInfo: boolean): void {
    const { writer } = this.#place;
    writer.write(encodeMessage(MSG.NEWKEYS));
    writer.changeKey(derivedCipher(agreement.cipherOut, material, ['B', 'D']), this.#isStrict);
    this.#ourInit = null;
    this.sessionId = material.sessionId;
    const { kex, cipherIn, cipherOut } = agreement;
    this.facts ??= { kex, cipherIn, cipherOut, isStrict: this.#isStrict };
    if (sendsExtInfo) writer.write(encodeExtInfo());
    this.#place.onKeysSent();
  }

  /** The next message of the exchange. */
  async #next(type: number): Promise<Buffer> {
    for (;;) {
      const payload = await this.#place.reader.read();
      if (payload[0] === type) return payload;
      // SECURITY: with strict key exchange nothing but the exchange itself may pass before the first NEWKEYS.
      const isBare = this.#isStrict && this.isFirst && payload[0] !== MSG.DISCONNECT;
      if (isBare || payload[0]! >= MSG.SERVICE_REQUEST) {
        throw new ProtocolError('SSH: unexpected message during the key exchange', { code: 'ssh-kex' });
      }
      this.#place.handleIdle(payload);
    }
  }
}

function parseShare(payload: Buffer): Buffer {
  const reader = new PayloadReader(payload);
  reader.byte('message number');
  const share = reader.string('key exchange value', MAX_CLIENT_SHARE_BYTES);
  reader.end('key exchange message');
  return share;
}

/** Which signatures of users we verify (RFC 8308 3.1); without it OpenSSH would not use RSA keys. */
function encodeExtInfo(): Buffer {
  const names = SIGNATURE_ALGORITHMS.join(',');
  return encodeMessage(MSG.EXT_INFO, encodeUint32(1), encodeString('server-sig-algs'), encodeString(names));
}

/** @param letters for the initial vector and for the key. */
function derivedCipher(
  name: CipherName,
  material: KeyMaterial,
  letters: readonly [KeyLetter, KeyLetter],
): PacketCipher {
  const { keyBytes, ivBytes } = CIPHER_SIZES[name];
  return createPacketCipher(name, deriveKey(material, letters[1], keyBytes), deriveKey(material, letters[0], ivBytes));
}
