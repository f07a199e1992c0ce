import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { DirectoryPath, isDotDot, joinPath, splitPath } from '../../../src/vfs/path.ts';

const split = (path: string) => splitPath(Buffer.from(path, 'latin1')).map((part) => part.toString('latin1'));

describe('splitPath', () => {
  it.each([
    ['', []],
    ['/', []],
    ['.', []],
    ['a', ['a']],
    ['/a/b/', ['a', 'b']],
    ['a//b', ['a', 'b']],
    ['./a/./b/.', ['a', 'b']],
    ['a/../b', ['a', '..', 'b']],
    ['..', ['..']],
    ['.a/..b/...', ['.a', '..b', '...']],
    ['\u00ff/\u0000', ['\u00ff', '\u0000']],
  ])('makes %j into %j', (path, parts) => {
    expect(split(path)).toEqual(parts);
  });

  it('never yields an empty component, a dot or a slash', () => {
    const path = fc.array(fc.constantFrom('/', '.', '..', 'a', '\u00e9'), { maxLength: 30 });
    fc.assert(
      fc.property(path, (parts) =>
        split(parts.join('')).every((part) => part !== '' && part !== '.' && !part.includes('/')),
      ),
    );
  });
});

describe('isDotDot', () => {
  it('knows two dots from everything else', () => {
    expect(['..', '.', '...', '.a', 'a.', ''].map((name) => isDotDot(Buffer.from(name)))).toEqual([
      true,
      false,
      false,
      false,
      false,
      false,
    ]);
  });
});

describe('joinPath', () => {
  it('puts one slash between, and none behind nothing', () => {
    expect(String(joinPath(Buffer.from('a/b'), Buffer.from('c')))).toBe('a/b/c');
    expect(String(joinPath(Buffer.alloc(0), Buffer.from('c')))).toBe('c');
  });
});

describe('DirectoryPath', () => {
  it('knows its depth and its path from the root', () => {
    const deep = DirectoryPath.root().child(Buffer.from('a')).child(Buffer.from('b'));
    expect([deep.depth, String(deep.toBuffer()), String(deep.parent?.toBuffer())]).toEqual([2, 'a/b', 'a']);
    expect([DirectoryPath.root().depth, DirectoryPath.root().toBuffer().length]).toEqual([0, 0]);
  });
});
