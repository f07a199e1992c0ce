/** A module whose entries carry ACLs and extended attributes of every kind, and destinations that differ in nothing else; xattrs.test.ts pulls them. */

import { spawnSync } from 'node:child_process';
import { chmodSync, linkSync, mkdirSync, symlinkSync, utimesSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { mustRun } from '../helpers/run.ts';
import { removeTree, scratchDir } from '../helpers/scratch.ts';
import { missing } from '../setup/clients.ts';

/** Program → Debian package. */
const TOOLS: Readonly<Record<string, string>> = { setfattr: 'attr', getfattr: 'attr', setfacl: 'acl', getfacl: 'acl' };

export type DestinationState = 'empty' | 'identical' | 'stale';

export interface AttributeFixtures {
  readonly scratch: string;
  readonly module: string;
  /** Directory to copy for a destination state; null for an empty one. */
  template(state: DestinationState): string | null;
  remove(): void;
}

/** True when the attribute tools are there, if need be after installing them. */
export function hasAttributeTools(): boolean {
  const absent = () => Object.keys(TOOLS).filter((tool) => spawnSync(tool, ['--version']).status !== 0);
  if (absent().length > 0) {
    const env = { ...process.env, DEBIAN_FRONTEND: 'noninteractive' };
    spawnSync('apt-get', ['install', '-y', '--no-install-recommends', 'attr', 'acl'], { stdio: 'inherit', env });
  }
  if (absent().length === 0) return true;
  missing(`programs ${absent().join(', ')} (packages attr and acl)`);
  return false;
}

/** Makes everything on a file system of its own where that is allowed: ext4 has no room for the largest values. Needs root. */
export async function makeAttributeFixtures(): Promise<AttributeFixtures> {
  const scratch = scratchDir('attributes');
  const isMounted = spawnSync('mount', ['-t', 'tmpfs', '-o', 'mode=755,size=256m', 'none', scratch]).status === 0;
  if (!isMounted) console.warn('\n*** no right to mount: values of 64 KiB are not tested ***\n');
  const module = join(scratch, 'module');
  const identical = join(scratch, 'identical');
  const stale = join(scratch, 'stale');
  await makeTree(module, isMounted ? 65_536 : 2_000);
  // Trusted attributes are the super-user's: the daemons neither see nor send them.
  await mustRun('cp', ['-a', module, identical]);
  await mustRun('cp', ['-a', module, stale]);
  await makeStale(stale);
  return {
    scratch,
    module,
    template: (state) => (state === 'empty' ? null : { identical, stale }[state]),
    remove: () => removeTree(scratch, isMounted ? [scratch] : []),
  };
}

const base64 = (value: string): string => `0s${Buffer.from(value, 'latin1').toString('base64')}`;

/** Sets attributes of one entry, of the link itself when it is one. */
async function setAttributes(path: string, values: Readonly<Record<string, string>>): Promise<void> {
  for (const [name, value] of Object.entries(values)) {
    // An empty value is `""` for setfattr. Values that exceed an argument's size go through --restore.
    if (value.length < 10_000) await mustRun('setfattr', ['-h', '-n', name, '-v', value && base64(value), path]);
    else
      await mustRun('setfattr', ['--restore=-'], { input: Buffer.from(`# file: ${path}\n${name}=${base64(value)}\n`) });
  }
}

async function setAcl(path: string, entries: string): Promise<void> {
  await mustRun('setfacl', ['-m', entries, path]);
}

async function makeTree(root: string, largestBytes: number): Promise<void> {
  const at = (name: string): string => join(root, name);
  for (const name of ['dir/sub/deep', 'acl-dir/sub', 'same', 'other']) mkdirSync(at(name), { recursive: true });
  for (const name of FILES) writeFileSync(at(name), `content of ${name}\n`);
  for (let i = 0; i < 20; i++) {
    writeFileSync(at(`same/f${i}`), 'x');
    await setAttributes(at(`same/f${i}`), { 'user.same': 'B'.repeat(64), 'user.kind': i % 2 ? 'odd' : 'even' });
    await setAcl(at(`same/f${i}`), i % 3 ? 'u:1234:r' : 'g:1:rw');
  }
  await decorateFiles(at, largestBytes);
  await decorateLinks(at);
  await decorateDirectories(at);
  for (const name of ['.', ...FILES, ...DIRECTORIES]) utimesSync(at(name), 1_600_000_000, 1_600_000_000);
}

const FILES = [
  'plain',
  'short',
  'exact32',
  'over32',
  'large',
  'many',
  'bytes',
  'fake',
  'super',
  'locked',
  'dir/in',
  'dir/sub/deep/in',
];
const ACL_FILES = ['acl-user', 'acl-both', 'acl-mask', 'acl-group', 'acl-dir/in'];
const DIRECTORIES = ['dir', 'dir/sub', 'dir/sub/deep', 'acl-dir', 'acl-dir/sub', 'same', 'other'];

type At = (name: string) => string;

async function decorateFiles(at: At, largestBytes: number): Promise<void> {
  await setAttributes(at('short'), { 'user.a': 'short', 'user.empty': '', 'trusted.t': 'unseen' });
  await setAttributes(at('exact32'), { 'user.e': 'E'.repeat(32) });
  await setAttributes(at('over32'), { 'user.o': 'O'.repeat(33), 'user.aa': 'first', 'user.zz': 'Z'.repeat(100) });
  await setAttributes(at('large'), { 'user.large': 'L'.repeat(largestBytes), 'user.l2': 'M'.repeat(1000) });
  for (let i = 0; i < 25; i++) await setAttributes(at('many'), { [`user.n${i}`]: `${i}`.repeat(i * 2) });
  await setAttributes(at('bytes'), { 'user.\xfc': '\0\xff\n"', 'user.A': 'upper', 'user.with space': 's' });
  await setAttributes(at('fake'), { 'user.rsync.%stat': '100644 0,0 1:1', 'user.rsync.plain': 'shown', 'user.x': '1' });
  await setAttributes(at('super'), {
    'security.mine': 'S'.repeat(40),
    'security.short': 's',
    'trusted.big': 'T'.repeat(99),
  });
  // Readable list, unreadable value: the entry is left out with an error.
  await setAttributes(at('locked'), { 'user.locked': 'L' });
  chmodSync(at('locked'), 0o600);
  await setAttributes(at('dir/in'), { 'user.in': 'I'.repeat(50) });
  await setAttributes(at('dir/sub/deep/in'), { 'user.in': 'I'.repeat(50) });
  for (const name of ACL_FILES) writeFileSync(at(name), `content of ${name}\n`);
  await setAcl(at('acl-user'), 'u:1234:rwx');
  await setAcl(at('acl-both'), 'u:1234:rwx,u:1:r,u:0:rw,g::r,g:1:r,g:4321:x,m::rwx');
  await setAcl(at('acl-mask'), 'm::r,g::rw');
  await setAcl(at('acl-group'), 'g:daemon:rw,m::r');
  await setAttributes(at('acl-both'), { 'user.with-acl': 'W'.repeat(48) });
  for (const name of ACL_FILES) utimesSync(at(name), 1_600_000_000, 1_600_000_000);
}

async function decorateLinks(at: At): Promise<void> {
  linkSync(at('over32'), at('hard-big'));
  linkSync(at('over32'), at('dir/hard-big'));
  linkSync(at('acl-both'), at('other/hard-acl'));
  symlinkSync('short', at('link'));
  await setAttributes(at('link'), { 'security.on-link': 'on the link itself, and longer than 32' });
  symlinkSync('dir', at('dir-link'));
  symlinkSync('acl-both', at('acl-link'));
  symlinkSync('acl-dir', at('acl-dir-link'));
  await mustRun('mkfifo', [at('fifo')]);
  await setAttributes(at('fifo'), { 'security.on-fifo': 'f' });
  await setAcl(at('fifo'), 'u:1234:r');
  await mustRun('mknod', [at('null'), 'c', '1', '3']);
  await setAttributes(at('null'), { 'security.on-device': 'd'.repeat(50) });
}

async function decorateDirectories(at: At): Promise<void> {
  await setAttributes(at('.'), { 'user.root': 'R'.repeat(70) });
  await setAttributes(at('dir'), { 'user.dir': 'D'.repeat(70), 'user.small': 'd' });
  await setAttributes(at('dir/sub/deep'), { 'user.deep': 'P'.repeat(70) });
  await setAcl(at('acl-dir'), 'u:1234:rwx,d:u:1234:rwx,d:g:1:rx,d:o::-');
  await setAcl(at('acl-dir/sub'), 'd:u::rwx,d:g::rx,d:o::rx');
}

/** What a client has to repair by attributes alone: contents and times stay the same. */
async function makeStale(root: string): Promise<void> {
  const at = (name: string): string => join(root, name);
  await setAttributes(at('plain'), { 'user.added': 'A', 'trusted.added': 'T' });
  await setAttributes(at('short'), { 'user.a': 'other' });
  await setAttributes(at('over32'), { 'user.zz': 'Y'.repeat(100) });
  await setAttributes(at('large'), { 'user.l2': 'm'.repeat(1000) });
  await mustRun('setfattr', ['-x', 'user.n7', at('many')]);
  await mustRun('setfattr', ['-x', 'user.n20', at('many')]);
  await mustRun('setfattr', ['-h', '-x', 'security.on-link', at('link')]);
  await setAttributes(at('dir'), { 'user.dir': 'other' });
  await mustRun('setfattr', ['-x', 'user.root', root]);
  await mustRun('setfacl', ['-b', at('acl-user')]);
  await setAcl(at('acl-both'), 'u:1:rwx');
  await setAcl(at('acl-mask'), 'u:77:r');
  await setAcl(at('acl-group'), 'm::rwx');
  await mustRun('setfacl', ['-k', at('acl-dir')]);
  await setAcl(at('other'), 'u:77:r,d:u:77:r');
  writeFileSync(join(at('other'), 'extra'), 'not in the module');
  writeFileSync(at('dir/in'), 'other content');
  await setAttributes(at('dir/in'), { 'user.in': 'J'.repeat(50) });
}
