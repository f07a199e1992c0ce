import { chownSync, mkdirSync, symlinkSync } from 'node:fs';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { readSecrets, secretsPath } from '../../../src/config/secrets.ts';
import { makeDirectory, refusal, UID } from './fixture.ts';

let place: ReturnType<typeof makeDirectory>;
beforeEach(() => {
  place = makeDirectory();
});
afterEach(() => place.remove());

describe('readSecrets', () => {
  it('takes the rest of the line as password, byte for byte', () => {
    const content = Buffer.concat([Buffer.from('# c\n\nalice:a:b c \nbob:'), Buffer.of(0xff, 0x0d, 0x0a)]);
    const secrets = readSecrets(place.file('s', content, 0o640), UID);
    expect([...secrets]).toEqual([
      ['alice', Buffer.from('a:b c ')],
      ['bob', Buffer.of(0xff, 0x0d)],
    ]);
  });

  it('reads a last line without line feed', () => {
    expect(readSecrets(place.file('s', 'a:b'), UID).get('a')).toEqual(Buffer.from('b'));
  });

  it.each([0o644, 0o660, 0o604, 0o700, 0o4600])('refuses mode %o', (mode) => {
    expect(refusal(() => readSecrets(place.file('s', 'a:b', mode), UID))).toContain('expected 0640 or stricter');
  });

  it('refuses a file that belongs to somebody else', () => {
    const path = place.file('s', 'a:b');
    const owner = UID === 0 ? 4242 : UID;
    chownSync(path, owner, -1);
    expect(refusal(() => readSecrets(path, owner + 1))).toContain(`belongs to uid ${owner}`);
  });

  it('refuses a link, a directory and a missing file', () => {
    symlinkSync(place.file('s', 'a:b'), join(place.dir, 'link'));
    const problems = ['link', 'pub', 'none'].map((name) => refusal(() => readSecrets(join(place.dir, name), UID)));
    expect(problems[0]).toContain('is a symbolic link');
    expect(problems[1]).toContain('is not a regular file');
    expect(problems[2]).toContain('no such file');
  });

  it('refuses a file above 1 MiB', () => {
    expect(refusal(() => readSecrets(place.file('s', Buffer.alloc(2 ** 20 + 1, 0x23)), UID))).toContain('larger than');
  });

  it.each(['nocolon', ':pw', 'user:'])('names a bad line %j by number and never shows it', (line) => {
    const problem = refusal(() => readSecrets(place.file('s', `a:b\n${line}\n`), UID));
    expect(problem).toContain('line 2: expected user:password');
    expect(problem).not.toContain(`"${line}`);
  });

  it('refuses a second line for one user', () => {
    expect(refusal(() => readSecrets(place.file('s', 'a:b\na:c\n'), UID))).toContain(
      'line 2: this user has a line already',
    );
  });
});

describe('secretsPath', () => {
  it('prefers a credential of that name, else starts from the configuration file', () => {
    mkdirSync(join(place.dir, 'cred'));
    place.file('cred/secrets', 'a:b');
    const context = { credentialsDirectory: join(place.dir, 'cred'), uid: UID };
    const credential = join(place.dir, 'cred/secrets');
    expect(['secrets', 'other', 'x/secrets', '/abs/other'].map((file) => secretsPath(file, '/etc', context))).toEqual([
      credential,
      '/etc/other',
      credential,
      '/abs/other',
    ]);
  });
});
