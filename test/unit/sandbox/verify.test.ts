/** Refuse-if-writable on real trees, seen by real users. */

import { spawnSync } from 'node:child_process';
import {
  chmodSync,
  chownSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  rmSync,
  statSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { SandboxError } from '../../../src/errors.ts';
import { assertReadOnly, findWritable } from '../../../src/sandbox/verify.ts';
import { type Identity, isRoot, runAs } from './as-user.ts';

const NOBODY: Identity = { uid: 65534, gid: 65534 };
let root: string;

/** module/{sub/{deep/file},file}, all of it root's and closed to others. */
beforeEach(() => {
  root = mkdtempSync(join(tmpdir(), 'verify-'));
  mkdirSync(join(root, 'sub/deep'), { recursive: true });
  writeFileSync(join(root, 'file'), 'content');
  writeFileSync(join(root, 'sub/deep/file'), 'content');
  chmodSync(root, 0o755);
});

afterEach(() => rmSync(root, { recursive: true, force: true }));

function findAs(identity: Identity | null, options = '{}', wrap: string[] = []): unknown {
  return runAs(identity, 'verify.ts', `print(subject.findWritable(${JSON.stringify(root)}, ${options}))`, wrap);
}

function found(path: string, why: string): unknown {
  return { path: join(root, path), reason: expect.stringContaining(why) };
}

describe('our own tree', () => {
  it('is writable', () => {
    const why = isRoot ? 'this process is root, which no mode stops (drwxr-xr-x root:root)' : 'this process owns it';
    expect(findWritable(root)).toEqual({ path: root, reason: expect.stringContaining(why) });
  });

  it('is left as it was', () => {
    const before = statSync(root, { bigint: true });
    findWritable(root);
    const after = statSync(root, { bigint: true });
    expect([after.mtimeNs, after.ctimeNs]).toEqual([before.mtimeNs, before.ctimeNs]);
    expect(readdirSync(root).sort()).toEqual(['file', 'sub']);
  });

  it('is refused as a module, by name, with path, reason and remedy', () => {
    expect(() => assertReadOnly([{ name: 'pub', path: root }])).toThrow(SandboxError);
    expect(() => assertReadOnly([{ name: 'pub', path: root }])).toThrow(
      new RegExp(`^module "pub": ${root} is writable: this process .*; give the daemon a read-only view`),
    );
  });

  it('is refused together with all other such modules in one message', () => {
    const modules = [
      { name: 'a', path: root },
      { name: 'b', path: join(root, 'sub') },
    ];
    expect(() => assertReadOnly(modules)).toThrow(/module "a": .*\nmodule "b": /);
  });

  it('is looked at through a link that the path itself is', () => {
    const link = `${root}-link`;
    symlinkSync(root, link);
    expect(findWritable(link)?.path).toBe(root);
    rmSync(link);
  });
});

it('refuses a path that is not there', () => {
  expect(() => findWritable(join(root, 'nowhere'))).toThrow(/cannot look at .*nowhere: ENOENT/);
});

describe.skipIf(!isRoot)('a tree of another user (skipped: not root)', () => {
  it('is fine when its modes keep us out', () => {
    expect(findAs(NOBODY)).toBeNull();
  });

  it('is searched to its end', () => {
    const body = `print(subject.assertReadOnly([{ name: 'pub', path: ${JSON.stringify(root)} }]))`;
    expect(runAs(NOBODY, 'verify.ts', body)).toEqual([{ module: 'pub', entries: 5, complete: true }]);
  });

  it('is writable where a mode lets everybody write', () => {
    chmodSync(join(root, 'sub/deep'), 0o1777);
    expect(findAs(NOBODY)).toEqual(found('sub/deep', 'mode 1777 lets everybody write (drwxrwxrwt root:root)'));
  });

  it('is writable where one file is', () => {
    chmodSync(join(root, 'sub/deep/file'), 0o666);
    expect(findAs(NOBODY)).toEqual(found('sub/deep/file', 'mode 0666 lets everybody write (-rw-rw-rw- root:root)'));
  });

  it('is writable where one of our groups may write', () => {
    chownSync(join(root, 'sub'), 0, 4321);
    chmodSync(join(root, 'sub'), 0o2775);
    expect(findAs({ ...NOBODY, groups: [4321] })).toEqual(found('sub', 'mode 2775 lets our group 4321 write'));
    expect(findAs(NOBODY)).toBeNull();
  });

  it('is writable where we own something, although its mode says no', () => {
    chownSync(join(root, 'file'), 65534, 0);
    chmodSync(join(root, 'file'), 0o444);
    expect(findAs(NOBODY)).toEqual(found('file', 'this process owns it and could chmod it (-r--r--r-- nobody:root)'));
  });

  it('is not writable by mere ownership when only proof counts', () => {
    chownSync(join(root, 'file'), 65534, 0);
    chmodSync(join(root, 'file'), 0o444);
    expect(findAs(NOBODY, '{ onlyProven: true }')).toBeNull();
  });

  const hasAcl = spawnSync('setfacl', ['--version']).status === 0;

  it.skipIf(!hasAcl)('is writable where an access control list says so (skipped: no setfacl)', (context) => {
    const set = spawnSync('setfacl', ['-m', 'u:65534:rw', join(root, 'file')]);
    context.skip(set.status !== 0, 'this file system has no access control lists');
    expect(findAs(NOBODY)).toEqual(found('file', 'an access control list or a capability'));
  });

  it('is not searched through symbolic links', () => {
    symlinkSync(tmpdir(), join(root, 'link'));
    expect(findAs(NOBODY)).toBeNull();
  });

  it('may hold FIFOs and devices that everybody can write to', () => {
    spawnSync('mkfifo', ['-m', '666', join(root, 'fifo')]);
    spawnSync('mknod', ['-m', '666', join(root, 'full'), 'c', '1', '7']);
    expect(readdirSync(root)).toContain('fifo');
    expect(findAs(NOBODY)).toBeNull();
  });

  it('may hold directories that cannot be listed or entered', () => {
    chmodSync(join(root, 'sub'), 0o711);
    chmodSync(join(root, 'sub/deep'), 0o744);
    expect(findAs(NOBODY)).toBeNull();
  });

  it('has its names escaped and its bytes kept', () => {
    spawnSync('sh', ['-c', 'mkdir "$0/$(printf "\\033[2J\\377")" && chmod 777 "$0"/*2J*', root]);
    expect(findAs(NOBODY)).toEqual(found('\\x1b[2J\ufffd', 'mode 0777'));
  });

  it('is searched no further than the budget, from the top down', () => {
    chmodSync(join(root, 'sub/deep/file'), 0o666);
    expect(findAs(NOBODY, '{ entries: 4 }')).toBeNull();
    expect(findAs(NOBODY, '{ entries: 5 }')).toEqual(found('sub/deep/file', 'mode 0666'));
  });

  it('is searched for no longer than the time allows', () => {
    chmodSync(join(root, 'sub/deep/file'), 0o666);
    expect(findAs(NOBODY, '{ ms: 0 }')).toBeNull();
  });

  it('is searched next to a huge directory', () => {
    mkdirSync(join(root, 'huge'));
    for (let index = 0; index < 2500; index++) writeFileSync(join(root, 'huge', String(index)), '');
    chmodSync(join(root, 'sub/deep'), 0o777);
    // The first turn of `huge` ends after 1000 entries, whichever of the two directories comes first.
    expect(findAs(NOBODY, '{ entries: 1500 }')).toEqual(found('sub/deep', 'mode 0777'));
    chmodSync(join(root, 'sub/deep'), 0o755);
    const body = `print(subject.assertReadOnly([{ name: 'pub', path: ${JSON.stringify(root)} }]))`;
    expect(runAs(NOBODY, 'verify.ts', body)).toEqual([{ module: 'pub', entries: 2506, complete: true }]);
  });
});

/** A mount namespace in which `setup` has run before the command. */
function inNamespace(setup: string): string[] {
  return ['unshare', '--mount', 'sh', '-c', `${setup}; exec "$@"`, 'sh'];
}

const canMount = isRoot && spawnSync('unshare', ['--mount', 'true']).status === 0;

describe.skipIf(!canMount)('a read-only mount (skipped: no mount namespaces)', () => {
  const readOnly = (): string => `mount --bind ${root} ${root} && mount -o remount,bind,ro ${root}`;

  it('is not writable, not even by root', () => {
    expect(findAs(null, '{}', inNamespace(readOnly()))).toBeNull();
  });

  it('is not writable by the owner of everything in it, whatever the modes are', () => {
    spawnSync('chown', ['-R', '65534:65534', root]);
    chmodSync(join(root, 'file'), 0o444);
    chmodSync(join(root, 'sub/deep'), 0o555);
    expect(findAs(NOBODY, '{}', inNamespace(readOnly()))).toBeNull();
  });

  it('is writable where another mount inside it is', () => {
    const setup = `${readOnly()} && mount -t tmpfs none ${root}/sub/deep`;
    expect(findAs(NOBODY, '{}', inNamespace(setup))).toEqual(found('sub/deep', 'mode 1777 lets everybody write'));
  });
});
