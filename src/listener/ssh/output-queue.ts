/** Channel data that the client's window does not allow yet; ssh-transport.ts owns one. */

interface Piece {
  readonly bytes: Uint8Array;
  /** Bytes that have been sent already. */
  sent: number;
  readonly released: () => void;
}

/** A queue of borrowed memory: each piece is given back when its last byte has been encrypted. */
export class OutputQueue {
  #pieces: Piece[] = [];
  /** Bytes that wait. */
  bytes = 0;

  push(bytes: Uint8Array, released: () => void): void {
    this.#pieces.push({ bytes, sent: 0, released });
    this.bytes += bytes.length;
  }

  /** Hands up to `max` bytes of the oldest piece to `send`, which must not keep them. @returns how many. */
  take(max: number, send: (bytes: Uint8Array) => void): number {
    const piece = this.#pieces[0];
    if (piece === undefined) return 0;
    const part = piece.bytes.subarray(piece.sent, piece.sent + max);
    send(part);
    piece.sent += part.length;
    this.bytes -= part.length;
    if (piece.sent === piece.bytes.length) {
      this.#pieces.shift();
      piece.released();
    }
    return part.length;
  }

  /** Gives everything back unsent. */
  clear(): void {
    this.bytes = 0;
    for (const { released } of this.#pieces.splice(0)) released();
  }
}
