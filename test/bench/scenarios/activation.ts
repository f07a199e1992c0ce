/** The unit under a systemd that really booted: from the first connect to the greeting while nothing runs yet, and memory afterwards. */

import { spawnSync } from 'node:child_process';
import { mkdirSync, writeFileSync } from 'node:fs';
import { buildMinimalRoot } from '../../system/build.ts';
import { bootMachine, type Machine } from '../../system/machine.ts';
import { configure, install, properties } from '../../system/service.ts';
import type { Scenario, Server } from '../scenario.ts';

/** Times the greeting from inside, so that the way there does not count. Two figures, in microseconds since 1970. */
const MEASURE =
  'echo "$EPOCHREALTIME"; exec 3<>/dev/tcp/127.0.0.1/873; read -r -n 1 -u 3; echo "$EPOCHREALTIME"; exec 3<&-';

const TOML = 'workers = 1\n[[module]]\nname = "pub"\npath = "/srv/pub"\n';

/** The machines of this file by what stands for a port: a scenario's run is told no more. */
const machines = new Map<number, Machine>();

async function startMachine() {
  buildMinimalRoot();
  const machine = await bootMachine('bookworm');
  await install(machine);
  mkdirSync(machine.at('/srv/pub'), { recursive: true });
  writeFileSync(machine.at('/srv/pub/file'), 'hello\n');
  await configure(machine, { toml: TOML });
  const port = machines.size;
  machines.set(port, machine);
  const stop = () => machine.stop();
  return { name: 'ours', port, pid: 0, logs: () => [], peakRssKiB: () => 0, stop } as const;
}

async function activate({ port }: Server) {
  const machine = machines.get(port)!;
  await machine.output('systemctl', 'stop', 'gokr-rsyncd.service');
  // Another start within the minute would be one too many for systemd.
  await machine.run('systemctl', 'reset-failed', 'gokr-rsyncd.service');
  const [before, after] = (await machine.output('bash', '-c', MEASURE)).trim().split('\n');
  const { MainPID } = await properties(machine);
  const rollup = await machine.output('cat', `/proc/${MainPID}/smaps_rollup`);
  const wall = Number(after) - Number(before);
  return { wall, memory: Number(/^Pss:\s+(\d+) kB/m.exec(rollup)![1]) / 1024 };
}

const hasTools = spawnSync('systemd-nspawn', ['--version']).status === 0 && process.getuid?.() === 0;

export const SCENARIOS: readonly Scenario[] = hasTools
  ? [
      {
        name: 'activation',
        title: 'cold start: socket activation to first byte, the shipped unit; memory at rest (PSS) then, one worker',
        targets: { wall: 0.25, memory: 60 },
        hasReference: false,
        start: startMachine,
        run: activate,
      },
    ]
  : [];
