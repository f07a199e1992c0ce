import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { LimitError, type UsageError } from '../../../src/errors.ts';
import { DEFAULT_LIMITS } from '../../../src/limits.ts';
import { type ParseContext, parseServerArgs, requestsSecludedArgs } from '../../../src/options/parse.ts';
import type { ServerOptions } from '../../../src/options/server-options.ts';
import { LENIENT } from '../../golden/options/dump.ts';

const bytes = (args: readonly string[]) => args.map((arg) => Buffer.from(arg, 'latin1'));

/** Options of a client that sends `args` between the role and `. pub/`. */
function parse(args: readonly string[], context: Partial<ParseContext> = {}): ServerOptions {
  return parseServerArgs(bytes(['--server', '--sender', ...args, '.', 'pub/']), { ...LENIENT, ...context });
}

/** A first list with -s, and a second list. */
function parseSecluded(first: readonly string[], second: readonly string[]): ServerOptions {
  const context = { ...LENIENT, secondBatch: bytes(second) };
  return parseServerArgs(bytes(['--server', '--sender', ...first]), context);
}

const answer = ({ refusal }: { refusal: UsageError | null }) =>
  refusal === null ? null : `${refusal.exit} ${refusal.tell}`;

describe('options as popt reads them', () => {
  it('splits bundles of letters', () => {
    expect(parse(['-rlH'])).toMatchObject({ recurse: true, links: true, hardLinks: true });
  });

  it('takes letters that come one by one', () => {
    expect(parse(['-g', '-o', '-t'])).toMatchObject({ owner: true, group: true, refusal: null });
  });

  it('gives the rest of a bundle to a letter that takes a value', () => {
    expect(parse(['-re.iLsfx'])).toMatchObject({ capabilities: 'iLsfx', secludedArgs: false, oneFileSystem: 0 });
  });

  it('gives the next argument to a letter at the end of its bundle', () => {
    expect(parse(['-rT', '-x', '-c'])).toMatchObject({ checksum: true, oneFileSystem: 0, refusal: null });
  });

  it('drops an equals sign between a letter and its value', () => {
    expect(parse(['-e=.iL']).capabilities).toBe('iL');
  });

  it.each([[['--timeout=7']], [['--timeout', '7']]])('reads the value of %j', (args) => {
    expect(parse(args).timeoutSec).toBe(7);
  });

  it('consumes the value of an ignored option', () => {
    expect(parse(['--backup-dir', '-x']).oneFileSystem).toBe(0);
  });

  it('does not complete abbreviations', () => {
    expect(answer(parse(['--recurs']))).toBe('4 rsync: on remote machine: --recurs: unknown option\n');
  });

  it('leaves everything behind the first lone dot as paths', () => {
    const { paths, checksum } = parseServerArgs(bytes(['--server', '--sender', '.', '-c', '.', '--delete']), LENIENT);
    expect([paths.map(String), checksum]).toEqual([['-c', '.', '--delete'], false]);
  });

  it('takes a dot as a value where a value is due', () => {
    const options = parseServerArgs(bytes(['--server', '--sender', '--temp-dir', '.', '.', 'pub/']), LENIENT);
    expect(options.paths.map(String)).toEqual(['pub/']);
  });

  it('reads no options behind a double dash', () => {
    expect(parse(['--', '-c']).checksum).toBe(false);
  });

  it('lets the last of an option and its opposite win', () => {
    expect([parse(['-l', '--no-links']).links, parse(['--no-l', '-l']).links]).toEqual([false, true]);
  });

  it.each(['r', 'recursive'])('turns recursion off with --no-%s', (name) => {
    expect(parse(['-r', `--no-${name}`]).recurse).toBe(false);
  });

  it.each(['--no-server', '--no-sender', '--no-delete-missing-args', '--no-foo', '--no-'])(
    'does not know %s',
    (arg) => {
      expect(answer(parse([arg]))).toBe(`4 rsync: on remote machine: ${arg}: unknown option\n`);
    },
  );

  it.each(['--recursive=1', '--no-r=1', '--numeric-ids='])('refuses the value of %s', (arg) => {
    expect(answer(parse([arg]))).toBe(`4 rsync: on remote machine: ${arg}: option does not take an argument\n`);
  });

  it('refuses an option whose value is missing', () => {
    const options = parseServerArgs(bytes(['--server', '--sender', '-rB']), LENIENT);
    expect(answer(options)).toBe('4 rsync: on remote machine: -rB: missing argument\n');
  });

  it('removes one level of backslashes before the dot only', () => {
    const args = bytes(['--server', '--sender', '--skip-compress=g\\[z\\\\', '-z', '.', 'a\\*']);
    const { compression, paths } = parseServerArgs(args, LENIENT);
    expect([compression?.skipSuffixes?.toString(), paths.map(String)]).toEqual(['g[z\\', ['a\\*']]);
  });

  it('keeps backslashes that a shell has left over', () => {
    const { compression } = parse(['-z', '--skip-compress=a\\b'], { daemon: false });
    expect(compression?.skipSuffixes?.toString()).toBe('a\\b');
  });
});

