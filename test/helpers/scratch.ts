/** Temporary directories that every identity can enter; all helpers that need disk space use them. */

import { spawnSync } from 'node:child_process';
import { chmodSync, mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';

/**
 * Makes a directory with mode 0755, so that a daemon that dropped its privileges reaches what is below.
 * @param base where to make it; the system's temporary directory when absent.
 */
export function scratchDir(label: string, base = tmpdir()): string {
  const path = mkdtempSync(join(base, `rsyncd-${label}-`));
  chmodSync(path, 0o755);
  return path;
}

/** Removes a tree, also one with 0-mode directories, names that are not UTF-8 or mounts of `mounts`. */
export function removeTree(path: string, mounts: readonly string[] = []): void {
  for (const mount of mounts) spawnSync('umount', ['-l', mount]);
  // `rm` stays on one file system: a mount that could not be removed must not be emptied.
  const removed = spawnSync('rm', ['-rf', '--one-file-system', path]);
  if (removed.status === 0) return;
  spawnSync('chmod', ['-R', 'u+rwx', path]);
  rmSync(path, { recursive: true, force: true });
}
