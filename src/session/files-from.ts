/** The names of --files-from, from the connection or from a file inside the module (1-session.md 8). */

import { FileError, LimitError, UsageError } from '../errors.ts';
import { breathe, type ListContext } from '../flist/context.ts';
import { ENOENT, errnoText } from '../vfs/errno.ts';
import type { OpenFile } from '../vfs/open-file.ts';
import type { ByteReader } from '../wire/reader.ts';

const NUL = 0x00;
const LF = 0x0a;
const CR = 0x0d;
const HASH = 0x23;
const SEMICOLON = 0x3b;

/** Bytes of a file of names that are read at once, and between two looks at the clock. */
const PIECE_BYTES = 8192;

/** Names as they come over the connection, up to the empty one. */
export async function* namesFromWire(reader: ByteReader, limits: ListContext['limits']): AsyncGenerator<Buffer> {
  for (let count = 0; ; count++) {
    const name = await reader.readUntil(NUL, limits.pathBytes, 'files-from name', 'pathBytes');
    if (name.length === 0) return;
    if (count >= limits.filesFromNames) throw new LimitError('filesFromNames', 'too many names');
    yield name;
  }
}

/**
 * Names in a file of the module; blank lines and comments are skipped. Yields to other sessions while it works.
 * @param path path from the module root.
 * @throws UsageError (code 4) when the file cannot be read; LimitError `filesFromBytes`, `filesFromNames`, `pathBytes`.
 */
export async function* namesFromFile(context: ListContext, path: Buffer): AsyncGenerator<Buffer> {
  const { from0 } = context.options;
  let count = 0;
  for await (const name of linesOf(context, path)) {
    const isComment = !from0 && (name[0] === HASH || name[0] === SEMICOLON);
    if (name.length === 0 || isComment) continue;
    if (++count > context.limits.filesFromNames) throw new LimitError('filesFromNames', 'too many names');
    yield name;
  }
}

/** Piece by piece: memory for millions of names would be more than one turn of the event loop can be given. */
async function* linesOf(context: ListContext, path: Buffer): AsyncGenerator<Buffer> {
  const { from0 } = context.options;
  const file = orUsageError(() => openInModule(context, path));
  try {
    /** A name whose end has not been read. */
    let begun: Buffer = Buffer.alloc(0);
    for (let position = 0, size = -1; position < file.sizeBytes && size !== 0; position += size) {
      const piece = Buffer.allocUnsafe(Math.min(PIECE_BYTES, file.sizeBytes - position));
      size = orUsageError(() => file.readSync(piece, position));
      await breathe(context);
      const bytes = Buffer.concat([begun, piece.subarray(0, size)]);
      let start = 0;
      for (let i = begun.length; i < bytes.length; i++) {
        if (!isNameEnd(bytes[i]!, from0)) continue;
        yield bytes.subarray(start, i);
        start = i + 1;
      }
      begun = bytes.subarray(start);
      if (begun.length > context.limits.pathBytes) throw new LimitError('pathBytes', 'files-from name too long');
    }
    yield begun;
  } finally {
    file.close();
  }
}

function isNameEnd(byte: number, from0: boolean): boolean {
  return from0 ? byte === NUL : byte === LF || byte === CR;
}

function openInModule({ view, module, limits }: ListContext, path: Buffer): OpenFile {
  // SECURITY: only what the module shows, never through a link (CVE-2026-53802).
  const place = module.filter.hidesWithParents(path, false) ? null : view.locateFile(path);
  if (place === null) throw new FileError(errnoText(ENOENT), ENOENT);
  const file = view.openFile(place.directory, place.name);
  if (file.sizeBytes <= limits.filesFromBytes) return file;
  file.close();
  throw new LimitError('filesFromBytes', 'a file named by the client is too large');
}

function orUsageError<T>(work: () => T): T {
  try {
    return work();
  } catch (thrown) {
    if (!(thrown instanceof FileError)) throw thrown;
    throw new UsageError(`failed to open files-from file: ${thrown.message}\n`);
  }
}
