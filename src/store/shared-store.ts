/**
 * A cache in memory that all workers see: blobs of bytes under keys, in pages; what was used longest ago makes room.
 *
 * A blob never changes. Who is about to make one claims its key, so that others wait for it instead of making it too; who reads one
 * holds it meanwhile. What a dead worker claimed or held is given back.
 */

import { limitHits } from '../limit-hits.ts';
import type { LimitName } from '../limits.ts';
import { monotonicMs, privateArea, type SharedArea, SharedLock } from '../shared.ts';
import { HeldBlob, SharedPages } from './pages.ts';
import {
  CLAIMED,
  DROPPED,
  READY,
  S_CLAIM,
  S_HOLDERS,
  S_LENGTH,
  S_NEWER,
  S_OWNER,
  S_PAGE,
  S_SINCE,
  S_STATE,
  S_TAG,
  SharedSlots,
} from './slots.ts';

const LOCK_BYTES = 8;
/** For claims, which have no page yet. */
const SPARE_SLOTS = 64;
const FIXED_BYTES =
  LOCK_BYTES + SharedSlots.FIXED_BYTES + SPARE_SLOTS * SharedSlots.MOST_BYTES + SharedPages.FIXED_BYTES;

/** How large a store is. */
export interface StoreSize {
  /** All of its memory. */
  readonly bytes: number;
  /** A multiple of 8; a blob takes whole pages. */
  readonly pageBytes: number;
  /** The bound that `bytes` comes from, which counts what makes room or does not fit. */
  readonly limit?: LimitName;
}

/** What became of a claim. */
export type Claimed =
  | { readonly kind: 'found'; readonly blob: HeldBlob }
  /** The caller makes the blob: `publish` or `abandon` must follow. */
  | { readonly kind: 'ours'; readonly claim: Claim }
  /** Somebody else is making it. */
  | { readonly kind: 'busy'; readonly slot: number }
  /** Nothing can be kept. */
  | { readonly kind: 'full' };

/** The right to make a blob. */
export interface Claim {
  readonly slot: number;
  readonly number: number;
  readonly tag: number;
}

/** One worker's way to the store. */
export class SharedStore {
  readonly #worker: number;
  readonly #lock: SharedLock;
  readonly #slots: SharedSlots;
  readonly #pages: SharedPages;
  readonly #count: number;
  readonly #limit: LimitName | undefined;
  /** How often this worker holds each slot. */
  readonly #holds = new Map<number, number>();

  /** @param area memory of `size.bytes`; a private one without. */
  constructor(size: StoreSize, area: SharedArea = privateArea(size.bytes)) {
    const { memory, worker } = area;
    const { bytes, pageBytes, limit } = size;
    const count = Math.max(1, Math.floor((bytes - FIXED_BYTES) / bytesOfPage(pageBytes)));
    this.#worker = worker;
    this.#lock = new SharedLock(area, 0);
    const slots = count + SPARE_SLOTS;
    this.#slots = new SharedSlots(memory, LOCK_BYTES, slots);
    this.#pages = new SharedPages({ memory, from: LOCK_BYTES + SharedSlots.bytesFor(slots), count, pageBytes });
    this.#count = count;
    this.#limit = limit;
  }

  /** Memory for so many pages. */
  static bytesFor(pages: number, pageBytes: number): number {
    return FIXED_BYTES + pages * bytesOfPage(pageBytes);
  }

  /** Whether a blob of so many bytes could ever be kept. */
  couldHold(bytes: number): boolean {
    const isPossible = bytes <= this.#count * this.#pages.pageBytes;
    if (!isPossible) this.#countHit();
    return isPossible;
  }

  /** What this worker has put in and reserved. */
  get bytes(): number {
    return this.#pages.countOf(this.#worker) * this.#pages.pageBytes;
  }

