/**
 * The index codec (3-transfer.md 1): below protocol 30 a plain int, from 30 a delta code with one state per direction.
 *
 *   00                    DONE                   d (1…253)             previous + d
 *   FF ...                negative, then:        FE h l                previous + (h<<8 | l)
 *                                                FE 80|b3 b0 b2' b1'   absolute, bytes 31-24, 7-0, 15-8, 23-16
 */

import { ProtocolError } from '../errors.ts';
import { NDX_DONE } from './constants.ts';
import { encodeInt32 } from './ints.ts';
import type { ByteReader } from './reader.ts';

/** Longest encoding of one index. */
export const MAX_NDX_BYTES = 6;

/** Writing half; one per session, never reset. */
export class NdxEncoder {
  readonly #delta: boolean;
  #previousPositive = -1;
  #previousNegative = 1;

  constructor(protocol: number) {
    this.#delta = protocol >= 30;
  }

  /** @returns the offset behind the encoding; needs MAX_NDX_BYTES of room. */
  encode(buf: Uint8Array, offset: number, ndx: number): number {
    if (!this.#delta) return encodeInt32(buf, offset, ndx);
    if (ndx === NDX_DONE) {
      buf[offset] = 0;
      return offset + 1;
    }
    let at = offset;
    let value = ndx;
    let previous = this.#previousPositive;
    if (ndx < 0) {
      buf[at++] = 0xff;
      value = -ndx;
      previous = this.#previousNegative;
      this.#previousNegative = value;
    } else this.#previousPositive = value;
    return encodeDelta(buf, at, value, value - previous);
  }
}

function encodeDelta(buf: Uint8Array, offset: number, value: number, delta: number): number {
  if (delta >= 1 && delta <= 253) {
    buf[offset] = delta;
    return offset + 1;
  }
  buf[offset] = 0xfe;
  if (delta >= 0 && delta <= 32767) {
    buf[offset + 1] = delta >> 8;
    buf[offset + 2] = delta;
    return offset + 3;
  }
  buf[offset + 1] = 0x80 | (value >> 24);
  buf[offset + 2] = value;
  buf[offset + 3] = value >> 8;
  buf[offset + 4] = value >> 16;
  return offset + 5;
}

/** Reading half; one per session, never reset. */
export class NdxDecoder {
  readonly #delta: boolean;
  #previousPositive = -1;
  #previousNegative = 1;

  constructor(protocol: number) {
    this.#delta = protocol >= 30;
  }

  /**
   * What `read` would make of an index of one byte, as clients send for file after file; nothing changes by asking.
   * @param first the next byte of the stream.
   * @returns -1 when it begins anything else.
   */
  peekShort(first: number): number {
    return this.#delta && first >= 1 && first <= 253 ? this.#previousPositive + first : -1;
  }

  /** Takes over what `peekShort` gave, once the caller has taken the byte off the stream. */
  acceptShort(ndx: number): void {
    if (ndx > 0x7fffffff) throw new ProtocolError('ndx out of range');
    this.#previousPositive = ndx;
  }

  /**
   * The next index.
   * @throws ProtocolError when it leaves the 31-bit range.
   */
  async read(reader: ByteReader): Promise<number> {
    if (!this.#delta) return reader.readInt32('ndx');
    let first = await reader.readByte('ndx');
    if (first === 0) return NDX_DONE;
    const negative = first === 0xff;
    if (negative) first = await reader.readByte('ndx');
    const previous = negative ? this.#previousNegative : this.#previousPositive;
    const value = first === 0xfe ? await readLongForm(reader, previous) : previous + first;
    if (value > 0x7fffffff) throw new ProtocolError('ndx out of range');
    if (negative) this.#previousNegative = value;
    else this.#previousPositive = value;
    return negative ? -value : value;
  }
}

async function readLongForm(reader: ByteReader, previous: number): Promise<number> {
  const high = await reader.readByte('ndx');
  const low = await reader.readByte('ndx');
  if (high < 0x80) return previous + ((high << 8) | low);
  const middle = await reader.readByte('ndx');
  const upper = await reader.readByte('ndx');
  return ((high & 0x7f) << 24) | low | (middle << 8) | (upper << 16);
}
