/** Caps on connections, handshakes, addresses and modules (security.md B-1); main.ts asks before it starts a session. */

import { Bug } from '../errors.ts';
import { limitHits } from '../limit-hits.ts';
import type { Limits } from '../limits.ts';
import type { AdmissionTicket, ModulePlaces, QueuePosition } from '../session/admission-ticket.ts';
import { privateArea, type SharedArea, SharedCounts } from '../shared.ts';
import type { PeerAddress, Transport } from '../wire/transport.ts';
import { addressKey, clientText } from './address-key.ts';
import { type Census, ConnectionTable, type QueueCensus, type TurnLimits } from './connection-table.ts';
import { ReaderTurns } from './reader-turns.ts';

/** The cap that a connection met, under its name in limits.ts. */
export type AdmissionCap = 'connections' | 'handshakes' | 'connectionsPerAddress' | 'connectionsPerNetwork';

export type AdmissionLimits = Pick<Limits, AdmissionCap> & TurnLimits;

export type QueueLimits = Pick<Limits, 'queued' | 'queuedPerAddress' | 'queuedPerNetwork'>;

/** From this share of the handshake cap on, new connections are refused at random (as sshd's MaxStartups does). */
const EARLY_DROP_FROM = 0.5;

/** Longest time that a refused client gets to read why. Its own lines take one round trip; 3 s would triple the sockets. */
const REFUSAL_LINGER_MS = 1000;

/** Why a connection was not admitted. Pass it to `refuseConnection`, which also gives its place back. */
export class AdmissionRefusal {
  /** Whose connection it was, as a ticket says it. */
  readonly client: string;
  readonly cap: AdmissionCap;
  /** The cap's value, as the client reads it. */
  readonly max: number;
  /** False when so many refused clients are being told already that this one is just closed. */
  readonly mayTell: boolean;
  readonly #release: () => void;

  constructor(client: string, met: { cap: AdmissionCap; max: number }, mayTell: boolean, release: () => void) {
    this.client = client;
    this.cap = met.cap;
    this.max = met.max;
    this.mayTell = mayTell;
    this.#release = release;
  }

  /** Ends the refusal's own bookkeeping; `refuseConnection` calls it. */
  release(): void {
    this.#release();
  }
}

/** Counts what is open in all workers of the daemon. One per worker, shared by all listeners. */
export class Admission {
  /** Shared memory that it needs. */
  static readonly BYTES = SharedCounts.BYTES + 4 + ConnectionTable.BYTES;
  readonly #limits: AdmissionLimits & QueueLimits;
  readonly #random: () => number;
  readonly #refusalsTold: SharedCounts;
  readonly #table: ConnectionTable;
  readonly #turns: ReaderTurns;

  /** @param random uniform in [0, 1); decides who is dropped early. */
  constructor(
    limits: AdmissionLimits & QueueLimits,
    random: () => number = Math.random,
    area: SharedArea = privateArea(Admission.BYTES),
  ) {
    this.#limits = limits;
    this.#random = random;
    this.#table = new ConnectionTable(area);
    this.#turns = new ReaderTurns(this.#table, limits);
    this.#refusalsTold = new SharedCounts(area, ConnectionTable.BYTES);
  }

  /** Connections that hold a ticket, of all workers. */
  get connections(): number {
    return this.#table.census().connections;
  }

  /** Connections that have not sent all their arguments, of all workers. */
  get handshakes(): number {
    return this.#table.census().handshakes;
  }

  /** Connections in a module, of all workers. */
  connectionsIn(moduleName: string): number {
    return this.#table.countIn(moduleName);
  }

  /** Drops the connections of a dead worker. @returns how many. */
  forget(worker: number): number {
    this.#refusalsTold.forget(worker);
    return this.#table.forget(worker);
  }

  /** Takes a place for a connection, or says which cap it met. */
  admit(peer: PeerAddress): AdmissionTicket | AdmissionRefusal {
    const key = addressKey(peer.address);
    let cap: AdmissionCap | null = 'connections';
    const row = this.#table.add(key, (census) => {
      cap = this.#capMet(census);
      return cap === null;
    });
    const client = clientText(key);
    return row === null ? this.#refusal(client, cap ?? 'connections') : this.#ticket(row, client);
  }

  #capMet(there: Census): AdmissionCap | null {
    const limits = this.#limits;
    if (there.connections >= limits.connections) return 'connections';
    if (there.ofAddress >= limits.connectionsPerAddress) return 'connectionsPerAddress';
    if (there.ofNetwork >= limits.connectionsPerNetwork) return 'connectionsPerNetwork';
    return this.#dropsHandshake(there) ? 'handshakes' : null;
  }

  /**
   * SECURITY: half-open floods. The chance rises from 0 at half the cap to 1 at the cap, so honest clients still get in. One client
   * has no more than that half, also where no cap on connections holds for its address: alone it gets nobody else refused.
   */
  #dropsHandshake({ handshakes: there, handshakesOfClient }: Census): boolean {
    const { handshakes: max } = this.#limits;
    const from = max * EARLY_DROP_FROM;
    if (there >= max || handshakesOfClient >= from) return true;
    return there > from && this.#random() < (there - from) / (max - from);
  }

  #refusal(client: string, cap: AdmissionCap): AdmissionRefusal {
    const met = { cap, max: this.#limits[cap] };
    limitHits.count(cap);
    // SECURITY: refused connections are sockets too. As many as may be in a handshake are told why; a flood is just closed.
    const mayTell = this.#refusalsTold.take(this.#limits.handshakes);
    if (!mayTell) return new AdmissionRefusal(client, met, false, () => {});
    let told = false;
    return new AdmissionRefusal(client, met, true, () => {
      if (told) return;
      told = true;
      this.#refusalsTold.give();
    });
  }

  #ticket(row: number, client: string): AdmissionTicket {
    const mayWait = (there: QueueCensus, places: number): boolean => this.#mayWait(there, places);
    return new Ticket({ row, client, table: this.#table, turns: this.#turns, mayWait });
  }

  /** SECURITY: waiting costs a client nothing, so neither one address nor all together may fill what others need. */
  #mayWait(there: QueueCensus, places: number): boolean {
    if (there.waiting >= places) return false;
    const met = this.#queueCapMet(there);
    if (met !== null) limitHits.count(met);
    return met === null;
  }

  #queueCapMet(there: QueueCensus): keyof QueueLimits | null {
    const limits = this.#limits;
    if (there.queued >= limits.queued) return 'queued';
    if (there.queuedOfAddress >= limits.queuedPerAddress) return 'queuedPerAddress';
    return there.queuedOfNetwork >= limits.queuedPerNetwork ? 'queuedPerNetwork' : null;
  }
}

