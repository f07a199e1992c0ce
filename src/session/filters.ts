/** Receives the client's filter list: records of length:int and bytes, ended by length 0 (1-session.md 7.1). */

import { EXIT, LimitError } from '../errors.ts';
import { ClientFilterList } from '../filter/list.ts';
import type { Limits } from '../limits.ts';
import type { ServerOptions } from '../options/server-options.ts';
import type { TimeSlice } from '../slice.ts';
import type { ByteReader } from '../wire/reader.ts';

/** @throws UsageError for a rule that does not parse, LimitError, PeerGone */
export async function receiveFilters(
  reader: ByteReader,
  session: {
    readonly options: ServerOptions;
    readonly protocol: number;
    readonly limits: Limits;
    readonly slice: TimeSlice;
  },
): Promise<ClientFilterList> {
  const { options, protocol, limits, slice } = session;
  const filter = new ClientFilterList({ protocol, limits, cvsLetter: options.cvsExclude });
  for (const rule of options.extraFilterRules) filter.addOptionRule(rule);
  for (;;) {
    const length = await reader.readInt32('filter length');
    if (length === 0) break;
    // SECURITY: unsigned on purpose: a negative length is a huge one.
    if (length >>> 0 > limits.filterRecordBytes) {
      throw new LimitError('filterRecordBytes', 'filter rule too long', { exit: EXIT.MALLOC });
    }
    filter.addRecord(await reader.readBytes(length, 'filter rule'));
    // SECURITY: all rules may have arrived with one read, and compiling 10 000 takes a tenth of a second.
    if (slice.expired) await slice.yield();
  }
  filter.finish();
  return filter;
}
