/**
 * The seccomp filter of confine.ts, as the kernel's own BPF: what a daemon that only sends never asks for is refused with EPERM,
 * what this build does not know with ENOSYS, another architecture's calls with death.
 *
 * struct sock_filter: code:u16 jt:u8 jf:u8 k:u32. struct sock_fprog: len:u16, padding, filter:pointer.
 * struct seccomp_data: nr:i32 arch:u32 instruction_pointer:u64 args:u64[6].
 */

import { SandboxError } from '../errors.ts';
import { type Architecture, DENIED_CALLS, type Numbers, SOCKET_CALLS } from './denied-calls.ts';
import type { Kernel } from './syscalls.ts';

const PR_SET_SECCOMP = 22;
const SECCOMP_MODE_FILTER = 2;

const LOAD = 0x20;
const JUMP_IF_EQUAL = 0x15;
const JUMP_IF_GREATER = 0x25;
const JUMP_IF_ANY_BIT = 0x45;
const RETURN = 0x06;

const ALLOW = 0x7fff0000;
const KILL_PROCESS = 0x80000000;
const REFUSE = 0x00050000;
const EPERM = 1;
const ENOSYS = 38;

const OFFSET_NUMBER = 0;
const OFFSET_ARCHITECTURE = 4;
/** The low half of an argument: both architectures are little-endian. */
const offsetOfArgument = (index: number) => 16 + index * 8;

/** Of linux/audit.h. */
const AUDIT: Readonly<Record<Architecture, number>> = { x64: 0xc000003e, arm64: 0xc00000b7 };

/** The last call of Linux 6.18. What comes later may write or open in ways that this list does not know. */
const LAST_CALL = 470;

/** O_WRONLY, O_RDWR, O_CREAT, O_TRUNC, __O_TMPFILE: the same on both architectures. */
const WRITING_FLAGS = 0o1 | 0o2 | 0o100 | 0o1000 | 0o20000000;

/** A new thread has this flag, a new process has not. */
const CLONE_THREAD = 0x10000;

/** Calls that a flag decides over: argument's place, bits, and whether they must be there or must not. */
const BY_FLAGS: readonly { numbers: Numbers; argument: number; bits: number; refusedWhen: 'set' | 'clear' }[] = [
  { numbers: { x64: 2, arm64: null }, argument: 1, bits: WRITING_FLAGS, refusedWhen: 'set' }, // open
  { numbers: { x64: 257, arm64: 56 }, argument: 2, bits: WRITING_FLAGS, refusedWhen: 'set' }, // openat
  { numbers: { x64: 56, arm64: 220 }, argument: 0, bits: CLONE_THREAD, refusedWhen: 'clear' }, // clone
];

/** Their flags are in memory, where no filter can look. The C library falls back to clone, open and openat. */
const UNREADABLE: readonly Numbers[] = [
  { x64: 435, arm64: 435 }, // clone3
  { x64: 437, arm64: 437 }, // openat2
];

export interface FilterOptions {
  /** Whether new sockets may be opened. */
  readonly sockets: boolean;
}

type Instruction = readonly [code: number, jumpTrue: number, jumpFalse: number, k: number];

const refuse = (errno: number): Instruction => [RETURN, 0, 0, REFUSE | errno];
const load = (offset: number): Instruction => [LOAD, 0, 0, offset];

/** Refuses one call whatever its arguments are. The number is loaded. */
function refusal(number: number, errno: number): Instruction[] {
  return [[JUMP_IF_EQUAL, 0, 1, number], refuse(errno)];
}

function refusalByFlags({ argument, bits, refusedWhen }: (typeof BY_FLAGS)[number], number: number): Instruction[] {
  const [onSet, onClear] = refusedWhen === 'set' ? [0, 1] : [1, 0];
  const allow: Instruction = [RETURN, 0, 0, ALLOW];
  const judge: Instruction[] = [
    load(offsetOfArgument(argument)),
    [JUMP_IF_ANY_BIT, onSet, onClear, bits],
    refuse(EPERM),
    allow,
  ];
  return [[JUMP_IF_EQUAL, 0, judge.length, number], ...judge];
}

/** The filter's instructions for one architecture. */
export function filterProgram(architecture: Architecture, { sockets }: FilterOptions): Buffer {
  const denied = [...DENIED_CALLS.values(), ...(sockets ? [] : SOCKET_CALLS.values())];
  const numberOf = (numbers: Numbers): number[] => (numbers[architecture] === null ? [] : [numbers[architecture]]);
  const program: Instruction[] = [
    load(OFFSET_ARCHITECTURE),
    [JUMP_IF_EQUAL, 1, 0, AUDIT[architecture]],
    [RETURN, 0, 0, KILL_PROCESS],
    load(OFFSET_NUMBER),
    // SECURITY: also the calls of x86's x32, whose numbers have a bit of their own and would pass all comparisons below.
    [JUMP_IF_GREATER, 0, 1, LAST_CALL],
    refuse(ENOSYS),
    ...BY_FLAGS.flatMap((row) => numberOf(row.numbers).flatMap((number) => refusalByFlags(row, number))),
    ...UNREADABLE.flatMap(numberOf).flatMap((number) => refusal(number, ENOSYS)),
    ...denied.flatMap(numberOf).flatMap((number) => refusal(number, EPERM)),
    [RETURN, 0, 0, ALLOW],
  ];
  const bytes = Buffer.alloc(program.length * 8);
  program.forEach(([code, jumpTrue, jumpFalse, k], index) => {
    bytes.writeUInt16LE(code, index * 8);
    bytes.writeUInt8(jumpTrue, index * 8 + 2);
    bytes.writeUInt8(jumpFalse, index * 8 + 3);
    bytes.writeUInt32LE(k >>> 0, index * 8 + 4);
  });
  return bytes;
}

/** Whether the kernel has filters: it then looks at the missing program before anything else. */
export function isFilterPossible(kernel: Kernel): boolean {
  return kernel.attempt('prctl', PR_SET_SECCOMP, SECCOMP_MODE_FILTER, 0).code === 'EFAULT';
}

/**
 * Filters the calls of this thread and of what it executes, for ever.
 * @throws SandboxError when the kernel has no seccomp, without no_new_privs, or on a processor that this build has no numbers for.
 */
export function filterCalls(kernel: Kernel, options: FilterOptions): void {
  const { arch } = process;
  if (arch !== 'x64' && arch !== 'arm64') throw new SandboxError(`seccomp: no call numbers for ${arch}`);
  const program = filterProgram(arch, options);
  const header = Buffer.alloc(16);
  header.writeUInt16LE(program.length / 8);
  header.writeBigUInt64LE(kernel.addressOf(program), 8);
  kernel.call('prctl', PR_SET_SECCOMP, SECCOMP_MODE_FILTER, header);
}
