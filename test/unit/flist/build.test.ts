import { afterEach, describe, expect, it } from 'vitest';
import { cleanUp, decode, list, makeTree, sendAll, shown, shownSorted } from './list-fixture.ts';

afterEach(cleanUp);

const TREE = { 'a/f1': '1', 'a/b/f2': '22', 'a/b/c/f3': '333', top: 'top' };

/** Entries of a request, sorted. */
async function entriesOf(options: object, args: string[], plan: object = {}): Promise<string[]> {
  return shownSorted(decode(await list(makeTree(TREE), args, { options, ...plan })));
}

describe('what a request lists', () => {
  it.each([
    [{}, ['.'], ['./T', 'a/', 'a/b/', 'a/b/c/', 'a/b/c/f3', 'a/b/f2', 'a/f1', 'top']],
    [{}, ['a'], ['a/T', 'a/b/', 'a/b/c/', 'a/b/c/f3', 'a/b/f2', 'a/f1']],
    [{}, ['a/'], ['./T', 'b/', 'b/c/', 'b/c/f3', 'b/f2', 'f1']],
    [{}, ['a/b/f2'], ['f2']],
    [{ recurse: false, dirs: true }, ['a'], ['a/N']],
    [{ recurse: false, dirs: true }, ['a/'], ['./T', 'b/N', 'f1']],
    [{ recurse: false }, ['top'], ['top']],
    [{ relative: true }, ['a/b/c'], ['a/TN', 'a/b/TN', 'a/b/c/T', 'a/b/c/f3']],
    [{ relative: true }, ['a/./b/c'], ['b/TN', 'b/c/T', 'b/c/f3']],
    [{ relative: true }, ['./a/b'], ['./TN', 'a/TN', 'a/b/T', 'a/b/c/', 'a/b/c/f3', 'a/b/f2']],
    [{ relative: true }, ['top'], ['top']],
    [{ relative: true, recurse: false, dirs: true }, ['a/b/'], ['a/TN', 'a/b/T', 'a/b/c/N', 'a/b/f2']],
  ])('with %o for %j', async (options, args, expected) => {
    expect(await entriesOf(options, args)).toEqual([...expected].sort());
  });

  it('below protocol 30 has no mark for content, and implied directories are plain', async () => {
    expect(await entriesOf({ relative: true }, ['a/b/c'], { protocol: 29 })).toEqual([
      'a/',
      'a/b/',
      'a/b/c/T',
      'a/b/c/f3',
    ]);
    const plain = { relative: true, impliedDirs: false };
    expect(await entriesOf(plain, ['a/b/c'], { protocol: 29 })).toEqual(['a/b/c/T', 'a/b/c/f3']);
    expect(await entriesOf(plain, ['a/b/c'])).toContain('a/b/TN');
  });

  it('repeats what arguments repeat, except parents that the one before implied', async () => {
    const listed = decode(await list(makeTree(TREE), ['a/b/f2', 'a/b/c/f3', 'a/f1'], { options: { relative: true } }));
    expect(listed.lists[0]!.entries.map(shown)).toEqual(['a/TN', 'a/b/TN', 'a/b/f2', 'a/b/c/TN', 'a/b/c/f3', 'a/f1']);
  });

  it('without recursion says that it skips a directory', async () => {
    const listed = await list(makeTree(TREE), ['a', 'top'], { options: { recurse: false } });
    expect([shownSorted(decode(listed)), listed.messages]).toEqual([['top'], ['2:skipping directory a\n']]);
  });
});

describe('an argument that is not there', () => {
  const missing = (options: object, args = ['gone', 'top'], plan: object = {}) =>
    list(makeTree({ ...TREE, dangling: '-> nowhere' }), args, { options, ...plan });

  it('is reported as C rsync does, and is no I/O error', async () => {
    const listed = await missing({});
    expect(listed.messages).toEqual([
      '1:rsync: [sender] link_stat "/gone" (in m) failed: No such file or directory (2)\n',
    ]);
    expect([shownSorted(decode(listed)), decode(listed).lists[0]!.ioError]).toEqual([['top'], 0]);
  });

  it('in a missing directory names the directory', async () => {
    expect((await missing({}, ['no/such'])).messages).toEqual([
      '1:rsync: [sender] change_dir "/no" (in m) failed: No such file or directory (2)\n',
    ]);
    expect((await missing({}, ['no/'])).messages).toEqual([
      '1:rsync: [sender] change_dir "/no" (in m) failed: No such file or directory (2)\n',
    ]);
  });

  it('below a file is an I/O error', async () => {
    const listed = await missing({}, ['top/x']);
    expect(listed.messages[0]).toContain('Not a directory (20)');
    expect(decode(listed).lists[0]!.ioError).toBe(1);
  });

  it('is passed over on request', async () => {
    const listed = await missing({ ignoreMissingArgs: true });
    expect([shownSorted(decode(listed)), listed.messages]).toEqual([['top'], []]);
  });

  it('is listed with mode 0 for a client that deletes it', async () => {
    const listed = await missing({ deleteMissingArgs: true });
    const [gone] = decode(listed).lists[0]!.entries;
    expect([gone!.name, gone!.mode, gone!.size, listed.messages]).toEqual(['gone', 0, 0, []]);
    expect(() => listed.lists.find(0)).not.toThrow();
    expect(listed.lists.oldest?.isRegular(0)).toBe(false);
  });

  it('a million times over is a hundred messages', async () => {
    const names = Array.from({ length: 2000 }, (_, i) => `gone${i}`);
    const { messages } = await missing({}, names, { limits: { fileMessages: 100 } });
    expect(messages.length).toBe(100);
    expect(messages.at(-1)).toBe('1:too many messages, the rest is suppressed\n');
  });
});

