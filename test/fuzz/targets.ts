/** What is fuzzed: each parser of bytes from a peer, through whole sessions, and of texts that others write for us. */

import { loadConfig } from '../../src/config/load.ts';
import { RsyncError } from '../../src/errors.ts';
import { DEFAULT_LIMITS } from '../../src/limits.ts';
import { parseAuthorizedKeys } from '../../src/listener/ssh/authorized-keys.ts';
import { requireDaemonCommand } from '../../src/listener/ssh/exec-command.ts';
import { NO_FLAGS } from '../unit/config/fixture.ts';
import { loadText } from '../unit/config/rsyncd-fixture.ts';
import { sessionDialogues } from './dialogues.ts';
import type { PlaySession } from './session-target.ts';

export interface Target {
  readonly name: string;
  /** Valid inputs. */
  readonly seeds: readonly Buffer[];
  /** Throws for anything that is a bug of ours. */
  readonly run: (input: Buffer) => Promise<void> | void;
}

/** Whole sessions in memory. */
function sessions(play: PlaySession): Target[] {
  return sessionDialogues().map(({ name, seeds, around }) => ({
    name,
    seeds,
    run: async (input) => {
      await play(around(input));
    },
  }));
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
