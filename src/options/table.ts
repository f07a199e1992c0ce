/**
 * Every option that a client may send to a server, one row each (1-session.md 4.1 and 4.3); parse.ts interprets it.
 *
 * Three policies: honoured rows have `apply`, ignored rows have neither `apply` nor `refusal`, refused rows have `refusal`.
 * What is not here is unknown, and refused as such.
 */

import { EXIT } from '../errors.ts';
import {
  type Apply,
  addMergeRule,
  append,
  appendVerify,
  archive,
  atimes,
  bwlimit,
  capabilities,
  checkSize,
  checksumChoice,
  compress,
  compressChoice,
  counted,
  devicesAndSpecials,
  dirs,
  filesFrom,
  filterRule,
  fixCompression,
  patternRule,
  relative,
  setFlag,
  setNumber,
  skipCompress,
  timeout,
} from './appliers.ts';
import type { Flag } from './draft.ts';
import { refusalText } from './refuse.ts';

/** `none`: the option stands alone. Else it consumes a value, which must be of that kind. */
export type ValueKind = 'none' | 'text' | 'int' | 'size';

/** What the client is told about an option that we never honour. */
export interface Refusal {
  readonly tell: string;
  readonly exit: number;
}

export interface OptionRow {
  /** Without dashes; empty where there is only a letter. */
  readonly name: string;
  /** Empty where there is none. */
  readonly letter: string;
  readonly value: ValueKind;
  /** Whether --no-NAME and --no-LETTER exist. */
  readonly negatable: boolean;
  readonly apply: Apply | null;
  /** The answer to an option that we never honour; the --no- form is harmless. */
  readonly refusal: Refusal | null;
  /** Names of options that this one includes: refusing those refuses this one. */
  readonly implies: readonly string[];
}

type RowDetails = Partial<Omit<OptionRow, 'name' | 'letter'>>;

/** `key` is `name`, `name/letter` or `/letter`. */
function row(key: string, details: RowDetails): OptionRow {
  const [name = '', letter = ''] = key.split('/');
  return { name, letter, value: 'none', negatable: false, apply: null, refusal: null, implies: [], ...details };
}

/** A switch that sets one field; negatable. */
function flag(key: string, field: Flag): OptionRow {
  return row(key, { negatable: true, apply: setFlag(field) });
}

/** A switch that sets one field and has no --no- form in rsync. */
function plain(key: string, field: Flag): OptionRow {
  return row(key, { apply: setFlag(field) });
}

/** Switches without effect on a sender; all have --no- forms, as openrsync and macOS send some. */
function ignored(keys: string, implies: readonly string[] = []): OptionRow[] {
  return keys.split(' ').map((key) => row(key, { negatable: true, implies }));
}

/** Options with a value but without effect on a sender. */
function ignoredValues(value: ValueKind, keys: string): OptionRow[] {
  return keys.split(' ').map((key) => row(key, { value }));
}

/** Options that could write, leak or change the role: never honoured, whatever the configuration says. */
function refused(value: ValueKind, keys: string): OptionRow[] {
  return keys.split(' ').map((key) => {
    const [name = '', letter = ''] = key.split('/');
    const tell = refusalText(name, letter);
    return row(key, { value, negatable: true, refusal: { tell, exit: EXIT.UNSUPPORTED } });
  });
}

/** Options of the daemon itself. */
function hostile(value: ValueKind, keys: string): OptionRow[] {
  const refusal = { tell: 'rsync: Attempt to hack rsync thwarted!\n', exit: EXIT.UNSUPPORTED };
  return keys.split(' ').map((key) => row(key, { value, refusal }));
}

/** Options by which a sender would delete what it has sent (CVE-2026-53800). */
function removing(name: string): OptionRow {
  const tell = `ERROR: --${name} cannot be used with a read-only module\n`;
  return row(name, { refusal: { tell, exit: EXIT.SYNTAX }, implies: ['delete'] });
}

