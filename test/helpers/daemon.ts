/** Starts our daemon as a process of its own; interop tests and the benchmark pull from it. */

import { type ChildProcess, spawn } from 'node:child_process';
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import { type ModuleSpec, toToml } from './module-spec.ts';
import { peakRssKiB } from './process-stats.ts';
import { endChild, type RunningDaemon } from './running-daemon.ts';
import { removeTree, scratchDir } from './scratch.ts';

const ROOT = join(import.meta.dirname, '../..');

export interface DaemonOptions {
  readonly modules: readonly ModuleSpec[];
  /** Top-level keys of the configuration. */
  readonly globals?: Readonly<Record<string, string | number | boolean>>;
  readonly nodeArgs?: readonly string[];
}

/** Starts our daemon on a free port of 127.0.0.1; rejects with its log when it does not listen. */
export async function startDaemon(options: DaemonOptions): Promise<RunningDaemon> {
  const dir = scratchDir('ours');
  const config = join(dir, 'rsyncd.toml');
  writeFileSync(config, toToml(options.modules, options.globals));
  const args = [...(options.nodeArgs ?? []), join(ROOT, 'src/main.ts'), '--daemon', '--config', config];
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
    stop: () => endChild(child).then(() => removeTree(dir)),
  };
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
