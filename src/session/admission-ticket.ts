/** What a session holds for its place in the daemon; listener/admission.ts hands them out. */

/** Where a client stands in the queue of its module. */
export interface QueuePosition {
  /** Clients that are served before it. */
  readonly ahead: number;
  /** All that wait, itself included. */
  readonly waiting: number;
}

/** How many clients a module takes. */
export interface ModulePlaces {
  /** 0 is unlimited. */
  readonly max: number;
  /** Clients that may wait for a place; 0: they are refused. */
  readonly queue: number;
}

/**
 * One admitted connection. The other methods than `readInTurn` and `queueMoved` are synchronous and never throw for a reason that
 * the peer controls.
 */
export interface AdmissionTicket {
  /** The same for all connections of one client, which share its part of the processor: an address or a network of one subscriber. */
  readonly client: string;
  /**
   * The client has sent all its arguments: it no longer counts as a handshake, and takes its place in the module.
   * Further calls do nothing.
   * @returns false when others have taken the last place since `enterModule`.
   */
  argumentsComplete(): boolean;
  /**
   * Chooses a module, at most one per ticket; the place is taken by `argumentsComplete`, or by `queueUp` before.
   * @param name the configured name, never the peer's spelling.
   * @returns false when the module is full and the client cannot wait either.
   * @throws Bug on a second module.
   */
  enterModule(name: string, places: ModulePlaces): boolean;
  /**
   * For a module with a queue, when the client is let in but for its place: takes one, or waits behind all that came before.
   * Call it again when the queue has moved.
   * @returns null with a place; false when the queue is full.
   * @throws Bug before `enterModule`.
   */
  queueUp(): QueuePosition | null | false;
  /** Resolves when the queue may have moved since `queueUp`, at the latest after `maxMs`. */
  queueMoved(maxMs: number): Promise<void>;
  /** The client waits no longer, or does not want the place that it got from the queue. */
  leaveQueue(): void;
  /**
   * Reads a large file for `-c` when it is this connection's turn, one file at a time (B-13f). `read` must not wait for a client, and
   * be over when the ticket is released.
   */
  readInTurn<T>(read: () => Promise<T>): Promise<T>;
  /**
   * The session is over, and only the last bytes of both sides are on their way: gives back its place in the module, in the queue and
   * among the handshakes. Further calls do nothing.
   */
  leave(): void;
  /** Gives everything back. Further calls do nothing. */
  release(): void;
}
