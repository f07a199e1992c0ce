/**
 * The data types of SSH payloads (RFC 4251 5), read with bounds and written; every message parser of this folder uses them.
 *
 * boolean: byte, 0 is false. uint32: big-endian. string: uint32 length, bytes. mpint: string, two's complement.
 * name-list: string of names divided by commas.
 */

import { ProtocolError } from '../../errors.ts';

/** Longest name-list: OpenSSH's key exchange lists stay below 700 bytes. */
const MAX_NAME_LIST_BYTES = 8192;

/** Reads one payload from front to back. Every method names the field for the error message. */
export class PayloadReader {
  readonly #payload: Buffer;
  #position = 0;

  constructor(payload: Buffer) {
    this.#payload = payload;
  }

  byte(field: string): number {
    this.#need(1, field);
    return this.#payload[this.#position++]!;
  }

  boolean(field: string): boolean {
    return this.byte(field) !== 0;
  }

  uint32(field: string): number {
    this.#need(4, field);
    const value = this.#payload.readUInt32BE(this.#position);
    this.#position += 4;
    return value;
  }

  /** `count` bytes without a length; a view. */
  bytes(count: number, field: string): Buffer {
    this.#need(count, field);
    this.#position += count;
    return this.#payload.subarray(this.#position - count, this.#position);
  }

  /** A view of the string's bytes. @throws ProtocolError above `max` bytes. */
  string(field: string, max: number = Number.POSITIVE_INFINITY): Buffer {
    const length = this.uint32(field);
    if (length > max) throw new ProtocolError(`SSH: ${field} too long`);
    return this.bytes(length, field);
  }

  /** A name of printable ASCII. @throws ProtocolError for other bytes or above 255 of them. */
  name(field: string): string {
    const text = this.string(field, 255).toString('latin1');
    if (!/^[\x21-\x7e]*$/.test(text)) throw new ProtocolError(`SSH: ${field} is not printable`);
    return text;
  }

  nameList(field: string): string[] {
    const text = this.string(field, MAX_NAME_LIST_BYTES).toString('latin1');
    return text === '' ? [] : text.split(',');
  }

  /**
   * A positive mpint as its magnitude without leading zeros.
   * @throws ProtocolError for zero, negative numbers, needless leading zeros and above `max` bytes.
   */
  positiveMpint(field: string, max: number): Buffer {
    const bytes = this.string(field, max + 1);
    const hasSignByte = bytes[0] === 0;
    const magnitude = hasSignByte ? bytes.subarray(1) : bytes;
    // SECURITY: one number has one encoding (RFC 4251 5), or a changed signature could still be good.
    const needsSignByte = (magnitude[0] ?? 0) >= 0x80;
    if (magnitude.length === 0 || hasSignByte !== needsSignByte) {
      throw new ProtocolError(`SSH: ${field} is no positive number`);
    }
    if (magnitude.length > max) throw new ProtocolError(`SSH: ${field} too long`);
    return magnitude;
  }

  /** @throws ProtocolError when bytes are left. */
  end(what: string): void {
    if (this.#position !== this.#payload.length) throw new ProtocolError(`SSH: bytes after the end of ${what}`);
  }

  #need(count: number, field: string): void {
    if (this.#payload.length - this.#position < count) throw new ProtocolError(`SSH: message ends inside ${field}`);
  }
}

export function encodeUint32(value: number): Buffer {
  const bytes = Buffer.allocUnsafe(4);
  bytes.writeUInt32BE(value);
  return bytes;
}

export function encodeBoolean(value: boolean): Buffer {
  return Buffer.from([value ? 1 : 0]);
}

/** Length and bytes; text is taken as Latin-1, which all names of the protocol are. */
export function encodeString(value: Uint8Array | string): Buffer {
  const bytes = typeof value === 'string' ? Buffer.from(value, 'latin1') : value;
  return Buffer.concat([encodeUint32(bytes.length), bytes]);
}

export function encodeNameList(names: readonly string[]): Buffer {
  return encodeString(names.join(','));
}

/** An unsigned big-endian number as an mpint: no leading zeros, but one where the top bit would read as a sign. */
export function encodeMpint(magnitude: Uint8Array): Buffer {
  const start = magnitude.findIndex((byte) => byte !== 0);
  if (start < 0) return encodeUint32(0);
  const bytes = magnitude.subarray(start);
  return encodeString(bytes[0]! & 0x80 ? Buffer.concat([Buffer.of(0), bytes]) : bytes);
}

/** A payload: message number, then fields that are encoded already. */
export function encodeMessage(type: number, ...fields: readonly Uint8Array[]): Buffer {
  return Buffer.concat([Buffer.of(type), ...fields]);
}
