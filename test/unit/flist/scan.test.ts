import { execFileSync } from 'node:child_process';
import { chmodSync, mkdirSync, rmSync, symlinkSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterEach, beforeAll, describe, expect, it } from 'vitest';
import { loadChecksums } from '../../../src/checksum/pool.ts';
import { LimitError } from '../../../src/errors.ts';
import type { Limits } from '../../../src/limits.ts';
import { type FileStats, type ModuleRoot, ModuleView } from '../../../src/vfs/module-root.ts';
import type { DirectoryPath } from '../../../src/vfs/path.ts';
import { hitsOf } from '../../helpers/hits.ts';
import { cleanUp, decode, list, makeTree, sendAll, shownSorted } from './list-fixture.ts';

beforeAll(loadChecksums);
afterEach(cleanUp);

type ViewMaker = (root: ModuleRoot, limits: Limits) => ModuleView;

/** A view in which the listing of every directory holds one more name. */
function viewWithGhost(ghost: string): ViewMaker {
  class GhostView extends ModuleView {
    override async readdir(directory: DirectoryPath): Promise<string[]> {
      return [ghost, ...(await super.readdir(directory))];
    }
  }
  return (root, limits) => new GhostView(root, limits);
}

/** A view in which one name lies on another device. */
function viewWithMount(mounted: string): ViewMaker {
  class MountView extends ModuleView {
    override lstat(directory: DirectoryPath, name: Buffer | string): FileStats {
      const stats = super.lstat(directory, name);
      if (String(name) === mounted) stats.dev += 1n;
      return stats;
    }
  }
  return (root, limits) => new MountView(root, limits);
}

describe('links, by default', () => {
  it('are listed as links wherever they lead', async () => {
    const root = makeTree({ f: '', in: '-> f', out: '-> /etc/passwd', up: '-> ../..', gone: '-> nowhere' });
    const listed = await list(root, ['.'], { options: { links: true } });
    const links = decode(listed).lists[0]!.entries.filter(({ linkTarget }) => linkTarget !== null);
    expect(Object.fromEntries(links.map(({ name, linkTarget }) => [name, linkTarget]))).toEqual({
      in: 'f',
      out: '/etc/passwd',
      up: '../..',
      gone: 'nowhere',
    });
    expect(listed.messages).toEqual([]);
  });

  it('lose a munged target’s prefix in a module that munges', async () => {
    const root = makeTree({ m: '-> /rsyncd-munged/etc/x', bare: '-> /rsyncd-munged/', n: '-> x' });
    const targets = async (mungeSymlinks: boolean) => {
      const { entries } = decode(await list(root, ['.'], { options: { links: true }, module: { mungeSymlinks } }))
        .lists[0]!;
      return Object.fromEntries(entries.slice(1).map(({ name, linkTarget }) => [name, linkTarget]));
    };
    expect(await targets(true)).toEqual({ m: 'etc/x', bare: '/rsyncd-munged/', n: 'x' });
    expect(await targets(false)).toMatchObject({ m: '/rsyncd-munged/etc/x' });
  });
});

describe('-L', () => {
  const options = { copyLinks: true, links: true };

  it('lists what links lead to, under the link’s name', async () => {
    const root = makeTree({ 'd/f': '12345', l: '-> d/f', dl: '-> d' });
    expect(shownSorted(decode(await list(root, ['.'], { options })))).toEqual(
      ['./T', 'd/', 'd/f', 'dl/', 'dl/f', 'l'].sort(),
    );
  });

  it('reports links that lead nowhere, outside or to something hidden, and shows none of it', async () => {
    const root = makeTree({
      f: '',
      'secret/x': '',
      a: '-> nowhere',
      b: '-> /etc/passwd',
      c: '-> ../',
      h: '-> secret/x',
    });
    const listed = await list(root, ['.'], { options, hidden: ['secret'] });
    expect(shownSorted(decode(listed))).toEqual(['./T', 'f']);
    expect(listed.messages.toSorted()).toEqual(
      ['a', 'b', 'c', 'h'].map((name) => `1:symlink has no referent: "/${name}" (in m)\n`),
    );
    expect(decode(listed).lists[0]!.ioError).toBe(1);
  });

  it('ends in loops of directories, with a message', async () => {
    const root = makeTree({ 'a/b/up': '-> ../..', 'a/b/self': '-> .', 'x/to-a': '-> ../a', 'a/to-x': '-> ../x' });
    for (const incRecurse of [false, true]) {
      const listed = await list(root, ['.'], { options, incRecurse });
      await sendAll(listed);
      expect(listed.lists.totals.entries).toBeLessThan(50);
      expect(
        listed.messages.filter((text) => text.includes('Too many levels of symbolic links (40)')).length,
      ).toBeGreaterThan(3);
    }
  });

  it('says nothing about links that the filters hide', async () => {
    const listed = await list(makeTree({ l: '-> nowhere', k: '-> nowhere' }), ['.'], {
      options,
      hidden: ['l'],
      excluded: ['k'],
    });
    expect([listed.messages, decode(listed).lists[0]!.ioError]).toEqual([[], 0]);
  });
});

