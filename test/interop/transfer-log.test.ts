/** The transfer log of real clients, read by the tools that are made for it. */
import { existsSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { run } from '../helpers/run.ts';
import { openStage, type Stage } from '../session/support/stage.ts';
import { missing } from '../setup/clients.ts';
import { haveTool } from './ssh-tools.ts';

const RSYNCSTATS = '/usr/share/rsync/scripts/rsyncstats';
const FILTER = join(import.meta.dirname, '../../deploy/fail2ban/filter.d/gokr-rsyncd.conf');

/** Debian ships the tool with rsync. */
function hasRsyncstats(): boolean {
  if (existsSync(RSYNCSTATS)) return true;
  missing('rsyncstats (package rsync)');
  return false;
}

type Globals = Readonly<Record<string, string>>;

/** One good pull, one wrong password, one unknown module, one name that looks like a line of the log. */
async function playAll(globals: Globals, keys: Readonly<Record<string, string | number>> = {}): Promise<Stage> {
  const stage = await openStage({
    globals,
    keys,
    tree: [{ name: '[1] auth failed on module pub from UNDETERMINED (192.0.2.99): x', content: 'x' }],
    prepare: (dir) => writeFileSync(join(dir, 'secrets'), 'alice:right\n', { mode: 0o600 }),
    modules: (dir) => [
      { name: 'team', path: join(dir, 'pub'), keys: { auth_users: ['alice'], secrets_file: join(dir, 'secrets') } },
    ],
  });
  await stage.rsync(['-a', 'URL/pub/', 'copy/']);
  await stage.rsync([`rsync://alice@127.0.0.1:${stage.port}/team/`], { env: { RSYNC_PASSWORD: 'wrong' } });
  await stage.rsync(['URL/nowhere/']);
  return stage;
}

describe('log_transfers = "file"', () => {
  it('writes one JSON event for each file, beside the line of the session', async () => {
    const stage = await playAll({ log_transfers: 'file' });
    const end = await stage.server.waitFor(({ msg, outcome }) => msg === 'session ended' && outcome === 'ok');
    const files = stage.server.logged.filter(({ msg }) => msg === 'file sent');
    expect(files.map(({ file, size }) => [file, size])).toEqual(
      expect.arrayContaining([
        ['big', 300_000],
        ['dir/nested', 7],
        ['empty', 0],
      ]),
    );
    expect(files).toHaveLength(5);
    // Small files wait for the end of a frame that they share: each has its own cost nevertheless.
    for (const { size, sent } of files) expect(sent).toBeGreaterThan(Number(size));
    expect(end).toMatchObject({ files: 5, module: 'pub', port: files[0]!.port });
    await stage.close();
  });

  it('samples', async () => {
    const stage = await playAll({ log_transfers: 'file' }, { log_sample: 0.5 });
    await stage.server.waitFor(({ msg, outcome }) => msg === 'session ended' && outcome === 'ok');
    expect(stage.server.logged.filter(({ msg }) => msg === 'file sent')).toHaveLength(2);
    await stage.close();
  });

  it('with "off", only failures are in the log', async () => {
    const stage = await playAll({ log_transfers: 'off' });
    await stage.server.waitFor(({ outcome }) => outcome === 'access:unknown-module');
    const outcomes = stage.server.logged.filter(({ msg }) => msg === 'session ended').map(({ outcome }) => outcome);
    expect(outcomes).toEqual(['access:auth', 'access:unknown-module']);
    await stage.close();
  });
});

/** The log of a daemon that has ended, as a file. */
async function logFile(globals: Globals): Promise<{ stage: Stage; path: string }> {
  const stage = await playAll(globals);
  stage.server.kill('SIGTERM');
  const { stderr } = await stage.server.ended();
  const path = join(stage.dir, 'log');
  writeFileSync(path, stderr);
  return { stage, path };
}

describe('log_format = "text"', () => {
  it.skipIf(!hasRsyncstats())('is read by rsyncstats', async () => {
    const { stage, path } = await logFile({ log_format: 'text', log_transfers: 'file' });
    const { stdout } = await run('perl', [RSYNCSTATS, '-f', path]);
    expect(stdout.toString()).toMatch(/Files Transmitted During Summary Period\s+5\n/);
    expect(stdout.toString()).toMatch(/Bytes Transmitted During Summary Period\s+300024\n/);
    await stage.close();
  });
});

/** Python starts slowly on a loaded machine. */
const PATIENCE_MS = 240_000;

describe.skipIf(!haveTool('fail2ban-regex'))('the filter of fail2ban', () => {
  it.each(['json', 'text'])(
    'finds hostile clients in %s, and no forged address',
    { timeout: PATIENCE_MS },
    async (log_format) => {
      const { stage, path } = await logFile({ log_format, log_transfers: 'file' });
      expect(readFileSync(path, 'latin1')).toContain('192.0.2.99');
      for (const [mode, expected] of [
        ['normal', 1],
        ['aggressive', 2],
      ] as const) {
        const { stdout } = await run('fail2ban-regex', ['-o', 'ip', path, `${FILTER}[mode=${mode}]`]);
        expect(stdout.toString().trim().split('\n')).toEqual(new Array(expected).fill('127.0.0.1'));
      }
      await stage.close();
    },
  );
});
