/**
 * Every option set of the matrix once with the system's client, and some with each other client that is there.
 *
 * `npm run matrix` has them all in every protocol and with every destination; MATRIX_CLIENTS=1 makes Debian's clients.
 */

import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { removeTree, scratchDir } from '../helpers/scratch.ts';
import { hasRoot, otherClients, type RsyncClient, systemClient } from '../setup/clients.ts';
import type { EquivalenceCase } from './cases.ts';
import { compareForeign, FOREIGN_SETS } from './foreign.ts';
import { knowsOptions } from './known.ts';
import { CROSSED, FURTHER } from './option-sets.ts';
import { openStage, type Stage } from './stage.ts';

/** One in so many of the sets for the other clients: codecs, bases, checksums, deletions and names are among them. */
const SHARE = 5;

/** The sets that a client is asked in this file; what it has no option for is not its case. */
async function setsOf(client: RsyncClient): Promise<EquivalenceCase[]> {
  if (client.name === 'system') return [...CROSSED, ...FURTHER];
  const some = (client.family === 'rsync' ? CROSSED : FOREIGN_SETS).filter((_, index) => index % SHARE === 0);
  const dir = scratchDir('options');
  const known = await Promise.all(some.map((asked) => knowsOptions(client, asked, dir)));
  removeTree(dir);
  return some.filter((_, index) => known[index]);
}

const sets = await Promise.all(
  [systemClient(), ...otherClients()].map(async (client) => [client, await setsOf(client)] as const),
);

describe.skipIf(!hasRoot())('options', () => {
  let stage: Stage;

  beforeAll(async () => {
    stage = await openStage({ trees: ['matrix', 'mount', 'times', 'delta'] });
  });

  afterAll(async () => {
    await stage?.close();
  });

  for (const [client, asked] of sets) {
    const protocol = Math.min(client.protocol, 32);
    describe.concurrent(`of the client ${client.name} (${client.version})`, () => {
      it.each(asked.map((one) => [one.name, one] as const))('%s gives what C rsync gives', async (_name, one) => {
        const cell = { asked: one, protocol, state: one.states?.at(-1) ?? 'stale', client };
        if (client.family === 'rsync') {
          expect((await stage.compare(cell)).differences).toEqual([]);
        } else {
          const { expected, actual } = await stage.pullBoth(cell);
          expect(compareForeign(expected, actual)).toEqual([]);
        }
      });
    });
  }
});
