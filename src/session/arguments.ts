/**
 * Receives the client's argument lists (1-session.md 3.1, 3.4); session.ts asks for them after `OK`.
 *
 *   protocol < 30:  { arg LF } LF       protocol >= 30:  { arg NUL } NUL
 *   with -s, then:  "rsync" NUL { arg NUL } NUL          in every protocol
 */

import { LimitError, ProtocolError } from '../errors.ts';
import type { Limits } from '../limits.ts';
import { parseServerArgs, requestsSecludedArgs } from '../options/parse.ts';
import type { ServerOptions } from '../options/server-options.ts';
import type { ByteSource } from './line-source.ts';
import type { ServedModule } from './served-module.ts';

const NUL = 0x00;
const LF = 0x0a;
const CR = 0x0d;

/** Both lists as they came; `second` without its dummy first argument, null when the first has no -s. */
export interface ArgumentLists {
  readonly first: readonly Buffer[];
  readonly second: readonly Buffer[] | null;
}

type ArgumentLimits = Pick<Limits, 'args' | 'argBytes' | 'argsTotalBytes'>;

/**
 * Reads and parses the argument list; a refused option is in the result, not thrown.
 * @throws LimitError, ProtocolError, PeerGone
 */
export async function receiveOptions(
  source: ByteSource,
  protocol: number,
  module: Pick<ServedModule, 'xattrs' | 'refusePatterns'>,
  limits: Limits,
): Promise<ServerOptions> {
  const { first, second } = await readArguments(source, protocol, limits);
  return parseServerArgs(first, {
    protocol,
    daemon: true,
    secondBatch: second,
    features: { compression: true, xattrs: module.xattrs !== null },
    refusePatterns: module.refusePatterns,
    limits,
  });
}

/**
 * Reads one or two lists from a daemon's client.
 * @throws LimitError `args`, `argBytes` or `argsTotalBytes`; ProtocolError, PeerGone.
 */
export async function readArguments(
  source: ByteSource,
  protocol: number,
  limits: ArgumentLimits,
): Promise<ArgumentLists> {
  const budget = new ArgumentBudget(limits);
  const first = await readList(source, protocol >= 30 ? NUL : LF, budget);
  if (!requestsSecludedArgs(first, true)) return { first, second: null };
  return { first, second: await readSecludedArguments(source, limits, budget) };
}

/**
 * Reads the list that follows -s; over a remote shell it is the only one on the connection.
 * @param budget what the first list has left; a fresh one over a remote shell.
 * @throws as readArguments.
 */
export async function readSecludedArguments(
  source: ByteSource,
  limits: ArgumentLimits,
  budget: ArgumentBudget = new ArgumentBudget(limits),
): Promise<Buffer[]> {
  return (await readList(source, NUL, budget)).slice(1);
}

async function readList(source: ByteSource, delimiter: number, budget: ArgumentBudget): Promise<Buffer[]> {
  const args: Buffer[] = [];
  for (;;) {
    const line = await readArgument(source, delimiter, budget.limits.argBytes);
    budget.spend(line.length + 1);
    if (line.length === 0) return args;
    for (const arg of delimiter === LF ? splitLine(line) : [line]) {
      budget.count();
      args.push(arg);
    }
  }
}

async function readArgument(source: ByteSource, delimiter: number, max: number): Promise<Buffer> {
  try {
    return await source.readUntil(delimiter, max, 'argument');
  } catch (error) {
    if (!(error instanceof ProtocolError)) throw error;
    throw new LimitError('argBytes', 'argument too long', { cause: error });
  }
}

/** Below protocol 30 a carriage return ends an argument as well: it comes from a file name, never from CR LF. */
function splitLine(line: Buffer): Buffer[] {
  if (line.includes(NUL)) throw new ProtocolError('NUL byte in an argument');
  if (!line.includes(CR)) return [line];
  const args: Buffer[] = [];
  for (let start = 0; start <= line.length; ) {
    const end = line.indexOf(CR, start);
    args.push(line.subarray(start, end < 0 ? line.length : end));
    start = end < 0 ? line.length + 1 : end + 1;
  }
  // An empty argument ends the list, and what would follow is read already.
  if (args.some((arg) => arg.length === 0)) throw new ProtocolError('empty argument');
  return args;
}

/** What both lists together may still hold (security.md B-5, B-6). */
export class ArgumentBudget {
  readonly limits: ArgumentLimits;
  #args = 0;
  #bytes = 0;

  constructor(limits: ArgumentLimits) {
    this.limits = limits;
  }

  /** @throws LimitError `args` */
  count(): void {
    // SECURITY: C rsync wrote behind its array when the count landed on its size (CVE-2026-70456).
    if (++this.#args > this.limits.args) throw new LimitError('args', 'too many arguments');
  }

  /** @throws LimitError `argsTotalBytes` */
  spend(bytes: number): void {
    this.#bytes += bytes;
    if (this.#bytes > this.limits.argsTotalBytes) throw new LimitError('argsTotalBytes', 'argument list too long');
  }
}
