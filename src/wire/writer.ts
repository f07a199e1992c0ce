/**
 * Buffered output of one session: raw bytes first, frames of the multiplexed stream from `startMux` on (1-session.md 6).
 *
 * `put…` methods are synchronous and never wait. A caller that produces much output asks `pressure` and awaits
 * `drain`; whoever is about to wait for the peer calls `flush` first.
 */

import { limitHits } from '../limit-hits.ts';
import {
  acquireChunk,
  CHUNK_BYTES,
  type Chunk,
  FRAME_HEADER,
  releaseChunk,
  SLOTS,
  slotOffset,
  TOKEN_HEADER,
} from './chunk.ts';
import { CHUNK_SIZE, MPLEX_BASE, MSG_DATA } from './constants.ts';
import { encodeInt32, encodeLongint, encodeVarint, encodeVarlong, encodeVstringLength, MAX_INT_BYTES } from './ints.ts';
import type { Transport } from './transport.ts';

/** Longest data frame; C rsync sends no more than about 64 KiB (1-session.md 6.1). */
const MAX_FRAME = 65_532;

/** Frames of others up to this length are copied to what is around them: a write of its own costs more. */
const COPIED_FRAMES = 16 * 1024;

const NO_FRAME = -1;

export class FrameWriter {
  readonly #transport: Transport;
  readonly #maxQueuedBytes: number;
  #chunk: Chunk | null = null;
  /** Bytes of the current chunk in use. */
  #position = 0;
  /** Offset of the open data frame's header in the current chunk. */
  #frame = NO_FRAME;
  #muxed = false;
  /** Bytes handed to the transport so far, frame headers included. */
  bytesWritten = 0;

  /** @param maxQueuedBytes output that may wait for the socket before `pressure` is true. */
  constructor(transport: Transport, maxQueuedBytes: number) {
    this.#transport = transport;
    this.#maxQueuedBytes = maxQueuedBytes;
  }

  /** From here on everything travels in frames. */
  startMux(): void {
    this.#muxed = true;
  }

  get muxed(): boolean {
    return this.#muxed;
  }

  /** True when so much output waits for the peer that the caller should `drain`, or when nobody takes any more. */
  get pressure(): boolean {
    // SECURITY: work for a client that has gone must end, and a broken transport queues nothing.
    return this.#transport.queuedBytes > this.#maxQueuedBytes || this.#transport.isBroken;
  }

  /** As bytesWritten, with what waits here for the next flush. */
  get bytesProduced(): number {
    return this.bytesWritten + this.#position;
  }

