import { symlinkSync } from 'node:fs';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { checkDirectory, readMotd } from '../../../src/config/files.ts';
import { makeDirectory, refusal } from './fixture.ts';

let place: ReturnType<typeof makeDirectory>;
beforeEach(() => {
  place = makeDirectory();
});
afterEach(() => place.remove());

describe('readMotd', () => {
  it('returns the bytes of printable UTF-8 unchanged', () => {
    const text = 'Grüße\tan @ERROR alle\r\n\n';
    expect(readMotd(place.file('motd', text), 100).toString()).toBe(text);
  });

  it('accepts the largest size and refuses one byte more', () => {
    expect(readMotd(place.file('motd', 'x'.repeat(10)), 10)).toHaveLength(10);
    expect(refusal(() => readMotd(place.file('motd', 'x'.repeat(11)), 10))).toContain('larger than 10 bytes');
  });

  it.each(['x\n@RSYNCD: OK\n', '@ERROR: no\n'])('refuses %j, which clients would take for ours', (text) => {
    expect(refusal(() => readMotd(place.file('motd', text), 100))).toContain('begins like a line of the protocol');
  });

  it.each(['a\u001b[2Jb', 'a\u0000', 'a\rb', 'a\u009bb', 'a\u007f'])('refuses the control character in %j', (text) => {
    expect(refusal(() => readMotd(place.file('motd', text), 100))).toContain('line 1 has a control character');
  });

  it('refuses bytes that are not UTF-8', () => {
    expect(refusal(() => readMotd(place.file('motd', Buffer.of(0xff)), 100))).toContain('not valid UTF-8');
  });

  it('refuses a link and a device', () => {
    symlinkSync(place.file('motd', 'x'), join(place.dir, 'link'));
    expect(refusal(() => readMotd(join(place.dir, 'link'), 100))).toContain('is a symbolic link');
    expect(refusal(() => readMotd('/dev/zero', 100))).toContain('is not a regular file');
  });
});

describe('checkDirectory', () => {
  it('accepts an absolute path of a directory', () => {
    expect(() => checkDirectory(place.pub)).not.toThrow();
  });

  it.each([
    ['pub', 'expected an absolute path'],
    ['', 'expected an absolute path'],
    ['/usr/../usr', 'without ".."'],
    ['/nonexistent/x', 'expected an existing directory'],
    ['/etc/passwd', 'is not a directory'],
  ])('refuses %j', (path, reason) => {
    expect(refusal(() => checkDirectory(path))).toContain(reason);
  });
});
