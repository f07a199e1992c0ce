/**
 * Lists of extended attributes, short values in full and long ones as their MD5 (2-file-list.md 6.2); attributes.ts calls it.
 *
 *   index+1:varint, or 0 count:varint { name length + 1:varint, value length:varint, name NUL, value or 16 bytes of MD5 }
 */

import { hash } from 'node:crypto';
import { FileError, LimitError } from '../errors.ts';
import type { FilterScope, ModuleFilter } from '../filter/types.ts';
import { limitHits } from '../limit-hits.ts';
import type { Limits } from '../limits.ts';
import { E2BIG, errnoText } from '../vfs/errno.ts';
import { encodeVarint, MAX_INT_BYTES } from '../wire/ints.ts';
import type { FrameWriter } from '../wire/writer.ts';
import { LiteralCache } from './literal-cache.ts';

/** Longer values are asked for in the transfer phase, by those clients that lack them. */
const FULL_VALUE_BYTES = 32;

const SYSTEM = Buffer.from('system.');
/** Where rsync's `--fake-super` keeps what it could not set. */
const FAKE_SUPER = Buffer.from('user.rsync.%');

/** What decides which attributes of an entry are sent. */
export interface XattrChoice {
  /** How often `X` was given. */
  readonly level: number;
  readonly scope: Pick<FilterScope, 'hasXattrRules' | 'hidesXattr'>;
  readonly filter: Pick<ModuleFilter, 'hasXattrRules' | 'hidesXattr'>;
}

/** The names to send, in the order of the list. */
export function chosenNames(names: readonly Buffer[], choice: XattrChoice): Buffer[] {
  return names.filter((name) => isChosen(name, choice)).sort(Buffer.compare);
}

function isChosen(name: Buffer, { level, scope, filter }: XattrChoice): boolean {
  if (level < 2 && startsWith(name, FAKE_SUPER)) return false;
  // C rsync leaves even the choice of `system.` to the rules, once there are any.
  if (!scope.hasXattrRules && !filter.hasXattrRules) return !startsWith(name, SYSTEM);
  return !filter.hidesXattr(name) && !scope.hidesXattr(name);
}

function startsWith(name: Buffer, prefix: Buffer): boolean {
  return name.length >= prefix.length && name.compare(prefix, 0, prefix.length, 0, prefix.length) === 0;
}

/** Attributes whose values were left out: place in the list, counted from 1, → name. */
export type AbbreviatedNames = ReadonlyMap<number, Buffer>;

const NONE_ABBREVIATED: AbbreviatedNames = new Map();

/** One entry's attributes as they stand in the list. */
export interface XattrList {
  /** Everything behind the leading 0. */
  readonly literal: Buffer;
  readonly abbreviated: AbbreviatedNames;
}

export const NO_XATTRS: XattrList = { literal: Buffer.of(0), abbreviated: NONE_ABBREVIATED };

/** Collects one entry's attributes in order. */
export class XattrListBuilder {
  readonly #limits: Limits;
  readonly #parts: Buffer[] = [];
  readonly #abbreviated = new Map<number, Buffer>();
  #count = 0;
  #valueBytes = 0;

  constructor(limits: Limits) {
    this.#limits = limits;
  }

  /** @param name kept: memory of its own. @throws FileError (E2BIG) when the entry's values exceed `xattrEntryBytes`. */
  add(name: Buffer, value: Buffer): void {
    this.#valueBytes += value.length;
    // SECURITY: one file with a thousand attributes of the largest size would be read and summed for each listing (B-13g).
    if (this.#valueBytes > this.#limits.xattrEntryBytes) {
      limitHits.count('xattrEntryBytes');
      throw new FileError(errnoText(E2BIG), E2BIG);
    }
    this.#count++;
    const isFull = value.length <= FULL_VALUE_BYTES;
    if (!isFull) this.#abbreviated.set(this.#count, name);
    const shown = isFull ? value : hash('md5', value, 'buffer');
    this.#parts.push(varint(name.length + 1), varint(value.length), name, NUL, shown);
  }

  finish(): XattrList {
    if (this.#count === 0) return NO_XATTRS;
    return {
      literal: Buffer.concat([varint(this.#count), ...this.#parts]),
      abbreviated: this.#abbreviated.size === 0 ? NONE_ABBREVIATED : this.#abbreviated,
    };
  }
}

const NUL = Buffer.of(0);

function varint(value: number): Buffer {
  const bytes = Buffer.allocUnsafe(MAX_INT_BYTES);
  return bytes.subarray(0, encodeVarint(bytes, 0, value));
}

/** Writes the attribute lists of one session and remembers whose values were left out. */
export class XattrEncoder {
  readonly #writer: FrameWriter;
  readonly #limits: Limits;
  readonly #cache: LiteralCache;
  /** Sets of names, each once; set `id` has index `id - 1`. Modules with a million files know a handful. */
  readonly #sets: AbbreviatedNames[] = [];
  readonly #idOf = new Map<string, number>();
  #nameBytes = 0;

  constructor(writer: FrameWriter, limits: Limits) {
    this.#writer = writer;
    this.#limits = limits;
    this.#cache = new LiteralCache(limits.xattrLists);
  }

  /**
   * Writes one list.
   * @returns what `abbreviated` wants for its left-out values; 0 when there are none.
   * @throws LimitError `xattrNameBytes`.
   */
  put(list: XattrList): number {
    const index = this.#cache.indexOf(list.literal);
    this.#writer.putVarint(index + 1);
    if (index < 0) this.#writer.putBytes(list.literal);
    return list.abbreviated.size === 0 ? 0 : this.#remember(list.abbreviated);
  }

  /** The names behind what `put` returned. */
  abbreviated(id: number): AbbreviatedNames {
    return this.#sets[id - 1] ?? NONE_ABBREVIATED;
  }

  #remember(names: AbbreviatedNames): number {
    const key = Array.from(names, ([position, name]) => `${position} ${name.toString('latin1')}\0`).join('');
    const known = this.#idOf.get(key);
    if (known !== undefined) return known;
    // Twice: as key and as value.
    this.#nameBytes += 2 * key.length;
    if (this.#nameBytes > this.#limits.xattrNameBytes) {
      throw new LimitError('xattrNameBytes', 'too many different names of extended attributes');
    }
    const id = this.#sets.push(names);
    this.#idOf.set(key, id);
    return id;
  }
}
