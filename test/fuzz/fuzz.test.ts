/** The corpus again, and a few seconds of fuzzing for each parser; `npm run fuzz` does it for as long as one likes. */

import { afterAll, beforeAll, describe, it } from 'vitest';
import { removeTree, scratchDir } from '../helpers/scratch.ts';
import { check, corpusOf } from './fuzzer.ts';
import { mutate, Random } from './mutate.ts';
import { type PlaySession, sessionPlayer } from './session-target.ts';
import { allTargets } from './targets.ts';

const SECONDS_EACH = 3;

describe('fuzzing', { timeout: 120_000 }, () => {
  let dir = '';
  let play: PlaySession;

  beforeAll(async () => {
    dir = scratchDir('fuzz');
    play = await sessionPlayer(dir);
  });
  afterAll(() => removeTree(dir));

  const names = allTargets(async () => Promise.reject(new Error('unused'))).map(({ name }) => name);

  it.each(names)('%s: no input fails or takes long', async (name) => {
    const target = allTargets(play).find((one) => one.name === name)!;
    const corpus = corpusOf(target);
    for (const input of corpus) await check(target, input);
    const random = new Random(1);
    const endMs = performance.now() + SECONDS_EACH * 1000;
    while (performance.now() < endMs) {
      await check(target, mutate(random.pick(corpus), random.pick(corpus), random));
    }
  });
});
