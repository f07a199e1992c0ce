/** The loop of the fuzzer: mutate, run, keep what reaches new blocks, complain about what fails or takes long. */

import { existsSync, readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import type { Coverage } from './coverage.ts';
import { mutate, type Random } from './mutate.ts';
import type { Target } from './targets.ts';

const CORPUS = join(import.meta.dirname, 'corpus');

/** CPU time of one turn of the event loop: nobody else is served for as long. */
const STALL_MS = 50;
/** CPU time that one input may cost in all, others being served meanwhile: a list of the same tree 200 times takes a tenth of it. */
const COST_MS = 1000;
/** The collector and the compiler take their time now and then, but not for the same input again and again. */
const TRIES = 10;
/** Growth of the resident size over a whole run; the collector keeps some of it. */
const GROWTH_BYTES = 400 * 1024 * 1024;

/** Coverage is asked after so many inputs, since asking takes longer than an input. */
const BATCH = 16;

/** An input that shows a bug. */
export class Finding extends Error {
  readonly input: Buffer;

  constructor(target: Target, input: Buffer, reason: string, cause?: unknown) {
    super(`${target.name}: ${reason}\n${input.toString('base64')}`, { cause });
    this.input = input;
  }
}

/** Inputs of the repository for a target. */
export function corpusOf(target: Target): Buffer[] {
  const directory = join(CORPUS, target.name);
  const names = existsSync(directory) ? readdirSync(directory).sort() : [];
  return [...target.seeds, ...names.map((name) => readFileSync(join(directory, name)))];
}

/** Runs one input. @throws Finding */
export async function check(target: Target, input: Buffer): Promise<void> {
  const seen: Cost[] = [];
  while (seen.length < TRIES) {
    try {
      seen.push(await costOf(() => target.run(input)));
    } catch (thrown) {
      throw new Finding(target, input, String(thrown instanceof Error ? thrown.stack : thrown), thrown);
    }
    const { turnMs, allMs } = seen.at(-1)!;
    if (turnMs <= STALL_MS && allMs <= COST_MS) return;
  }
  const least = (of: (cost: Cost) => number): string => Math.min(...seen.map(of)).toFixed();
  throw new Finding(
    target,
    input,
    `takes ${least(({ turnMs }) => turnMs)} ms at once, ${least(({ allMs }) => allMs)} in all`,
  );
}

/** CPU time of a run. */
interface Cost {
  /** Longest turn of the event loop. */
  readonly turnMs: number;
  readonly allMs: number;
}

async function costOf(run: () => Promise<void> | void): Promise<Cost> {
  const cpuMs = (): number => {
    const { user, system } = process.threadCpuUsage();
    return (user + system) / 1000;
  };
  const startMs = cpuMs();
  let [lastMs, turnMs] = [startMs, 0];
  const look = (): void => {
    const nowMs = cpuMs();
    turnMs = Math.max(turnMs, nowMs - lastMs);
    lastMs = nowMs;
  };
  let timer = setImmediate(function turn() {
    look();
    timer = setImmediate(turn);
  });
  try {
    await run();
  } finally {
    clearImmediate(timer);
  }
  look();
  return { turnMs, allMs: lastMs - startMs };
}

/** Fuzzes one target until `isOver`. @returns the corpus with what was found worth keeping. @throws Finding */
export async function fuzz(
  target: Target,
  coverage: Coverage,
  random: Random,
  isOver: (inputs: number) => boolean,
): Promise<{ inputs: number; kept: Buffer[] }> {
  const corpus = corpusOf(target);
  const { rss } = process.memoryUsage();
  for (const input of corpus) await check(target, input);
  coverage.takeNew();
  const kept: Buffer[] = [];
  let inputs = 0;
  while (!isOver(inputs)) {
    const batch = Array.from({ length: BATCH }, () => mutate(random.pick(corpus), random.pick(corpus), random));
    for (const input of batch) await check(target, input);
    inputs += batch.length;
    const fresh = new Set(coverage.takeNew());
    for (const input of fresh.size > 0 ? batch : []) {
      await check(target, input);
      const own = coverage.take().filter((block) => fresh.delete(block));
      if (own.length === 0) continue;
      kept.push(input);
      corpus.push(input);
    }
    if (process.memoryUsage().rss - rss > GROWTH_BYTES) throw new Finding(target, batch[0]!, 'memory grows');
  }
  return { inputs, kept };
}
