/** Which mounts count as following no link. */

import { describe, expect, it } from 'vitest';
import { linklessRoots } from '../../../src/vfs/linkless-roots.ts';

const FLAGS = 'ro,nosuid,nodev,noexec';

const mountinfo = (...mounts: readonly (readonly [path: string, options: string])[]): string =>
  mounts
    .map(([path, options], index) => `${30 + index} 29 8:1 /real ${path} ${options} - ext4 /dev/sda1 rw\n`)
    .join('');

describe('linklessRoots', () => {
  it('takes mounts that follow no link, and no others', () => {
    const text = mountinfo(['/', FLAGS], ['/srv/a', `${FLAGS},nosymfollow,relatime`], ['/srv/b', FLAGS]);
    expect([...linklessRoots(text)]).toEqual(['/srv/a']);
  });

  it('leaves out a mount with another below or on top of it that follows links', () => {
    const linkless = `${FLAGS},nosymfollow`;
    const below = mountinfo(['/srv/a', linkless], ['/srv/a/b/c', FLAGS], ['/srv/ab', linkless]);
    expect([...linklessRoots(below)]).toEqual(['/srv/ab']);
    expect([...linklessRoots(mountinfo(['/srv/a', linkless], ['/srv/a', FLAGS]))]).toEqual([]);
    expect([...linklessRoots(mountinfo(['/srv/a', linkless], ['/srv/a/b', linkless]))]).toEqual(['/srv/a', '/srv/a/b']);
  });

  it('leaves out the root directory and paths that are spelled in several ways', () => {
    const linkless = `${FLAGS},nosymfollow`;
    const text = mountinfo(['/', linkless], ['/srv/a\\040b', linkless], ['/srv/\u00c3\u00a4', linkless]);
    expect([...linklessRoots(text)]).toEqual([]);
  });

  it('finds none in a process like this one', () => {
    expect([...linklessRoots()]).toEqual([]);
  });
});
