/**
 * `npm run fuzz`: coverage-guided fuzzing of every parser in turn (targets.ts).
 *
 * --minutes N (default 2), --target NAME (repeatable), --seed N repeats a run, --save DIR keeps inputs that reached new blocks.
 * Ends with 1 and prints the input in base64 when one fails.
 */

import { createHash } from 'node:crypto';
import { mkdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { parseArgs } from 'node:util';
import { removeTree, scratchDir } from '../helpers/scratch.ts';
import { Coverage } from './coverage.ts';
import { Finding, fuzz } from './fuzzer.ts';
import { Random } from './mutate.ts';
import { sessionPlayer } from './session-target.ts';
import { allTargets } from './targets.ts';

const { values } = parseArgs({
  options: {
    minutes: { type: 'string', default: '2' },
    target: { type: 'string', multiple: true },
    seed: { type: 'string', default: String(Date.now() % 1_000_000) },
    save: { type: 'string' },
  },
});

const dir = scratchDir('fuzz');
const targets = allTargets(await sessionPlayer(dir)).filter(({ name }) => values.target?.includes(name) ?? true);
const msEach = (Number(values.minutes) * 60_000) / targets.length;
const coverage = new Coverage();
const random = new Random(Number(values.seed));
console.log(`seed ${values.seed}, ${targets.length} targets`);
try {
  for (const target of targets) {
    const endMs = performance.now() + msEach;
    const { inputs, kept } = await fuzz(target, coverage, random, () => performance.now() > endMs);
    console.log(
      `${target.name.padEnd(18)} ${String(inputs).padStart(8)} inputs, ${kept.length} kept, ${coverage.size} blocks`,
    );
    if (values.save === undefined || kept.length === 0) continue;
    mkdirSync(join(values.save, target.name), { recursive: true });
    for (const input of kept) {
      writeFileSync(
        join(values.save, target.name, createHash('sha256').update(input).digest('hex').slice(0, 16)),
        input,
      );
    }
  }
} catch (thrown) {
  if (!(thrown instanceof Finding)) throw thrown;
  console.error(thrown.message);
  process.exitCode = 1;
} finally {
  coverage.close();
  removeTree(dir);
}
