/**
 * What one stage of the process leaves to the next, over execve: JSON in a file without a name, whose descriptor stands in the
 * environment. The next stage reads it once and closes it.
 */

import { closeSync, fstatSync, readFileSync, writeSync } from 'node:fs';
import { SandboxError } from '../errors.ts';
import type { Kernel } from './syscalls.ts';

/** Holds the descriptor of the hand-over; cli/stages.ts takes it out of the environment. */
export const HAND_OVER_VARIABLE = 'GOKR_RSYNCD_STAGE';

const F_SETFD = 2;

const SYS_CLOSE_RANGE = 436;
const CLOSE_RANGE_CLOEXEC = 4;
const FIRST_FD = 3;

/**
 * Lets the next program have these descriptors and no others beside the standard streams: whoever started us may have left some
 * open, and a directory among them would lead out of every sandbox.
 */
export function keepOverExec(kernel: Kernel, descriptors: readonly number[]): void {
  // Before Linux 5.11 this is an error, and what was inherited stays.
  kernel.trySyscall(SYS_CLOSE_RANGE, FIRST_FD, 0xffffffff, CLOSE_RANGE_CLOEXEC);
  for (const fd of descriptors) kernel.call('fcntl', fd, F_SETFD, 0);
}

/** Makes the file; its descriptor is the value of the variable for the next stage. @returns or the name of an error. */
export function openHandOver(kernel: Kernel): number | string {
  const { result, code } = kernel.attempt('memfd_create', 'gokr-rsyncd', 0);
  if (code !== null) return code;
  try {
    // Under a limit of 0 for the size of files it would take nothing, when there is no way back any more.
    writeSync(result, '{', 0);
    return result;
  } catch (thrown) {
    closeSync(result);
    return (thrown as NodeJS.ErrnoException).code ?? String(thrown);
  }
}

export function writeHandOver(fd: number, content: unknown): void {
  const bytes = Buffer.from(JSON.stringify(content));
  for (let written = 0; written < bytes.length; ) written += writeSync(fd, bytes, written, null, written);
}

/**
 * What the stage before has left; null in the first stage.
 *
 * SECURITY: whoever starts us may set the variable. It makes nothing hold: what is claimed is what self-test.ts has seen.
 * @throws SandboxError when the variable is there but nothing is behind it.
 */
export function takeHandOver(variable: string | undefined): unknown {
  if (variable === undefined) return null;
  const fd = /^\d{1,6}$/.test(variable) ? Number(variable) : -1;
  try {
    if (!fstatSync(fd).isFile()) throw new Error('not a file');
    const content: unknown = JSON.parse(readFileSync(fd, 'utf8'));
    closeSync(fd);
    return content;
  } catch (thrown) {
    throw new SandboxError(`${HAND_OVER_VARIABLE} is set, which only this program may do to itself`, { cause: thrown });
  }
}
