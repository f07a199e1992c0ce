/** Latencies in buckets, as plain data; session-registry.ts fills them and metrics.ts shows them. */

/** Upper bounds in seconds; what takes longer lands in one more bucket. A phase takes from a millisecond to a day. */
export const BUCKETS_SEC: readonly number[] = [0.001, 0.005, 0.025, 0.1, 0.5, 2, 10, 60, 600, 3600];

export interface Histogram {
  /** Observations in each bucket alone, one more than there are bounds. */
  readonly counts: number[];
  sumSec: number;
  count: number;
}

export function emptyHistogram(): Histogram {
  return { counts: new Array<number>(BUCKETS_SEC.length + 1).fill(0), sumSec: 0, count: 0 };
}

export function observeValue(histogram: Histogram, seconds: number): void {
  const bucket = BUCKETS_SEC.findIndex((bound) => seconds <= bound);
  histogram.counts[bucket < 0 ? BUCKETS_SEC.length : bucket]!++;
  histogram.sumSec += seconds;
  histogram.count++;
}

export function addHistograms(a: Histogram, b: Histogram): Histogram {
  return {
    counts: a.counts.map((count, bucket) => count + b.counts[bucket]!),
    sumSec: a.sumSec + b.sumSec,
    count: a.count + b.count,
  };
}
