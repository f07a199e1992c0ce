/** The text for Prometheus. */
import { expect, it } from 'vitest';
import { MetricsText, metricNames } from '../../../src/observe/metrics.ts';
import { stateWith } from './state-fixture.ts';

const render = async (state = stateWith()) => (await MetricsText.load()).render(state);

it('has a line for each figure of the state', async () => {
  const text = await render();
  const lines = text.split('\n');
  expect(lines).toEqual(
    expect.arrayContaining([
      'gokr_rsyncd_info{version="1.2.3",node="26.10.0"} 1',
      'gokr_rsyncd_ready 1',
      'gokr_rsyncd_sessions_total{module="pub",outcome="ok"} 2',
      'gokr_rsyncd_sessions_active{module="pub"} 1',
      'gokr_rsyncd_sessions_active{module=""} 0',
      'gokr_rsyncd_connections_refused_total 4',
      'gokr_rsyncd_sent_bytes_total{module="pub"} 5242880',
      'gokr_rsyncd_received_bytes_total{module="pub"} 100',
      'gokr_rsyncd_sent_files_total{module="pub"} 3',
      'gokr_rsyncd_limit_hits_total{limit="connections"} 3',
      'gokr_rsyncd_limit_hits_total{limit="args"} 0',
      'gokr_rsyncd_events_total{event="file_list_cache_hits"} 9',
      'gokr_rsyncd_state{of="file_list_cache_bytes"} 4096',
      'gokr_rsyncd_sandbox_guarantee{guarantee="no writing"} 1',
      'gokr_rsyncd_event_loop_lag_seconds{loop="main",quantile="0.99"} 0.01',
      'process_resident_memory_bytes 104857600',
      'process_start_time_seconds 1795863600',
    ]),
  );
  for (const name of metricNames()) expect(text).toContain(`# TYPE ${name} `);
});

it('has cumulative buckets that end with all observations', async () => {
  const text = await render();
  const buckets = [...text.matchAll(/^gokr_rsyncd_phase_seconds_bucket\{phase="login",le="([^"]+)"\} (\d+)$/gm)];
  expect(buckets.map(([, le, count]) => `${le}:${count}`)).toEqual(
    ['0.001:0', '0.005:0', '0.025:1', '0.1:1', '0.5:1', '2:1', '10:1', '60:1', '600:1', '3600:1', '+Inf:2'].map(String),
  );
  expect(text).toContain('gokr_rsyncd_phase_seconds_sum{phase="login"} 7200.02');
  expect(text).toContain('gokr_rsyncd_phase_seconds_count{phase="login"} 2');
});

it('escapes labels', async () => {
  const state = stateWith();
  const ended = [{ module: 'a"b\\c\nd', outcome: 'ok', sessions: 1 }];
  const text = await render({ ...state, snapshot: { ...state.snapshot, ended } });
  expect(text).toContain('gokr_rsyncd_sessions_total{module="a\\"b\\\\c\\nd",outcome="ok"} 1');
});

it('shows the newest state each time', async () => {
  const metrics = await MetricsText.load();
  await metrics.render(stateWith());
  expect(await metrics.render(stateWith({ readiness: 'draining' }))).toContain('gokr_rsyncd_ready 0');
  expect(metrics.contentType).toMatch(/^text\/plain; version=0\.0\.4/);
});
