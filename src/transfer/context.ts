/** What the transfer phase works with. */

import type { TransferSums } from '../checksum/sums.ts';
import type { ListContext } from '../flist/context.ts';
import type { FileLists } from '../flist/lists.ts';
import type { NdxDecoder } from '../wire/ndx.ts';
import type { ByteReader } from '../wire/reader.ts';
import type { DeltaState } from './delta.ts';
import type { TransferProgress } from './progress.ts';
import type { Traffic } from './stats.ts';
import type { CompressedTokens, PlainTokens } from './tokens.ts';

export interface TransferContext extends ListContext {
  readonly reader: ByteReader;
  readonly lists: FileLists;
  readonly sums: TransferSums;
  readonly ndxDecoder: NdxDecoder;
  readonly delta: DeltaState;
  readonly plainTokens: PlainTokens;
  /** Null without compression. */
  readonly compressedTokens: CompressedTokens | null;
  readonly openNoatime: boolean;
  /** What the connection has carried, for the statistics. */
  readonly traffic: () => Traffic;
  /** Called with true before, with false after waiting for block sums: nobody may fall silent among them for long (B-17). */
  readonly onSumsAwaited: (isWaiting: boolean) => void;
  readonly progress: TransferProgress;
}
