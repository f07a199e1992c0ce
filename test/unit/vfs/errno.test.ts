import { lstatSync } from 'node:fs';
import { describe, expect, it } from 'vitest';
import { FileError, VanishedError } from '../../../src/errors.ts';
import { errnoText, toFileError } from '../../../src/vfs/errno.ts';

function thrownBy(call: () => unknown): unknown {
  try {
    call();
  } catch (thrown) {
    return toFileError(thrown);
  }
  throw new Error('nothing was thrown');
}

describe('errnoText', () => {
  it.each([
    [2, 'No such file or directory (2)'],
    [13, 'Permission denied (13)'],
    [20, 'Not a directory (20)'],
    [40, 'Too many levels of symbolic links (40)'],
    [61, 'No data available (61)'],
    [4242, 'Unknown error 4242 (4242)'],
  ])('words error %i as rsync does', (errno, text) => {
    expect(errnoText(errno)).toBe(text);
  });
});

describe('toFileError', () => {
  it('makes a missing file a VanishedError', () => {
    expect(thrownBy(() => lstatSync('/nonexistent/host/path'))).toBeInstanceOf(VanishedError);
  });

  it('keeps the error number of any other failure', () => {
    const error = thrownBy(() => lstatSync('/dev/null/x'));
    expect(error).toBeInstanceOf(FileError);
    expect((error as FileError).errno).toBe(20);
  });

  it('carries no path of the host', () => {
    const error = thrownBy(() => lstatSync('/nonexistent/host/path')) as FileError;
    expect(`${error.message} ${error.tell ?? ''} ${String(error.cause ?? '')}`).not.toContain('host');
  });

  it('leaves other errors alone', () => {
    const bug = new TypeError('bug');
    expect(toFileError(bug)).toBe(bug);
    expect(toFileError('text')).toBe('text');
  });
});