  /** The blob of a key, held until it is closed; null when there is none. */
  find(key: Uint8Array): HeldBlob | null {
    return this.#run(null, () => {
      const slot = this.#slots.find(key);
      return slot === 0 || this.#slots.get(slot, S_STATE) !== READY ? null : this.#hold(slot);
    });
  }

  /**
   * The blob of a key, or the right to make it.
   * @param tag not 0; what `drop` is told.
   * @param patienceMs after so long a claim is taken from whoever has it.
   */
  claim(key: Uint8Array, tag: number, patienceMs: number): Claimed {
    return this.#run<Claimed>({ kind: 'full' }, () => {
      const known = this.#slots.find(key);
      if (known !== 0 && this.#slots.get(known, S_STATE) === READY) return { kind: 'found', blob: this.#hold(known) };
      if (known !== 0 && !this.#isOverdue(known, patienceMs)) return { kind: 'busy', slot: known };
      const slot = known === 0 ? this.#slots.add(key, tag) : known;
      if (slot === 0) this.#countHit();
      return slot === 0 ? { kind: 'full' } : { kind: 'ours', claim: this.#claim(slot, tag) };
    });
  }

  /** Resolves when somebody's blob is there or given up, at the latest after `maxMs`. */
  async change(slot: number, maxMs: number): Promise<void> {
    await this.#slots.change(slot, CLAIMED, maxMs);
  }

  /**
   * Puts in what was claimed.
   * @param sparesOwn whether blobs with the same tag must not make room.
   * @returns false when there is no room, or the claim was taken away.
   */
  publish(claim: Claim, parts: readonly Uint8Array[], sparesOwn: boolean): boolean {
    const { slot } = claim;
    const length = parts.reduce((sum, { length }) => sum + length, 0);
    const pages = Math.ceil(length / this.#pages.pageBytes);
    const isOurs = this.#run(false, () => {
      if (!this.#isOurs(claim)) return false;
      if (this.#makeRoom(pages, sparesOwn ? claim.tag : 0)) {
        this.#slots.set(slot, S_PAGE, this.#pages.take(pages, this.#worker));
        this.#slots.set(slot, S_LENGTH, length);
        return true;
      }
      this.#discard(slot);
      return false;
    });
    if (!isOurs) return false;
    // Nobody else looks at the pages of a claimed slot.
    this.#pages.fill(this.#slots.get(slot, S_PAGE), parts);
    this.#run(undefined, () => {
      this.#slots.append(slot);
      this.#slots.setState(slot, READY);
    });
    return true;
  }

  /** Gives a claim up. */
  abandon(claim: Claim): void {
    this.#run(undefined, () => {
      if (this.#isOurs(claim)) this.#discard(claim.slot);
    });
  }

  /**
   * A number that all workers agree upon.
   * @param isGood whether what stands there is still to be used; `else_` takes its place otherwise.
   */
  agree(key: Uint8Array, isGood: (value: number) => boolean, else_: number): number {
    return this.#run(else_, () => {
      let slot = this.#slots.find(key);
      const isNew = slot === 0;
      if (isNew) {
        slot = this.#makeRoom(1, 0) ? this.#slots.add(key, 0) : 0;
        if (slot === 0) return else_;
        this.#slots.set(slot, S_OWNER, this.#worker);
        this.#slots.set(slot, S_PAGE, this.#pages.take(1, this.#worker));
        this.#slots.setState(slot, READY);
      } else this.#slots.unlink(slot);
      this.#slots.append(slot);
      const value = this.#pages.value(this.#slots.get(slot, S_PAGE));
      if (isNew || !isGood(value[0]!)) value[0] = else_;
      return value[0]!;
    });
  }

  /** Changes what is set aside for something that grows, or is gone. @returns false when there is no room. */
  reserve(beforeBytes: number, afterBytes: number): boolean {
    const { pageBytes } = this.#pages;
    const pages = Math.ceil(afterBytes / pageBytes) - Math.ceil(beforeBytes / pageBytes);
    return this.#run(false, () => {
      if (pages > 0 && !this.#makeRoom(pages, 0)) return false;
      this.#pages.reserve(this.#worker, pages);
      return true;
    });
  }

  /** Drops all blobs with a tag. */
  drop(tag: number): void {
    this.#run(undefined, () => {
      for (let slot = 1; slot <= this.#slots.last; slot++) {
        if (this.#slots.get(slot, S_TAG) === tag && this.#slots.get(slot, S_STATE) === READY) this.#evict(slot);
      }
    });
  }

  /** Gives back what a dead worker held, claimed and reserved. */
  forget(worker: number): void {
    // What it was about when it died cannot be known.
    if (this.#lock.forget(worker)) this.#slots.isBroken = true;
    this.#run(undefined, () => {
      this.#pages.forget(worker);
      for (let slot = 1; slot <= this.#slots.last; slot++) {
        this.#letGo(slot, worker);
        if (this.#slots.get(slot, S_STATE) === CLAIMED && this.#slots.get(slot, S_OWNER) === worker)
          this.#discard(slot);
      }
    });
  }

  /** Lets one critical section of this worker run; `broken` is what it gives once the cache is of no use. */
  #run<T>(broken: T, critical: () => T): T {
    return this.#slots.isBroken ? broken : this.#lock.run(critical);
  }

  #hold(slot: number): HeldBlob {
    const holds = this.#holds.get(slot) ?? 0;
    this.#holds.set(slot, holds + 1);
    this.#slots.set(slot, S_HOLDERS, this.#slots.get(slot, S_HOLDERS) | (1 << this.#worker));
    this.#slots.unlink(slot);
    this.#slots.append(slot);
    const place = { firstPage: this.#slots.get(slot, S_PAGE), lengthBytes: this.#slots.get(slot, S_LENGTH) };
    return new HeldBlob(this.#pages, place, () => this.#release(slot));
  }

  #release(slot: number): void {
    const holds = this.#holds.get(slot)! - 1;
    if (holds > 0) {
      this.#holds.set(slot, holds);
      return;
    }
    this.#holds.delete(slot);
    this.#run(undefined, () => this.#letGo(slot, this.#worker));
  }

  #letGo(slot: number, worker: number): void {
    const holders = this.#slots.get(slot, S_HOLDERS) & ~(1 << worker);
    this.#slots.set(slot, S_HOLDERS, holders);
    if (holders === 0 && this.#slots.get(slot, S_STATE) === DROPPED) this.#free(slot);
  }

  #isOverdue(slot: number, patienceMs: number): boolean {
    // With its pages taken, it is a matter of milliseconds.
    const isWaiting = this.#slots.get(slot, S_PAGE) === 0;
    return isWaiting && ((nowWord() - this.#slots.get(slot, S_SINCE)) | 0) >= patienceMs;
  }

  #claim(slot: number, tag: number): Claim {
    const number = this.#slots.nextClaim();
    this.#slots.setState(slot, CLAIMED);
    this.#slots.set(slot, S_CLAIM, number);
    this.#slots.set(slot, S_OWNER, this.#worker);
    this.#slots.set(slot, S_SINCE, nowWord());
    this.#slots.set(slot, S_TAG, tag);
    return { slot, number, tag };
  }

  #isOurs({ slot, number }: Claim): boolean {
    return this.#slots.get(slot, S_STATE) === CLAIMED && this.#slots.get(slot, S_CLAIM) === number;
  }

  /** Takes a blob out; its pages are free when nobody holds it any more. */
  #evict(slot: number): void {
    this.#slots.hide(slot);
    this.#slots.unlink(slot);
    this.#slots.setState(slot, DROPPED);
    if (this.#slots.get(slot, S_HOLDERS) === 0) this.#free(slot);
  }

  /** Takes a claimed slot out. */
  #discard(slot: number): void {
    this.#slots.hide(slot);
    this.#free(slot);
  }

  #free(slot: number): void {
    this.#pages.give(this.#slots.get(slot, S_PAGE), this.#slots.get(slot, S_OWNER));
    this.#slots.set(slot, S_PAGE, 0);
    this.#slots.free(slot);
  }

  /** Evicts until so many pages are free. @param sparedTag blobs with it stay; 0: of none. */
  #makeRoom(pages: number, sparedTag: number): boolean {
    if (this.#pages.free >= pages) return true;
    this.#countHit();
    let victim = this.#slots.oldest;
    while (this.#pages.free < pages) {
      while (victim !== 0 && this.#slots.get(victim, S_HOLDERS) !== 0) victim = this.#slots.get(victim, S_NEWER);
      // SECURITY: a tree that does not fit must not push its own entries out with each client.
      if (victim === 0 || (sparedTag !== 0 && this.#slots.get(victim, S_TAG) === sparedTag)) return false;
      const next = this.#slots.get(victim, S_NEWER);
      this.#evict(victim);
      victim = next;
    }
    return true;
  }

  #countHit(): void {
    if (this.#limit !== undefined) limitHits.count(this.#limit);
  }
}

/** Of a page with its link and its slot. */
function bytesOfPage(pageBytes: number): number {
  return pageBytes + 4 + SharedSlots.MOST_BYTES;
}

/** Milliseconds that wrap around after 49 days; only differences count. */
function nowWord(): number {
  return monotonicMs() | 0;
}