describe('rules of the module', () => {
  const plan = { hidden: ['a/b'] };

  it('make what they hide look missing, and all that is below it', async () => {
    for (const arg of ['a/b', 'a/b/', 'a/b/f2', 'a/b/c/f3', 'a/b/c/']) {
      const listed = await list(makeTree(TREE), [arg], plan);
      const real = await list(makeTree(TREE), [arg.replace('a/b', 'a/x')]);
      expect(
        listed.messages.map((text) => text.replaceAll('a/b', 'a/x')),
        arg,
      ).toEqual(real.messages);
      expect(decode(listed).lists[0], arg).toEqual(decode(real).lists[0]);
    }
  });

  it('hold under --relative, for parents as well', async () => {
    const listed = await list(makeTree(TREE), ['a/b/c/f3', 'a/./b/f2'], { ...plan, options: { relative: true } });
    expect(shownSorted(decode(listed))).toEqual([]);
    expect(listed.messages.length).toBe(2);
  });

  it('hide entries from recursion without a word', async () => {
    const listed = await list(makeTree(TREE), ['.'], plan);
    expect([shownSorted(decode(listed)), listed.messages]).toEqual([['./T', 'a/', 'a/f1', 'top'].sort(), []]);
  });

  it('hold for links that lead to what they hide', async () => {
    const tree = { ...TREE, l: '-> a/b/f2', dir: '-> a/b' };
    const listed = await list(makeTree(tree), ['l', 'dir/', 'dir/f2'], { ...plan, options: { copyLinks: true } });
    expect(shownSorted(decode(listed))).toEqual([]);
  });
});

describe('rules of the client', () => {
  it('leave out named entries silently, but never the directory whose contents were asked for', async () => {
    const listed = await list(makeTree(TREE), ['top', 'a/'], { excluded: ['top', '.', 'b'] });
    expect([shownSorted(decode(listed)), listed.messages]).toEqual([['./T', 'f1'], []]);
  });

  it('do not hide the parents that a relative name implies', async () => {
    const listed = await list(makeTree(TREE), ['a/b/c'], { excluded: ['a', 'a/b'], options: { relative: true } });
    expect(shownSorted(decode(listed))).toEqual(['a/TN', 'a/b/TN', 'a/b/c/T', 'a/b/c/f3']);
  });
});

describe('links in arguments', () => {
  const tree = { ...TREE, l: '-> a/b', out: '-> /etc', up: '-> ../', file: '-> top' };

  it('are listed as links, or followed to a directory with a trailing slash', async () => {
    const listed = await list(makeTree(tree), ['l', 'file'], { options: { links: true } });
    expect(decode(listed).lists[0]!.entries.map(({ name, linkTarget }) => [name, linkTarget])).toEqual([
      ['l', 'a/b'],
      ['file', 'top'],
    ]);
    expect(shownSorted(decode(await list(makeTree(tree), ['l/'])))).toEqual(['./T', 'c/', 'c/f3', 'f2'].sort());
  });

  it('on the way are followed inside the module', async () => {
    expect(shownSorted(decode(await list(makeTree(tree), ['l/c/f3'])))).toEqual(['f3']);
  });

  it.each(['out/', 'out/passwd', 'up/', 'up/x'])('that lead outside are missing: %s', async (arg) => {
    const listed = await list(makeTree(tree), [arg]);
    expect(shownSorted(decode(listed))).toEqual([]);
    expect(listed.messages.join()).toContain('No such file or directory (2)');
  });
});

describe('incremental recursion', () => {
  it('lists the same entries as one list', async () => {
    const root = makeTree(TREE);
    for (const args of [['.'], ['a'], ['a/'], ['a', 'top'], ['a/b', 'a/f1']]) {
      const inc = await list(root, args, { incRecurse: true });
      await sendAll(inc);
      expect(shownSorted(decode(inc)), args.join()).toEqual(shownSorted(decode(await list(root, args))));
    }
  });
});
