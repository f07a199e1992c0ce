/**
 * Landlock: after it, this thread and what it executes reach nothing of the file system but what a list names, bind and connect
 * no TCP socket, and signal nobody outside. confine.ts applies it before the last exec, which makes it process-wide.
 *
 * struct landlock_ruleset_attr: handled_access_fs:u64 handled_access_net:u64 scoped:u64, as many as the kernel's ABI knows.
 * struct landlock_path_beneath_attr: allowed_access:u64 parent_fd:i32, packed.
 */

import { closeSync, fstatSync, openSync } from 'node:fs';
import type { Kernel } from './syscalls.ts';

/** The same on all architectures. */
const SYS_LANDLOCK_CREATE_RULESET = 444;
const SYS_LANDLOCK_ADD_RULE = 445;
const SYS_LANDLOCK_RESTRICT_SELF = 446;
const CREATE_RULESET_VERSION = 1;
const RULE_PATH_BENEATH = 1;

/** Not exported by node:fs. */
const O_PATH = 0o10000000;

const EXECUTE = 1n << 0n;
const READ_FILE = 1n << 2n;
const READ_DIR = 1n << 3n;

/** How many of the rights over files, lowest bit first, each ABI knows: 2 adds REFER, 3 TRUNCATE, 5 IOCTL_DEV. */
const FILE_RIGHTS_BY_ABI = [0, 13, 14, 15, 15, 16];

/** BIND_TCP and CONNECT_TCP, from ABI 4. */
const NET_RIGHTS = 0b11n;
/** Abstract unix sockets and signals, from ABI 6. */
const SCOPES = 0b11n;

/** Something that stays reachable. */
export interface LandlockRule {
  /** A file, or a directory with all below it. */
  readonly path: string | Buffer;
  /** Reading alone, or executing as well. */
  readonly use: 'read' | 'execute';
}

/** The version of Landlock that the kernel offers to this process; 0: none. */
export function landlockAbi(kernel: Kernel): number {
  const { result, code } = kernel.trySyscall(SYS_LANDLOCK_CREATE_RULESET, 0, 0, CREATE_RULESET_VERSION);
  return code === null ? result : 0;
}

/** Everything that the kernel can forbid is forbidden unless a rule allows it. */
export function rulesetBytes(abi: number): Buffer {
  const rights = FILE_RIGHTS_BY_ABI[Math.min(abi, FILE_RIGHTS_BY_ABI.length - 1)]!;
  const words = [(1n << BigInt(rights)) - 1n, ...(abi >= 4 ? [NET_RIGHTS] : []), ...(abi >= 6 ? [SCOPES] : [])];
  const bytes = Buffer.alloc(words.length * 8);
  for (const [index, word] of words.entries()) bytes.writeBigUInt64LE(word, index * 8);
  return bytes;
}

/** @param fd an open file or directory, as an O_PATH descriptor. */
export function ruleBytes(fd: number, use: LandlockRule['use'], isDirectory: boolean): Buffer {
  const bytes = Buffer.alloc(12);
  // The kernel refuses a right over directories in a rule for a file.
  bytes.writeBigUInt64LE(READ_FILE | (isDirectory ? READ_DIR : 0n) | (use === 'execute' ? EXECUTE : 0n));
  bytes.writeInt32LE(fd, 8);
  return bytes;
}

/**
 * Restricts the calling thread, for ever. A rule whose path does not exist is left out: nothing is there to be reached.
 * @param abi of landlockAbi, at least 1.
 * @throws SandboxError when the kernel refuses, which it does without no_new_privs.
 */
export function restrictFiles(kernel: Kernel, abi: number, rules: readonly LandlockRule[]): void {
  const attributes = rulesetBytes(abi);
  const ruleset = kernel.syscall(
    'landlock_create_ruleset',
    SYS_LANDLOCK_CREATE_RULESET,
    attributes,
    attributes.length,
    0,
  );
  try {
    for (const rule of rules) addRule(kernel, ruleset, rule);
    kernel.syscall('landlock_restrict_self', SYS_LANDLOCK_RESTRICT_SELF, ruleset, 0);
  } finally {
    kernel.attempt('close', ruleset);
  }
}

function addRule(kernel: Kernel, ruleset: number, { path, use }: LandlockRule): void {
  let fd: number;
  try {
    fd = openSync(path, O_PATH);
  } catch {
    return;
  }
  try {
    const bytes = ruleBytes(fd, use, fstatSync(fd).isDirectory());
    kernel.syscall('landlock_add_rule', SYS_LANDLOCK_ADD_RULE, ruleset, RULE_PATH_BENEATH, bytes, 0);
  } finally {
    closeSync(fd);
  }
}
