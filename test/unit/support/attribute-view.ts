/** A module view whose extended attributes come from a table: file systems and identities differ too much to rely on theirs. */

import { FileError } from '../../../src/errors.ts';
import type { Limits } from '../../../src/limits.ts';
import { errnoText, systemError } from '../../../src/vfs/errno.ts';
import { type ModuleRoot, ModuleView } from '../../../src/vfs/module-root.ts';
import { type DirectoryPath, joinPath } from '../../../src/vfs/path.ts';
import { hex } from './bytes.ts';

/** Path from the module root → attribute → value, or the errno of reading it. `names` fails the listing itself. */
export type AttributeTable = Record<string, Record<string, Buffer | string | number>>;

export const ACCESS_ACL = 'system.posix_acl_access';
export const DEFAULT_ACL = 'system.posix_acl_default';

const NO_ID = 'ffffffff';

/** The kernel's form of `u::rw-,u:1234:rwx,g::r--,g:1:r--,m::rwx,o::r--`; its group bits in the mode are 7. */
export const KERNEL_ACL = hex(
  `02000000 | 0100 0600 ${NO_ID} | 0200 0700 d2040000 | 0400 0400 ${NO_ID} | 0800 0400 01000000 | 1000 0700 ${NO_ID} | 2000 0400 ${NO_ID}`,
);

/** For ContextPlan.makeView. The table may change while the view is in use. */
export function viewWithAttributes(table: AttributeTable): (root: ModuleRoot, limits: Limits) => ModuleView {
  class AttributeView extends ModuleView {
    override xattrNames(directory: DirectoryPath, name: Buffer): Buffer[] {
      const attributes = table[pathOf(directory, name)] ?? {};
      if (typeof attributes.names === 'number') throw systemError(attributes.names);
      return Object.keys(attributes).map((text) => Buffer.from(text, 'latin1'));
    }

    override xattr(directory: DirectoryPath, name: Buffer, attribute: Buffer): Buffer | null {
      const value = table[pathOf(directory, name)]?.[attribute.toString('latin1')] ?? null;
      if (typeof value === 'number') throw new FileError(errnoText(value), value);
      return typeof value === 'string' ? Buffer.from(value, 'latin1') : value;
    }
  }
  return (root, limits) => new AttributeView(root, limits);
}

function pathOf(directory: DirectoryPath, name: Buffer): string {
  const path = name.equals(Buffer.from('.')) ? directory.toBuffer() : joinPath(directory.toBuffer(), name);
  return path.length === 0 ? '.' : path.toString('latin1');
}
