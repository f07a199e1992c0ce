import { describe, expect, it } from 'vitest';
import { Limiter } from '../../../src/compress/limiter.ts';

describe('Limiter', () => {
  it('runs as many jobs as allowed and the rest in order of arrival', async () => {
    const limiter = new Limiter(2);
    const log: string[] = [];
    const gates = [0, 1, 2, 3].map(() => Promise.withResolvers<void>());
    const jobs = gates.map((gate, i) =>
      limiter.run(async () => {
        log.push(`start ${i}`);
        await gate.promise;
        log.push(`end ${i}`);
      }),
    );
    expect(limiter.load).toBe(4);
    gates[1]!.resolve();
    await jobs[1];
    gates[0]!.resolve();
    await jobs[0];
    gates[2]!.resolve();
    gates[3]!.resolve();
    await Promise.all(jobs);
    expect(log).toEqual(['start 0', 'start 1', 'end 1', 'start 2', 'end 0', 'start 3', 'end 2', 'end 3']);
    expect(limiter.load).toBe(0);
  });

  it('passes results and failures on and frees the place of a failed job', async () => {
    const limiter = new Limiter(1);
    await expect(limiter.run(() => Promise.reject(new Error('no')))).rejects.toThrow('no');
    expect(await limiter.run(() => Promise.resolve(5))).toBe(5);
  });
});
