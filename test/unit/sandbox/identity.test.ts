/** Giving up root, in child processes: this one stays what it is. */

import { describe, expect, it } from 'vitest';
import { isRoot, runAs } from './as-user.ts';

const IDS = `print({
  ids: [process.getuid(), process.geteuid(), process.getgid(), process.getegid()], groups: process.getgroups() });`;

describe.skipIf(!isRoot)('dropToNobody as root (skipped: not root)', () => {
  it('leaves nothing but nobody and its group', () => {
    expect(runAs(null, 'identity.ts', `subject.dropToNobody(); ${IDS}`)).toEqual({
      ids: [65534, 65534, 65534, 65534],
      groups: [65534],
    });
  });

  it('drops all capabilities, effective and permitted', () => {
    const body = `subject.dropToNobody(); const { readFileSync } = await import('node:fs');
      print(readFileSync('/proc/self/status', 'utf8').match(/^Cap(Prm|Eff):\\s*0+$/gm).length);`;
    expect(runAs(null, 'identity.ts', body)).toBe(2);
  });

  it('changes every thread of the process', () => {
    const body = `subject.dropToNobody(); const { readdirSync, readFileSync } = await import('node:fs');
      const uids = readdirSync('/proc/self/task').map((id) =>
        readFileSync('/proc/self/task/' + id + '/status', 'utf8').match(/^Uid:(.*)$/m)[1].trim());
      print([...new Set(uids)]);`;
    expect(runAs(null, 'identity.ts', body)).toEqual(['65534\t65534\t65534\t65534']);
  });

  it('becomes the user and group it is told', () => {
    expect(runAs(null, 'identity.ts', `subject.dropToNobody(1234, 4321); ${IDS}`)).toEqual({
      ids: [1234, 1234, 4321, 4321],
      groups: [4321],
    });
  });

  it('says who it is now', () => {
    expect(runAs(null, 'identity.ts', 'print(subject.dropToNobody())')).toBe(
      'gave up root: runs as uid 65534, gid 65534, groups [65534]',
    );
  });

  it.each(['0, 65534', '65534, 0'])('refuses to stay root (%s)', (ids) => {
    expect(runAs(null, 'identity.ts', `subject.dropToNobody(${ids})`)).toMatchObject({ error: 'SandboxError' });
  });

  it('refuses to go on when it may not change its user', () => {
    const wrap = ['setpriv', '--bounding-set=-setuid', '--inh-caps=-setuid'];
    expect(runAs(null, 'identity.ts', 'subject.dropToNobody()', wrap)).toMatchObject({
      error: 'SandboxError',
      message: expect.stringContaining('cannot become uid 65534'),
    });
  });

  it('refuses to go on when root could be taken back', () => {
    // With the keep-capabilities bit CAP_SETUID survives the change of user.
    const wrap = ['setpriv', '--securebits=+no_setuid_fixup'];
    expect(runAs(null, 'identity.ts', 'subject.dropToNobody()', wrap)).toEqual({
      error: 'SandboxError',
      message: 'root was not given up: it could be taken back',
    });
  });
});

describe('dropToNobody without root', () => {
  it.skipIf(!isRoot)('changes nothing and says so (skipped: not root, so there is no other user to become)', () => {
    const identity = { uid: 1000, gid: 1000, groups: [1000, 50] };
    expect(runAs(identity, 'identity.ts', 'print(subject.dropToNobody())')).toMatch(
      /^not started as root: runs as uid 1000, gid 1000, groups \[/,
    );
  });

  it.skipIf(isRoot)('changes nothing and says so (skipped: this process is root)', () => {
    expect(runAs(null, 'identity.ts', 'print(subject.dropToNobody())')).toMatch(/^not started as root/);
  });
});
