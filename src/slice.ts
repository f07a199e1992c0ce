/** Cooperative time slices: CPU-bound work asks after each step whether it should let other sessions run. */

import { monotonicMs } from './shared.ts';

/** Longest run without a yield (design.md 2). */
const SLICE_MS = 2;
/** Shortest: below it, waking up costs more than it is worth. */
const SHORTEST_SLICE_MS = 0.1;
/** A session that has worked for so long is a long one. */
const LONG_MS = 50;
/** Its slices for sending are shorter, so that sessions which are soon over come first. */
const LONG_SLICE_MS = 1;
/** Others that took less than this between two slices have nothing to do. */
const IDLE_MS = 0.05;
/** How much of what others took counts in the turn after: they may wait for a disk just now. */
const MEMORY = 0.8;
/** Others come first for no longer than that, whatever a client took. */
const LONGEST_DEBT_MS = 100;
/** Who owes waits so long for who had the last turn: a client that answers at once must not find somebody else at work each time. */
const PATIENCE_MS = 2;
/** Of more clients than that the debts are forgotten, the oldest first. */
const MOST_DEBTORS = 256;
/** What to accept a connection and to close it costs, beside the turns of its session. */
const CONNECTION_MS = 0.4;
/** And one that is closed at once. */
const CLOSING_MS = 0.1;

/**
 * What a turn is for: finding out what to send, content that a client takes, the same in a session that is a long one already, or a
 * short piece of work that needs no slice.
 */
type WorkKind = 'computing' | 'sending' | 'sending on' | 'short';

/** A task that waits for its slice. */
interface Waiter {
  readonly kind: WorkKind;
  /** What its client has had outside of its turns, and owes for. */
  readonly besideMs: number;
  readonly begin: (sliceMs: number) => void;
}

/**
 * Deals out slices: at most one in each turn of the event loop, to one client after the other, and to the tasks of a client in order of
 * arrival: whoever opens many connections gets no more than who has one. However many tasks compute, sockets and file reads are
 * served between two slices. A slice for computing takes half of what everything else took since the one before, so that a session
 * that merely sends keeps more than half of the processor; what it takes beyond, its client leaves to others afterwards. Short work
 * comes first every other time, so that who is not yet at work does not wait for a slice of somebody else at each step.
 */
class Turns {
  /** Tasks that wait, by client; the client whose turn it is comes first. */
  readonly #waiting = new Map<string, Waiter[]>();
  /** The last turn went to short work, which comes first every other time. */
  #wasShort = false;
  /** Clients that took more than their slice, and until when others come first, by `#busyMs`. */
  readonly #owing = new Map<string, number>();
  /** How long the event loop has worked while tasks waited. */
  #busyMs = 0;
  /** Up to when that is known. */
  #countedMs = 0;
  /** Whose the last turn was, when that began, and since when nobody else has had one, by `#busyMs`. */
  #lastClient = '';
  #lastMs = 0;
  #aloneSinceMs = 0;
  /** What everything else took between two slices for computing, of late. */
  #othersMs = 0;
  /** What everything else has taken since the last one. */
  #othersSinceMs = 0;
  /** Turns so far. */
  count = 0;

  /** Waits for the client's next turn. @returns the length of the slice in milliseconds. */
  next(client: string, kind: WorkKind, besideMs = 0): Promise<number> {
    return new Promise((begin) => {
      const waiter = { kind, besideMs, begin };
      const waiting = this.#waiting.get(client);
      if (waiting !== undefined) {
        waiting.push(waiter);
        return;
      }
      this.#waiting.set(client, [waiter]);
      if (this.#waiting.size > 1) return;
      this.#countedMs = monotonicMs();
      setImmediate(this.#turn);
    });
  }

  readonly #turn = (): void => {
    const othersMs = this.#count();
    this.#othersSinceMs += othersMs;
    const client = this.#nextClient(othersMs < IDLE_MS);
    if (client !== null) this.#deal(client);
    if (this.#waiting.size > 0) setImmediate(this.#turn);
  };

  /** Time since the last call. */
  #count(): number {
    const nowMs = monotonicMs();
    const passedMs = nowMs - this.#countedMs;
    this.#busyMs += passedMs;
    this.#countedMs = nowMs;
    return passedMs;
  }

  /** @param isIdle nobody else has anything to do: who owes least may go on. @returns null when all that wait owe. */
  #nextClient(isIdle: boolean): string | null {
    let first: string | null = null;
    let least: { client: string; untilMs: number } | null = null;
    for (const [client, waiters] of this.#waiting) {
      const untilMs = this.#owing.get(client) ?? 0;
      if (untilMs <= this.#busyMs) {
        if (this.#wasShort || waiters[0]!.kind === 'short') return client;
        first ??= client;
      } else if (least === null || untilMs < least.untilMs) least = { client, untilMs };
    }
    if (first !== null) return first;
    if (least === null || this.#quietMs(least.client) < this.#patienceMs(isIdle)) return null;
    this.#busyMs = least.untilMs;
    return least.client;
  }

  #patienceMs(isIdle: boolean): number {
    if (!isIdle) return LONGEST_DEBT_MS;
    return this.#waiting.has(this.#lastClient) ? 0 : PATIENCE_MS;
  }

  /**
   * How long nobody else has had a turn. When that is long, nobody else is there: what the event loop is busy with is the client's own,
   * and to wait would only turn it over and over.
   */
  #quietMs(client: string): number {
    return this.#busyMs - (client === this.#lastClient ? this.#aloneSinceMs : this.#lastMs);
  }

