/** Which blocks of src/ have run, by V8's own counters; the fuzzer keeps inputs that reach new ones. */

import { type Profiler, Session } from 'node:inspector';

export class Coverage {
  readonly #inspector = new Session();
  readonly #seen = new Set<string>();

  constructor() {
    this.#inspector.connect();
    this.#inspector.post('Profiler.enable');
    this.#inspector.post('Profiler.startPreciseCoverage', { callCount: true, detailed: true });
    this.takeNew();
  }

  /** Blocks seen so far. */
  get size(): number {
    return this.#seen.size;
  }

  /** The blocks that ran since the last call and never before, or never so often (in powers of four); they are not new any more. */
  takeNew(): string[] {
    const fresh = this.take().filter((block) => !this.#seen.has(block));
    for (const block of fresh) this.#seen.add(block);
    return fresh;
  }

  /** All blocks that ran since the last call. */
  take(): string[] {
    const blocks: string[] = [];
    this.#inspector.post('Profiler.takePreciseCoverage', (error, taken) => {
      if (error !== null) throw error;
      for (const script of taken.result) if (script.url.includes('/src/')) blocks.push(...blocksOf(script));
    });
    return blocks;
  }

  close(): void {
    this.#inspector.disconnect();
  }
}

function blocksOf({ scriptId, functions }: Profiler.ScriptCoverage): string[] {
  return functions.flatMap(({ ranges }) =>
    ranges
      .filter(({ count }) => count > 0)
      .map(({ startOffset, endOffset, count }) => `${scriptId}:${startOffset}-${endOffset}:${Math.log2(count) >> 1}`),
  );
}
