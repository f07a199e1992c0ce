/**
 * Memory that the checksums can read without a copy: it is that of a WebAssembly module (checksum/kernel.ts), lent in pieces to
 * whoever has file data to keep. Where there is none, or no more, callers make a Buffer of their own and pay for the copy.
 */

/** Pieces of one size. */
interface Shelf {
  readonly idle: Buffer[];
  made: number;
}

/** One per thread. */
class Arena {
  #memory: ArrayBuffer | null = null;
  #used = 0;
  readonly #shelves = new Map<number, Shelf>();

  /** Lends out `memory` from offset `from` on; it must never grow. */
  open(memory: ArrayBuffer, from: number): void {
    this.#memory = memory;
    this.#used = from;
  }

  /** Whether bytes lie in this memory. */
  holds(bytes: ArrayBufferView): boolean {
    return bytes.buffer === this.#memory;
  }

  /**
   * A piece with whatever it held before; give it back with `giveBack`. Memory once used for a size stays with that size.
   * @param most pieces of this size that may exist.
   * @returns null when there is no more.
   */
  lend(sizeBytes: number, most: number): Buffer | null {
    let shelf = this.#shelves.get(sizeBytes);
    if (shelf === undefined) {
      shelf = { idle: [], made: 0 };
      this.#shelves.set(sizeBytes, shelf);
    }
    return shelf.idle.pop() ?? this.#make(shelf, sizeBytes, most);
  }

  /** Takes back a piece that nobody uses any more. */
  giveBack(piece: Buffer): void {
    this.#shelves.get(piece.length)!.idle.push(piece);
  }

  #make(shelf: Shelf, sizeBytes: number, most: number): Buffer | null {
    const memory = this.#memory;
    // Pieces begin where vector loads cross no more cache lines than they must.
    const start = Math.ceil(this.#used / 64) * 64;
    if (memory === null || shelf.made >= most || start + sizeBytes > memory.byteLength) return null;
    shelf.made++;
    this.#used = start + sizeBytes;
    return Buffer.from(memory, start, sizeBytes);
  }
}

export const arena = new Arena();
