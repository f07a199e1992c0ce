/** The dashboard for Grafana asks for nothing that the daemon does not have. */
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { metricNames } from '../../../src/observe/metrics.ts';

interface Dashboard {
  readonly panels: readonly { readonly title: string; readonly targets: readonly { readonly expr: string }[] }[];
  readonly templating: { readonly list: readonly { readonly query: string }[] };
}

const FILE = join(import.meta.dirname, '../../../deploy/grafana/dashboard.json');
const dashboard = JSON.parse(readFileSync(FILE, 'utf8')) as Dashboard;

/** Metric names in an expression; the buckets of a histogram count as the histogram. */
const namesIn = (expr: string): string[] =>
  (expr.match(/\b(gokr_rsyncd|process)_\w+/g) ?? []).map((name) => name.replace(/_bucket$/, ''));

describe('the dashboard', () => {
  it.each(dashboard.panels.flatMap(({ title, targets }) => targets.map(({ expr }) => [title, expr] as const)))(
    'has in "%s" only metrics that exist: %s',
    (_, expr) => {
      const names = namesIn(expr);
      expect(names.length).toBeGreaterThan(0);
      expect(metricNames()).toEqual(expect.arrayContaining(names));
    },
  );

  it('leaves out only what few will look for', () => {
    const texts = [...dashboard.panels.flatMap(({ targets }) => targets.map(({ expr }) => expr))];
    const shown = new Set([...texts, ...dashboard.templating.list.map(({ query }) => query)].flatMap(namesIn));
    expect(metricNames().filter((name) => !shown.has(name))).toEqual([
      'gokr_rsyncd_received_bytes_total',
      'gokr_rsyncd_events_total',
      'gokr_rsyncd_state',
      'gokr_rsyncd_heap_used_bytes',
      'process_start_time_seconds',
    ]);
  });
});
