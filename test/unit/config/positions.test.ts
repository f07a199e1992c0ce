import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { locateKeys } from '../../../src/config/positions.ts';

const lineOf = (text: string, path: string) => locateKeys(text).get(path);

describe('locateKeys', () => {
  it('finds keys at the top, in tables and in the elements of an array of tables', () => {
    const text = 'a = 1\n\n[limits] # x\nentries = 5\n[[module]]\nname = "x"\n\n[[module]]\nname = "y"\npath = "/z"\n';
    expect([...locateKeys(text)]).toEqual([
      ['a', 1],
      ['limits', 3],
      ['limits.entries', 4],
      ['module[0]', 5],
      ['module[0].name', 6],
      ['module[1]', 8],
      ['module[1].name', 9],
      ['module[1].path', 10],
    ]);
  });

  it('finds the elements of an array that spans lines and holds comments', () => {
    const text = 'x = [ # ] "\n  "a]", # c\n\n  [1,\n 2],\n]\ny = 1';
    expect(['x[0]', 'x[1]', 'x[1][1]', 'y'].map((path) => lineOf(text, path))).toEqual([2, 4, 5, 7]);
  });

  it('finds the keys of inline tables, also inside arrays', () => {
    const text = 'a = { b = 1, c = { d = "}" } }\nm = [\n { n = "x" },\n { n = "y" } ]\ne = 1';
    expect(['a.b', 'a.c.d', 'm[0].n', 'm[1].n', 'e'].map((path) => lineOf(text, path))).toEqual([1, 1, 3, 4, 5]);
  });

  it('is not misled by brackets, quotes and equals signs inside strings', () => {
    const text = `a = "\\"[x]"\nb = '[[y]]\\'\nc = """\n[z]\nq = "1" ""\\"""""\nd = '''\n]]'''\ne = 1`;
    expect([...locateKeys(text)]).toEqual([
      ['a', 1],
      ['b', 2],
      ['c', 3],
      ['d', 6],
      ['e', 8],
    ]);
  });

  it('follows dotted and quoted keys, and tables below the last element of an array', () => {
    const text = 'a . b = 1\n"c d" = 2\n[[m]]\n[m.sub]\nx = 1\n[[m]]\n[m.sub]\nx = 2';
    expect(['a.b', 'c d', 'm[0].sub.x', 'm[1].sub.x'].map((path) => lineOf(text, path))).toEqual([1, 2, 5, 8]);
  });

  it('counts lines that end in CR LF', () => {
    expect(lineOf('a = 1\r\n# x\r\nb = 2\r\n', 'b')).toBe(3);
  });

  it.each(['a=[}', 'a={]', '[', '[[', 'a="', "a='''", 'a={b={c=[', '='])('ends on %j, which is not TOML', (text) => {
    expect(locateKeys(text).size).toBeLessThanOrEqual(3);
  });

  it('ends on any text', () => {
    fc.assert(
      fc.property(
        fc.array(fc.constantFrom('[', ']', '{', '}', '"', "'", '=', '.', ',', '\n', '\\', '#', 'a', ' ')),
        (parts) => {
          expect(locateKeys(parts.join('')).size).toBeLessThanOrEqual(parts.length);
        },
      ),
    );
  });
});
