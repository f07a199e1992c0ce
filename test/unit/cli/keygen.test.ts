import { readFileSync, statSync } from 'node:fs';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { makeHostKey } from '../../../src/cli/keygen.ts';
import { loadHostKey } from '../../../src/listener/ssh/hostkey.ts';
import { makeDirectory, refusal } from '../config/fixture.ts';

let place: ReturnType<typeof makeDirectory>;
beforeEach(() => {
  place = makeDirectory();
});
afterEach(() => place.remove());

describe('--keygen', () => {
  it('writes a key that only its owner can read and says what clients need', () => {
    const path = join(place.dir, 'key');
    const text = makeHostKey(path);
    const { fingerprint, publicLine } = loadHostKey(path);
    expect(text).toBe(`host key written: ${path}\nfingerprint: ${fingerprint}\npublic key: ${publicLine}\n`);
    expect(statSync(path).mode & 0o777).toBe(0o600);
  });

  it('leaves a file that exists alone', () => {
    const path = place.file('key', 'precious');
    expect(refusal(() => makeHostKey(path))).toBe(`"${path}" exists already and is left alone`);
    expect(readFileSync(path, 'utf8')).toBe('precious');
  });
});