describe('-k', () => {
  it('enters links to directories and leaves all others links', async () => {
    const root = makeTree({ 'd/f': '', dl: '-> d', fl: '-> d/f', out: '-> /etc', gone: '-> nowhere' });
    const listed = await list(root, ['.'], { options: { copyDirlinks: true, links: true } });
    expect(shownSorted(decode(listed))).toEqual(['./T', 'd/', 'd/f', 'dl/', 'dl/f', 'fl', 'gone', 'out'].sort());
    expect(listed.messages).toEqual([]);
  });
});

describe('--copy-unsafe-links', () => {
  it('replaces only unsafe links, and only by what is inside the module', async () => {
    const root = makeTree({
      'd/f': '123',
      'd/safe': '-> f',
      'd/sub/deep': '-> ../../d/f',
      'd/round': '-> x/../f',
      out: '-> /etc/passwd',
    });
    mkdirSync(join(root, 'd/x'));
    const listed = await list(root, ['d', 'out'], { options: { copyUnsafeLinks: true, links: true } });
    const entries = Object.fromEntries(decode(listed).lists[0]!.entries.map((entry) => [entry.name, entry.linkTarget]));
    expect(entries).toMatchObject({ 'd/safe': 'f', 'd/round': null, 'd/sub/deep': '../../d/f' });
    expect(Object.keys(entries)).not.toContain('out');
  });
});

describe('-x', () => {
  const root = () => makeTree({ 'd/f': '', 'mnt/inside': '', 'mnt2/f': '' });
  const plan = (oneFileSystem: number) => ({ options: { oneFileSystem }, makeView: viewWithMount('mnt') });

  it('lists mount points without their contents', async () => {
    expect(shownSorted(decode(await list(root(), ['.'], plan(1))))).toEqual(
      ['./T', 'd/', 'd/f', 'mnt/N', 'mnt2/', 'mnt2/f'].sort(),
    );
  });

  it('gives them an empty list of their own with incremental recursion', async () => {
    const listed = await list(root(), ['.'], { ...plan(1), incRecurse: true });
    await sendAll(listed);
    const contents = decode(listed).lists.map(({ entries }) => entries.map(({ name }) => name));
    expect(contents.slice(1)).toEqual([['d/f'], [], ['mnt2/f']]);
  });

  it('given twice leaves them out', async () => {
    expect(shownSorted(decode(await list(root(), ['.'], plan(2))))).not.toContain('mnt/N');
  });

  it('never concerns an argument itself', async () => {
    expect(shownSorted(decode(await list(root(), ['mnt/'], plan(2))))).toEqual(['./T', 'inside']);
  });
});

describe('trouble while scanning', () => {
  it('a name that vanished is a warning and the bit for it', async () => {
    const listed = await list(makeTree({ f: '' }), ['.'], { makeView: viewWithGhost('ghost') });
    expect(listed.messages).toEqual(['4:file has vanished: "/ghost" (in m)\n']);
    expect([shownSorted(decode(listed)), decode(listed).lists[0]!.ioError]).toEqual([['./T', 'f'], 2]);
  });

  it('a hidden name that vanished is nobody’s business', async () => {
    const listed = await list(makeTree({ f: '' }), ['.'], { makeView: viewWithGhost('ghost'), hidden: ['ghost'] });
    expect([listed.messages, decode(listed).lists[0]!.ioError]).toEqual([[], 0]);
  });

  it('a directory swapped for a link after it was listed stays empty', async () => {
    const root = makeTree({ 'd/f': '' });
    const listed = await list(root, ['.'], { incRecurse: true });
    rmSync(join(root, 'd'), { recursive: true });
    symlinkSync('/etc', join(root, 'd'));
    await sendAll(listed);
    const { lists } = decode(listed);
    expect(lists.map(({ entries, ioError }) => [entries.map(({ name }) => name).sort(), ioError])).toEqual([
      [['.', 'd'], 0],
      [[], 1],
    ]);
    expect(listed.messages).toEqual(['1:rsync: [sender] opendir "/d" (in m) failed: Not a directory (20)\n']);
  });

  it('a name too long for the list is left out with a message', async () => {
    const root = makeTree({ 'd/1234567890': '', 'd/123': '' });
    const listed = await list(root, ['.'], { limits: { pathBytes: 5 } });
    expect(shownSorted(decode(listed))).toEqual(['./T', 'd/', 'd/123']);
    expect(listed.messages).toEqual(['1:filename overflows max-path len by 7: d/1234567890\n']);
    expect(decode(listed).lists[0]!.ioError).toBe(1);
  });

  it('pathBytes lets N - 1 and N pass, leaves N + 1 out and counts it', async () => {
    const root = makeTree({ 'd/ab': '', 'd/abc': '', 'd/abcd': '' });
    const listed: string[] = [];
    const hits = (pathBytes: number) =>
      hitsOf('pathBytes', async () => {
        listed.push(...shownSorted(decode(await list(root, ['.'], { limits: { pathBytes } }))).slice(-1));
      });
    expect([await hits(7), await hits(6), await hits(5)]).toEqual([0, 0, 1]);
    expect(listed).toEqual(['d/abcd', 'd/abcd', 'd/abc']);
  });

  it('a directory deeper than the limit is listed, its contents are not', async () => {
    const listed = await list(makeTree({ 'a/b/c/f': '' }), ['.'], { limits: { depth: 2 } });
    expect(shownSorted(decode(listed))).toEqual(['./T', 'a/', 'a/b/', 'a/b/c/']);
    expect(listed.messages[0]).toContain('opendir "/a/b/c" (in m) failed: File name too long (36)');
  });

  it('more entries than the limit end the session', async () => {
    const root = makeTree({ a: '', b: '', c: '' });
    await expect(list(root, ['.'], { limits: { entries: 3 } })).rejects.toThrow(LimitError);
    expect((await list(root, ['.'], { limits: { entries: 4 } })).lists.totals.entries).toBe(4);
  });
});

