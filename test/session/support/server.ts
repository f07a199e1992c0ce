/** Our daemon as a process of its own with any configuration, identity and environment; its log can be waited for. */

import { type ChildProcess, spawn } from 'node:child_process';
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import { PROGRAM } from '../../helpers/program.ts';
import { endChild } from '../../helpers/running-daemon.ts';
import { removeTree, scratchDir } from '../../helpers/scratch.ts';

export const PROJECT = join(import.meta.dirname, '../../..');
export const NODE = process.execPath;

/** One line of the log. */
export type LogLine = Readonly<Record<string, unknown>>;

export interface ServerOptions {
  /** Text of the configuration file; absent when `args` say all. */
  readonly toml?: string;
  /** Further arguments. */
  readonly args?: readonly string[];
  /** Program and arguments in front of ours. */
  readonly wrap?: readonly string[];
  readonly nodeArgs?: readonly string[];
  readonly env?: Readonly<Record<string, string>>;
  /** Descriptors of ours that become 3, 4, … there. */
  readonly descriptors?: readonly number[];
  /** Identity; only root may choose one. */
  readonly uid?: number;
  readonly gid?: number;
}

export interface ProcessEnd {
  readonly exitCode: number | null;
  readonly signal: NodeJS.Signals | null;
  readonly stdout: string;
  readonly stderr: string;
}

export class Server {
  readonly #child: ChildProcess;
  readonly #dir: string;
  readonly #lines: string[] = [];
  readonly #logged: LogLine[] = [];
  readonly #stdout: Buffer[] = [];
  #wake: () => void = () => {};
  #end: ProcessEnd | null = null;

  constructor(options: ServerOptions) {
    this.#dir = scratchDir('session');
    const config = join(this.#dir, 'rsyncd.toml');
    if (options.toml !== undefined) writeFileSync(config, options.toml);
    const configArgs = options.toml === undefined ? [] : ['--config', config];
    const command = [...(options.wrap ?? []), NODE, ...(options.nodeArgs ?? []), PROGRAM, '--daemon'];
    const [program, ...args] = [...command, ...configArgs, ...(options.args ?? [])];
    const { uid, gid } = options;
    this.#child = spawn(program!, args, {
      cwd: PROJECT,
      stdio: ['ignore', 'pipe', 'pipe', ...(options.descriptors ?? [])],
      env: { PATH: process.env.PATH ?? '/usr/bin:/bin', HOME: this.#dir, ...options.env },
      ...(uid === undefined ? {} : { uid }),
      ...(gid === undefined ? {} : { gid }),
    });
    this.#child.stdout!.on('data', (chunk: Buffer) => {
      this.#stdout.push(chunk);
      this.#notify();
    });
    createInterface({ input: this.#child.stderr! }).on('line', (line) => this.#addLine(line));
    this.#child.on('close', (exitCode, signal) => {
      const stdout = this.#outputText();
      this.#end = { exitCode, signal, stdout, stderr: `${this.#lines.join('\n')}\n` };
      this.#notify();
    });
    this.#child.on('error', (error) => this.#addLine(String(error)));
  }

  get pid(): number {
    return this.#child.pid!;
  }

  /** Everything logged so far, parsed; lines that are no JSON are not in it. */
  get logged(): readonly LogLine[] {
    return this.#logged;
  }

  /** Everything on standard error so far, as it came. */
  get lines(): readonly string[] {
    return this.#lines;
  }

  /** Waits for a log line, from number `since` on. @throws Error when the process ends first. */
  async waitFor(isWanted: (line: LogLine) => boolean, since = 0): Promise<LogLine> {
    for (;;) {
      const found = this.#logged.slice(since).find(isWanted);
      if (found !== undefined) return found;
      if (this.#end !== null) throw new Error(`the daemon ended:\n${this.#end.stderr}`);
      await this.#change();
    }
  }

  /** The first line on standard output from here on. @throws Error when the process ends first. */
  async nextOutputLine(): Promise<string> {
    const since = this.#outputText().split('\n').length - 1;
    for (;;) {
      const lines = this.#outputText().split('\n');
      if (lines.length - 1 > since) return lines[since]!;
      if (this.#end !== null) throw new Error(`the daemon ended:\n${this.#end.stderr}`);
      await this.#change();
    }
  }

  /** Waits until the process has ended. */
  async ended(): Promise<ProcessEnd> {
    while (this.#end === null) await this.#change();
    return this.#end;
  }

  /** The last line of the session whose client had `port`; ports come again, so only lines from `since` on count. */
  sessionEnd(port: number, since: number): Promise<LogLine> {
    return this.waitFor((line) => line.port === port && line.msg === 'session ended', since);
  }

  kill(signal: NodeJS.Signals): void {
    this.#child.kill(signal);
  }

  async stop(): Promise<void> {
    await endChild(this.#child);
    removeTree(this.#dir);
  }

  /** Several waiters share one event: each looks again. */
  #change(): Promise<void> {
    return new Promise((resolve) => {
      const others = this.#wake;
      this.#wake = () => {
        others();
        resolve();
      };
    });
  }

  #outputText(): string {
    return Buffer.concat(this.#stdout).toString();
  }

  #addLine(line: string): void {
    this.#lines.push(line);
    if (line.startsWith('{')) this.#logged.push(JSON.parse(line) as LogLine);
    // With log_format = "text", the address is all that a test needs of a line.
    const address = /^\d{4}\/\S+ \S+ \[\d+\] listening address=(\S+)/.exec(line)?.[1];
    if (address !== undefined) this.#logged.push({ msg: 'listening', address });
    this.#notify();
  }

  #notify(): void {
    const wake = this.#wake;
    this.#wake = () => {};
    wake();
  }
}

export interface ListeningServer {
  readonly server: Server;
  readonly port: number;
}

/** Starts the daemon and waits until it listens; rejects with its log when it does not. */
export async function startServer(options: ServerOptions): Promise<ListeningServer> {
  const server = new Server(options);
  try {
    const { address } = await server.waitFor((line) => line.msg === 'listening');
    return { server, port: Number(String(address).split(':').at(-1)) };
  } catch (error) {
    await server.stop();
    throw error;
  }
}

/** Runs the daemon to its end: for a start that must fail, and for --check, --help, --version. */
export async function runToEnd(options: ServerOptions): Promise<ProcessEnd> {
  const server = new Server(options);
  const end = await server.ended();
  await server.stop();
  return end;
}
