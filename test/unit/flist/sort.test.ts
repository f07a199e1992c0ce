import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { sortedPositions, sortKey } from '../../../src/flist/sort.ts';
import { TimeSlice } from '../../../src/slice.ts';

/** Names in the spec's notation: directories end in a slash. */
async function sorted(protocol: number, names: readonly string[]): Promise<string[]> {
  const keys = names.map((name) => {
    const isDirectory = name.endsWith('/') || name === '.' || name.endsWith('/.');
    return sortKey(Buffer.from(name.replace(/\/$/, ''), 'latin1'), isDirectory, protocol);
  });
  return [...(await sortedPositions(keys, new TimeSlice()))].map((position) => names[position]!);
}

/** The comparison as 2-file-list.md 3.1 words it: element by element. */
function referenceKey(name: string): [number, string][] {
  const isDirectory = name.endsWith('/') || name === '.' || name.endsWith('/.');
  const parts = name.replace(/\/$/, '').split('/');
  return parts.map((part, i) => {
    if (i < parts.length - 1) return [1, `${part}/`];
    if (!isDirectory) return [0, part];
    return part === '.' ? [0, ''] : [1, `${part}/`];
  });
}

function compareReference(a: string, b: string): number {
  const left = referenceKey(a);
  const right = referenceKey(b);
  for (let i = 0; i < Math.min(left.length, right.length); i++) {
    const [leftKind, leftText] = left[i]!;
    const [rightKind, rightText] = right[i]!;
    if (leftKind !== rightKind) return leftKind - rightKind;
    const order = Buffer.compare(Buffer.from(leftText, 'latin1'), Buffer.from(rightText, 'latin1'));
    if (order !== 0) return order;
  }
  return left.length - right.length;
}

describe('from protocol 29', () => {
  it('the captured first list has the captured order', async () => {
    const sent = [
      '.',
      'd1b/',
      'fifo',
      'sl',
      'd1/',
      'empty/',
      'h2',
      'sock',
      'blk',
      'LLL',
      'h1',
      'null',
      'big',
      'null5',
      'a.txt',
    ];
    expect(await sorted(32, sent)).toEqual([
      ...[
        '.',
        'LLL',
        'a.txt',
        'big',
        'blk',
        'fifo',
        'h1',
        'h2',
        'null',
        'null5',
        'sl',
        'sock',
        'd1/',
        'd1b/',
        'empty/',
      ],
    ]);
  });

  it('directories stand behind files, each with all that is below it', async () => {
    const names = ['a/q/z', 'x', 'a-/', 'a/', '.', 'a/q/', 'a-/f', 'b.txt', 'a/f1'];
    expect(await sorted(30, names)).toEqual(['.', 'b.txt', 'x', 'a-/', 'a-/f', 'a/', 'a/f1', 'a/q/', 'a/q/z']);
  });

  it('bytes compare unsigned, not as characters of any locale', async () => {
    expect(await sorted(31, ['\u00ff', 'a', 'Z', '\u0001', 'A/', '\u007f', '\u0080'])).toEqual([
      '\u0001',
      'Z',
      'a',
      '\u007f',
      '\u0080',
      '\u00ff',
      'A/',
    ]);
  });

  it('UTF-8 above U+FFFF does not sort by UTF-16 units', async () => {
    const utf8 = (text: string) => Buffer.from(text).toString('latin1');
    const names = [utf8('\u{1f600}'), utf8('\uff5e')];
    expect(await sorted(31, names)).toEqual([utf8('\uff5e'), utf8('\u{1f600}')]);
  });

  it('equal names keep the order of transmission', async () => {
    const keys = ['b', 'a', 'b', 'a', 'b'].map((name) => sortKey(Buffer.from(name), false, 31));
    expect([...(await sortedPositions(keys, new TimeSlice()))]).toEqual([1, 3, 0, 2, 4]);
  });

  it('more names than are sorted in one go come out as one sorted list', async () => {
    const names = Array.from({ length: 10_000 }, (_, index) => `name${(index * 7919) % 5000}`);
    const keys = names.map((name) => sortKey(Buffer.from(name), false, 31));
    const expected = names.map((name, position) => ({ name, position }));
    expected.sort((a, b) => (a.name < b.name ? -1 : a.name > b.name ? 1 : a.position - b.position));
    expect([...(await sortedPositions(keys, new TimeSlice()))]).toEqual(expected.map(({ position }) => position));
  });

  it('names are ordered as the element-by-element rule says', async () => {
    const element = fc.string({
      unit: fc.constantFrom('a', 'b', '-', '0', '\u00ff', '\u0001', '.'),
      minLength: 1,
      maxLength: 3,
    });
    const name = fc
      .tuple(
        fc.array(
          element.filter((e) => e !== '.' && e !== '..'),
          { minLength: 1, maxLength: 4 },
        ),
        fc.boolean(),
      )
      .map(([parts, isDirectory]) => parts.join('/') + (isDirectory ? '/' : ''));
    await fc.assert(
      fc.asyncProperty(
        fc.array(fc.oneof(name, fc.constantFrom('.', 'a/.', 'b/.')), { maxLength: 20 }),
        async (names) => {
          expect(await sorted(29, names)).toEqual([...names].sort(compareReference));
        },
      ),
    );
  });
});

describe('below protocol 29', () => {
  it('names compare as plain bytes, directories without a slash', async () => {
    expect(await sorted(28, ['a/x', 'a-b', 'b', 'a/', '.', 'B/'])).toEqual(['.', 'B/', 'a/', 'a-b', 'a/x', 'b']);
  });
});