describe('attributes', () => {
  it('pass the module’s chmod, except those of links', async () => {
    const root = makeTree({ f: '', l: '-> f' });
    chmodSync(join(root, 'f'), 0o666);
    const outgoingChmod = (mode: number) => mode & ~0o022;
    const listed = await list(root, ['.'], { module: { outgoingChmod }, options: { links: true } });
    const modes = Object.fromEntries(decode(listed).lists[0]!.entries.map(({ name, mode }) => [name, mode]));
    expect(modes).toMatchObject({ f: 0o100644, l: 0o120777 });
  });

  it('of a fifo are listed without opening it', async () => {
    const root = makeTree({ f: '' });
    execFileSync('mkfifo', [join(root, 'fifo')]);
    const listed = await list(root, ['.'], { options: { devices: true, specials: true } });
    expect(decode(listed).lists[0]!.entries.find(({ name }) => name === 'fifo')).toMatchObject({ size: 0 });
  });

  it.skipIf(process.geteuid?.() === 0)(
    'unreadable files are hidden where the module says so (root reads everything)',
    async () => {
      const root = makeTree({ f: '', closed: '' });
      chmodSync(join(root, 'closed'), 0);
      expect(shownSorted(decode(await list(root, ['.'], { module: { ignoreNonreadable: true } })))).toEqual([
        './T',
        'f',
      ]);
    },
  );
});

describe('-c', () => {
  it('sends the digest of the content that was listed', async () => {
    const root = makeTree({ b: 'b\n' });
    for (const [listSum, digest] of [
      ['md4', '5d3f4af867fef0204cab6562741c7766'],
      ['xxh128', '4aa8385890ef195b85cf3109e533d4cc'],
      ['xxh64', '22df5a407479c3af'],
      ['xxh3', '4aa8385890ef195b'],
    ] as const) {
      const { fixture } = await list(root, ['b'], { listSum, options: { checksum: true } });
      expect(fixture.sent().toString('hex')).toContain(digest);
    }
  });

  it('covers files larger than one piece of memory', async () => {
    const root = makeTree({});
    writeFileSync(join(root, 'big'), Buffer.alloc(300_000, 'x'));
    const { fixture } = await list(root, ['big'], { listSum: 'md5', options: { checksum: true } });
    const digest = execFileSync('md5sum', [join(root, 'big')])
      .toString()
      .slice(0, 32);
    expect(fixture.sent().toString('hex')).toContain(digest);
  });

  it('is zero for a link followed outside in the meantime, and opens nothing there', async () => {
    const root = makeTree({ f: 'inside', l: '-> f' });
    class SwitchingView extends ModuleView {
      override resolve(from: DirectoryPath, path: Buffer, followLast: boolean) {
        const found = super.resolve(from, path, followLast);
        rmSync(join(root, 'l'), { force: true });
        symlinkSync('/etc/hostname', join(root, 'l'));
        return found;
      }
    }
    const { fixture } = await list(root, ['l'], {
      listSum: 'md5',
      options: { checksum: true, copyLinks: true },
      makeView: (fd, limits) => new SwitchingView(fd, limits),
    });
    expect(fixture.sent().toString('hex')).toContain('00'.repeat(16));
  });
});
