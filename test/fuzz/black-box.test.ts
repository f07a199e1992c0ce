/** Some seconds of the black-box fuzzer; `npm run fuzz -- --black-box` runs it for as long as one likes. */

import { expect, it } from 'vitest';
import { haveTool } from '../interop/ssh-tools.ts';
import { hasRoot } from '../setup/clients.ts';
import { fuzzBlackBox } from './black-box.ts';
import { Random } from './mutate.ts';

const SECONDS = 6;

it.runIf(hasRoot() && haveTool('strace'))(
  'a real daemon lives through changed dialogues and opens nothing outside its module',
  { timeout: 120_000 },
  async () => {
    const endMs = performance.now() + SECONDS * 1000;
    const { findings, sessions, opens } = await fuzzBlackBox(new Random(7), () => performance.now() > endMs);
    expect(findings).toEqual([]);
    expect([sessions > 0, opens > 0]).toEqual([true, true]);
  },
);
