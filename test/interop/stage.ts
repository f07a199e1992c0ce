/** Trees, C rsync's daemon and ours, and the comparison of what a client gets from both; equivalence test and matrix. */

import { join } from 'node:path';
import { startDaemon } from '../helpers/daemon.ts';
import type { ModuleSpec } from '../helpers/module-spec.ts';
import { startReferenceDaemon } from '../helpers/reference-daemon.ts';
import type { RunningDaemon } from '../helpers/running-daemon.ts';
import { removeTree } from '../helpers/scratch.ts';
import type { RsyncClient } from '../setup/clients.ts';
import type { DestinationState, EquivalenceCase } from './cases.ts';
import { DIFFERENCES, type Difference } from './differences.ts';
import { type Fixtures, makeFixtures } from './fixtures.ts';
import { compareOutcomes, type Outcome, pull } from './pull.ts';

/** Long enough for a pull of the few files of a tree with which a reference may hang. */
const HANGING_MS = 5000;

/** One cell of the matrix. */
export interface Cell {
  readonly asked: EquivalenceCase;
  readonly protocol: number;
  readonly state: DestinationState;
  readonly client: RsyncClient;
}

export interface Verdict {
  /** One line for each difference that no entry of the table explains; empty for a pass. */
  readonly differences: readonly string[];
  /** Entries of the table that explained something. */
  readonly explained: readonly Difference[];
}

export interface Stage {
  compare(cell: Cell): Promise<Verdict>;
  /** Pulls from both, without judging. */
  pullBoth(cell: Cell): Promise<{ expected: Outcome; actual: Outcome }>;
  close(): Promise<void>;
}

export interface StageOptions {
  /** Put the reference on both sides. */
  readonly self?: boolean;
  /** Our modules share file lists, for longer than any run takes. */
  readonly cache?: boolean;
  /** The trees to make; all when absent. */
  readonly trees?: readonly string[];
  /** How long a pull may take; that of pull.ts when absent. */
  readonly deadlineMs?: number;
}

/** Makes the trees and starts both daemons. Needs root. */
export async function openStage({ self = false, cache = false, trees, deadlineMs }: StageOptions = {}): Promise<Stage> {
  const fixtures = await makeFixtures(trees);
  const daemons: RunningDaemon[] = [];
  const close = async (): Promise<void> => {
    for (const daemon of daemons) await daemon.stop();
    fixtures.remove();
  };
  try {
    const modules = fixtures.modules;
    daemons.push(await startReferenceDaemon(modules));
    const ours = cache ? modules.map(withSharedLists) : modules;
    daemons.push(
      self ? await startReferenceDaemon(modules) : await startDaemon({ modules: ours, globals: { workers: 2 } }),
    );
  } catch (error) {
    await close();
    throw error;
  }
  const pullBoth = puller(fixtures, daemons[0]!, daemons[1]!, deadlineMs);
  return { pullBoth, compare: async (cell) => judge(cell, await pullBoth(cell)), close };
}

function withSharedLists(module: ModuleSpec): ModuleSpec {
  return { ...module, keys: { ...module.keys, file_list_cache: '1h' } };
}

function puller(
  fixtures: Fixtures,
  reference: RunningDaemon,
  ours: RunningDaemon,
  deadlineMs?: number,
): Stage['pullBoth'] {
  const startedMs = Date.now() - 1000;
  let directories = 0;
  return async ({ asked, protocol, state, client }) => {
    const dir = join(fixtures.scratch, `pull${directories++}`);
    const template = fixtures.template(asked.module, state);
    const base = asked.beside ? fixtures.template(asked.module, 'stale') : null;
    const request = {
      asked,
      protocol,
      template,
      base,
      startedMs,
      client,
      ...(deadlineMs !== undefined && { deadlineMs }),
    };
    try {
      const expected = await pull(reference, {
        ...request,
        ...referenceHangs(asked, protocol),
        asked: reworded(asked, protocol),
        dir: `${dir}-reference`,
      });
      return { expected, actual: await pull(ours, { ...request, dir: `${dir}-ours` }) };
    } finally {
      removeTree(`${dir}-reference`);
      removeTree(`${dir}-ours`);
    }
  };
}

/** A deadline for the cells in which the client may wait for the reference in vain. */
function referenceHangs(asked: EquivalenceCase, protocol: number): { deadlineMs?: number } {
  const hangs = DIFFERENCES.some((known) => known.referenceHangs && known.applies(asked, protocol));
  return hangs ? { deadlineMs: HANGING_MS } : {};
}

/** What the reference is asked: other words where the table says that it does not understand its own. */
function reworded(asked: EquivalenceCase, protocol: number): EquivalenceCase {
  const reword = DIFFERENCES.find(
    ({ applies, askReference }) => askReference && applies(asked, protocol),
  )?.askReference;
  return reword === undefined ? asked : { ...asked, args: reword(asked.args) };
}

function judge({ asked, protocol }: Cell, { expected, actual }: { expected: Outcome; actual: Outcome }): Verdict {
  const known = DIFFERENCES.filter(({ applies }) => applies(asked, protocol));
  const lines = compareOutcomes(expected, actual);
  return {
    differences: lines.filter((line) => !known.some(({ explains }) => explains?.test(line))),
    explained: known.filter(({ explains, askReference }) => askReference || lines.some((line) => explains?.test(line))),
  };
}
