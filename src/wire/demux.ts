/**
 * The client's multiplexed stream as a byte source (1-session.md 6).
 *
 *   header: 4 bytes LE, low 24 bits payload length, high 8 bits 7 + code; then the payload
 */

import { EXIT, LimitError, PeerGone, ProtocolError } from '../errors.ts';
import type { LimitName, Limits } from '../limits.ts';
import { monotonicMs } from '../shared.ts';
import { MPLEX_BASE, MSG_DATA, MSG_ERROR_EXIT, MSG_NOOP } from './constants.ts';
import { decodeInt32 } from './ints.ts';
import type { ByteReader, ByteSource } from './reader.ts';

const HEADER_BYTES = 4;

/** The client announced its own end with MSG_ERROR_EXIT (1-session.md 6.5). */
export class ClientExit extends PeerGone {
  /** The client's exit code. */
  readonly clientCode: number;

  constructor(clientCode: number) {
    super(`client gave up with code ${clientCode}`, { code: 'client-exit', exit: clientCode });
    this.clientCode = clientCode;
  }
}

/** Yields the payload of data frames and acts on the few other messages that a client may send. */
export class DemuxSource implements ByteSource {
  readonly #raw: ByteReader;
  readonly #limits: Limits;
  #dataLeft = 0;
  #windowStartMs = 0;
  #messagesInWindow = 0;

  constructor(raw: ByteReader, limits: Limits) {
    this.#raw = raw;
    this.#limits = limits;
  }

  /** True between two frames: only there may the stream be read raw again (files-from at protocol 30). */
  get atFrameBoundary(): boolean {
    return this.#dataLeft === 0;
  }

  tryRead(): Buffer | null {
    while (this.#raw.ready) {
      if (this.#dataLeft > 0) return this.#takeData();
      // Anything but a whole header of a data frame needs the waiting path, which keeps the order of messages.
      if (this.#raw.available < HEADER_BYTES || !this.#startDataFrame()) return null;
    }
    return null;
  }

  async read(): Promise<Buffer | null> {
    for (;;) {
      if (this.#dataLeft > 0) {
        if (this.#raw.available === 0) await this.#raw.fill(1, 'data frame');
        return this.#takeData();
      }
      if (this.#raw.available === 0 && !(await this.#raw.more())) return null;
      if (this.#raw.available < HEADER_BYTES) await this.#raw.fill(HEADER_BYTES, 'frame header');
      if (!this.#startDataFrame()) await this.#readMessage();
    }
  }

  /** Consumes the header of a data frame; leaves any other header in place. */
  #startDataFrame(): boolean {
    const header = this.#raw.peekInt32();
    if (header >>> 24 !== MPLEX_BASE + MSG_DATA) return false;
    this.#raw.takeAvailable(HEADER_BYTES);
    this.#dataLeft = header & 0xffffff;
    // SECURITY: empty data frames are keep-alives; counted, or a flood of them would be free.
    if (this.#dataLeft === 0) this.#countMessage();
    return true;
  }

  #takeData(): Buffer {
    const data = this.#raw.takeAvailable(this.#dataLeft);
    this.#dataLeft -= data.length;
    return data;
  }

  async #readMessage(): Promise<void> {
    const header = await this.#raw.readInt32('frame header');
    const code = (header >>> 24) - MPLEX_BASE;
    const length = header & 0xffffff;
    // SECURITY: lengths of messages are 24 bits; bounded before anything is allocated (B-24).
    if (length > this.#limits.messageBytes) throw streamError(`message of ${length} bytes`, 'messageBytes');
    this.#countMessage();
    const payload = await this.#raw.readBytes(length, 'message');
    if (code === MSG_NOOP && length === 0) return;
    if (code === MSG_ERROR_EXIT && (length === 0 || length === 4)) {
      throw new ClientExit(length === 0 ? 0 : decodeInt32(payload, 0));
    }
    throw streamError(`unexpected message code ${code}`);
  }

  #countMessage(): void {
    const now = monotonicMs();
    if (now - this.#windowStartMs > 1000) {
      this.#windowStartMs = now;
      this.#messagesInWindow = 0;
    }
    if (++this.#messagesInWindow > this.#limits.messagesPerSecond) {
      throw new LimitError('messagesPerSecond', 'too many messages');
    }
  }
}

function streamError(message: string, limit?: LimitName): ProtocolError {
  return new ProtocolError(message, { exit: EXIT.STREAM_IO, limit });
}
