/** Who may read large files for `-c` just now, in the whole process and of one address (B-13f); admission.ts gives each connection its part. */

import { limitHits } from '../limit-hits.ts';
import type { ConnectionTable, TurnLimits } from './connection-table.ts';

/** Another worker's turn is looked for this often, should its notice get lost. */
const RETRY_MS = 1000;

/** The connections of one worker that wait; those of all workers get their turns in the order in which they came. */
export class ReaderTurns {
  readonly #table: ConnectionTable;
  readonly #limits: TurnLimits;
  readonly #waiting = new Map<number, () => void>();
  #isWatching = false;

  constructor(table: ConnectionTable, limits: TurnLimits) {
    this.#table = table;
    this.#limits = limits;
  }

  /** Runs `read` when it is the turn of the connection in `row`, which asks for one at a time. `read` must not wait for a client. */
  async run<T>(row: number, read: () => Promise<T>): Promise<T> {
    await this.#turn(row);
    try {
      return await read();
    } finally {
      this.#table.endTurn(row);
    }
  }

  /** SECURITY: the disk is one, and each reader makes it slower for all transfers. */
  async #turn(row: number): Promise<void> {
    const turn = new Promise<void>((resolve) => this.#waiting.set(row, resolve));
    this.#table.awaitTurn(row);
    this.#beginDue();
    if (this.#waiting.has(row)) {
      const isOfAddress = this.#table.turnsOfAddress(row) >= this.#limits.digestReadersPerAddress;
      limitHits.count(isOfAddress ? 'digestReadersPerAddress' : 'digestReaders');
      void this.#watch();
    }
    return turn;
  }

  #beginDue(): void {
    for (;;) {
      const row = this.#table.beginTurn(this.#limits, (due) => this.#waiting.has(due));
      if (row === null) return;
      this.#waiting.get(row)!();
      this.#waiting.delete(row);
    }
  }

  /** Begins what turns end for, here and in other workers, as long as somebody waits here. */
  async #watch(): Promise<void> {
    if (this.#isWatching) return;
    this.#isWatching = true;
    while (this.#waiting.size > 0) {
      const { changes } = this.#table.freed;
      this.#beginDue();
      if (this.#waiting.size > 0) await this.#table.freed.change(changes, RETRY_MS);
    }
    this.#isWatching = false;
  }
}
