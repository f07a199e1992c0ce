/** What the text phase and the argument phase need of a connection; wire/reader.ts and an adapter of the writer satisfy it. */

import type { LimitName } from '../limits.ts';

/** Reads untyped bytes. All methods throw PeerGone at the end of the stream; `field` names what is read, for the log. */
export interface ByteSource {
  readByte(field: string): Promise<number>;
  /** Exactly `count` bytes, in memory of their own. */
  readBytes(count: number, field: string): Promise<Buffer>;
  /**
   * The bytes before the next `delimiter`, which is consumed.
   * @throws ProtocolError, of `limit`, when more than `max` bytes pass without it.
   */
  readUntil(delimiter: number, max: number, field: string, limit?: LimitName): Promise<Buffer>;
}

/** Sends lines of the text phase. */
export interface TextSink {
  /** Queues the bytes; they must stay unchanged. */
  writeText(bytes: Buffer): void;
  /** Lets everything queued go out. */
  flush(): Promise<void>;
}
