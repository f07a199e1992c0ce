/** A program on a real pseudo-terminal (`script` of util-linux), and what a person sees there. */

import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';

export interface TerminalOptions {
  readonly columns: number;
  readonly rows: number;
  readonly env: Readonly<Record<string, string>>;
}

export class TerminalProgram {
  readonly #child: ChildProcess;
  #output = '';

  constructor(command: readonly string[], { columns, rows, env }: TerminalOptions) {
    const words = command.map((word) => `'${word.replaceAll("'", "'\\''")}'`).join(' ');
    const line = `stty cols ${columns} rows ${rows} && exec ${words}`;
    this.#child = spawn('script', ['--quiet', '--return', '--flush', '--command', line, '/dev/null'], {
      stdio: ['pipe', 'pipe', 'ignore'],
      env: { PATH: process.env.PATH, SHELL: '/bin/sh', ...env },
    });
    this.#child.stdout!.on('data', (chunk: Buffer) => {
      this.#output += chunk;
    });
  }

  /** All that was written so far. */
  get output(): string {
    return this.#output;
  }

  /** What stands on the screen, with what has scrolled away; no trailing spaces. */
  get screen(): string[] {
    return screenOf(this.#output);
  }

  /** Types; `\x03` is Ctrl-C. */
  type(text: string): void {
    this.#child.stdin!.write(text);
  }

  /** The program's exit code. */
  async ended(): Promise<number | null> {
    if (this.#child.exitCode === null && this.#child.signalCode === null) await once(this.#child, 'close');
    return this.#child.exitCode;
  }

  async stop(): Promise<void> {
    if (this.#child.exitCode === null) this.type('\x03\x03');
    const timer = setTimeout(() => this.#child.kill('SIGKILL'), 10_000);
    await this.ended();
    clearTimeout(timer);
  }
}

const ESCAPE = '\x1b';
const ERASE = `${ESCAPE}[J`;

/** Text, cursor up, or anything else that a terminal obeys. */
const PART = new RegExp(`([^${ESCAPE}\\r\\n]+)|${ESCAPE}\\[(\\d+)A|${ESCAPE}\\[[\\d;]*[A-Za-z]|\\r|\\n`, 'g');

/** Follows what we write: text, line feeds, cursor up, erase to the end; colours are left out. */
export function screenOf(output: string): string[] {
  const lines = [''];
  let row = 0;
  for (const [part, text, up] of output.matchAll(PART)) {
    if (part === '\n') row++;
    else if (up !== undefined) row = Math.max(0, row - Number(up));
    else if (part === ERASE) lines.splice(row);
    else if (text !== undefined) lines[row] = (lines[row] ?? '') + text;
    lines[row] ??= '';
  }
  return lines.map((line) => line.trimEnd());
}
