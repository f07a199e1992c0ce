/** What the token writer needs of a compression format (3-transfer.md 5.3…5.6); choose.ts makes the implementations. */

/** Longest payload of one compressed record (3-transfer.md 5.2). */
export const MAX_RECORD = 16_383;

/** Receives each record's payload, 1…16383 bytes, valid during the call only. */
export type RecordSink = (payload: Uint8Array) => void;

/**
 * Compresses the literals of one session, file after file. Calls come one at a time: await each before the next.
 * Memory handed in must stay unchanged until the returned promise resolves.
 */
export interface TokenCompressor {
  /** Begins a file. */
  startFile(): void;
  /** Literal bytes; records come out when the format sees fit. */
  literal(data: Uint8Array): Promise<void> | void;
  /** Ends a run of literals: everything so far comes out, decodable. Nothing happens when the run is empty. */
  flushLiterals(): Promise<void> | void;
  /** A whole block that the receiver copied, which zlib keeps as history. */
  matched(block: Uint8Array): void;
  /** Frees native memory. Allowed at any time, also while a call is pending, which then rejects. */
  release(): void;
}
