/** Host key files on disk: permissions, owners, kinds of files, creation. */

import { execFileSync } from 'node:child_process';
import { chmodSync, mkdirSync, mkdtempSync, readFileSync, rmSync, statSync, symlinkSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { ConfigError } from '../../../../src/errors.ts';
import { createHostKeyFile, loadHostKey } from '../../../../src/listener/ssh/hostkey.ts';
import { OPENSSH_KEY, OPENSSH_KEY_FINGERPRINT } from './key-fixtures.ts';

let scratch = '';
beforeAll(() => {
  scratch = mkdtempSync(join(tmpdir(), 'hostkey-'));
});
afterAll(() => rmSync(scratch, { recursive: true }));

function keyFile(name: string, mode: number, text = OPENSSH_KEY): string {
  const path = join(scratch, name);
  writeFileSync(path, text);
  chmodSync(path, mode);
  return path;
}

describe('loadHostKey', () => {
  it.each([0o600, 0o400])('reads a file of mode %o', (mode) => {
    expect(loadHostKey(keyFile(`good-${mode}`, mode)).fingerprint).toBe(OPENSSH_KEY_FINGERPRINT);
  });

  it.each([0o640, 0o604, 0o644, 0o620, 0o601])('refuses a file of mode %o', (mode) => {
    expect(() => loadHostKey(keyFile(`open-${mode}`, mode))).toThrow('must be closed to others (chmod 600)');
  });

  it('trusts the service manager with the modes of its credentials, and with nothing besides them', () => {
    const path = keyFile('credential', 0o440);
    expect(loadHostKey(path, scratch).fingerprint).toBe(OPENSSH_KEY_FINGERPRINT);
    expect(() => loadHostKey(path, join(scratch, 'other'))).toThrow(ConfigError);
  });

  it.runIf(process.getuid?.() === 0)('refuses a file of another user', () => {
    const path = keyFile('foreign', 0o600);
    execFileSync('chown', ['65534', path]);
    expect(() => loadHostKey(path)).toThrow('belongs to user 65534');
  });

  it('follows a link to a good file', () => {
    const link = join(scratch, 'link');
    symlinkSync(keyFile('target', 0o600), link);
    expect(loadHostKey(link).fingerprint).toBe(OPENSSH_KEY_FINGERPRINT);
  });

  it('says what to do when there is none', () => {
    expect(() => loadHostKey(join(scratch, 'missing'))).toThrow('make the host key with --keygen');
  });

  it('names the file when its content is wrong', () => {
    expect(() => loadHostKey(keyFile('empty', 0o600, ''))).toThrow(/empty": the host key file holds no private key/);
  });

  it('refuses directories, FIFOs and large files at once', () => {
    const directory = join(scratch, 'directory');
    mkdirSync(directory, { mode: 0o700 });
    expect(() => loadHostKey(directory)).toThrow('is not a regular file');
    const fifo = join(scratch, 'fifo');
    execFileSync('mkfifo', ['-m', '600', fifo]);
    expect(() => loadHostKey(fifo)).toThrow('is not a regular file');
    expect(() => loadHostKey(keyFile('large', 0o600, 'x'.repeat(16_385)))).toThrow('is too large');
  });
});

describe('createHostKeyFile', () => {
  it('writes a file that only we can read and that loads as the same key', () => {
    const path = join(scratch, 'new');
    const key = createHostKeyFile(path, 'host');
    expect(statSync(path).mode & 0o7777).toBe(0o600);
    expect(loadHostKey(path).fingerprint).toBe(key.fingerprint);
  });

  it('leaves an existing file alone, also a link that leads nowhere', () => {
    const path = keyFile('kept', 0o600, 'precious');
    expect(() => createHostKeyFile(path, 'host')).toThrow('exists already');
    expect(readFileSync(path, 'utf8')).toBe('precious');
    const link = join(scratch, 'dangling');
    symlinkSync(join(scratch, 'planted'), link);
    expect(() => createHostKeyFile(link, 'host')).toThrow('exists already');
  });

  it('says why it cannot write', () => {
    expect(() => createHostKeyFile(join(scratch, 'no/such/directory'), 'host')).toThrow('ENOENT');
  });
});
