import { describe, expect, it } from 'vitest';
import {
  fillFromStats,
  isDeviceMode,
  isDirectoryMode,
  isLinkMode,
  isRegularMode,
  isSpecialMode,
  newEntry,
} from '../../../src/flist/entry.ts';
import type { FileStats } from '../../../src/vfs/module-root.ts';

function filled(stats: Partial<Record<keyof FileStats, bigint>>) {
  const one = newEntry();
  const defaults = { mode: 0o100644n, size: 0n, uid: 0n, gid: 0n, nlink: 1n, dev: 0n, ino: 0n, rdev: 0n };
  fillFromStats(one, { ...defaults, mtimeNs: 0n, atimeNs: 0n, ...stats } as unknown as FileStats);
  return one;
}

describe('fillFromStats', () => {
  it.each([
    [1_500_000_001n, 1, 500_000_001],
    [0n, 0, 0],
    [-1n, -1, 999_999_999],
    [-1_000_000_000n, -1, 0],
    [-1_000_000_001n, -2, 999_999_999],
  ])('splits %i ns so that nanoseconds are never negative', (mtimeNs, seconds, nanoseconds) => {
    const { mtimeSec, mtimeNsec } = filled({ mtimeNs });
    expect([mtimeSec, mtimeNsec]).toEqual([seconds, nanoseconds]);
  });

  it.each([
    [0o20644n, 0x103n, 1, 3],
    [0o60644n, 0x11110370n, 259, 70000],
    [0o60644n, (0x12000n << 32n) | (0xabcd00n << 12n) | 0x34507n, 0x12345, 0xabcd07],
  ])('splits device numbers of mode %o as Linux packs them', (mode, rdev, major, minor) => {
    const { rdevMajor, rdevMinor } = filled({ mode, rdev });
    expect([rdevMajor, rdevMinor]).toEqual([major, minor]);
  });

  it('leaves devices and specials without a size, and files without a device number', () => {
    expect(filled({ mode: 0o20644n, size: 9n }).sizeBytes).toBe(0);
    expect(filled({ mode: 0o10644n, size: 9n }).sizeBytes).toBe(0);
    expect(filled({ mode: 0o100644n, size: 9n, rdev: 0x103n })).toMatchObject({
      sizeBytes: 9,
      rdevMajor: 0,
      rdevMinor: 0,
    });
  });

  it('clears what the entry before left', () => {
    const one = newEntry();
    Object.assign(one, { linkTarget: Buffer.from('x'), checksum: Buffer.from('y'), content: 2 });
    fillFromStats(one, { mode: 0n, mtimeNs: 0n, atimeNs: 0n } as unknown as FileStats);
    expect([one.linkTarget, one.checksum, one.content]).toEqual([null, null, 0]);
  });
});

describe('file types', () => {
  it('are told apart by the whole type field', () => {
    const modes = [0o100644, 0o40755, 0o120777, 0o20644, 0o60644, 0o10644, 0o140755, 0];
    const flags = modes.map((mode) =>
      [isRegularMode, isDirectoryMode, isLinkMode, isDeviceMode, isSpecialMode]
        .map((test) => Number(test(mode)))
        .join(''),
    );
    expect(flags).toEqual(['10000', '01000', '00100', '00010', '00010', '00001', '00001', '00000']);
  });
});
