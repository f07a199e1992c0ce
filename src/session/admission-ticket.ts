/** What a session holds for its place in the daemon; listener/admission.ts hands them out. */

/** One admitted connection. The other methods than `readInTurn` are synchronous and never throw for a reason that the peer controls. */
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
   * Chooses a module, at most one per ticket; the place is taken by `argumentsComplete`.
   * @param name the configured name, never the peer's spelling.
   * @param max places of the module; 0 is unlimited.
   * @returns false when the module is full.
   * @throws Bug on a second module.
   */
  enterModule(name: string, max: number): boolean;
  /**
   * Reads a large file for `-c` when it is this connection's turn, one file at a time (B-13f). `read` must not wait for a client, and
   * be over when the ticket is released.
   */
  readInTurn<T>(read: () => Promise<T>): Promise<T>;
  /** Gives everything back. Further calls do nothing. */
  release(): void;
}
