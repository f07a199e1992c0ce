/**
 * Pulls the same trees with the same options from C rsync's daemon and from ours and compares all that a user sees.
 *
 * EQUIVALENCE_SELF=1 compares the reference with itself: it proves that what varies by chance is not compared.
 * EQUIVALENCE_FULL=1 runs every case with every protocol and every destination.
 */

import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { startDaemon } from '../helpers/daemon.ts';
import { startReferenceDaemon } from '../helpers/reference-daemon.ts';
import type { RunningDaemon } from '../helpers/running-daemon.ts';
import { removeTree } from '../helpers/scratch.ts';
import { hasRoot } from '../setup/clients.ts';
import { CASES, CORE_PROTOCOLS, type DestinationState, type EquivalenceCase, PROTOCOLS, STATES } from './cases.ts';
import { DIFFERENCES } from './differences.ts';
import { type Fixtures, makeFixtures } from './fixtures.ts';
import { compareOutcomes, pull } from './pull.ts';

const self = process.env.EQUIVALENCE_SELF === '1';
const full = process.env.EQUIVALENCE_FULL === '1';

describe.skipIf(!hasRoot())(self ? 'C rsync against itself' : 'equivalence with C rsync', () => {
  let fixtures: Fixtures;
  let reference: RunningDaemon;
  let ours: RunningDaemon;
  let directories = 0;
  const startedMs = Date.now() - 1000;

  beforeAll(async () => {
    fixtures = await makeFixtures();
    reference = await startReferenceDaemon(fixtures.modules);
    ours = self ? await startReferenceDaemon(fixtures.modules) : await startDaemon({ modules: fixtures.modules });
  });

  afterAll(async () => {
    await ours?.stop();
    await reference?.stop();
    fixtures?.remove();
  });

  async function compare(asked: EquivalenceCase, protocol: number, state: DestinationState): Promise<string[]> {
    const dir = join(fixtures.scratch, `pull${directories++}`);
    const template = fixtures.template(asked.module, state);
    const request = { asked, protocol, template, startedMs };
    const expected = await pull(reference, { ...request, dir: `${dir}-reference` });
    const actual = await pull(ours, { ...request, dir: `${dir}-ours` });
    removeTree(`${dir}-reference`);
    removeTree(`${dir}-ours`);
    const explained = DIFFERENCES.filter(({ applies }) => applies(asked, protocol));
    return compareOutcomes(expected, actual).filter((line) => !explained.some(({ explains }) => explains.test(line)));
  }

  describe.concurrent.each(CASES.map((asked) => [asked.name, asked] as const))('%s', (_name, asked) => {
    const protocols = full ? PROTOCOLS : (asked.protocols ?? CORE_PROTOCOLS);
    const states = full ? STATES : (asked.states ?? STATES);
    const runs = protocols.flatMap((protocol) => states.map((state) => [protocol, state] as const));

    it.each(runs)('gives the same result with protocol %i at a destination that is %s', async (protocol, state) => {
      expect(await compare(asked, protocol, state)).toEqual([]);
    });
  });
});
