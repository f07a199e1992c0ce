/**
 * Values of extended attributes that were too long for the list, behind an item that reports attributes (2-file-list.md 6.3);
 * sender.ts calls it.
 *
 *   request: { position delta:varint } 0        reply: { position delta:varint length:varint value } 0
 */

import { FileError, ProtocolError } from '../errors.ts';
import { attributeText } from '../flist/attributes.ts';
import { breathe } from '../flist/context.ts';
import type { FileList, ListedAttributes } from '../flist/file-list.ts';
import { locateName } from '../flist/locate.ts';
import { quotedPath } from '../flist/texts.ts';
import type { AbbreviatedNames } from '../flist/xattrs.ts';
import { ENODATA, systemError } from '../vfs/errno.ts';
import { joinPath } from '../vfs/path.ts';
import {
  CF_AVOID_XATTR_OPTIM,
  IOERR_GENERAL,
  ITEM_LOCAL_CHANGE,
  ITEM_REPORT_XATTR,
  ITEM_XNAME_FOLLOWS,
} from '../wire/constants.ts';
import type { TransferContext } from './context.ts';

/** What the client asked for of one entry. */
export interface XattrRequest {
  /** Null when no value of the entry was left out: then nothing can be asked for. */
  readonly entry: (ListedAttributes & { readonly names: AbbreviatedNames }) | null;
  /** Places in the list, counted from 1, ascending. */
  readonly positions: readonly number[];
}

/**
 * Reads the part of a request that follows its extra name.
 * @returns null when the item carries none (3-transfer.md 2.4).
 * @throws ProtocolError for a value that was sent already, or twice the same.
 */
export async function readXattrRequest(
  context: TransferContext,
  iflags: number,
  found: { readonly list: FileList; readonly position: number | null },
): Promise<XattrRequest | null> {
  if (!carriesXattrs(context, iflags)) return null;
  const entry = context.lists.abbreviatedXattrs(found.list, found.position);
  const positions = new Set<number>();
  let position = 0;
  for (;;) {
    const delta = await context.reader.readVarint('attribute position');
    if (delta === 0) break;
    position += delta;
    // SECURITY: one byte asks for up to 64 KiB, so each value counts once; this also bounds the set.
    if (!entry?.names.has(position) || positions.has(position))
      throw new ProtocolError('attribute position not in range');
    positions.add(position);
  }
  return { entry, positions: [...positions].sort((a, b) => a - b) };
}

function carriesXattrs({ options, protocol, compatFlags }: TransferContext, iflags: number): boolean {
  if (options.xattrs === 0 || options.dryRun || !(iflags & ITEM_REPORT_XATTR)) return false;
  // From protocol 31 a hard link that the client made itself has the attributes of its other names, unless the client has bit `x`.
  const isOptimised = protocol >= 31 && !(compatFlags & CF_AVOID_XATTR_OPTIM);
  const isLinked = (iflags & ITEM_XNAME_FOLLOWS) !== 0 && (iflags & ITEM_LOCAL_CHANGE) !== 0;
  return !(isOptimised && isLinked);
}

/** Sends the values that were asked for, read again; one that cannot be read is sent empty, with a message. */
export async function putXattrReply(context: TransferContext, request: XattrRequest | null): Promise<void> {
  if (request === null) return;
  const { writer } = context;
  let previous = 0;
  for (const position of request.positions) {
    const value = readValue(context, request, position);
    writer.putVarint(position - previous);
    writer.putVarint(value.length);
    writer.putBytes(value);
    previous = position;
    await breathe(context);
  }
  writer.putByte(0);
}

function readValue(context: TransferContext, { entry }: XattrRequest, position: number): Buffer {
  const { source, name, names } = entry!;
  const attribute = names.get(position)!;
  try {
    const place = locateName(context, source, name);
    const value = context.view.xattr(place.directory, place.name, attribute);
    if (value === null) throw systemError(ENODATA);
    return value;
  } catch (thrown) {
    if (!(thrown instanceof FileError)) throw thrown;
    const { messages, module } = context;
    const path = quotedPath(joinPath(source.modulePath, name), module.name);
    messages.fileError(attributeText('get_xattr_data: lgetxattr', path, attribute, thrown));
    messages.ioError |= IOERR_GENERAL;
    return Buffer.alloc(0);
  }
}
