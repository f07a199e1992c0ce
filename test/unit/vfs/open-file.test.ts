import { openSync, truncateSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, afterEach, describe, expect, it } from 'vitest';
import { FileError } from '../../../src/errors.ts';
import { OpenFile } from '../../../src/vfs/open-file.ts';
import { removeTree, scratchDir } from '../../helpers/scratch.ts';

const scratch = scratchDir('file');
const path = join(scratch, 'f');
const opened: OpenFile[] = [];

afterEach(() => {
  for (const file of opened.splice(0)) file.close();
});

afterAll(() => removeTree(scratch));

function open(content: string): OpenFile {
  writeFileSync(path, content);
  const file = new OpenFile(openSync(path, 'r'), content.length);
  opened.push(file);
  return file;
}

describe('an open file', () => {
  it('fills memory from any position, in this tick or by the thread pool', async () => {
    const file = open('0123456789');
    const into = Buffer.alloc(4);
    expect([file.readSync(into, 3), into.toString()]).toEqual([4, '3456']);
    expect([await file.read(into, 6), into.toString()]).toEqual([4, '6789']);
  });

  it('reads less only at its end', async () => {
    const file = open('0123456789');
    const into = Buffer.alloc(4);
    expect([file.readSync(into, 8), await file.read(into, 9), file.readSync(into, 100)]).toEqual([2, 1, 0]);
  });

  it('scatters one read over several pieces of memory', async () => {
    const file = open('0123456789');
    const parts = [Buffer.alloc(3), Buffer.alloc(4)];
    expect([await file.readv(parts, 2), parts.join('|')]).toEqual([7, '234|5678']);
  });

  it('keeps the size it had when it was opened', () => {
    const file = open('0123456789');
    truncateSync(path, 2);
    expect([file.sizeBytes, file.readSync(Buffer.alloc(10), 0)]).toEqual([10, 2]);
  });

  it('reports failures of every kind of read as FileError', async () => {
    const directory = new OpenFile(openSync(scratch, 'r'), 0);
    opened.push(directory);
    const into = Buffer.alloc(1);
    expect(() => directory.readSync(into, 0)).toThrow(FileError);
    await expect(directory.read(into, 0)).rejects.toMatchObject({ errno: 21, message: 'Is a directory (21)' });
    await expect(directory.readv([into], 0)).rejects.toThrow(FileError);
  });
});
