import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, describe, expect, it } from 'vitest';
import { readIdNames } from '../../../src/vfs/id-names.ts';
import { removeTree, scratchDir } from '../../helpers/scratch.ts';

const scratch = scratchDir('ids');

afterAll(() => removeTree(scratch));

function namesIn(table: string | Buffer): [number, string][] {
  const path = join(scratch, 'passwd');
  writeFileSync(path, table);
  return [...readIdNames(path)].map(([id, name]) => [id, name.toString('latin1')]);
}

describe('readIdNames', () => {
  it('reads name and id of each line, the first of an id winning', () => {
    expect(namesIn('root:x:0:0::/root:/bin/sh\nalice:x:1000:1000::/:/bin/sh\ntoor:x:0:0::/:\n')).toEqual([
      [0, 'root'],
      [1000, 'alice'],
    ]);
  });

  it('reads a last line without newline, and bytes that are no UTF-8', () => {
    expect(namesIn(Buffer.from('j\u00fcrgen:x:7:', 'latin1'))).toEqual([[7, 'j\u00fcrgen']]);
  });

  it('leaves out names with control bytes, spaces or more than 255 bytes', () => {
    const table = ['ev\u001bil:x:1:', 'a b:x:2:', `${'n'.repeat(256)}:x:3:`, ':x:4:', `${'n'.repeat(255)}:x:5:`];
    expect(namesIn(table.join('\n')).map(([id]) => id)).toEqual([5]);
  });

  it('leaves out ids that are no 32-bit number', () => {
    const table = ['a:x:-1:', 'b:x:4294967296:', 'c:x:0x1:', 'd:x:', 'e', 'f:x:1 :', 'g:x:4294967295:'];
    expect(namesIn(table.join('\n'))).toEqual([[4294967295, 'g']]);
  });

  it('is empty without a table, and for one beyond 8 MiB', () => {
    expect(readIdNames(join(scratch, 'missing')).size).toBe(0);
    expect(namesIn(Buffer.alloc(8 * 1024 * 1024 + 1, 'a:x:1:\n'))).toEqual([]);
  });
});
