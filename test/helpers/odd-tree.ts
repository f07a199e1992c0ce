/** The trees that equivalence tests pull: every kind of entry and name that a file system can hold. */

import { randomBytesOf } from './content.ts';
import { ATTRIBUTES, HARD_LINKS, LINKS, NAMES, SIZES, SPECIALS } from './odd-entries.ts';
import type { TreeEntry } from './tree.ts';

/** Readable in every part for everybody: a pull of it ends with exit code 0. */
export function plainTree(): TreeEntry[] {
  const sparse = Buffer.concat([Buffer.from('head'), Buffer.alloc(100_000), Buffer.from('tail')]);
  return [
    ...SIZES.map((size) => ({ name: `sizes/f${size}`, size })),
    { name: 'sizes/delta', content: randomBytesOf('delta', 300_000) },
    { name: 'sizes/zeros', content: Buffer.alloc(200_000) },
    { name: 'sizes/repeated', content: Buffer.from('0123456789'.repeat(9000)) },
    { name: 'sizes/hole', size: 400_000, sparse: true },
    { name: 'sizes/sparse', content: sparse },
    ...NAMES.flatMap((name) => [{ name: `names/${name}`, content: name }]),
    ...NAMES.map((name): TreeEntry => ({ name: `dirs/${name}/file`, content: name })),
    { name: `deep/${'d/'.repeat(60)}bottom`, content: 'bottom' },
    ...LINKS,
    ...HARD_LINKS,
    ...SPECIALS,
    ...ATTRIBUTES,
    // Sorting puts files and directories with a common prefix in an order of its own.
    ...['foo', 'foo.d/x', 'foo-bar', 'foo0', 'foob/x'].map((name) => ({ name: `order/${name}`, content: name })),
  ];
}

/** The plain tree and what nobody may read: a pull of it ends with exit code 23. */
export function oddTree(): TreeEntry[] {
  return [
    ...plainTree(),
    { name: 'forbidden/file', content: 'secret', mode: 0o600 },
    { name: 'forbidden/no-mode', content: 'secret', mode: 0 },
    { name: 'forbidden/empty', mode: 0 },
    { name: 'forbidden/dir/hidden', content: 'secret' },
    { name: 'forbidden/dir', is: 'dir', mode: 0 },
    { name: 'forbidden/list-only/file', content: 'cannot be reached' },
    { name: 'forbidden/list-only', is: 'dir', mode: 0o744 },
    { name: 'forbidden/search-only/file', content: 'can be reached by name' },
    { name: 'forbidden/search-only', is: 'dir', mode: 0o711 },
  ];
}
