/**
 * The order in which both sides number the entries of a list (2-file-list.md 3).
 *
 * From protocol 29 a name compares element by element: files before directories, directories with their `/`. The key
 * puts one byte of kind before each element, so that a plain byte comparison of keys gives that order.
 */

const ITEM = 1;
const PATH = 2;
const SLASH = 0x2f;

/**
 * Sort key as a string of bytes (latin1), comparable with `<`.
 * @param name wire name; `.` is the transfer root.
 */
export function sortKey(name: Buffer, isDirectory: boolean, protocol: number): string {
  if (protocol < 29) return name.toString('latin1');
  const isDot = isDirectory && name[name.length - 1] === 0x2e && (name.length === 1 || name[name.length - 2] === SLASH);
  const lastSlash = name.lastIndexOf(SLASH);
  if (lastSlash < 0 && !isDot)
    return isDirectory ? `\x02${name.toString('latin1')}/` : `\x01${name.toString('latin1')}`;
  return longKey(name, isDirectory, isDot);
}

function longKey(name: Buffer, isDirectory: boolean, isDot: boolean): string {
  const key = Buffer.allocUnsafe(name.length * 2 + 2);
  let length = 0;
  let start = 0;
  for (let slash = name.indexOf(SLASH); slash >= 0; slash = name.indexOf(SLASH, start)) {
    key[length++] = PATH;
    length += name.copy(key, length, start, slash + 1);
    start = slash + 1;
  }
  if (isDot) key[length++] = ITEM;
  else {
    key[length++] = isDirectory ? PATH : ITEM;
    length += name.copy(key, length, start);
    if (isDirectory) key[length++] = SLASH;
  }
  return key.toString('latin1', 0, length);
}

/** Positions of the keys in sorted order; equal keys keep their order. */
export function sortedPositions(keys: readonly string[]): Uint32Array {
  const order = Uint32Array.from(keys, (_, i) => i);
  return order.sort((a, b) => {
    const left = keys[a]!;
    const right = keys[b]!;
    return left < right ? -1 : left > right ? 1 : a - b;
  });
}
