/** What a session needs of a connection; listeners (TCP, inherited sockets, later SSH and standard streams) implement it. */

export interface PeerAddress {
  /** Numeric IPv4 or IPv6 address without zone, v4-mapped addresses shown as IPv4; '' where there is none (unix socket). */
  readonly address: string;
  /** 0 where there is none. */
  readonly port: number;
}

export interface Transport {
  readonly peer: PeerAddress;
  /** Bytes handed to `write` that the kernel has not taken yet. */
  readonly queuedBytes: number;
  /** Nothing goes out any more: `drained` says why. */
  readonly isBroken: boolean;
  /** Bytes that have arrived and were not read, without waiting; null when there are none now. */
  tryRead(): Buffer | null;
  /**
   * The next bytes; null at the peer's end of file. One call at a time. The buffer belongs to the caller.
   * @throws PeerGone when the connection broke.
   */
  read(): Promise<Buffer | null>;
  /** Queues bytes. The memory must stay unchanged until `released` runs (also after an error). Never throws. */
  write(bytes: Uint8Array, released?: () => void): void;
  /**
   * Resolves when at most `maxQueuedBytes` are queued.
   * @throws PeerGone when the connection broke.
   */
  drained(maxQueuedBytes: number): Promise<void>;
  /** Half-closes our side after everything queued has gone out. */
  endWrite(): void;
  /** Closes both sides at once; outstanding calls reject with PeerGone. */
  destroy(): void;
}
