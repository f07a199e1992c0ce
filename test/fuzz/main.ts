/**
 * `npm run fuzz`: coverage-guided fuzzing of every parser in turn (targets.ts).
 *
 * --minutes N (default 2), --target NAME (repeatable), --seed N repeats a run, --save DIR keeps inputs that reached new blocks.
 * --black-box attacks a real daemon under strace instead (black-box.ts).
 * Ends with 1 and prints the input in base64 when one fails.
 */

import { createHash } from 'node:crypto';
import { mkdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { numberOption, readOptions } from '../helpers/command-line.ts';
import { bundleProgram } from '../helpers/program.ts';
import { removeTree, scratchDir } from '../helpers/scratch.ts';
import { fuzzBlackBox } from './black-box.ts';
import { Coverage } from './coverage.ts';
import { Finding, fuzz } from './fuzzer.ts';
import { Random } from './mutate.ts';
import { sessionPlayer } from './session-target.ts';
import { allTargets } from './targets.ts';

const values = readOptions('npm run fuzz -- [--minutes N] [--target NAME]… [--seed N] [--save DIR] [--black-box]', {
  minutes: { type: 'string', default: '2' },
  target: { type: 'string', multiple: true },
  seed: { type: 'string', default: String(Date.now() % 1_000_000) },
  save: { type: 'string' },
  'black-box': { type: 'boolean', default: false },
});
const minutes = numberOption('minutes', values.minutes);
const random = new Random(numberOption('seed', values.seed));

if (values['black-box']) await attackDaemon();
else await fuzzParsers();

/** A real daemon over its socket: the bundle, which has all its files open from the start. */
async function attackDaemon(): Promise<void> {
  const removeBundle = await bundleProgram();
  try {
    await attackBundle();
  } finally {
    removeBundle();
  }
}

async function attackBundle(): Promise<void> {
  const endMs = performance.now() + minutes * 60_000;
  console.log(`seed ${values.seed}, a daemon under strace`);
  const report = await fuzzBlackBox(random, () => performance.now() > endMs);
  const { sessions, opens, growthMiB, findings } = report;
  console.log(`${sessions} sessions, ${opens} files opened, ${growthMiB.toFixed()} MiB more`);
  for (const finding of findings) console.error(finding);
  if (findings.length > 0) process.exitCode = 1;
}

async function fuzzParsers(): Promise<void> {
  const dir = scratchDir('fuzz');
  const targets = allTargets(await sessionPlayer(dir)).filter(({ name }) => values.target?.includes(name) ?? true);
  const msEach = (minutes * 60_000) / targets.length;
  const coverage = new Coverage();
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
}