/** All rows. Order has no meaning. */
export const OPTION_ROWS: readonly OptionRow[] = [
  plain('server', 'server'),
  plain('sender', 'sender'),
  row('rsh/e', { value: 'text', apply: capabilities }),
  flag('secluded-args/s', 'secludedArgs'),
  flag('protect-args', 'secludedArgs'),

  // What is listed.
  flag('recursive/r', 'recurse'),
  row('archive/a', { apply: archive, implies: ['recursive', 'links', 'owner', 'group', 'perms', 'times'] }),
  row('dirs/d', { negatable: true, apply: dirs }),
  row('old-dirs', { apply: dirs }),
  row('old-d', { apply: dirs }),
  plain('list-only', 'listOnly'),
  row('relative/R', { negatable: true, apply: relative }),
  flag('implied-dirs', 'impliedDirs'),
  flag('i-d', 'impliedDirs'),
  flag('links/l', 'links'),
  plain('copy-links/L', 'copyLinks'),
  plain('copy-dirlinks/k', 'copyDirlinks'),
  plain('copy-unsafe-links', 'copyUnsafeLinks'),
  flag('hard-links/H', 'hardLinks'),
  flag('owner/o', 'owner'),
  flag('group/g', 'group'),
  flag('devices', 'devices'),
  flag('specials', 'specials'),
  row('/D', { negatable: true, apply: devicesAndSpecials }),
  row('atimes/U', { negatable: true, apply: atimes }),
  flag('open-noatime', 'openNoatime'),
  flag('acls/A', 'acls'),
  row('xattrs/X', { negatable: true, apply: counted('xattrs') }),
  flag('checksum/c', 'checksum'),
  row('one-file-system/x', { negatable: true, apply: counted('oneFileSystem') }),
  flag('numeric-ids', 'numericIds'),
  flag('ignore-errors', 'ignoreErrors'),
  plain('ignore-missing-args', 'ignoreMissingArgs'),
  row('delete-missing-args', { implies: ['delete'], apply: setFlag('deleteMissingArgs') }),
  row('files-from', { value: 'text', apply: filesFrom }),
  flag('from0/0', 'from0'),
  plain('cvs-exclude/C', 'cvsExclude'),
  plain('qsort', 'useQsort'),
  plain('use-qsort', 'useQsort'),
  row('filter/f', { value: 'text', apply: filterRule }),
  row('exclude', { value: 'text', apply: patternRule('- ') }),
  row('include', { value: 'text', apply: patternRule('+ ') }),
  row('/F', { apply: addMergeRule, implies: ['filter'] }),

  // How it is sent.
  plain('dry-run/n', 'dryRun'),
  plain('quiet/q', 'quiet'),
  flag('backup/b', 'backup'),
  flag('inplace', 'inplace'),
  row('append', { negatable: true, apply: append, implies: ['inplace'] }),
  row('append-verify', { apply: appendVerify, implies: ['inplace'] }),
  row('compress/z', { negatable: true, apply: compress }),
  row('compress-choice', { value: 'text', apply: compressChoice, implies: ['compress'] }),
  row('zc', { value: 'text', apply: compressChoice, implies: ['compress'] }),
  row('compress-level', { value: 'int', apply: setNumber('compressLevel'), implies: ['compress'] }),
  row('zl', { value: 'int', apply: setNumber('compressLevel'), implies: ['compress'] }),
  row('new-compress', { apply: fixCompression('zlibx'), implies: ['compress'] }),
  row('old-compress', { apply: fixCompression('zlib'), implies: ['compress'] }),
  row('skip-compress', { value: 'text', apply: skipCompress }),
  // SECURITY: 256 compression threads per client were once one option away (CVE-2026-70455); we have none to give.
  ...ignoredValues('int', 'compress-threads zt'),
  row('checksum-choice', { value: 'text', apply: checksumChoice }),
  row('cc', { value: 'text', apply: checksumChoice }),
  row('checksum-seed', { value: 'int', apply: setNumber('checksumSeed') }),
  row('timeout', { value: 'int', negatable: true, apply: timeout }),
  row('bwlimit', { value: 'size', negatable: true, apply: bwlimit }),

  // Without effect on a sender: what only a receiver does, what only a client shows.
  ...ignored('verbose/v update/u perms/p times/t whole-file/W ignore-times/I sparse/S keep-dirlinks/K fuzzy/y'),
  ...ignored('prune-empty-dirs/m omit-dir-times/O omit-link-times/J executability/E itemize-changes/i'),
  ...ignored('human-readable/h 8-bit-output/8 ipv4/4 ipv6/6 size-only existing ignore-existing ignore-non-existing'),
  ...ignored('safe-links drop-D super preallocate mkpath fsync force partial delay-updates progress stats delete'),
  ...ignored('inc-recursive i-r msgs2stderr motd old-args trust-sender blocking-io cache'),
  ...ignored('/P', ['partial', 'progress']),
  ...ignored('del delete-before delete-during delete-delay delete-after delete-excluded', ['delete']),
  ...ignoredValues(
    'text',
    'backup-dir suffix partial-dir temp-dir/T compare-dest copy-dest link-dest usermap groupmap',
  ),
  ...ignoredValues('text', 'chown info debug stderr outbuf out-format log-format rsync-path remote-option/M address'),
  ...ignoredValues('text', 'sockopts early-input password-file write-batch read-batch only-write-batch'),
  ...ignoredValues('int', 'max-delete modify-window/@'),
  row('contimeout', { value: 'int', negatable: true }),
  row('port', { value: 'int' }),
  ...['block-size/B', 'max-size', 'min-size'].map((key) => row(key, { value: 'size', apply: checkSize })),
  // SECURITY: rsync let clients lift the allocation cap (CVE-2026-53794); ours is not theirs to set.
  row('max-alloc', { value: 'size', apply: checkSize }),

  // Never.
  ...refused('none', 'copy-devices write-devices fake-super insecure-links munge-links crtimes/N version/V help'),
  ...refused('text', 'copy-as log-file log-file-format chmod confine-root exclude-from include-from'),
  ...refused('text', 'stop-at stop-after time-limit protocol'),
  ...refused('text', 'iconv'),
  removing('remove-source-files'),
  removing('remove-sent-files'),
  ...hostile('none', 'daemon detach no-detach'),
  ...hostile('text', 'config dparam'),
];

/** Rows by long name. */
export const ROWS_BY_NAME: ReadonlyMap<string, OptionRow> = new Map(
  OPTION_ROWS.filter(({ name }) => name !== '').map((each) => [each.name, each]),
);

/** Rows by letter. */
export const ROWS_BY_LETTER: ReadonlyMap<string, OptionRow> = new Map(
  OPTION_ROWS.filter(({ letter }) => letter !== '').map((each) => [each.letter, each]),
);
