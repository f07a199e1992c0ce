/** The whole-file sum that `-c` puts into the list (2-file-list.md 2.7). */

import { FileError } from '../errors.ts';
import type { OpenFile } from '../vfs/open-file.ts';
import { ReadPace, SMALL_FILE } from '../vfs/read-pace.ts';
import { borrowReadWindow, returnReadWindow } from '../vfs/read-window.ts';
import { acquireChunk, releaseChunk } from '../wire/chunk.ts';
import type { ListContext } from './context.ts';
import type { SourceDirectory } from './entry.ts';
import type { Examined } from './examine.ts';
import { locateListed } from './locate.ts';

/** Digest of a file's content up to the size just listed; null when it cannot be read. The buffer is valid until the next call. */
export async function digestOf(
  context: ListContext,
  source: SourceDirectory,
  name: Buffer,
  examined: Examined,
): Promise<Buffer | null> {
  const { digests } = context;
  if (digests === null) return readDigest(context, source, name, examined);
  const known = digests.cache.find(digests.sum, examined.stats);
  if (known !== null) return known;
  const read = () => readDigest(context, source, name, examined);
  return examined.stats.size <= SMALL_FILE ? read() : digests.inTurn(read);
}

async function readDigest(
  context: ListContext,
  source: SourceDirectory,
  name: Buffer,
  examined: Examined,
): Promise<Buffer | null> {
  let file: OpenFile;
  try {
    file = openListed(context, source, name, { isFollowed: examined.isFollowed, noatime: false });
  } catch (thrown) {
    if (thrown instanceof FileError) return null;
    throw thrown;
  }
  const sum = context.listSum!;
  const { digests } = context;
  const { stats: listed } = examined;
  const size = Number(listed.size);
  const memory = borrowMemory(size);
  try {
    const begunMs = Date.now();
    const before = digests === null ? null : file.stats();
    await hashFile(context, file, size, memory.bytes);
    const digest = sum.digest();
    if (digests !== null && before !== null) {
      digests.cache.keep(digests.sum, digest, { listed, before, after: file.stats(), begunMs });
    }
    return digest;
  } catch (thrown) {
    if (thrown instanceof FileError) return null;
    throw thrown;
  } finally {
    memory.giveBack();
    file.close();
  }
}

/** Something to read a file of that size into, until it is given back: a window for a large one, else, or when all are lent, a chunk. */
function borrowMemory(size: number): { readonly bytes: Buffer; readonly giveBack: () => void } {
  const window = size > SMALL_FILE ? borrowReadWindow() : null;
  if (window !== null) return { bytes: window, giveBack: () => returnReadWindow(window) };
  const chunk = acquireChunk();
  return { bytes: chunk.bytes, giveBack: () => releaseChunk(chunk) };
}

/** Feeds the first `size` bytes of a file, or all when it is shorter by now, into the sum of the list. */
async function hashFile(
  { listSum, slice, writer }: ListContext,
  file: OpenFile,
  size: number,
  memory: Buffer,
): Promise<void> {
  const sum = listSum!;
  const pace = new ReadPace();
  sum.reset();
  for (let position = 0; position < size; ) {
    const part = memory.subarray(0, Math.min(size - position, memory.length));
    const startedMs = performance.now();
    const isNow = size <= SMALL_FILE || !pace.isSlow;
    const count = isNow ? file.readSync(part, position) : await file.read(part, position);
    pace.note(startedMs);
    if (count === 0) break;
    for (let summed = 0; summed < count; summed += sum.stepBytes) {
      sum.update(part.subarray(summed, Math.min(count, summed + sum.stepBytes)));
      if (slice.expired) await slice.yield();
    }
    position += count;
    // Only whether there is a client: to wait for it here would keep others from reading.
    if (writer.isBroken) await writer.drain();
  }
}

/** Opens a listed file, through its link when the list shows the link's referent. @throws FileError */
export function openListed(
  context: Pick<ListContext, 'view' | 'module'>,
  source: SourceDirectory,
  name: Buffer,
  how: { readonly isFollowed: boolean; readonly noatime: boolean },
): OpenFile {
  // A link that leads to the module root is no file: opening `.` there reports it.
  const place = locateListed(context, source, name, { isFollowed: how.isFollowed, isDirectory: false });
  return context.view.openFile(place.directory, place.name, how.noatime);
}
