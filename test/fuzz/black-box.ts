/**
 * A real daemon under strace, attacked over its socket with changed dialogues. It must stay alive, answer others, keep its memory and
 * open nothing outside its module. `npm run fuzz -- --black-box` and black-box.test.ts run it.
 */

import { chownSync, createReadStream, mkdirSync, readFileSync, realpathSync, statSync, writeFileSync } from 'node:fs';
import { connect } from 'node:net';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import { toToml } from '../helpers/module-spec.ts';
import { residentMiB } from '../helpers/process-stats.ts';
import { removeTree, scratchDir } from '../helpers/scratch.ts';
import { makeTree } from '../helpers/tree.ts';
import { type Server, startServer } from '../session/support/server.ts';
import { type Dialogue, sessionDialogues } from './dialogues.ts';
import { mutate, type Random } from './mutate.ts';

/** Without a root of its own the daemon shows strace the paths that we know. */
const NOBODY = 65_534;

/** Sessions between two looks at the daemon, and how many of them at once. */
const ROUND = 40;
const AT_ONCE = 8;

/** An honest client waits no longer; strace slows the daemon down, and machines have other things to do. */
const ANSWER_MS = 20_000;
const GROWTH_MIB = 250;

/** A session that the daemon still has after this is left alone. */
const PATIENCE_MS = 1500;

/** What was seen. */
export interface BlackBoxReport {
  readonly sessions: number;
  /** Files that the daemon has opened for them. */
  readonly opens: number;
  readonly growthMiB: number;
  /** What must not be; empty when all is well. */
  readonly findings: readonly string[];
}

/** Attacks a daemon of its own until `isOver`. */
export async function fuzzBlackBox(random: Random, isOver: () => boolean): Promise<BlackBoxReport> {
  const dir = scratchDir('black-box');
  try {
    const path = join(dir, 'pub');
    await makeModule(dir, path);
    const log = join(dir, 'strace');
    const { server, port } = await startTraced(dir, path, log);
    const pid = daemonPid(server);
    const since = statSync(log).size;
    const before = residentMiB(pid);
    const findings: string[] = [];
    let sessions = 0;
    try {
      while (!isOver() && findings.length === 0) {
        sessions += await playRound(port, random, findings);
        if (!(await isAnswered(port))) findings.push('an honest client got no answer');
        findings.push(...bugsIn(server));
        if (residentMiB(pid) - before > GROWTH_MIB) findings.push(`grew to ${residentMiB(pid).toFixed()} MiB`);
      }
      const growthMiB = residentMiB(pid) - before;
      const { opened, listed, others } = await traced(log, since);
      const module = realpathSync(path);
      const outside = [
        // Each session walks to the module anew, from the root on, and lists nothing on the way.
        ...opened.filter((one) => !isAllowed(one, module) && !`${module}/`.startsWith(one === '/' ? one : `${one}/`)),
        ...listed.filter((one) => !isAllowed(one, module)),
      ];
      for (const one of new Set([...outside, ...others])) findings.push(`outside the module: ${one}`);
      return { sessions, opens: opened.length, growthMiB, findings };
    } finally {
      // strace itself blocks signals, and ends with the daemon.
      killIfThere(pid);
      await server.stop();
    }
  } finally {
    removeTree(dir);
  }
}

function killIfThere(pid: number): void {
  try {
    process.kill(pid, 'SIGKILL');
  } catch {
    // It has crashed: the findings say so.
  }
}

async function makeModule(dir: string, path: string): Promise<void> {
  mkdirSync(path);
  await makeTree(path, [
    { name: 'big', size: 40_000 },
    { name: 'dir/nested', content: 'nested\n' },
    { name: 'empty', content: '' },
    { name: 'file', content: 'content of file\n' },
    { name: 'link', symlink: 'file' },
    { name: 'rules', content: '- *.o\n+ file\n' },
    { name: 'names', content: 'file\ndir/nested\n' },
    // Where changed paths may go without a barrier.
    { name: 'up', symlink: '..' },
    { name: 'host', symlink: '/etc' },
    { name: 'passwd', symlink: '/etc/passwd' },
  ]);
  writeFileSync(join(dir, 'outside'), 'outside\n');
  writeFileSync(join(dir, 'strace'), '');
  chownSync(join(dir, 'strace'), NOBODY, NOBODY);
}

