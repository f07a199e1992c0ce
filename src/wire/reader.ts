/** Pull-based reading of typed values from a byte source: bytes that have arrived are taken without leaving the tick. */

import { PeerGone, ProtocolError } from '../errors.ts';
import type { LimitName } from '../limits.ts';
import { decodeInt32, decodeInt64, decodeVarint, decodeVarlong, extraBytes } from './ints.ts';

/** Where a ByteReader gets its bytes: a transport, or the data frames of a multiplexed stream. */
export interface ByteSource {
  /** Bytes that are there without waiting; null when there are none now. */
  tryRead(): Buffer | null;
  /** The next bytes; null at the end of the stream. */
  read(): Promise<Buffer | null>;
}

const EMPTY = Buffer.alloc(0);

/** Reads typed values. Every method names the field it reads, for the error message. */
export class ByteReader {
  readonly #source: ByteSource;
  readonly #beforeWait: () => void;
  #chunk: Buffer = EMPTY;
  #position = 0;
  #pending: Promise<Buffer | null> | null = null;
  #rejectWait: ((reason: unknown) => void) | null = null;
  #aborted: unknown = null;
  /** Bytes taken from the source so far. */
  bytesRead = 0;

  /** @param beforeWait runs whenever the reader is about to wait: flush there, the peer may wait for it. */
  constructor(source: ByteSource, beforeWait: () => void = () => {}) {
    this.#source = source;
    this.#beforeWait = beforeWait;
  }

  /** Bytes that can be taken without waiting. */
  get available(): number {
    return this.#chunk.length - this.#position;
  }

  /** True when at least one byte can be had without waiting. */
  get ready(): boolean {
    return this.available > 0 || this.#pull();
  }

  /** True while somebody waits for bytes of the peer. */
  get isWaiting(): boolean {
    return this.#rejectWait !== null;
  }

  /** Makes the current and every later wait throw `reason`. */
  abort(reason: unknown): void {
    this.#aborted ??= reason;
    this.#rejectWait?.(this.#aborted);
  }

  async readByte(field: string): Promise<number> {
    if (this.available === 0) await this.fill(1, field);
    return this.#chunk[this.#position++]!;
  }

  async readUint16(field: string): Promise<number> {
    if (this.available < 2) await this.fill(2, field);
    const value = this.#chunk.readUInt16LE(this.#position);
    this.#position += 2;
    return value;
  }

