/** Cooperative time slices: CPU-bound work asks after each step whether it should let other sessions run. */

import { monotonicMs } from './shared.ts';

/** Longest run without a yield (design.md 2). */
const SLICE_MS = 2;
/** Shortest: below it, waking up costs more than it is worth. */
const SHORTEST_SLICE_MS = 0.1;
/** Others that took less than this between two slices have nothing to do. */
const IDLE_MS = 0.05;
/** How much of what others took counts in the turn after: they may wait for a disk just now. */
const MEMORY = 0.8;

/** A task that waits for its slice. */
interface Waiter {
  readonly isSending: boolean;
  readonly begin: (sliceMs: number) => void;
}

/**
 * Deals out slices: one in each turn of the event loop, to one client after the other, and to the tasks of a client in order of
 * arrival: whoever opens many connections gets no more than who has one. However many tasks compute, sockets and file reads are
 * served between two slices. A slice for computing takes half of what everything else took since the one before, so that a session
 * that merely sends keeps more than half of the processor.
 */
class Turns {
  /** Tasks that wait, by client; the client whose turn it is comes first. */
  readonly #waiting = new Map<string, Waiter[]>();
  #sliceEndedMs = 0;
  /** What everything else took between two slices for computing, of late. */
  #othersMs = 0;
  /** Turns so far. */
  count = 0;

  /** Waits for the client's next turn. @returns the length of the slice in milliseconds. */
  next(client: string, isSending: boolean): Promise<number> {
    return new Promise((begin) => {
      const waiting = this.#waiting.get(client);
      if (waiting !== undefined) {
        waiting.push({ isSending, begin });
        return;
      }
      this.#waiting.set(client, [{ isSending, begin }]);
      if (this.#waiting.size > 1) return;
      this.#sliceEndedMs = monotonicMs();
      setImmediate(() => this.#turn());
    });
  }

  #turn(): void {
    this.count++;
    const { isSending, begin } = this.#first();
    begin(isSending ? SLICE_MS : this.#computingMs());
    // A tick that is asked for among the promises comes when all of them are settled: there the task's slice is over.
    if (!isSending) void Promise.resolve().then(() => process.nextTick(this.#endSlice));
    if (this.#waiting.size > 0) setImmediate(() => this.#turn());
  }

  #computingMs(): number {
    this.#othersMs = Math.max(monotonicMs() - this.#sliceEndedMs, MEMORY * this.#othersMs);
    if (this.#othersMs < IDLE_MS) return SLICE_MS;
    return Math.min(SLICE_MS, Math.max(SHORTEST_SLICE_MS, this.#othersMs / 2));
  }

  readonly #endSlice = (): void => {
    this.#sliceEndedMs = monotonicMs();
  };

  /** Takes the next task; its client goes behind all others. */
  #first(): Waiter {
    const [client, waiting] = this.#waiting.entries().next().value!;
    const waiter = waiting.shift()!;
    this.#waiting.delete(client);
    if (waiting.length > 0) this.#waiting.set(client, waiting);
    return waiter;
  }
}

const turns = new Turns();

/** Waits for a turn of `client`, for a short piece of work that needs no slice. */
export async function clientTurn(client: string): Promise<void> {
  await turns.next(client, false);
}

/** Measures stretches of synchronous work. Create one per task, ask `expired` often: a check costs a look at the clock. */
export class TimeSlice {
  readonly #client: string;
  #startMs = monotonicMs();
  #lengthMs = SLICE_MS;
  /** How much of the slice was used when it was last asked, and the turn of that moment. */
  #usedMs = 0;
  #turn = turns.count;

  /** @param client whose work it is: slices are dealt out to clients, not to tasks. */
  constructor(client = '') {
    this.#client = client;
  }

  /** True when the task has held the event loop for a whole slice. */
  get expired(): boolean {
    const nowMs = monotonicMs();
    if (this.#turn !== turns.count) {
      // It has waited for a peer or a file, and others worked: a new stretch of the same slice begins.
      this.#turn = turns.count;
      this.#startMs = nowMs - this.#usedMs;
    }
    this.#usedMs = nowMs - this.#startMs;
    return this.#usedMs >= this.#lengthMs;
  }

  /**
   * Lets every other ready task run once, then starts a new slice.
   * @param isSending the time goes into content that its client takes, not into finding out what to send.
   */
  async yield(isSending = false): Promise<void> {
    this.#lengthMs = await turns.next(this.#client, isSending);
    this.#startMs = monotonicMs();
    this.#usedMs = 0;
    this.#turn = turns.count;
  }
}
