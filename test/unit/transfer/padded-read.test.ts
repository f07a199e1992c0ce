import { describe, expect, it } from 'vitest';
import { FileError } from '../../../src/errors.ts';
import { FileProgress, readPadded, readPaddedAsync } from '../../../src/transfer/padded-read.ts';
import type { OpenFile } from '../../../src/vfs/open-file.ts';

/** A file of which `content` can be read before it fails or ends. */
function fakeFile(content: string, failure: Error | null = null): OpenFile {
  const readSync = (into: Uint8Array, position: number) => {
    if (failure !== null) throw failure;
    return Buffer.from(content).copy(into, 0, position);
  };
  const read = async (into: Uint8Array, position: number) => readSync(into, position);
  return { sizeBytes: 10, readSync, read } as unknown as OpenFile;
}

describe.each([
  ['readPadded', readPadded],
  ['readPaddedAsync', readPaddedAsync],
])('%s', (_, readInto) => {
  const read = async (file: OpenFile, position: number, length: number) => {
    const progress = new FileProgress();
    const into = Buffer.alloc(length, 0xee);
    await readInto(file, into, position, progress);
    return { into: into.toString('latin1'), error: progress.error, progress };
  };

  it('reads what is there', async () => {
    expect(await read(fakeFile('0123456789'), 2, 3)).toMatchObject({ into: '234', error: null });
  });

  it('makes zeros of what a shrunken file lacks, and remembers ENODATA', async () => {
    const { into, error } = await read(fakeFile('0123'), 2, 5);
    expect([into, error?.errno, error?.message]).toEqual(['23\0\0\0', 61, 'No data available (61)']);
  });

  it('makes zeros of what cannot be read, and remembers why', async () => {
    const failure = new FileError('Input/output error (5)', 5);
    const { into, error } = await read(fakeFile('0123', failure), 0, 4);
    expect([into, error]).toEqual(['\0\0\0\0', failure]);
  });

  it('keeps the first error', async () => {
    const { progress, error } = await read(fakeFile(''), 0, 1);
    await readInto(fakeFile('', new FileError('later', 5)), Buffer.alloc(1), 0, progress);
    expect(progress.error).toBe(error);
  });

  it('lets errors of ours through', async () => {
    await expect(read(fakeFile('', new TypeError('bug')), 0, 1)).rejects.toThrow(TypeError);
  });
});
