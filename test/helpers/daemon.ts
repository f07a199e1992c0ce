/** Starts our daemon as a process of its own; interop tests and the benchmark pull from it. */

import { type ChildProcess, spawn } from 'node:child_process';
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import { setTimeout as sleep } from 'node:timers/promises';
import { type ModuleSpec, toToml } from './module-spec.ts';
import { peakRssKiB } from './process-stats.ts';
import { PROGRAM } from './program.ts';
import { endChild, type RunningDaemon } from './running-daemon.ts';
import { removeTree, scratchDir } from './scratch.ts';

const ROOT = join(import.meta.dirname, '../..');

export interface DaemonOptions {
  readonly modules: readonly ModuleSpec[];
  /** Top-level keys of the configuration. */
  readonly globals?: Readonly<Record<string, string | number | boolean>>;
  readonly nodeArgs?: readonly string[];
}

export interface OurDaemon extends RunningDaemon {
  readonly configFile: string;
  /** Sends SIGHUP; resolves with the log lines up to and with the daemon's verdict on its configuration. */
  reload(): Promise<readonly string[]>;
}

/** Starts our daemon on a free port of 127.0.0.1; rejects with its log when it does not listen. */
export async function startDaemon(options: DaemonOptions): Promise<OurDaemon> {
  const dir = scratchDir('ours');
  const config = join(dir, 'rsyncd.toml');
  writeFileSync(config, toToml(options.modules, options.globals));
  const args = [...(options.nodeArgs ?? []), PROGRAM, '--daemon', '--config', config];
  const child = spawn(process.execPath, args, { cwd: ROOT, stdio: ['ignore', 'ignore', 'pipe'] });
  const lines: string[] = [];
  const port = await listeningPort(child, lines).catch(async (error) => {
    await endChild(child);
    removeTree(dir);
    throw error;
  });
  const pid = child.pid!;
  return {
    name: 'ours',
    port,
    pid,
    logs: () => lines,
    peakRssKiB: () => peakRssKiB(pid),
    configFile: config,
    reload: () => reloaded(child, lines),
    stop: () => endChild(child).then(() => removeTree(dir)),
  };
}

async function reloaded(child: ChildProcess, lines: readonly string[]): Promise<readonly string[]> {
  const before = lines.length;
  child.kill('SIGHUP');
  const deadline = Date.now() + 60_000;
  for (;;) {
    const verdict = lines.slice(before).findIndex((line) => /"msg":"configuration (not )?read again/.test(line));
    if (verdict >= 0) return lines.slice(before, before + verdict + 1);
    if (Date.now() > deadline) throw new Error(`no verdict on the configuration:\n${lines.join('\n')}`);
    await sleep(20);
  }
}

function listeningPort(child: ChildProcess, lines: string[]): Promise<number> {
  return new Promise((resolve, reject) => {
    const fail = (): void => reject(new Error(`our daemon did not start:\n${lines.join('\n')}`));
    child.on('error', reject);
    child.on('close', fail);
    const timer = setTimeout(fail, 60_000).unref();
    createInterface({ input: child.stderr! }).on('line', (line) => {
      lines.push(line);
      const address = /"msg":"listening"/.test(line) ? (JSON.parse(line) as { address: string }).address : undefined;
      if (address === undefined) return;
      clearTimeout(timer);
      resolve(Number(address.slice(address.lastIndexOf(':') + 1)));
    });
  });
}
