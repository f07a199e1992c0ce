/** `gokr-rsyncd --once` as a process of its own; what it prints can be waited for. */

import { type ChildProcess, spawn } from 'node:child_process';
import { createInterface } from 'node:readline';
import { PROGRAM } from './program.ts';
import { rsync } from './rsync.ts';
import type { RunOptions, RunResult } from './run.ts';
import { endChild } from './running-daemon.ts';

/** A user without rights, who owns nothing. */
export const NOBODY = 65_534;

/** What the client needs to know. */
export interface Invitation {
  readonly address: string;
  readonly module: string;
  readonly user: string;
  readonly password: string;
}

export interface OneShotOptions {
  readonly asOwner?: boolean;
  readonly nodeArgs?: readonly string[];
}

/** How it ended. */
export interface OneShotEnd {
  readonly exitCode: number | null;
  /** The second line of standard output. */
  readonly summary: Readonly<Record<string, unknown>> | null;
  /** Lines behind that. */
  readonly more: readonly string[];
  readonly stderr: string;
}

export class OneShot {
  readonly #child: ChildProcess;
  readonly #lines: string[] = [];
  readonly #first = Promise.withResolvers<Invitation>();
  readonly #end = Promise.withResolvers<OneShotEnd>();
  #stderr = '';

  /** Starts it as `nobody` where we are root, unless it is to run as the owner of its files. */
  constructor(args: readonly string[], { asOwner = false, nodeArgs = [] }: OneShotOptions = {}) {
    const identity = process.getuid?.() === 0 && !asOwner ? { uid: NOBODY, gid: NOBODY } : {};
    const command = [...nodeArgs, PROGRAM, '--once', ...args];
    this.#child = spawn(process.execPath, command, { stdio: ['ignore', 'pipe', 'pipe'], ...identity });
    this.#first.promise.catch(() => {});
    createInterface({ input: this.#child.stdout! }).on('line', (line) => {
      if (this.#lines.push(line) === 1) this.#first.resolve(JSON.parse(line) as Invitation);
    });
    this.#child.stderr!.on('data', (chunk: Buffer) => {
      this.#stderr += chunk;
    });
    this.#child.on('close', (exitCode) => this.#close(exitCode));
  }

  /** @throws Error with its complaint when it ends before it listens. */
  invitation(): Promise<Invitation> {
    return this.#first.promise;
  }

  ended(): Promise<OneShotEnd> {
    return this.#end.promise;
  }

  /** Pulls with the password, or another one; the address is a port of 127.0.0.1. */
  async pull(
    args: readonly string[],
    { password, ...options }: RunOptions & { password?: string } = {},
  ): Promise<RunResult> {
    const invitation = await this.invitation();
    const env = { RSYNC_PASSWORD: password ?? invitation.password, ...options.env };
    return rsync(
      args.map((arg) => arg.replace('URL', urlOf(invitation))),
      { ...options, env },
    );
  }

  kill(signal: NodeJS.Signals): void {
    this.#child.kill(signal);
  }

  stop(): Promise<void> {
    return endChild(this.#child);
  }

  #close(exitCode: number | null): void {
    const [, second, ...more] = this.#lines;
    this.#first.reject(new Error(this.#stderr));
    const summary = second === undefined ? null : (JSON.parse(second) as Record<string, unknown>);
    this.#end.resolve({ exitCode, summary, more, stderr: this.#stderr });
  }
}

function urlOf({ address, module, user }: Invitation): string {
  return `rsync://${user}@${address}/${module}/`;
}
