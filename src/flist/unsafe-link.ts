/** Which symbolic links --copy-unsafe-links replaces by what they point to (2-file-list.md 1.3). */

import { isDotDot } from '../vfs/path.ts';

/**
 * True when a link may lead out of the transferred tree.
 * @param target the link's target.
 * @param wireName the link's own name in the list.
 */
export function isUnsafeLink(target: Buffer, wireName: Buffer): boolean {
  if (target.length === 0 || target[0] === 0x2f) return true;
  const text = target.toString('latin1');
  const rest = text.replace(/^(\.\.\/+)+/, '');
  if (rest.includes('/../') || (text.length > 3 && text.endsWith('/..'))) return true;
  let depth = directoryDepth(wireName);
  const components = text.split('/');
  for (const [i, component] of components.entries()) {
    const isLast = i === components.length - 1;
    if (component === '' || component === '.') continue;
    if (component === '..') {
      if (--depth < 0) return true;
    } else if (!isLast) depth++;
  }
  return false;
}

/** Directory components of a name; `..` starts over. */
function directoryDepth(wireName: Buffer): number {
  let depth = 0;
  const components = wireName.toString('latin1').split('/');
  for (const component of components.slice(0, -1)) {
    if (isDotDot(Buffer.from(component, 'latin1'))) depth = 0;
    else if (component !== '.' && component !== '') depth++;
  }
  return depth;
}
