import { Worker } from 'node:worker_threads';
import { describe, expect, it } from 'vitest';
import { LimitHits } from '../../src/limit-hits.ts';
import { DEFAULT_LIMITS } from '../../src/limits.ts';

describe('LimitHits', () => {
  it('has a counter for every bound, in their order, from 0', () => {
    const counts = new LimitHits().snapshot();
    expect([...counts.keys()]).toEqual(Object.keys(DEFAULT_LIMITS));
    expect(new Set(counts.values())).toEqual(new Set([0]));
  });

  it('counts each bound by itself', () => {
    const hits = new LimitHits();
    hits.count('args');
    hits.count('args');
    hits.count('entries');
    expect([...hits.snapshot()].filter(([, count]) => count > 0)).toEqual([
      ['args', 2],
      ['entries', 1],
    ]);
  });

  it('adds up what threads count that share its storage', async () => {
    const hits = new LimitHits();
    hits.count('args');
    const script = `
      import { workerData } from 'node:worker_threads';
      const { LimitHits } = await import(workerData.module);
      const hits = new LimitHits();
      hits.shareWith(workerData.storage);
      for (let i = 0; i < 1000; i++) hits.count('args');
    `;
    const workerData = { module: new URL('../../src/limit-hits.ts', import.meta.url).href, storage: hits.storage };
    const workers = [1, 2].map(
      () => new Worker(new URL(`data:text/javascript,${encodeURIComponent(script)}`), { workerData }),
    );
    await Promise.all(workers.map((worker) => new Promise((resolve) => worker.once('exit', resolve))));
    expect(hits.snapshot().get('args')).toBe(2001);
  });
});
