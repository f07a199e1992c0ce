/** What is fuzzed: each parser of bytes from a peer, through whole sessions, and of texts that others write for us. */

import { loadConfig } from '../../src/config/load.ts';
import { RsyncError } from '../../src/errors.ts';
import { DEFAULT_LIMITS } from '../../src/limits.ts';
import { parseAuthorizedKeys } from '../../src/listener/ssh/authorized-keys.ts';
import { requireDaemonCommand } from '../../src/listener/ssh/exec-command.ts';
import {
  allDone,
  argumentList,
  data,
  enter,
  filterRecord,
  frame,
  greeting,
  ItemWriter,
  int32,
  NO_MORE_FILTERS,
  pullArguments,
  sumHead,
  TRANSFER,
  vstring,
  WHOLE_FILE,
} from '../session/support/wire.ts';
import { NO_FLAGS } from '../unit/config/fixture.ts';
import { loadText } from '../unit/config/rsyncd-fixture.ts';
import type { PlaySession } from './session-target.ts';

export interface Target {
  readonly name: string;
  /** Valid inputs. */
  readonly seeds: readonly Buffer[];
  /** Throws for anything that is a bug of ours. */
  readonly run: (input: Buffer) => Promise<void> | void;
}

const PROTOCOLS = [27, 29, 30, 31, 32];

/** The part of a session before the one that is fuzzed stays as it is. */
function sessions(play: PlaySession): Target[] {
  const target = (name: string, seeds: readonly Buffer[], around: (input: Buffer) => Buffer): Target => ({
    name,
    seeds,
    run: async (input) => {
      await play(around(input));
    },
  });
  const upToList = Buffer.concat([enter('pub'), pullArguments(), data(31, NO_MORE_FILTERS)]);
  const items = (): ItemWriter => new ItemWriter();
  const args = ['--server', '--sender', '-logDtprRHSze.iLsfxCIvu', '--files-from=-', '--from0', '.', 'pub/'];
  return [
    target(
      'greeting',
      [enter('pub'), Buffer.from('@RSYNCD: 31.0\n#early_input=3\nabc#list\n'), greeting(32)],
      (input) => input,
    ),
    target(
      'arguments',
      [
        pullArguments(),
        argumentList(args),
        argumentList(['--server', '--sender', '-s']),
        pullArguments(['-c', '-z', '--exclude=*.o']),
      ],
      (input) => Buffer.concat([enter('pub'), input]),
    ),
    target('negotiation', [vstring('md5 xxh64'), vstring('sha1')], (input) =>
      Buffer.concat([enter('pub'), argumentList(['--server', '--sender', '-re.LsfxCIvu', '.', 'pub/']), input]),
    ),
    target(
      'filters',
      [
        Buffer.concat([filterRecord('- *.o'), filterRecord('+ /dir/**'), filterRecord(': .rules'), NO_MORE_FILTERS]),
        Buffer.concat([filterRecord('. rules'), filterRecord('!'), filterRecord('-! [a-z]*'), NO_MORE_FILTERS]),
      ],
      (input) => Buffer.concat([enter('pub'), pullArguments(['-C']), data(31, input), data(31, allDone())]),
    ),
    target('filters-old', [Buffer.concat([filterRecord('- a'), filterRecord('+ b*'), NO_MORE_FILTERS])], (input) =>
      Buffer.concat([enter('pub', 28), pullArguments([], 28), input, allDone(28)]),
    ),
    target('files-from', [Buffer.from('file\0dir/nested\0./a/../b\0\0'), Buffer.from('dir/./nested\0\0')], (input) =>
      Buffer.concat([
        enter('pub'),
        pullArguments(['-R', '--files-from=-', '--from0']),
        data(31, NO_MORE_FILTERS),
        data(31, input),
        data(31, allDone()),
      ]),
    ),
    target(
      'requests',
      [
        Buffer.concat([items().item(1, TRANSFER, WHOLE_FILE), allDone()]),
        Buffer.concat([items().item(1, TRANSFER, sumHead(2, 700, 16, 100), Buffer.alloc(40, 7)), allDone()]),
        Buffer.concat([items().item(3, 0x1000, vstring('name')), items().deletionStats(), Buffer.alloc(5), allDone()]),
        Buffer.concat([items().item(2, TRANSFER | 0x0800, Buffer.of(1), WHOLE_FILE), allDone()]),
      ],
      (input) => Buffer.concat([upToList, data(31, input)]),
    ),
    target('frames', [data(31, allDone()), frame(42), frame(86, int32(1)), frame(0)], (input) =>
      Buffer.concat([upToList, input]),
    ),
    ...PROTOCOLS.map((protocol) =>
      target(
        `session-${protocol}`,
        [
          Buffer.concat([
            enter('pub', protocol),
            pullArguments([], protocol),
            data(protocol, NO_MORE_FILTERS),
            data(protocol, new ItemWriter(protocol).item(1, TRANSFER, WHOLE_FILE), allDone(protocol)),
          ]),
        ],
        (input) => input,
      ),
    ),
  ];
}

/** A call that may refuse with an error of ours and must not fail otherwise. */
function refusing(name: string, seeds: readonly string[], call: (input: Buffer) => unknown): Target {
  const run = (input: Buffer): void => {
    try {
      call(input);
    } catch (error) {
      if (!(error instanceof RsyncError)) throw error;
    }
  };
  return { name, seeds: seeds.map((seed) => Buffer.from(seed)), run };
}

const CONTEXT = { credentialsDirectory: null, uid: 0, gid: 0 };

/** Every target. */
export function allTargets(play: PlaySession): Target[] {
  return [
    ...sessions(play),
    refusing(
      'ssh-exec',
      ['rsync --server --daemon .', '\'rsync\' "--server" a\\ b .', 'rsync --server --sender -e.LsfxC . x'],
      (input) => requireDaemonCommand(input, DEFAULT_LIMITS),
    ),
    refusing(
      'authorized-keys',
      [
        'restrict,from="10.0.0.0/8,!10.1.1.1" ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIE9SQnXWbVeMAO5Zz5qk1y6GcLVjS6XU5mY1oYz0E1Qk me\n',
      ],
      (input) => parseAuthorizedKeys(input.toString()),
    ),
    refusing(
      'toml',
      [
        'timeout = 60\n[limits]\nargs = 10\n[[listener]]\nrsyncd = "[::]:873"\n[[module]]\nname = "a"\npath = "/usr"\nexclude = ["*.o"]\n',
      ],
      (input) => loadConfig(input.toString(), '/usr/x.toml', NO_FLAGS, CONTEXT),
    ),
    refusing(
      'rsyncd-conf',
      ['uid = nobody\n[global]\n[a]\npath = /usr\nhosts allow = 10.0.0.0/8\nexclude = *.o \\\n b\n&include /nowhere\n'],
      (input) => loadText(input.toString()),
    ),
  ];
}
