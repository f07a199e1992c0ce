/** So many bytes per second for several transports together, in whichever worker thread they run; throttle.ts waits for it. */

/** How much of a second one write may take. */
const TURN_MS = 20;

/** Smallest write (1-session.md 4.3: rsync writes at most max(512, rate / 8) bytes at a time). */
const MIN_TURN_BYTES = 512;

const NS_PER_SECOND = 1_000_000_000;

/**
 * Who wants to send books its bytes and waits for its turn. Bookings stand in a line, and everybody has at most one in it:
 * that shares the rate fairly, and what a transport that goes away had booked is lost for no longer than a turn.
 */
export class RateLimit {
  /** Memory of one limit. */
  static readonly BYTES = 8;
  readonly #bytesPerSecond: number;
  /** Moment, in nanoseconds of the monotonic clock, at which all that was booked is out. */
  readonly #bookedUntil: BigInt64Array;

  /**
   * @param bytesPerSecond at least 1.
   * @param memory zeros at first, for all threads that share the limit; private when absent.
   * @param offset a multiple of 8, in bytes.
   */
  constructor(bytesPerSecond: number, memory = new SharedArrayBuffer(RateLimit.BYTES), offset = 0) {
    this.#bytesPerSecond = bytesPerSecond;
    this.#bookedUntil = new BigInt64Array(memory, offset, 1);
  }

  /** The most that one booking should be for. */
  get turnBytes(): number {
    return Math.max(MIN_TURN_BYTES, Math.floor((this.#bytesPerSecond * TURN_MS) / 1000));
  }

  /** Books `bytes`. @returns milliseconds until they may go out, with a fraction. */
  book(bytes: number): number {
    // The only clock that all threads read alike.
    const now = process.hrtime.bigint();
    const takes = BigInt(Math.ceil((bytes * NS_PER_SECOND) / this.#bytesPerSecond));
    for (;;) {
      const until = Atomics.load(this.#bookedUntil, 0);
      const from = until > now ? until : now;
      if (Atomics.compareExchange(this.#bookedUntil, 0, until, from + takes) === until) return Number(from - now) / 1e6;
    }
  }
}