  /** Waits until the peer has taken enough of what was produced. @throws PeerGone when the connection broke. */
  async drain(): Promise<void> {
    if (this.#transport.queuedBytes > this.#maxQueuedBytes) limitHits.count('outputBytes');
    await this.#transport.drained(this.#maxQueuedBytes >> 1);
  }

  putByte(value: number): void {
    const at = this.#room(1);
    this.#chunk!.bytes[at] = value;
    this.#position++;
  }

  putUint16(value: number): void {
    const at = this.#room(2);
    this.#position = this.#chunk!.bytes.writeUInt16LE(value, at);
  }

  putInt32(value: number): void {
    const at = this.#room(4);
    this.#position = encodeInt32(this.#chunk!.bytes, at, value);
  }

  putLongint(value: number): void {
    const at = this.#room(MAX_INT_BYTES);
    this.#position = encodeLongint(this.#chunk!.bytes, at, value);
  }

  putVarint(value: number): void {
    const at = this.#room(MAX_INT_BYTES);
    this.#position = encodeVarint(this.#chunk!.bytes, at, value);
  }

  putVarlong(value: number, min: number): void {
    const at = this.#room(MAX_INT_BYTES);
    this.#position = encodeVarlong(this.#chunk!.bytes, at, value, min);
  }

  /** Length header and bytes (1-session.md 1.2); at most 0x7FFF bytes. */
  putVstring(bytes: Uint8Array): void {
    const at = this.#room(2);
    this.#position = encodeVstringLength(this.#chunk!.bytes, at, bytes.length);
    this.putBytes(bytes);
  }

  /** Any number of bytes, copied. */
  putBytes(bytes: Uint8Array): void {
    for (let done = 0; done < bytes.length; ) {
      const part = Math.min(bytes.length - done, CHUNK_SIZE);
      const at = this.#room(part);
      this.#chunk!.bytes.set(part === bytes.length ? bytes : bytes.subarray(done, done + part), at);
      this.#position += part;
      done += part;
    }
  }

  /** Calls `encode(buffer, offset)`, which writes at most `maxBytes` and returns the offset behind them. */
  putWith(maxBytes: number, encode: (buffer: Buffer, offset: number) => number): void {
    const at = this.#room(maxBytes);
    this.#position = encode(this.#chunk!.bytes, at);
  }

  /**
   * Room for `count` (1…CHUNK_SIZE + 4) contiguous bytes that the caller fills before any other call.
   * The bytes are part of the output already: fill all of them, in the same tick.
   */
  reserve(count: number): Buffer {
    const at = this.#room(count);
    this.#position += count;
    return this.#chunk!.bytes.subarray(at, at + count);
  }

  /** A message of its own frame (1-session.md 6.3). @param payload at most 5119 bytes. */
  putMessage(code: number, payload: Uint8Array): void {
    this.#sealFrame();
    this.#ensureChunk(FRAME_HEADER + payload.length);
    const { bytes } = this.#chunk!;
    const at = encodeInt32(bytes, this.#position, ((MPLEX_BASE + code) << 24) | payload.length);
    bytes.set(payload, at);
    this.#position = at + payload.length;
  }

  /** Whole frames that somebody else has made. @param frames not to be changed any more. */
  putFrames(frames: Uint8Array): void {
    this.#sealFrame();
    if (frames.length > COPIED_FRAMES) {
      this.flush();
      this.bytesWritten += frames.length;
      this.#transport.write(frames);
      return;
    }
    this.#ensureChunk(frames.length);
    this.#chunk!.bytes.set(frames, this.#position);
    this.#position += frames.length;
  }

  /**
   * As `putFrames`, for frames that are copied from where they lie: to output memory that is warm.
   * @param copy fills `into` with their bytes from `offset` on.
   */
  copyFrames(length: number, copy: (into: Uint8Array, offset: number) => void): void {
    this.#sealFrame();
    for (let offset = 0; offset < length; ) {
      this.#ensureChunk(1);
      const from = this.#position;
      this.#position = Math.min(CHUNK_BYTES, from + length - offset);
      copy(this.#chunk!.bytes.subarray(from, this.#position), offset);
      offset += this.#position - from;
    }
  }

  /** True when nobody takes anything any more. */
  get isBroken(): boolean {
    return this.#transport.isBroken;
  }

  /** An empty data frame: what every client takes as a sign of life (1-session.md 6.4). */
  keepAlive(): void {
    this.putMessage(MSG_DATA, new Uint8Array(0));
    this.flush();
  }

  /**
   * Sends a chunk whose slots the caller filled with file data, as one literal token a frame.
   * Takes the chunk over.
   * @param length data bytes in the slots, 1…SLOTS * CHUNK_SIZE; all slots but the last are full.
   */
  putLiteralChunk(chunk: Chunk, length: number): void {
    this.flush();
    let end = 0;
    for (let slot = 0, left = length; left > 0 && slot < SLOTS; slot++) {
      const size = Math.min(left, CHUNK_SIZE);
      const at = slotOffset(slot);
      encodeInt32(chunk.bytes, at, ((MPLEX_BASE + MSG_DATA) << 24) | (TOKEN_HEADER + size));
      encodeInt32(chunk.bytes, at + FRAME_HEADER, size);
      end = at + FRAME_HEADER + TOKEN_HEADER + size;
      left -= size;
    }
    this.#send(chunk, end);
  }

  /** Hands everything produced so far to the transport. */
  flush(): void {
    this.#sealFrame();
    if (this.#chunk === null || this.#position === 0) return;
    const chunk = this.#chunk;
    const length = this.#position;
    this.#chunk = null;
    this.#position = 0;
    this.#send(chunk, length);
  }

  #send(chunk: Chunk, length: number): void {
    this.bytesWritten += length;
    this.#transport.write(chunk.bytes.subarray(0, length), () => releaseChunk(chunk));
  }

  /** Makes room for `count` contiguous bytes and returns their offset in the current chunk. */
  #room(count: number): number {
    if (!this.#muxed) {
      this.#ensureChunk(count);
      return this.#position;
    }
    if (this.#frame !== NO_FRAME && this.#position - this.#frame - FRAME_HEADER + count > MAX_FRAME) this.#sealFrame();
    if (this.#frame === NO_FRAME || this.#position + count > CHUNK_BYTES) {
      this.#ensureChunk(FRAME_HEADER + count);
      if (this.#frame === NO_FRAME) {
        this.#frame = this.#position;
        this.#position += FRAME_HEADER;
      }
    }
    return this.#position;
  }

  #ensureChunk(count: number): void {
    if (this.#position + count > CHUNK_BYTES) this.flush();
    this.#chunk ??= acquireChunk();
  }

  #sealFrame(): void {
    if (this.#frame === NO_FRAME) return;
    const length = this.#position - this.#frame - FRAME_HEADER;
    if (length === 0) this.#position = this.#frame;
    else encodeInt32(this.#chunk!.bytes, this.#frame, ((MPLEX_BASE + MSG_DATA) << 24) | length);
    this.#frame = NO_FRAME;
  }
}
