/**
 * Pulls the same trees with the same options from C rsync's daemon and from ours and compares all that a user sees.
 *
 * EQUIVALENCE_SELF=1 compares the reference with itself: it proves that what varies by chance is not compared.
 * EQUIVALENCE_FULL=1 runs every case with every protocol and every destination. `npm run matrix` has all clients.
 */

import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { hasRoot, systemClient } from '../setup/clients.ts';
import { CASES, CORE_PROTOCOLS, PROTOCOLS, STATES } from './cases.ts';
import { openStage, type Stage } from './stage.ts';

const self = process.env.EQUIVALENCE_SELF === '1';
const full = process.env.EQUIVALENCE_FULL === '1';

describe.skipIf(!hasRoot())(self ? 'C rsync against itself' : 'equivalence with C rsync', () => {
  let stage: Stage;

  beforeAll(async () => {
    stage = await openStage({ self });
  });

  afterAll(async () => {
    await stage?.close();
  });

  describe.concurrent.each(CASES.map((asked) => [asked.name, asked] as const))('%s', (_name, asked) => {
    const protocols = full ? PROTOCOLS : (asked.protocols ?? CORE_PROTOCOLS);
    const states = full ? STATES : (asked.states ?? STATES);
    const runs = protocols.flatMap((protocol) =>
      // 27 and 31 differ from their neighbours in the handshake: one destination shows it.
      (full || CORE_PROTOCOLS.includes(protocol) ? states : states.slice(-1)).map(
        (state) => [protocol, state] as const,
      ),
    );

    it.each(runs)('gives the same result with protocol %i at a destination that is %s', async (protocol, state) => {
      const cell = { asked, protocol, state, client: systemClient() };
      expect((await stage.compare(cell)).differences).toEqual([]);
    });
  });
});
