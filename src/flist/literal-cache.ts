/** What a session has sent in full and may refer to by index: ACLs and attribute lists (2-file-list.md 6); acl.ts and xattrs.ts use it. */

import { hash } from 'node:crypto';
import { limitHits } from '../limit-hits.ts';

/** Up to this length the bytes themselves are the key. */
const SHORT_BYTES = 48;

/** Indexes of the literals of one kind. The client counts all of them; we remember the first `max`. */
export class LiteralCache {
  readonly #max: number;
  readonly #indexes = new Map<string, number>();
  #sent = 0;

  constructor(max: number) {
    this.#max = max;
  }

  /**
   * Index of an equal literal that was sent before; -1 when the caller has to send this one in full.
   * @param bytes anything that is equal exactly for equal literals.
   */
  indexOf(bytes: Buffer): number {
    const key = keyOf(bytes);
    const known = this.#indexes.get(key);
    if (known !== undefined) return known;
    // SECURITY: millions of different lists must not fill the memory; those not remembered are sent in full again (B-13g).
    if (this.#indexes.size < this.#max) this.#indexes.set(key, this.#sent);
    else limitHits.count('xattrLists');
    this.#sent++;
    return -1;
  }
}

/** A digest has 32 bytes and a letter that keeps it apart from short literals. */
function keyOf(bytes: Buffer): string {
  if (bytes.length <= SHORT_BYTES) return `=${bytes.toString('latin1')}`;
  return `#${hash('sha256', bytes, 'buffer').toString('latin1')}`;
}
