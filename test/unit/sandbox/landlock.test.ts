import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { landlockAbi, ruleBytes, rulesetBytes } from '../../../src/sandbox/landlock.ts';
import { loadKernel } from '../../../src/sandbox/syscalls.ts';
import { runAs } from './as-user.ts';

describe('rulesetBytes', () => {
  it.each([
    [1, 'ff1f000000000000'],
    [2, 'ff3f000000000000'],
    [3, 'ff7f000000000000'],
    [4, 'ff7f0000000000000300000000000000'],
    [5, 'ffff0000000000000300000000000000'],
    [6, 'ffff00000000000003000000000000000300000000000000'],
    [99, 'ffff00000000000003000000000000000300000000000000'],
  ])('forbids all that ABI %i knows', (abi, hex) => {
    expect(rulesetBytes(abi).toString('hex')).toBe(hex);
  });
});

describe('ruleBytes', () => {
  it('allows reading, executing where asked for, and listing only in directories', () => {
    expect(ruleBytes(5, 'read', true).toString('hex')).toBe('0c0000000000000005000000');
    expect(ruleBytes(5, 'read', false).toString('hex')).toBe('040000000000000005000000');
    expect(ruleBytes(258, 'execute', false).toString('hex')).toBe('050000000000000002010000');
  });
});

describe.skipIf(landlockAbi(await loadKernel()) === 0)('restrictFiles (skipped: this kernel has no Landlock)', () => {
  let dir: string;
  beforeAll(() => {
    dir = mkdtempSync(join(tmpdir(), 'gokr-landlock-'));
    writeFileSync(join(dir, 'file'), 'content');
  });
  afterAll(() => rmSync(dir, { recursive: true }));

  it('leaves the thread what its rules name, for reading alone', () => {
    const body = `
      const { loadKernel } = await import(${JSON.stringify(join(import.meta.dirname, '../../../src/sandbox/syscalls.ts'))});
      const { forbidNewPrivileges } = await import(${JSON.stringify(join(import.meta.dirname, '../../../src/sandbox/privileges.ts'))});
      const fs = await import('node:fs');
      const kernel = await loadKernel();
      forbidNewPrivileges(kernel);
      const rules = [{ path: ${JSON.stringify(dir)}, use: 'read' }, { path: '/nonexistent', use: 'read' }];
      subject.restrictFiles(kernel, subject.landlockAbi(kernel), rules);
      const code = (action) => { try { return String(action()); } catch (error) { return error.code; } };
      print([
        code(() => fs.readFileSync(${JSON.stringify(join(dir, 'file'))})),
        code(() => fs.readdirSync(${JSON.stringify(dir)})),
        code(() => fs.writeFileSync(${JSON.stringify(join(dir, 'file'))}, 'x')),
        code(() => fs.unlinkSync(${JSON.stringify(join(dir, 'file'))})),
        code(() => fs.readFileSync('/etc/passwd')),
        code(() => fs.readdirSync('/')),
      ]);`;
    expect(runAs(null, 'landlock.ts', body)).toEqual(['content', 'file', 'EACCES', 'EACCES', 'EACCES', 'EACCES']);
  });
});