  /** Lets the next task of a client go on; the client goes behind all others. */
  #deal(client: string): void {
    const waiting = this.#waiting.get(client)!;
    const { kind, besideMs, begin } = waiting.shift()!;
    this.#waiting.delete(client);
    if (waiting.length > 0) this.#waiting.set(client, waiting);
    this.count++;
    if (client !== this.#lastClient) this.#aloneSinceMs = this.#busyMs;
    this.#lastClient = client;
    this.#lastMs = this.#busyMs;
    this.#wasShort = kind === 'short';
    if (kind === 'sending' || kind === 'sending on') {
      begin(kind === 'sending' ? SLICE_MS : LONG_SLICE_MS);
      return;
    }
    const sliceMs = this.#computingMs();
    begin(sliceMs);
    // A tick that is asked for among the promises comes when all of them are settled: there the task's slice is over.
    void Promise.resolve().then(() => process.nextTick(this.#endSlice, client, sliceMs, besideMs));
  }

  #computingMs(): number {
    this.#othersMs = Math.max(this.#othersSinceMs, MEMORY * this.#othersMs);
    this.#othersSinceMs = 0;
    if (this.#othersMs < IDLE_MS) return SLICE_MS;
    return Math.min(SLICE_MS, Math.max(SHORTEST_SLICE_MS, this.#othersMs / 2));
  }

  readonly #endSlice = (client: string, sliceMs: number, besideMs: number): void => {
    const beyondMs = Math.max(0, this.#count() - sliceMs) + besideMs;
    for (const [other, untilMs] of this.#owing) if (untilMs <= this.#busyMs) this.#owing.delete(other);
    if (beyondMs > 0) this.owe(client, beyondMs);
  };

  /** A client has had `ms` beyond its slice, or beside its turns: others come first for twice as long. */
  owe(client: string, ms: number): void {
    const sinceMs = Math.max(this.#owing.get(client) ?? 0, this.#busyMs);
    // SECURITY: connections may come from any number of addresses.
    if (this.#owing.size >= MOST_DEBTORS) this.#owing.delete(this.#owing.keys().next().value!);
    this.#owing.set(client, Math.min(sinceMs + 2 * ms, this.#busyMs + LONGEST_DEBT_MS));
  }
}

const turns = new Turns();

/** Waits for a turn of `client`, for a short piece of work that needs no slice. */
export async function clientTurn(client: string): Promise<void> {
  await turns.next(client, 'short');
}

/** Waits for a turn of `client`, for a connection that it has just opened. */
export async function connectionTurn(client: string): Promise<void> {
  await turns.next(client, 'short', CONNECTION_MS);
}

/** `client` has opened a connection that was closed at once. */
export function connectionClosed(client: string): void {
  turns.owe(client, CLOSING_MS);
}

/** Measures stretches of synchronous work. Create one per task, ask `expired` often: a check costs a look at the clock. */
export class TimeSlice {
  readonly #client: string;
  #startMs = monotonicMs();
  #lengthMs = SLICE_MS;
  /** How much the task has used in all slices before this one. */
  #beforeMs = 0;
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
    this.#beforeMs += this.#usedMs;
    const sending = this.#beforeMs > LONG_MS ? 'sending on' : 'sending';
    this.#lengthMs = await turns.next(this.#client, isSending ? sending : 'computing');
    this.#startMs = monotonicMs();
    this.#usedMs = 0;
    this.#turn = turns.count;
  }
}
