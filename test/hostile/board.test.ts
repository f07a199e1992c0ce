/** The scoreboard of `npm run hostile` in small: attacks of each kind on small trees, judged by what is served and by memory. */

import { join } from 'node:path';
import { expect, it } from 'vitest';
import { run } from '../helpers/run.ts';
import { hasRoot } from '../setup/clients.ts';
import { ATTACKS } from './attacks.ts';

/** Some for each phase of a session; the whole board takes minutes. */
const CHOSEN = [
  'an argument without an end',
  'patterns that backtrack',
  'a list that nobody reads',
  'clients that vanish in the middle',
];

const BUDGET = ['--no-speed', '--seconds=0.3', '--flat=3000', '--many=1000'];

it.runIf(hasRoot())('an honest client gets everything while others attack', { timeout: 290_000 }, async () => {
  expect(CHOSEN.filter((name) => !ATTACKS.some((attack) => attack.name === name))).toEqual([]);
  const args = [join(import.meta.dirname, 'main.ts'), ...BUDGET, ...CHOSEN.map((name) => `--only=${name}`)];
  const { exitCode, stdout, stderr } = await run(process.execPath, args, { deadlineMs: 280_000 });
  const lines = stdout.toString().split('\n');
  expect({
    stderr: exitCode === 0 ? '' : stderr.toString(),
    bad: lines.filter((line) => line.includes('NOT OK')),
  }).toEqual({ stderr: '', bad: [] });
  expect(lines).toContain(`${CHOSEN.length} attacks, 0 not withstood`);
});
