/** Mount trees as minimal-root.ts moves them about: cloned, made harmless, then attached. Linux 5.12 and later. */

import { SandboxError } from '../errors.ts';
import type { Kernel, Outcome } from './syscalls.ts';

/** The same on all architectures. */
const SYS_OPEN_TREE = 428;
const SYS_MOVE_MOUNT = 429;
const SYS_MOUNT_SETATTR = 442;
const SYS_PIVOT_ROOT = { x64: 155, arm64: 41 } as const;

const AT_FDCWD = -100;
const AT_EMPTY_PATH = 0x1000;
const AT_RECURSIVE = 0x8000;
const OPEN_TREE_CLONE = 1;
const OPEN_TREE_CLOEXEC = 0o2000000;
const MOVE_MOUNT_F_EMPTY_PATH = 4;

const MS_NOSUID = 2;
const MS_NODEV = 4;
const MS_NOEXEC = 8;
const MS_REC = 0x4000;
const MS_PRIVATE = 1 << 18;
const MNT_DETACH = 2;

const CLONE_NEWNS = 0x20000;
const CLONE_NEWUTS = 0x4000000;
const CLONE_NEWIPC = 0x8000000;

const ATTR_RDONLY = 1;
const ATTR_NOSUID = 2;
const ATTR_NODEV = 4;
const ATTR_NOEXEC = 8;
/** From Linux 5.14 on. */
const ATTR_NOSYMFOLLOW = 0x200000;

/**
 * What a tree is for, which says what else it may do; nothing can be written in any of them. In a `linkless` one no link is
 * followed either, wherever in a path it stands.
 */
export type TreeUse = 'data' | 'linkless' | 'program' | 'device';

const ATTRIBUTES: Readonly<Record<TreeUse, number>> = {
  data: ATTR_RDONLY | ATTR_NOSUID | ATTR_NODEV | ATTR_NOEXEC,
  linkless: ATTR_RDONLY | ATTR_NOSUID | ATTR_NODEV | ATTR_NOEXEC | ATTR_NOSYMFOLLOW,
  program: ATTR_RDONLY | ATTR_NOSUID | ATTR_NODEV,
  device: ATTR_RDONLY | ATTR_NOSUID | ATTR_NOEXEC,
};

/** Gives the calling thread mounts of its own, which no other sees. @throws SandboxError without the right to do so. */
export function unshareMounts(kernel: Kernel): void {
  kernel.call('unshare', CLONE_NEWNS | CLONE_NEWIPC | CLONE_NEWUTS);
  kernel.call('mount', 'none', '/', 0, MS_REC | MS_PRIVATE, 0);
}

/** Back to the mounts of before. @param namespace descriptor of their /proc/self/ns/mnt. */
export function rejoinMounts(kernel: Kernel, namespace: number): void {
  kernel.call('setns', namespace, CLONE_NEWNS);
}

/**
 * A copy of what is mounted at `place` and below, read-only; nothing sees it until it is attached.
 * @param place a path, or the O_PATH descriptor of a directory in the mounts of this thread.
 * @returns a descriptor, which keeps the copy alive.
 */
export function cloneTree(kernel: Kernel, place: string | number, use: TreeUse): number {
  const [at, path] = typeof place === 'number' ? [place, ''] : [AT_FDCWD, place];
  const flags = OPEN_TREE_CLONE | OPEN_TREE_CLOEXEC | AT_RECURSIVE | AT_EMPTY_PATH;
  const tree = kernel.syscall('open_tree', SYS_OPEN_TREE, at, path, flags);
  // Recursive, which a plain read-only bind is not: a mount below it would stay writable.
  const { code } = setAttributes(kernel, tree, ATTRIBUTES[use]);
  if (code === null) return tree;
  kernel.call('close', tree);
  // A kernel that knows no such attribute: then links are followed, and who reads below must see to it himself.
  if (use === 'linkless' && code === 'EINVAL') return cloneTree(kernel, place, 'data');
  throw new SandboxError(`mount_setattr: ${code}`);
}

/** Puts a tree onto an existing file or directory, and closes its descriptor. */
export function attachTree(kernel: Kernel, tree: number, path: string): void {
  kernel.syscall('move_mount', SYS_MOVE_MOUNT, tree, '', AT_FDCWD, path, MOVE_MOUNT_F_EMPTY_PATH);
  kernel.call('close', tree);
}

/** An empty file system in memory. @param options of tmpfs(5), as `size=1m`. */
export function mountTmpfs(kernel: Kernel, path: string, options: string): void {
  kernel.call('mount', 'tmpfs', path, 'tmpfs', MS_NOSUID | MS_NODEV | MS_NOEXEC, options);
}

/** Makes one mount read-only, not those below it. */
export function makeReadOnly(kernel: Kernel, path: string): void {
  const attributes = attributeBytes(ATTRIBUTES.data);
  kernel.syscall('mount_setattr', SYS_MOUNT_SETATTR, AT_FDCWD, path, 0, attributes, attributes.length);
}

/** Makes the working directory, which must be a mount, the root directory; what was the root is nowhere any more. */
export function pivotHere(kernel: Kernel): void {
  const number = SYS_PIVOT_ROOT[process.arch as keyof typeof SYS_PIVOT_ROOT];
  kernel.syscall('pivot_root', number, '.', '.');
  // The old root now lies on top of the new one.
  kernel.call('umount2', '.', MNT_DETACH);
}

function setAttributes(kernel: Kernel, fd: number, attributes: number): Outcome {
  const bytes = attributeBytes(attributes);
  return kernel.trySyscall(SYS_MOUNT_SETATTR, fd, '', AT_RECURSIVE | AT_EMPTY_PATH, bytes, bytes.length);
}

/** struct mount_attr: set:u64 clear:u64 propagation:u64 userns:u64. */
function attributeBytes(attributes: number): Buffer {
  const bytes = Buffer.alloc(32);
  bytes.writeBigUInt64LE(BigInt(attributes));
  bytes.writeBigUInt64LE(BigInt(MS_PRIVATE), 16);
  return bytes;
}
