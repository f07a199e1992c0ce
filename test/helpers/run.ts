/** Runs a program to its end and keeps its output as bytes; rsync.ts and the set-up build on it. */

import { spawn } from 'node:child_process';

export interface RunResult {
  /** null when a signal ended the program (also after the deadline). */
  exitCode: number | null;
  stdout: Buffer;
  stderr: Buffer;
}

export interface RunOptions {
  cwd?: string;
  input?: Uint8Array;
  /** Added to a small fixed environment: C locale, UTC, the caller's PATH. */
  env?: Readonly<Record<string, string>>;
  /** Milliseconds until the program is killed; default 120 000. */
  deadlineMs?: number;
}

/** Runs one program. Never rejects for an exit code; rejects when the program cannot be started. */
export function run(command: string, args: readonly string[], options: RunOptions = {}): Promise<RunResult> {
  const child = spawn(command, args, {
    cwd: options.cwd,
    env: { PATH: process.env.PATH ?? '/usr/bin:/bin', LC_ALL: 'C', TZ: 'UTC', ...options.env },
    stdio: ['pipe', 'pipe', 'pipe'],
    // A group of its own: an rsync client is several processes, and each of them holds the pipes open.
    detached: true,
  });
  const deadline = setTimeout(() => killGroup(child.pid!), options.deadlineMs ?? 120_000);
  const stdout: Buffer[] = [];
  const stderr: Buffer[] = [];
  child.stdout.on('data', (chunk: Buffer) => stdout.push(chunk));
  child.stderr.on('data', (chunk: Buffer) => stderr.push(chunk));
  // A program that ends without reading its input is no failure of the test.
  child.stdin.on('error', () => {});
  child.stdin.end(options.input);
  return new Promise((resolve, reject) => {
    child.on('error', (error) => {
      clearTimeout(deadline);
      reject(error);
    });
    child.on('close', (exitCode) => {
      clearTimeout(deadline);
      resolve({ exitCode, stdout: Buffer.concat(stdout), stderr: Buffer.concat(stderr) });
    });
  });
}

function killGroup(pid: number): void {
  try {
    process.kill(-pid, 'SIGKILL');
  } catch {
    // Everything in it ended by itself in this moment.
  }
}

/** Runs a program that must succeed; the error carries its output. */
export async function mustRun(command: string, args: readonly string[], options: RunOptions = {}): Promise<RunResult> {
  const result = await run(command, args, options);
  if (result.exitCode === 0) return result;
  throw new Error(`${command} ${args.join(' ')} ended with ${result.exitCode}: ${result.stderr.toString('latin1')}`);
}
