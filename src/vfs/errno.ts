/** System errors as FileError, with the texts that C rsync's users know from strerror. */

import { FileError, VanishedError } from '../errors.ts';

export const ENOENT = 2;
export const E2BIG = 7;
export const EACCES = 13;
export const ENOTDIR = 20;
export const EINVAL = 22;
export const ENAMETOOLONG = 36;
export const ELOOP = 40;
export const ERANGE = 34;
export const ENODATA = 61;
export const ENOTSUP = 95;

/** strerror texts of glibc for the errors that reading files can give. */
const TEXTS = new Map<number, string>([
  [1, 'Operation not permitted'],
  [ENOENT, 'No such file or directory'],
  [5, 'Input/output error'],
  [6, 'No such device or address'],
  [E2BIG, 'Argument list too long'],
  [12, 'Cannot allocate memory'],
  [EACCES, 'Permission denied'],
  [16, 'Device or resource busy'],
  [19, 'No such device'],
  [ENOTDIR, 'Not a directory'],
  [21, 'Is a directory'],
  [EINVAL, 'Invalid argument'],
  [23, 'Too many open files in system'],
  [24, 'Too many open files'],
  [26, 'Text file busy'],
  [ERANGE, 'Numerical result out of range'],
  [ENAMETOOLONG, 'File name too long'],
  [ELOOP, 'Too many levels of symbolic links'],
  [ENODATA, 'No data available'],
  [70, 'Communication error on send'],
  [ENOTSUP, 'Operation not supported'],
  [116, 'Stale file handle'],
]);

/** `Permission denied (13)`: how rsync ends its messages. */
export function errnoText(errno: number): string {
  return `${TEXTS.get(errno) ?? `Unknown error ${errno}`} (${errno})`;
}

/** What a node:fs call threw, as a FileError without any host path. Other errors come back as they are. */
export function toFileError(thrown: unknown): unknown {
  if (!(thrown instanceof Error) || !('errno' in thrown) || typeof thrown.errno !== 'number') return thrown;
  return systemError(Math.abs(thrown.errno));
}

/** The error of a system call that failed with `errno`. */
export function systemError(errno: number): FileError {
  return errno === ENOENT ? new VanishedError(errnoText(errno)) : new FileError(errnoText(errno), errno);
}