describe('what options mean together', () => {
  it('lists directories for --list-only alone', () => {
    expect(parse(['--list-only'])).toMatchObject({ dirs: true, recurse: false });
  });

  it('keeps --no-dirs against --list-only', () => {
    expect(parse(['--list-only', '--no-dirs']).dirs).toBe(false);
  });

  it('implies relative names for --files-from', () => {
    expect(parse(['--files-from=-'])).toMatchObject({ relative: true, dirs: true });
  });

  it('keeps --no-relative against --files-from, in any order', () => {
    expect(parse(['--no-relative', '--files-from=-']).relative).toBe(false);
  });

  it.each([
    [['--append'], 1],
    [['--append', '--append'], 2],
    [['--append-verify'], 2],
    [['--append', '--no-append'], 0],
  ])('counts %j as append mode %i', (args, appendMode) => {
    expect(parse(args)).toMatchObject({ appendMode, inplace: appendMode > 0 });
  });

  it.each([
    [['-z'], { choice: 'negotiate', level: null }],
    [['-zz'], { choice: 'zlibx', level: null }],
    [['--compress-level=0'], { choice: 'negotiate', level: 0 }],
    [['-z', '--old-compress'], { choice: 'zlib' }],
    [['--new-compress'], { choice: 'zlibx' }],
    [['--zc=ZSTD', '--zl=-3'], { choice: 'zstd', level: -3 }],
    [['-z', '--compress-choice=auto'], { choice: 'negotiate' }],
    [['-z', '--zc=none'], { choice: 'none' }],
  ])('reads %j as compression', (args, compression) => {
    expect(parse(args).compression).toMatchObject(compression);
  });

  it.each([[['--compress-choice=auto']], [['-z', '--no-z']], [['--skip-compress=gz']]])(
    'does not compress for %j',
    (args) => {
      expect(parse(args).compression).toBeNull();
    },
  );

  it('counts -x twice as crossing not even mount points', () => {
    expect([parse(['-x']).oneFileSystem, parse(['-xxx']).oneFileSystem]).toEqual([1, 2]);
  });

  it('collects filter options in order, in modern syntax', () => {
    const { extraFilterRules } = parse(['--exclude=*.o', '--include', '+ x', '-f- y', '-FF', '--exclude=!']);
    const rules = ['- *.o', '+ x', '- y', ': /.rsync-filter', '- .rsync-filter', '!'];
    expect(extraFilterRules.map(String)).toEqual(rules);
  });

  it.each([
    ['-1', 0],
    ['', 0],
    ['86401', 86_400],
    ['0x10', 16],
    ['010', 8],
  ])('reads a timeout of "%s" as %i s', (text, timeoutSec) => {
    expect(parse([`--timeout=${text}`]).timeoutSec).toBe(timeoutSec);
  });

  it.each([
    ['1536', 1536],
    ['0', 0],
    ['1.5m', 1536],
    ['512b', 1],
    ['1mb', 977],
  ])('reads a bandwidth of %s as %i KiB/s', (text, bwlimitKiB) => {
    expect(parse([`--bwlimit=${text}`]).bwlimitKiB).toBe(bwlimitKiB);
  });

  it('takes no capabilities from the name of a shell', () => {
    expect(parse(['-essh']).capabilities).toBeNull();
  });
});

