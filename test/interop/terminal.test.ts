/** The daemon started from a shell: what stands on a real pseudo-terminal before, during and after a transfer. */

import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, afterEach, beforeAll, describe, expect, it } from 'vitest';
import { randomBytesOf } from '../helpers/content.ts';
import { toToml } from '../helpers/module-spec.ts';
import { PROGRAM } from '../helpers/program.ts';
import { mustRun } from '../helpers/run.ts';
import { removeTree, scratchDir } from '../helpers/scratch.ts';
import { TerminalProgram } from '../helpers/terminal.ts';
import { hasRoot } from '../setup/clients.ts';

const READY = 'Ctrl-C ends it.';
const PATIENCE = { timeout: 60_000, interval: 50 };
const LIVE = /^127\.0\.0\.1 {2}pub {2}transfer {3}.*\[#*-*\] {1,3}\d+ % of 7\.6 MiB/;

describe.runIf(hasRoot())('the daemon on a terminal', { timeout: 120_000 }, () => {
  let dir: string;
  let config: string;
  const programs: TerminalProgram[] = [];

  beforeAll(() => {
    dir = scratchDir('terminal');
    config = join(dir, 'rsyncd.toml');
    for (const name of ['pub', 'client']) mkdirSync(join(dir, name));
    writeFileSync(join(dir, 'pub/big'), randomBytesOf('big', 8_000_000));
    const keys = { comment: 'public files', bandwidth_limit: '100KiB' };
    writeFileSync(config, toToml([{ name: 'pub', path: join(dir, 'pub'), keys }]));
  });
  afterEach(async () => {
    for (const program of programs.splice(0)) await program.stop();
  });
  afterAll(() => removeTree(dir));

  const start = async (env: Readonly<Record<string, string>>, columns = 100): Promise<TerminalProgram> => {
    const command = [process.execPath, PROGRAM, '--daemon', '--config', config];
    const program = new TerminalProgram(command, { columns, rows: 30, env });
    programs.push(program);
    await expect.poll(() => program.screen, PATIENCE).toContain(READY);
    return program;
  };
  /** The commands that the summary gives to try. */
  const commandsOf = ({ screen }: TerminalProgram): string[] => {
    const first = screen.indexOf('try it') + 1;
    return screen.slice(first, screen.indexOf('', first)).map((line) => line.trim());
  };
  /** Begins a pull that takes longer than anybody looks, and ends it when `seen` is over. */
  const whilePulling = async (program: TerminalProgram, seen: () => Promise<void>): Promise<void> => {
    const client = spawn('sh', ['-c', `exec ${commandsOf(program)[1]!}`], {
      cwd: join(dir, 'client'),
      stdio: 'ignore',
    });
    const closed = once(client, 'close');
    await seen().finally(() => client.kill('SIGTERM'));
    await closed;
  };

  it('says what it serves, where, how well it is locked in, and with which commands to try it', async () => {
    const program = await start({ TERM: 'xterm' });
    const { screen } = program;
    expect(screen.join('\n')).toMatch(
      /\nmodules\n {2}pub {2}\S+\/pub {2}public files\n\nlisteners\n {2}rsyncd {2}127\.0\.0\.1:\d+\n\nsandbox\n {2}holds /,
    );
    expect(screen.filter((line) => line.startsWith('  holds')).length).toBeGreaterThan(3);
    // Nothing of the log of a start stands between: neither JSON nor its readable form.
    expect(screen.join('\n')).not.toMatch(/INFO|"level"/);
    expect(program.output).toContain('\x1b[1mmodules');
    const [list, pull] = commandsOf(program);
    expect((await mustRun('sh', ['-c', list!])).stdout.toString()).toMatch(/^pub\s+public files\n$/);
    expect(pull).toMatch(/^rsync -av rsync:\/\/127\.0\.0\.1:\d+\/pub\/ \.\/pub\/$/);
  });

  it('has a line for each transfer, below the log, and clears it', async () => {
    const program = await start({ TERM: 'xterm' });
    const live = () => program.screen.filter((line) => LIVE.test(line));
    await whilePulling(program, async () => {
      await expect.poll(live, PATIENCE).toHaveLength(1);
      expect(program.screen.at(-1)).toBe('');
      expect(program.screen.at(-2)).toMatch(LIVE);
    });
    await expect.poll(() => program.screen.join('\n'), PATIENCE).toMatch(/INFO {2}session ended.* module=pub/);
    await expect.poll(live, PATIENCE).toEqual([]);
    program.type('\x03');
    expect(await program.ended()).toBe(0);
    expect(program.screen.join('\n')).toContain('stopping signal=SIGINT');
    expect(program.screen.some((line) => LIVE.test(line))).toBe(false);
  });

  it('never wraps: a narrow window has the beginning of the line', async () => {
    const program = await start({ TERM: 'xterm', NO_COLOR: '1' }, 40);
    expect(program.output).not.toContain('\x1b[1m');
    await whilePulling(program, async () => {
      await expect.poll(() => program.screen.at(-2), PATIENCE).toMatch(/^127\.0\.0\.1 {2}pub {2}.{1,23}$/);
    });
  });

  it('writes no escape sequence to a dumb terminal, and only lines of the log behind the summary', async () => {
    const program = await start({ TERM: 'dumb' });
    const before = program.screen.length;
    await whilePulling(program, async () => {
      await expect.poll(async () => (await received(dir)) > 0, PATIENCE).toBe(true);
    });
    await expect
      .poll(() => program.screen.slice(before - 1).join('\n'), PATIENCE)
      .toMatch(/^\S+ INFO {2}session ended/);
    expect(program.output).not.toContain('\x1b');
  });
});

/** Files that the client has begun to receive, finished or not. */
async function received(dir: string): Promise<number> {
  return Number((await mustRun('sh', ['-c', `ls -A ${dir}/client/pub | grep -c '^\\.big'; true`])).stdout);
}