/** What a ticket is made of. */
interface TicketParts {
  readonly row: number;
  readonly client: string;
  readonly table: ConnectionTable;
  readonly turns: ReaderTurns;
  readonly mayWait: (there: QueueCensus, places: number) => boolean;
}

/** One row of the table. */
class Ticket implements AdmissionTicket {
  readonly client: string;
  readonly #row: number;
  readonly #table: ConnectionTable;
  readonly #turns: ReaderTurns;
  readonly #mayWait: TicketParts['mayWait'];
  #stage: 'handshake' | 'served' | 'left' | 'released' = 'handshake';
  #chosen: (ModulePlaces & { readonly name: string }) | null = null;
  /** As they were when we looked last. */
  #moves = 0;

  constructor({ row, client, table, turns, mayWait }: TicketParts) {
    this.client = client;
    this.#row = row;
    this.#turns = turns;
    this.#table = table;
    this.#mayWait = mayWait;
  }

  enterModule(name: string, places: ModulePlaces): boolean {
    if (this.#chosen !== null || this.#stage === 'released') throw new Bug('a ticket enters one module, once');
    const { max, queue } = places;
    const there = max === 0 ? null : this.#table.queueOf(this.#row, name);
    const isFull = there !== null && there.placed + there.waiting >= max;
    if (isFull && !this.#mayWait(there, queue)) return false;
    this.#chosen = { ...places, name };
    return true;
  }

  queueUp(): QueuePosition | null | false {
    if (this.#chosen === null) throw new Bug('no module to wait for');
    const { name, max, queue } = this.#chosen;
    if (this.#stage === 'released') return false;
    // Before the look: what moves behind it wakes us.
    this.#moves = this.#table.moved.changes;
    const there = this.#table.queue(this.#row, name, max, (census) => this.#mayWait(census, queue));
    return there ? { ahead: there.ahead, waiting: there.waiting } : there;
  }

  queueMoved(maxMs: number): Promise<void> {
    return this.#table.moved.change(this.#moves, maxMs);
  }

  leaveQueue(): void {
    if (this.#stage === 'handshake') this.#table.leaveQueue(this.#row);
  }

  argumentsComplete(): boolean {
    if (this.#stage !== 'handshake') return true;
    this.#stage = 'served';
    if (this.#chosen === null) {
      this.#table.serve(this.#row);
      return true;
    }
    // SECURITY: only here is a place taken: clients that stall before would keep others out of the module (CVE-2026-70464).
    return this.#table.enter(this.#row, this.#chosen.name, this.#chosen.max);
  }

  readInTurn<T>(read: () => Promise<T>): Promise<T> {
    return this.#turns.run(this.#row, read);
  }

  leave(): void {
    if (this.#stage === 'left' || this.#stage === 'released') return;
    this.#stage = 'left';
    this.#table.leave(this.#row);
  }

  release(): void {
    if (this.#stage === 'released') return;
    this.#stage = 'released';
    this.#table.remove(this.#row);
  }
}

/**
 * Tells a refused client why, waits a moment until it has read that, and closes. Never throws.
 *
 * Clients print the reason as it is only behind a greeting ("rather than greeting" otherwise), and closing over
 * unread input would reset the connection before they see it: hence the greeting and the drain.
 * @param greetingLine our `@RSYNCD: …` line with its newline.
 */
export function refuseConnection(
  transport: Transport,
  refusal: AdmissionRefusal,
  limits: Pick<Limits, 'lineBytes' | 'earlyInputBytes'>,
  greetingLine: Uint8Array,
): void {
  if (!refusal.mayTell) {
    transport.destroy();
    refusal.release();
    return;
  }
  transport.write(greetingLine);
  transport.write(Buffer.from(`@ERROR: max connections (${refusal.max}) reached -- try again later\n`, 'latin1'));
  transport.endWrite();
  const timer = setTimeout(() => transport.destroy(), REFUSAL_LINGER_MS);
  // Greeting, early input and module line: all that a client sends before it reads our answer.
  discard(transport, 2 * limits.lineBytes + limits.earlyInputBytes).finally(() => {
    clearTimeout(timer);
    transport.destroy();
    refusal.release();
  });
}

/** Reads until the peer closes, breaks off or has sent more than `maxBytes`. */
async function discard(transport: Transport, maxBytes: number): Promise<void> {
  let left = maxBytes;
  try {
    while (left >= 0) {
      const chunk = transport.tryRead() ?? (await transport.read());
      if (chunk === null) return;
      left -= chunk.length;
    }
  } catch {
    // PeerGone: nobody is left to be told.
  }
}
