/**
 * The open connections of the whole process, one row each in memory that all workers share; admission.ts asks it.
 *
 * Every count is a walk over the rows: with the default of 512 connections that takes a microsecond, and there is no
 * counter that could go astray when a worker dies, only rows that are swept.
 */

import { createHash } from 'node:crypto';
import type { Limits } from '../limits.ts';
import { privateArea, type SharedArea, SharedLock, SharedSignal } from '../shared.ts';
import type { AddressKey } from './address-key.ts';

/** What `max_connections` can be at most. Rows that were never used cost no memory. */
const MAX_ROWS = 65_535;

/** Int32 columns of a row. */
const COLUMNS = ['owner', 'stage', 'family', 'high', 'low', 'moduleHigh', 'moduleLow', 'turn', 'order'] as const;
type Column = (typeof COLUMNS)[number];

const LOCK_AT = 0;
const USED_AT = 4;
const ORDER_AT = 8;
const FREED_AT = 12;
const MOVED_AT = 16;
const ROWS_AT = 20;

/** Values of the column `stage`. PLACED has its place in the module before its arguments are there, because it was queued. */
const STAGE = { HANDSHAKE: 1, SERVED: 2, IN_MODULE: 3, WAITING: 4, PLACED: 5 } as const;

/** Values of the column `turn`: who reads large files for -c, or waits for that. */
const TURN = { NONE: 0, WAITING: 1, READING: 2 } as const;

export type TurnLimits = Pick<Limits, 'digestReaders' | 'digestReadersPerAddress'>;

/** What there is, for one newcomer. */
export interface Census {
  readonly connections: number;
  readonly handshakes: number;
  /** Those of its own client. */
  readonly handshakesOfClient: number;
  /** Connections of its IPv4 address or IPv6 /64; 0 where it is exempt. */
  readonly ofAddress: number;
  /** Connections of its IPv4 /24 or IPv6 /48; 0 where it is exempt. */
  readonly ofNetwork: number;
}

/** The queue of one module, as one connection sees it. */
export interface QueueCensus {
  /** Connections that have a place in the module. */
  readonly placed: number;
  /** Those that wait for one, and the part of them that came before this connection. */
  readonly waiting: number;
  readonly ahead: number;
  /** Connections that wait for any module, and those of this one's address and network; 0 where it is exempt. */
  readonly queued: number;
  readonly queuedOfAddress: number;
  readonly queuedOfNetwork: number;
}

/** One for each worker, all over the same memory. */
export class ConnectionTable {
  static readonly BYTES = ROWS_AT + 4 * COLUMNS.length * MAX_ROWS;
  readonly #lock: SharedLock;
  /** Rows before this one may be in use. */
  readonly #used: Int32Array;
  /** Number of the next one that waits, for a turn or for a place in a module; wraps around. */
  readonly #nextOrder: Int32Array;
  /** Told of each turn that ends. */
  readonly freed: SharedSignal;
  /** Told whenever the queue of a module may have moved. */
  readonly moved: SharedSignal;
  readonly #columns: Readonly<Record<Column, Int32Array>>;
  readonly #owner: number;
  readonly #modules = new Map<string, ModuleKey>();

