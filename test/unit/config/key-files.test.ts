import { symlinkSync } from 'node:fs';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { readPrivateText, readTrustedText } from '../../../src/config/key-files.ts';
import { makeDirectory, refusal, UID } from './fixture.ts';

let place: ReturnType<typeof makeDirectory>;
beforeEach(() => {
  place = makeDirectory();
});
afterEach(() => place.remove());

describe('a file that says whom to trust', () => {
  it.each([0o644, 0o600, 0o440])('may have mode %o', (mode) => {
    expect(readTrustedText(place.file('keys', 'text', mode), UID)).toBe('text');
  });

  it.each([0o664, 0o646, 0o666])('may not have mode %o', (mode) => {
    expect(refusal(() => readTrustedText(place.file('keys', '', mode), UID))).toMatch(
      /keys" has mode 06\d\d: only its owner may write it/,
    );
  });

  it.skipIf(UID !== 0)('may belong to root when we are somebody else', () => {
    expect(readTrustedText(place.file('keys', 'text'), 4711)).toBe('text');
  });

  it.skipIf(UID === 0)('may not belong to somebody else', () => {
    expect(refusal(() => readTrustedText(place.file('keys', ''), UID + 1))).toContain('belongs to uid');
  });

  it('may be named by a link, as certbot and Kubernetes do', () => {
    symlinkSync(place.file('target', 'text'), join(place.dir, 'link'));
    expect(readTrustedText(join(place.dir, 'link'), UID)).toBe('text');
  });

  it('is named when it is missing', () => {
    expect(refusal(() => readTrustedText('/nowhere/keys', UID))).toBe('"/nowhere/keys": no such file');
  });
});

describe('a private key', () => {
  it.each([0o640, 0o600, 0o400])('may have mode %o', (mode) => {
    expect(readPrivateText(place.file('key', 'text', mode), UID)).toBe('text');
  });

  it.each([0o644, 0o660, 0o604])('may not have mode %o', (mode) => {
    expect(refusal(() => readPrivateText(place.file('key', '', mode), UID))).toContain('expected 0640 or stricter');
  });
});