describe('refusals', () => {
  it.each([
    ['--copy-devices', '--copy-devices'],
    ['--write-devices', '--write-devices'],
    ['--fake-super', '--fake-super'],
    ['--log-file=x', '--log-file'],
    ['--chmod=a=r', '--chmod'],
    ['--exclude-from=/etc/passwd', '--exclude-from'],
    ['--include-from=x', '--include-from'],
    ['--copy-as=root', '--copy-as'],
    ['--protocol=27', '--protocol'],
    ['--insecure-links', '--insecure-links'],
    ['--confine-root=/', '--confine-root'],
    ['--stop-at=x', '--stop-at'],
    ['--iconv=utf-8', '--iconv'],
    ['-N', '--crtimes (-N)'],
    ['-V', '--version (-V)'],
  ])('refuses %s in rsync wording', (arg, shown) => {
    expect(answer(parse([arg]))).toBe(`4 rsync: The server is configured to refuse ${shown}\n`);
  });

  it.each(['--remove-source-files', '--remove-sent-files'])('refuses %s with exit 1', (arg) => {
    expect(answer(parse([arg]))).toBe(`1 ERROR: ${arg} cannot be used with a read-only module\n`);
  });

  it.each(['--daemon', '--config=x', '--dparam=x', '--detach', '--no-detach'])('refuses %s as hostile', (arg) => {
    expect(answer(parse([arg]))).toBe('4 rsync: Attempt to hack rsync thwarted!\n');
  });

  it('goes on behind the first refusal and remembers only that one', () => {
    const options = parse(['--foo', '--copy-devices', '-Qcz', '--checksum-choice=md5', '-e.iLv']);
    expect(answer(options)).toContain('--foo: unknown option');
    expect(options).toMatchObject({ checksum: true, capabilities: 'iLv', checksumChoice: { transfer: 'md5' } });
  });

  it('reads an option that the module refuses, because its preamble comes before the refusal', () => {
    const options = parse(['-rze.iLv', '--checksum-choice=md5'], { refusePatterns: ['z', 'checksum*'] });
    expect(answer(options)).toBe('4 rsync: The server is configured to refuse --compress (-z)\n');
    expect(options).toMatchObject({ compression: { choice: 'negotiate' }, checksumChoice: { transfer: 'md5' } });
  });

  it('reads the capabilities behind an unknown letter', () => {
    expect(parse(['-rQe.iLv']).capabilities).toBe('iLv');
  });

  it.each(['--compress-choice=foo', '--checksum-choice=foo'])(
    'still treats %s as a choice, so that no list is exchanged',
    (arg) => {
      const { compression, checksumChoice, refusal } = parse(['-z', arg]);
      expect(refusal?.tell).toBe(`unknown ${arg.startsWith('--com') ? 'compress' : 'checksum'} name: foo\n`);
      expect(arg.startsWith('--com') ? compression?.choice : checksumChoice?.transfer).not.toBe('negotiate');
    },
  );

  it('refuses a -c sum of none', () => {
    expect(answer(parse(['-c', '--cc=md5,none']))).toBe('4 Invalid checksum-choice for --checksum: none (0)\n');
  });

  it.each([
    ['--timeout=abc', 'rsync: on remote machine: --timeout=abc: invalid numeric value\n'],
    ['--timeout=5 ', 'rsync: on remote machine: --timeout=5 : invalid numeric value\n'],
    [
      '--checksum-seed=2147483648',
      'rsync: on remote machine: --checksum-seed=2147483648: number too large or too small\n',
    ],
    ['--max-size=abc', 'rsync: --max-size=abc is invalid\n'],
    ['--max-size=99999999999999999999', 'rsync: --max-size=99999999999999999999 is too large\n'],
    ['--bwlimit=100b', 'rsync: --bwlimit=100b is too small (min: 512 or 0 for unlimited)\n'],
    ['--bwlimit=-1', 'rsync: --bwlimit=-1 is too large\n'],
  ])('refuses %s', (arg, tell) => {
    expect(answer(parse([arg]))).toBe(`4 ${tell}`);
  });

  it.each([
    '--max-alloc=0',
    '--max-alloc=1T',
    '--max-alloc=-1',
    '--compress-threads=256',
    '--zt=-1',
    '-B1m',
    '--max-size=1.5mb-1',
  ])('accepts and ignores %s', (arg) => {
    expect(parse([arg]).refusal).toBeNull();
  });

  it.each(['--max-size', '--bwlimit', '--block-size', '--min-size', '--timeout', '--foo', '--cc'])(
    'answers a value of 5 000 digits for %s in 256 bytes',
    (option) => {
      const tell = parse([`${option}=${'9'.repeat(5000)}`]).refusal?.tell ?? '';
      expect(tell.length).toBeGreaterThan(40);
      expect(tell.length).toBeLessThanOrEqual(256);
    },
  );

  it('escapes what it echoes', () => {
    expect(answer(parse(['--f\n\xff']))).toBe('4 rsync: on remote machine: --f\\#012\\#377: unknown option\n');
  });
});