function startTraced(dir: string, path: string, log: string): Promise<{ server: Server; port: number }> {
  const calls = 'trace=open,openat,openat2,getdents64,execve,connect';
  const limits = {
    'limits.logLinesPerSecond': 10,
    timeout: 2,
    'limits.argumentsMs': 1000,
    'limits.filterIdleMs': 1000,
  };
  return startServer({
    toml: toToml([{ name: 'pub', path }], limits),
    wrap: ['strace', '-f', '-qq', '-y', '-s', '4096', '-e', calls, '-e', 'signal=none', '-o', log],
    env: { HOME: dir },
    uid: NOBODY,
    gid: NOBODY,
  });
}

/** strace starts the daemon as its only child. */
function daemonPid({ pid }: Server): number {
  const listed = readFileSync(`/proc/${pid}/task/${pid}/children`, 'latin1');
  return Number(listed.trim().split(' ')[0]);
}

async function playRound(port: number, random: Random, findings: string[]): Promise<number> {
  const dialogues = sessionDialogues();
  for (let played = 0; played < ROUND; played += AT_ONCE) {
    const inputs = Array.from({ length: AT_ONCE }, () => changed(random.pick(dialogues), random));
    try {
      await Promise.all(inputs.map((input) => play(port, input)));
    } catch (error) {
      // Whoever looks for the reason needs the bytes.
      findings.push(`${error} after one of ${inputs.map((input) => input.toString('base64')).join(' ')}`);
      return played;
    }
  }
  return ROUND;
}

function changed({ seeds, around }: Dialogue, random: Random): Buffer {
  const input = mutate(random.pick(seeds), random.pick(seeds), random);
  // Now and then the part in front is changed as well.
  return random.int(4) === 0 ? mutate(around(input), input, random) : around(input);
}

/** Sends everything, closes, and waits for the end; a daemon that refuses the connection is gone. */
function play(port: number, bytes: Buffer): Promise<void> {
  return new Promise((resolve, reject) => {
    const socket = connect({ port, host: '127.0.0.1' });
    const timer = setTimeout(() => socket.destroy(), PATIENCE_MS);
    socket.on('error', (error: NodeJS.ErrnoException) => {
      if (error.code === 'ECONNREFUSED') reject(error);
    });
    socket.on('close', () => {
      clearTimeout(timer);
      resolve();
    });
    socket.resume().end(bytes);
  });
}

/** Whether the module list comes. */
function isAnswered(port: number): Promise<boolean> {
  return new Promise((resolve) => {
    const socket = connect({ port, host: '127.0.0.1' });
    let text = '';
    const timer = setTimeout(() => socket.destroy(), ANSWER_MS);
    socket.on('error', () => {});
    socket.on('data', (chunk) => {
      text += chunk.toString('latin1');
    });
    socket.on('close', () => {
      clearTimeout(timer);
      resolve(text.includes('@RSYNCD: EXIT'));
    });
    socket.write('@RSYNCD: 31.0\n#list\n');
  });
}

function bugsIn(server: Server): string[] {
  const bugs = server.logged.filter(({ level }) => level === 'error' || level === 'fatal');
  return bugs.slice(0, 3).map((line) => JSON.stringify(line));
}

/** What a daemon has done with files. */
interface Traced {
  /** Paths behind the descriptors of all successful opens. */
  readonly opened: string[];
  /** Directories whose names were read. */
  readonly listed: string[];
  /** Programs and connections, as strace writes them. */
  readonly others: string[];
}

async function traced(log: string, since: number): Promise<Traced> {
  const seen: Traced = { opened: [], listed: [], others: [] };
  for await (const line of createInterface({ input: createReadStream(log, { start: since }) })) {
    const opened = / = \d+<([^>]*)>$/.exec(line)?.[1];
    const listed = / getdents64\(\d+<([^>]*)>/.exec(line)?.[1];
    if (listed !== undefined) seen.listed.push(listed);
    else if (opened !== undefined) seen.opened.push(opened);
    else if (/ (execve|connect)\(/.test(line)) seen.others.push(line);
  }
  return seen;
}

/** The module, and what the run-time asks of the kernel about this process. */
function isAllowed(path: string, module: string): boolean {
  const isOwn = /^\/proc\/(self|\d+)(\/(fd|task|status|stat|statm|smaps|cgroup)\b.*)?$/.test(path);
  return isOwn || path === module || path.startsWith(`${module}/`);
}