  async readInt32(field: string): Promise<number> {
    if (this.available < 4) await this.fill(4, field);
    const value = decodeInt32(this.#chunk, this.#position);
    this.#position += 4;
    return value;
  }

  /** @throws ProtocolError when the value is outside min…max. */
  async readInt32Between(field: string, min: number, max: number): Promise<number> {
    const value = await this.readInt32(field);
    if (value < min || value > max) throw new ProtocolError(`${field} out of range`);
    return value;
  }

  async readLongint(field: string): Promise<number> {
    const short = await this.readInt32(field);
    if (short !== -1) return short;
    if (this.available < 8) await this.fill(8, field);
    const value = decodeInt64(this.#chunk, this.#position);
    this.#position += 8;
    return value;
  }

  async readVarint(field: string): Promise<number> {
    if (this.available === 0) await this.fill(1, field);
    const extra = extraBytes(this.#chunk[this.#position]!);
    if (extra > 4) throw new ProtocolError(`${field}: overlong varint`);
    if (this.available < 1 + extra) await this.fill(1 + extra, field);
    const value = decodeVarint(this.#chunk, this.#position);
    this.#position += 1 + extra;
    return value;
  }

  async readVarlong(field: string, min: number): Promise<number> {
    if (this.available < min) await this.fill(min, field);
    const extra = extraBytes(this.#chunk[this.#position]!);
    if (min + extra > 9) throw new ProtocolError(`${field}: overlong varlong`);
    if (this.available < min + extra) await this.fill(min + extra, field);
    const value = decodeVarlong(this.#chunk, this.#position, min);
    this.#position += min + extra;
    return value;
  }

  /** Length header and bytes (1-session.md 1.2). @throws ProtocolError, of `limit`, above `max` bytes. */
  async readVstring(field: string, max: number, limit?: LimitName): Promise<Buffer> {
    let length = await this.readByte(field);
    if (length & 0x80) length = ((length & 0x7f) << 8) | (await this.readByte(field));
    if (length > max) throw new ProtocolError(`${field} too long`, { limit });
    return this.readBytes(length, field);
  }

  /** Exactly `count` bytes, in memory of their own. The caller has bounded `count`. */
  async readBytes(count: number, field: string): Promise<Buffer> {
    const bytes = Buffer.allocUnsafe(count);
    let filled = 0;
    while (filled < count) {
      const part = await this.readSome(count - filled, field);
      part.copy(bytes, filled);
      filled += part.length;
    }
    return bytes;
  }

  /** Between 1 and `max` bytes, as they come; valid until the next call. */
  async readSome(max: number, field: string): Promise<Buffer> {
    if (this.available === 0) await this.fill(1, field);
    return this.#take(Math.min(max, this.available));
  }

  /**
   * The bytes before the next `delimiter`, which is consumed.
   * @throws ProtocolError, of `limit`, when `max` bytes pass without it.
   */
  async readUntil(delimiter: number, max: number, field: string, limit?: LimitName): Promise<Buffer> {
    let searched = 0;
    for (;;) {
      const at = this.#chunk.indexOf(delimiter, this.#position + searched);
      const length = (at < 0 ? this.#chunk.length : at) - this.#position;
      if (length > max) throw new ProtocolError(`${field} too long`, { limit });
      if (at >= 0) {
        const found = Buffer.from(this.#take(length));
        this.#position++;
        return found;
      }
      searched = length;
      await this.fill(length + 1, field);
    }
  }

  /** Waits until `count` bytes are available. @throws PeerGone at the end of the stream. */
  async fill(count: number, field: string): Promise<void> {
    while (this.available < count) {
      if (this.#pull()) continue;
      const chunk = await this.#wait();
      this.#pending = null;
      if (chunk === null) throw new PeerGone(`connection closed while reading ${field}`);
      this.#append(chunk);
    }
  }

  /** Waits for any byte. @returns false at the end of the stream. */
  async more(): Promise<boolean> {
    if (this.ready) return true;
    const chunk = await this.#wait();
    this.#pending = null;
    if (chunk !== null) this.#append(chunk);
    return chunk !== null;
  }

  /**
   * Waits for something else than the peer, which has nothing to say meanwhile; what it says is kept for the next read.
   * @throws PeerGone at the end of the stream, ProtocolError of `limit` when more than `max` bytes are kept, what `until` throws.
   */
  async idleUntil<T>(until: Promise<T>, max: number, field: string, limit: LimitName): Promise<T> {
    const awaited = until.then((value) => ({ value }));
    for (;;) {
      if (this.#aborted !== null) throw this.#aborted;
      if (this.available > max) throw new ProtocolError(`too many bytes while ${field}`, { limit });
      this.#beforeWait();
      this.#pending ??= this.#source.read();
      const heard = this.#pending.then((chunk) => ({ chunk }));
      const first = await this.#abortable(Promise.race([awaited, heard]));
      if ('value' in first) return first.value;
      this.#pending = null;
      if (first.chunk === null) throw new PeerGone(`connection closed while ${field}`);
      this.#append(first.chunk);
    }
  }

  /** Drops everything that comes, also after an abort. @returns false when that was more than `maxBytes`, before the end of the stream. */
  async discard(maxBytes: number): Promise<boolean> {
    let dropped = this.available;
    this.#chunk = EMPTY;
    this.#position = 0;
    while (dropped <= maxBytes) {
      this.#pending ??= this.#source.read();
      const chunk = await this.#pending;
      this.#pending = null;
      if (chunk === null) return true;
      dropped += chunk.length;
      this.bytesRead += chunk.length;
    }
    return false;
  }

  /** The next four bytes as a number, left in place; they must be available. */
  peekInt32(): number {
    return decodeInt32(this.#chunk, this.#position);
  }

  /** The byte at `offset` from here, left in place; it must be available. */
  peekByte(offset: number): number {
    return this.#chunk[this.#position + offset]!;
  }

  /** What has arrived, up to `max` bytes, without copying; only for a demultiplexer on top. */
  takeAvailable(max: number): Buffer {
    return this.#take(Math.min(max, this.available));
  }

  /** Moves one chunk that is there already into the buffer. */
  #pull(): boolean {
    if (this.#pending !== null || this.#aborted !== null) return false;
    const chunk = this.#source.tryRead();
    if (chunk === null) return false;
    this.#append(chunk);
    return true;
  }

  /** The next chunk, or null; whoever gets it forgets the read that was pending. */
  #wait(): Promise<Buffer | null> {
    if (this.#aborted !== null) return Promise.reject(this.#aborted);
    this.#beforeWait();
    this.#pending ??= this.#source.read();
    return this.#abortable(this.#pending);
  }

  /** Waits for `wanted` or for `abort`. */
  #abortable<T>(wanted: Promise<T>): Promise<T> {
    return new Promise<T>((resolve, reject) => {
      this.#rejectWait = reject;
      wanted.then((result) => {
        this.#rejectWait = null;
        resolve(result);
      }, reject);
    });
  }

  #append(chunk: Buffer): void {
    this.bytesRead += chunk.length;
    this.#chunk = this.available === 0 ? chunk : Buffer.concat([this.#chunk.subarray(this.#position), chunk]);
    this.#position = 0;
  }

  #take(count: number): Buffer {
    const bytes = this.#chunk.subarray(this.#position, this.#position + count);
    this.#position += count;
    return bytes;
  }
}
