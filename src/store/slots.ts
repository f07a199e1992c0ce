/**
 * The blobs of a SharedStore: found by key, in the order of their last use, and what the store notes of each. All but `change` and
 * `isBroken` needs the store's lock. Slots have numbers from 1 on; memory full of zeros is empty.
 */

import { hash } from 'node:crypto';

const KEY_BYTES = 16;
const KEY_WORDS = KEY_BYTES / 4;

/** Words of the header. */
const H_BROKEN = 0;
const H_FREE = 1;
const H_USED_ONCE = 2;
const H_OLDEST = 3;
const H_NEWEST = 4;
const H_LAST_CLAIM = 5;
const HEADER_WORDS = 8;

/** Words of a slot, behind its key. */
export const S_STATE = 4;
export const S_LENGTH = 5;
export const S_PAGE = 6;
/** In its bucket, or among the free. */
const S_NEXT = 7;
const S_OLDER = 8;
export const S_NEWER = 9;
/** A bit for each worker that holds it. */
export const S_HOLDERS = 10;
export const S_TAG = 11;
export const S_OWNER = 12;
export const S_CLAIM = 13;
export const S_SINCE = 14;
const SLOT_WORDS = 16;

const FREE = 0;
export const CLAIMED = 1;
export const READY = 2;
/** Nobody finds it any more; it lives as long as somebody holds it. */
export const DROPPED = 3;

/** The key of what has this name, which tells it from all else. */
export function storeKey(name: string): Buffer {
  return hash('sha256', name, 'buffer').subarray(0, KEY_BYTES);
}

export class SharedSlots {
  static readonly FIXED_BYTES = 4 * HEADER_WORDS;
  /** Of a slot and at most two places in the table of keys. */
  static readonly MOST_BYTES = 4 * (SLOT_WORDS + 2);
  readonly #words: Int32Array;
  readonly #count: number;
  readonly #bucketsAt: number;
  readonly #bucketMask: number;

  /** @param from a multiple of 4. */
  constructor(memory: SharedArrayBuffer, from: number, count: number) {
    this.#words = new Int32Array(memory, from, SharedSlots.bytesFor(count) / 4);
    this.#count = count;
    this.#bucketsAt = HEADER_WORDS + count * SLOT_WORDS;
    this.#bucketMask = bucketsFor(count) - 1;
  }

  static bytesFor(count: number): number {
    return 4 * (HEADER_WORDS + count * SLOT_WORDS + bucketsFor(count));
  }

  /** Nothing in here can be relied upon: a worker died while it was about to change it. */
  get isBroken(): boolean {
    return Atomics.load(this.#words, H_BROKEN) === 1;
  }

  set isBroken(isBroken: boolean) {
    Atomics.store(this.#words, H_BROKEN, isBroken ? 1 : 0);
  }

  /** The highest slot that was ever used; 0 when none was. */
  get last(): number {
    return this.#words[H_USED_ONCE]!;
  }

  /** 0 when there is none; S_NEWER leads on. */
  get oldest(): number {
    return this.#words[H_OLDEST]!;
  }

  nextClaim(): number {
    const number = (this.#words[H_LAST_CLAIM]! + 1) | 0;
    this.#words[H_LAST_CLAIM] = number;
    return number;
  }

  get(slot: number, word: number): number {
    return this.#words[this.#at(slot, word)]!;
  }

  set(slot: number, word: number, value: number): void {
    this.#words[this.#at(slot, word)] = value;
  }

  /** Also tells whoever waits for a change. */
  setState(slot: number, state: number): void {
    Atomics.store(this.#words, this.#at(slot, S_STATE), state);
    Atomics.notify(this.#words, this.#at(slot, S_STATE));
  }

  /** Resolves when the state is not `state` any more, at the latest after `maxMs`. */
  async change(slot: number, state: number, maxMs: number): Promise<void> {
    const wait = Atomics.waitAsync(this.#words, this.#at(slot, S_STATE), state, maxMs);
    if (wait.async) await wait.value;
  }

  /** The slot of a key; 0 when it has none. */
  find(key: Uint8Array): number {
    const words = wordsOf(key);
    let slot = this.#words[this.#bucketOf(words[0]!)]!;
    while (slot !== 0 && !this.#isOf(slot, words)) slot = this.get(slot, S_NEXT);
    return slot;
  }

  /** A new slot for a key that has none; 0 when none is left. */
  add(key: Uint8Array, tag: number): number {
    let slot = this.#words[H_FREE]!;
    if (slot !== 0) this.#words[H_FREE] = this.get(slot, S_NEXT);
    else if (this.last < this.#count) slot = ++this.#words[H_USED_ONCE]!;
    else return 0;
    const words = wordsOf(key);
    const bucket = this.#bucketOf(words[0]!);
    const at = this.#at(slot, 0);
    this.#words.fill(0, at, at + SLOT_WORDS);
    this.#words.set(words, at);
    this.set(slot, S_NEXT, this.#words[bucket]!);
    this.#words[bucket] = slot;
    this.set(slot, S_TAG, tag);
    return slot;
  }

  /** Its key has no slot any more. */
  hide(slot: number): void {
    const bucket = this.#bucketOf(this.get(slot, 0));
    const next = this.get(slot, S_NEXT);
    let before = this.#words[bucket]!;
    if (before === slot) {
      this.#words[bucket] = next;
      return;
    }
    while (this.get(before, S_NEXT) !== slot) before = this.get(before, S_NEXT);
    this.set(before, S_NEXT, next);
  }

  /** Of a hidden slot. */
  free(slot: number): void {
    this.set(slot, S_NEXT, this.#words[H_FREE]!);
    this.#words[H_FREE] = slot;
    this.setState(slot, FREE);
  }

  /** Puts a slot behind all others. */
  append(slot: number): void {
    const newest = this.#words[H_NEWEST]!;
    this.set(slot, S_OLDER, newest);
    this.set(slot, S_NEWER, 0);
    if (newest === 0) this.#words[H_OLDEST] = slot;
    else this.set(newest, S_NEWER, slot);
    this.#words[H_NEWEST] = slot;
  }

  /** Takes it out of that order. */
  unlink(slot: number): void {
    const older = this.get(slot, S_OLDER);
    const newer = this.get(slot, S_NEWER);
    if (older === 0) this.#words[H_OLDEST] = newer;
    else this.set(older, S_NEWER, newer);
    if (newer === 0) this.#words[H_NEWEST] = older;
    else this.set(newer, S_OLDER, older);
  }

  #at(slot: number, word: number): number {
    return HEADER_WORDS + (slot - 1) * SLOT_WORDS + word;
  }

  /** The place in #words that the chain of a key begins with. */
  #bucketOf(firstWord: number): number {
    return this.#bucketsAt + (firstWord & this.#bucketMask);
  }

  #isOf(slot: number, key: Int32Array): boolean {
    for (let i = 0; i < KEY_WORDS; i++) if (this.get(slot, i) !== key[i]) return false;
    return true;
  }
}

function bucketsFor(count: number): number {
  return 2 ** Math.ceil(Math.log2(count));
}

function wordsOf(key: Uint8Array): Int32Array {
  const words = new Int32Array(KEY_WORDS);
  new Uint8Array(words.buffer).set(key);
  return words;
}