describe('roles', () => {
  const WRITE_SIDE = ['--log-file=x', '--delete', '--write-devices', '--daemon', '--foo'];

  it('tells an upload that the module is read only, whatever its options are', () => {
    const options = parseServerArgs(bytes(['--server', ...WRITE_SIDE, '.', 'pub/']), LENIENT);
    expect([options.sender, answer(options)]).toEqual([false, '1 ERROR: module is read only\n']);
  });

  it.each([[[]], [['.']], [['-r', '.', 'pub/']], [['--sender', '.', 'pub/']]])(
    'refuses %j without --server',
    (args) => {
      expect(answer(parseServerArgs(bytes(args), LENIENT))).toBe('1 ERROR: --server is missing\n');
    },
  );

  it('refuses a list that ends before the dot', () => {
    const options = parseServerArgs(bytes(['--server', '--sender', '-r']), LENIENT);
    expect([options.sawDot, answer(options)]).toEqual([false, '1 ERROR: the argument list has no "."\n']);
  });

  it('refuses an argument in front of the dot that is no option', () => {
    expect(answer(parse(['-', '-r']))).toBe('4 rsync: on remote machine: -: argument before the lone "."\n');
  });
});

describe('secluded arguments', () => {
  it('takes paths and options from the second list', () => {
    const options = parseSecluded(['-sr'], ['--list-only', '.', 'pub/a\\ b']);
    expect(options).toMatchObject({ recurse: true, listOnly: true, refusal: null });
    expect(options.paths.map(String)).toEqual(['pub/a\\ b']);
  });

  it('counts an option that stands in both lists once', () => {
    expect(parseSecluded(['-s', '--append'], ['--append', '.', 'pub/']).appendMode).toBe(1);
  });

  it('ignores the end of a first list at old protocols', () => {
    const { paths, refusal } = parseSecluded(['-sr', '(null)', '.', 'wrong'], ['.', 'right']);
    expect([paths.map(String), refusal]).toEqual([['right'], null]);
  });

  it.each(['--server', '--sender', '-s', '--protect-args', '--daemon', '--log-file=x'])(
    'refuses %s in the second list',
    (arg) => {
      expect(parseSecluded(['-s'], [arg, '.', 'pub/']).refusal?.exit).toBe(4);
    },
  );

  it('refuses a client whose second list never came', () => {
    expect(parseSecluded(['-s'], []).refusal?.exit).toBe(1);
  });

  it.each([
    [['-sr'], true],
    [['--secluded-args'], true],
    [['--protect-args'], true],
    [['-re.iLsf'], false],
    [['--suffix', '-s'], false],
    [['.', '-s'], false],
    [['-s', '--no-s'], false],
  ])('sees whether %j announces a second list', (args, expected) => {
    expect(requestsSecludedArgs(bytes(args), true)).toBe(expected);
  });
});

