/** The names of --files-from, from the connection or from a file inside the module (1-session.md 8). */

import { FileError, LimitError, UsageError } from '../errors.ts';
import { breathe, type ListContext } from '../flist/context.ts';
import { ENOENT, errnoText } from '../vfs/errno.ts';
import type { ByteReader } from '../wire/reader.ts';

const NUL = 0x00;
const LF = 0x0a;
const CR = 0x0d;
const HASH = 0x23;
const SEMICOLON = 0x3b;

/** Bytes of a file of names between two looks at the clock. */
const BYTES_PER_LOOK = 8192;

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
 * @throws UsageError (code 4) when the file cannot be read; LimitError `filesFromBytes`, `filesFromNames`.
 */
export async function* namesFromFile(context: ListContext, path: Buffer): AsyncGenerator<Buffer> {
  const content = readInModule(context, path);
  const { from0 } = context.options;
  let count = 0;
  let start = 0;
  for (let i = 0; i <= content.length; i++) {
    if (i % BYTES_PER_LOOK === 0) await breathe(context);
    if (i < content.length && !isNameEnd(content[i]!, from0)) continue;
    const name = content.subarray(start, i);
    start = i + 1;
    const isComment = !from0 && (name[0] === HASH || name[0] === SEMICOLON);
    if (name.length === 0 || isComment) continue;
    if (++count > context.limits.filesFromNames) throw new LimitError('filesFromNames', 'too many names');
    yield name;
  }
}

function isNameEnd(byte: number, from0: boolean): boolean {
  return from0 ? byte === NUL : byte === LF || byte === CR;
}

function readInModule({ view, module }: ListContext, path: Buffer): Buffer {
  try {
    // SECURITY: only what the module shows, never through a link (CVE-2026-53802).
    const place = module.filter.hidesWithParents(path, false) ? null : view.locateFile(path);
    if (place === null) throw new FileError(errnoText(ENOENT), ENOENT);
    const { directory, name } = place;
    const file = view.openFile(directory, name);
    file.close();
    const content = view.readSmallFile(directory, name, 'filesFromBytes');
    if (content === null) throw new FileError(errnoText(ENOENT), ENOENT);
    return content;
  } catch (thrown) {
    if (!(thrown instanceof FileError)) throw thrown;
    throw new UsageError(`failed to open files-from file: ${thrown.message}\n`);
  }
}
