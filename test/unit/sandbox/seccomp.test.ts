import { describe, expect, it } from 'vitest';
import { type Architecture, DENIED_CALLS, SOCKET_CALLS } from '../../../src/sandbox/denied-calls.ts';
import { filterProgram } from '../../../src/sandbox/seccomp.ts';

const AUDIT = { x64: 0xc000003e, arm64: 0xc00000b7 };
const ALLOW = 0x7fff0000;
const KILL = 0x80000000;
const EPERM = 0x00050001;
const ENOSYS = 0x00050026;

interface Call {
  readonly number: number;
  readonly args?: readonly number[];
  readonly audit?: number;
}

/** The kernel's interpreter, as far as the filter uses it. */
function judge(architecture: Architecture, { number, args = [], audit = AUDIT[architecture] }: Call, sockets = false) {
  const program = filterProgram(architecture, { sockets });
  const words = new Map([[0, number], [4, audit], ...args.map((arg, index) => [16 + index * 8, arg] as const)]);
  let accumulator = 0;
  for (let at = 0; at < program.length / 8; at++) {
    const code = program.readUInt16LE(at * 8);
    const k = program.readUInt32LE(at * 8 + 4);
    const jump = (taken: boolean) => program.readUInt8(at * 8 + (taken ? 2 : 3));
    if (code === 0x20) accumulator = (words.get(k) ?? 0) >>> 0;
    else if (code === 0x15) at += jump(accumulator === k);
    else if (code === 0x25) at += jump(accumulator > k);
    else if (code === 0x45) at += jump((accumulator & k) !== 0);
    else if (code === 0x06) return k;
    else throw new Error(`unknown instruction ${code}`);
  }
  throw new Error('ran over the end');
}

const NUMBERS = {
  x64: { read: 0, openat: 257, clone: 56, execve: 59, accept4: 288 },
  arm64: { read: 63, openat: 56, clone: 220, execve: 221, accept4: 242 },
};

describe.each(['x64', 'arm64'] as const)('the seccomp filter for %s', (architecture) => {
  const { read, openat, clone, execve, accept4 } = NUMBERS[architecture];

  it('lets a serving daemon read, accept and be started', () => {
    for (const number of [read, accept4, execve]) expect(judge(architecture, { number })).toBe(ALLOW);
  });

  it.each([...DENIED_CALLS, ...SOCKET_CALLS])('refuses %s', (_name, numbers) => {
    const number = numbers[architecture];
    if (number !== null) expect(judge(architecture, { number })).toBe(EPERM);
  });

  it('leaves sockets alone where they are needed', () => {
    for (const { [architecture]: number } of SOCKET_CALLS.values()) {
      expect(judge(architecture, { number: number! }, true)).toBe(ALLOW);
    }
  });

  it.each([
    ['O_RDONLY', 0, ALLOW],
    ['O_RDONLY|O_NOFOLLOW|O_DIRECTORY|O_CLOEXEC|O_PATH', 0o12700000, ALLOW],
    ['O_WRONLY', 0o1, EPERM],
    ['O_RDWR', 0o2, EPERM],
    ['O_CREAT', 0o100, EPERM],
    ['O_TRUNC', 0o1000, EPERM],
    ['__O_TMPFILE', 0o20000000, EPERM],
  ])('judges openat with %s by its flags', (_name, flags, verdict) => {
    expect(judge(architecture, { number: openat, args: [0, 0, flags] })).toBe(verdict);
  });

  it('allows threads and no processes', () => {
    expect(judge(architecture, { number: clone, args: [0x3d0f00] })).toBe(ALLOW);
    expect(judge(architecture, { number: clone, args: [17] })).toBe(EPERM);
    // clone3 has its flags in memory: the C library falls back to clone.
    expect(judge(architecture, { number: 435 })).toBe(ENOSYS);
  });

  it('does not know what this build does not know, nor the calls of x32', () => {
    for (const number of [471, 600, 0x40000000 | 87]) expect(judge(architecture, { number })).toBe(ENOSYS);
  });

  it('kills what comes by the calls of another architecture', () => {
    expect(judge(architecture, { number: read, audit: 0x40000003 })).toBe(KILL);
  });
});