  constructor(area: SharedArea = privateArea(ConnectionTable.BYTES)) {
    const { memory, worker } = area;
    this.#lock = new SharedLock(area, LOCK_AT);
    this.#used = new Int32Array(memory, USED_AT, 1);
    this.#nextOrder = new Int32Array(memory, ORDER_AT, 1);
    this.freed = new SharedSignal(area, FREED_AT);
    this.moved = new SharedSignal(area, MOVED_AT);
    this.#columns = Object.fromEntries(
      COLUMNS.map((name, index) => [name, new Int32Array(memory, ROWS_AT + 4 * index * MAX_ROWS, MAX_ROWS)]),
    ) as Record<Column, Int32Array>;
    this.#owner = worker + 1;
  }

  /**
   * Adds a connection in its handshake when `admits` says so about those that there are.
   * @returns its row; null when it was not admitted.
   */
  add(key: AddressKey, admits: (census: Census) => boolean): number | null {
    return this.#lock.run(() => {
      if (!admits(this.#count(key))) return null;
      const { owner, stage, family, high, low } = this.#columns;
      const free = owner.indexOf(0);
      if (free < 0) return null;
      this.#used[0] = Math.max(this.#used[0]!, free + 1);
      stage[free] = STAGE.HANDSHAKE;
      family[free] = key.family;
      high[free] = key.high;
      low[free] = key.low;
      owner[free] = this.#owner;
      return free;
    });
  }

  remove(row: number): void {
    this.#lock.run(() => this.#clear(row));
  }

  /** The handshake is over. */
  serve(row: number): void {
    this.#lock.run(() => {
      this.#columns.stage[row] = STAGE.SERVED;
    });
  }

  /** Nothing is left of its session but the end of the connection, which counts as such and holds no place of others. */
  leave(row: number): void {
    this.#lock.run(() => {
      const { stage } = this.#columns;
      if (stage[row]! >= STAGE.IN_MODULE) this.moved.tell();
      stage[row] = STAGE.SERVED;
    });
  }

  /**
   * The handshake is over, and the connection gets its place in a module, unless it has it from the queue.
   * @returns false when `max` others, 0 for any number, have one already.
   */
  enter(row: number, moduleName: string, max: number): boolean {
    const key = this.#moduleKey(moduleName);
    return this.#lock.run(() => {
      const { stage } = this.#columns;
      const hasPlace = stage[row] === STAGE.PLACED || max === 0 || this.#countIn(key) < max;
      if (hasPlace) this.#assign(row, key);
      stage[row] = hasPlace ? STAGE.IN_MODULE : STAGE.SERVED;
      return hasPlace;
    });
  }

  /** The queue of a module for a connection that may want to join it. */
  queueOf(row: number, moduleName: string): QueueCensus {
    const key = this.#moduleKey(moduleName);
    return this.#lock.run(() => this.#queueOf(row, key));
  }

  /**
   * Gives a connection its place in a module when one of `max` is left over by those who came before it. Else it waits.
   * @param admits asked when it would begin to wait.
   * @returns the queue; null when the connection has its place; false when it was not admitted.
   */
  queue(
    row: number,
    moduleName: string,
    max: number,
    admits: (queue: QueueCensus) => boolean,
  ): QueueCensus | null | false {
    const key = this.#moduleKey(moduleName);
    return this.#lock.run(() => {
      const { stage, order } = this.#columns;
      const isWaiting = stage[row] === STAGE.WAITING;
      const there = this.#queueOf(row, key);
      if (there.placed + there.ahead < max) {
        this.#assign(row, key);
        stage[row] = STAGE.PLACED;
        if (isWaiting) this.moved.tell();
        return null;
      }
      if (isWaiting) return there;
      if (!admits(there)) return false;
      this.#assign(row, key);
      order[row] = this.#nextOrder[0]!++;
      stage[row] = STAGE.WAITING;
      return { ...there, waiting: there.waiting + 1 };
    });
  }

  /** A connection waits no longer, and gives back the place that it got from the queue. */
  leaveQueue(row: number): void {
    this.#lock.run(() => {
      const { stage } = this.#columns;
      if (stage[row] !== STAGE.WAITING && stage[row] !== STAGE.PLACED) return;
      stage[row] = STAGE.HANDSHAKE;
      this.moved.tell();
    });
  }

  /** Connections that have a place in a module. */
  countIn(moduleName: string): number {
    const key = this.#moduleKey(moduleName);
    return this.#lock.run(() => this.#countIn(key));
  }

  /** Lines a connection up for a turn to read. */
  awaitTurn(row: number): void {
    this.#lock.run(() => {
      const { turn, order } = this.#columns;
      turn[row] = TURN.WAITING;
      order[row] = this.#nextOrder[0]!++;
    });
  }

  /**
   * Begins the next turn when it is due and one of ours: that of the connection that has waited longest among those whose
   * address has not enough turns already.
   * @returns its row; null when nobody's turn is due, or somebody else's.
   */
  beginTurn(limits: TurnLimits, isOurs: (row: number) => boolean): number | null {
    return this.#lock.run(() => {
      const { turn, order } = this.#columns;
      const reading = this.#rowsIn(TURN.READING);
      if (reading.length >= limits.digestReaders) return null;
      let due: number | null = null;
      for (const row of this.#rowsIn(TURN.WAITING)) {
        if (this.#sameAddress(row, reading) >= limits.digestReadersPerAddress) continue;
        if (due === null || ((order[row]! - order[due]!) | 0) < 0) due = row;
      }
      if (due === null || !isOurs(due)) return null;
      turn[due] = TURN.READING;
      return due;
    });
  }

  /** Ends a turn, or the wait for one. */
  endTurn(row: number): void {
    this.#lock.run(() => {
      this.#columns.turn[row] = TURN.NONE;
    });
    this.freed.tell();
  }

  /** Turns that connections of the same address have now. Those without a key are all different. */
  turnsOfAddress(row: number): number {
    return this.#lock.run(() => this.#sameAddress(row, this.#rowsIn(TURN.READING)));
  }

  /** Connections of all workers. */
  census(): Census {
    return this.#lock.run(() => this.#count(null));
  }

  /** Sweeps out the connections of a dead worker. @returns how many. */
  forget(worker: number): number {
    this.#lock.forget(worker);
    const swept = this.#lock.run(() => {
      const { owner } = this.#columns;
      let count = 0;
      for (let row = this.#used[0]! - 1; row >= 0; row--) {
        if (owner[row] !== worker + 1) continue;
        this.#clear(row);
        count++;
      }
      return count;
    });
    this.freed.tell();
    return swept;
  }

  #clear(row: number): void {
    const { owner, stage, turn } = this.#columns;
    if (stage[row]! >= STAGE.IN_MODULE) this.moved.tell();
    owner[row] = 0;
    turn[row] = TURN.NONE;
    let used = this.#used[0]!;
    while (used > 0 && owner[used - 1] === 0) used--;
    this.#used[0] = used;
  }

  #assign(row: number, key: ModuleKey): void {
    this.#columns.moduleHigh[row] = key.high;
    this.#columns.moduleLow[row] = key.low;
  }

  #count(key: AddressKey | null): Census {
    const { owner, stage } = this.#columns;
    const used = this.#used[0]!;
    let [connections, handshakes, handshakesOfClient, ofAddress, ofNetwork] = [0, 0, 0, 0, 0];
    for (let row = 0; row < used; row++) {
      if (owner[row] === 0) continue;
      connections++;
      const isHandshake = stage[row] === STAGE.HANDSHAKE || stage[row] === STAGE.PLACED;
      if (isHandshake) handshakes++;
      if (key === null) continue;
      const isOfAddress = this.#isOfAddress(row, key);
      if (isHandshake && isOfAddress) handshakesOfClient++;
      if (key.family === 0) continue;
      if (isOfAddress) ofAddress++;
      if (this.#isOfNetwork(row, key)) ofNetwork++;
    }
    return { connections, handshakes, handshakesOfClient, ofAddress, ofNetwork };
  }

  #isOfAddress(row: number, key: AddressKey): boolean {
    const { family, high, low } = this.#columns;
    return family[row] === key.family && high[row] === key.high && low[row] === key.low;
  }

  #isOfNetwork(row: number, key: AddressKey): boolean {
    const { family, high, low } = this.#columns;
    const networkOf = key.family === 6 ? 0xffff_0000 : 0;
    const highOfNetwork = key.family === 4 ? 0xffff_ff00 : 0xffff_ffff;
    if (family[row] !== key.family) return false;
    return ((high[row]! ^ key.high) & highOfNetwork) === 0 && ((low[row]! ^ key.low) & networkOf) === 0;
  }

  #queueOf(own: number, key: ModuleKey): QueueCensus {
    const { owner, stage, order } = this.#columns;
    const address = this.#addressOf(own);
    const used = this.#used[0]!;
    const isWaiting = stage[own] === STAGE.WAITING;
    let [placed, waiting, ahead, queued, queuedOfAddress, queuedOfNetwork] = [0, 0, 0, 0, 0, 0];
    for (let row = 0; row < used; row++) {
      if (owner[row] === 0) continue;
      if (stage[row] === STAGE.WAITING) {
        queued++;
        if (address !== null && this.#isOfAddress(row, address)) queuedOfAddress++;
        if (address !== null && this.#isOfNetwork(row, address)) queuedOfNetwork++;
        if (!this.#isIn(row, key)) continue;
        waiting++;
        if (!isWaiting || ((order[row]! - order[own]!) | 0) < 0) ahead++;
      } else if (this.#hasPlace(row) && this.#isIn(row, key)) placed++;
    }
    return { placed, waiting, ahead, queued, queuedOfAddress, queuedOfNetwork };
  }

  /** Null for a connection that is exempt from the caps of addresses. */
  #addressOf(row: number): AddressKey | null {
    const { family, high, low } = this.#columns;
    if (family[row] === 0) return null;
    return { family: family[row] as AddressKey['family'], high: high[row]!, low: low[row]! };
  }

  #hasPlace(row: number): boolean {
    const stage = this.#columns.stage[row];
    return stage === STAGE.IN_MODULE || stage === STAGE.PLACED;
  }

  #isIn(row: number, key: ModuleKey): boolean {
    const { moduleHigh, moduleLow } = this.#columns;
    return moduleHigh[row] === key.high && moduleLow[row] === key.low;
  }

  #countIn(key: ModuleKey): number {
    const { owner } = this.#columns;
    const used = this.#used[0]!;
    let count = 0;
    for (let row = 0; row < used; row++) {
      if (owner[row] !== 0 && this.#hasPlace(row) && this.#isIn(row, key)) count++;
    }
    return count;
  }

  #rowsIn(state: number): number[] {
    const { turn } = this.#columns;
    const used = this.#used[0]!;
    const rows: number[] = [];
    for (let row = 0; row < used; row++) if (turn[row] === state) rows.push(row);
    return rows;
  }

  /** How many of `rows` have the address of `row`. */
  #sameAddress(row: number, rows: readonly number[]): number {
    const address = this.#addressOf(row);
    return address === null ? 0 : rows.filter((other) => this.#isOfAddress(other, address)).length;
  }

  #moduleKey(name: string): ModuleKey {
    const known = this.#modules.get(name);
    if (known !== undefined) return known;
    // 64 bits of a hash: module names are the operator's, and workers that read a new configuration at different times must agree.
    const digest = createHash('sha256').update(name).digest();
    const key = { high: digest.readInt32LE(0), low: digest.readInt32LE(4) };
    this.#modules.set(name, key);
    return key;
  }
}

interface ModuleKey {
  readonly high: number;
  readonly low: number;
}