describe('features and refuse_options', () => {
  it.each([
    ['-A', '--acls (-A)'],
    ['-X', '--xattrs (-X)'],
    ['-z', '--compress (-z)'],
    ['--zl=3', '--compress (-z)'],
  ])('refuses %s in a build without it', (arg, shown) => {
    const refusal = answer(parse([arg], { features: { compression: false, xattrs: false } }));
    expect(refusal).toBe(`4 rsync: The server is configured to refuse ${shown}\n`);
  });

  it('needs no compressor for --zc=none', () => {
    expect(parse(['-z', '--zc=none'], { features: { compression: false, xattrs: false } }).refusal).toBeNull();
  });

  it.each(['-A', '-X'])('refuses %s below protocol 30 with exit 2', (arg) => {
    expect(parse([arg], { protocol: 29 }).refusal?.exit).toBe(2);
  });

  it.each([
    [['c'], '-c', '--checksum (-c)'],
    [['checksum'], '-rc', '--checksum (-c)'],
    [['delete'], '--delete-during', '--delete'],
    [['delete'], '--delete-missing-args', '--delete'],
    [['compress'], '--new-compress', '--compress (-z)'],
    [['compress'], '--zl=3', '--compress (-z)'],
    [['inplace'], '--append', '--inplace'],
    [['a'], '-D', '-D'],
    [['no-relative'], '--no-relative', '--no-relative'],
    [['checksum-c*'], '--checksum-choice=md5', '--checksum-choice'],
  ])('refuses by %j the option %s', (refusePatterns, arg, shown) => {
    const tell = parse([arg], { refusePatterns }).refusal?.tell;
    expect(tell).toBe(`rsync: The server is configured to refuse ${shown}\n`);
  });

  it('still consumes the value of an option that the operator refuses', () => {
    expect(parse(['--timeout', '-c'], { refusePatterns: ['timeout'] }).checksum).toBe(false);
  });

  it.each(['copy-devices', 'write-devices', 'remove-source-files'])('cannot be talked into %s', (name) => {
    expect(parse([`--${name}`], { refusePatterns: [`!${name}`] }).refusal).not.toBeNull();
  });
});

describe('bounds', () => {
  const refuseAbove = (first: number, second: number, args: number) => () =>
    parseServerArgs(bytes(['--server', '--sender', '-s', ...Array(first - 3).fill('-v')]), {
      ...LENIENT,
      secondBatch: bytes(Array(second).fill('-v')),
      limits: { ...DEFAULT_LIMITS, args },
    });

  it('accepts exactly as many arguments as the limit', () => {
    expect(refuseAbove(500, 500, 1000)).not.toThrow();
  });

  it('refuses one more, over both lists', () => {
    expect(refuseAbove(500, 501, 1000)).toThrow(LimitError);
  });

  it('refuses a list that is too long in bytes', () => {
    expect(() => parse(['x'.repeat(100)], { limits: { args: 9, argsTotalBytes: 100 } })).toThrow(LimitError);
  });

  it('never fails otherwise, whatever the arguments are, and keeps its answers short', () => {
    const argument = fc.oneof(
      fc.string(),
      fc.string().map((text) => `--${text}`),
      fc.string().map((text) => `-${text}`),
      fc.constantFrom('.', '-s', '--timeout', '-e.iLsv', '--zc', '-f', '--files-from=', '--bwlimit=.b', '--no-D'),
    );
    fc.assert(
      fc.property(fc.array(argument), fc.array(argument), (first, second) => {
        const { refusal } = parseServerArgs(bytes(first), { ...LENIENT, secondBatch: bytes(second) });
        expect(refusal?.tell ?? '').toMatch(/^[\x20-\x7e]{0,255}\n?$/);
      }),
    );
  });
});
