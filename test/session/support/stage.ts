/** A daemon with one small public module, a way to play a hostile dialogue against it, and the honest client that comes next. */

import { mkdirSync } from 'node:fs';
import { join } from 'node:path';
import { expect } from 'vitest';
import { compareSnapshots } from '../../helpers/compare-snapshots.ts';
import { type ModuleSpec, toToml } from '../../helpers/module-spec.ts';
import { moduleUrl, rsync } from '../../helpers/rsync.ts';
import type { RunOptions, RunResult } from '../../helpers/run.ts';
import { removeTree, scratchDir } from '../../helpers/scratch.ts';
import { snapshot } from '../../helpers/snapshot.ts';
import { makeTree, type TreeEntry } from '../../helpers/tree.ts';
import { type Answer, type AnswerFormat, readAnswer } from './answer.ts';
import { type Ending, Peer } from './peer.ts';
import { type LogLine, type Server, type ServerOptions, startServer } from './server.ts';
import { USUAL_PROTOCOL } from './wire.ts';

/** Indexes of the entries of `pub` in a plain `-r` list from protocol 29 on; below, the order is that of the names. */
export const NDX = { root: 0, big: 1, empty: 2, file: 3, dir: 4, nested: 5, count: 6 } as const;

export const FILE_CONTENT = 'content of file\n';
export const BIG_SIZE = 300_000;

const PUB: readonly TreeEntry[] = [
  { name: 'big', size: BIG_SIZE },
  { name: 'dir/nested', content: 'nested\n' },
  { name: 'empty', content: '' },
  { name: 'file', content: FILE_CONTENT },
];

/** One finished session as its client and our log saw it. */
export interface Played {
  readonly answer: Answer;
  readonly ending: Ending;
  /** The session's only line in the log. */
  readonly line: LogLine;
}

/** What must come of a dialogue. */
export interface Verdict {
  /** Code in the log. */
  readonly outcome: string;
  /** What the client's user reads: in the text phase the last line, behind it the messages; null for nothing at all. */
  readonly tells: RegExp | null;
  /** Exit code told to the client, where the protocol can. */
  readonly exit?: number;
}

export interface Dialogue extends Partial<Omit<AnswerFormat, 'protocol'>> {
  readonly protocol?: number;
  readonly send: Buffer;
  /** The client closes its side behind the last byte. */
  readonly ends?: boolean;
}

type Globals = Readonly<Record<string, string | number | boolean>>;

export interface StageOptions {
  /** Modules besides `pub`. */
  readonly modules?: (dir: string) => ModuleSpec[];
  /** Top-level keys; limits as `limits.NAME`. */
  readonly globals?: Globals | ((dir: string) => Globals);
  /** Further keys of `pub`. */
  readonly keys?: ModuleSpec['keys'];
  /** Further entries of `pub`. */
  readonly tree?: readonly TreeEntry[];
  readonly nodeArgs?: readonly string[];
  /** Further settings of the process. */
  readonly process?: Pick<ServerOptions, 'args' | 'wrap' | 'env' | 'descriptors'>;
  /** Address to listen on. */
  readonly listen?: string;
  /** Runs before the daemon starts. */
  readonly prepare?: (dir: string) => void | Promise<void>;
}

export class Stage {
  readonly server: Server;
  readonly port: number;
  /** Scratch directory; the module `pub` is `pub` in it. */
  readonly dir: string;
  #pulls = 0;
  #peers = 0;

  constructor(server: Server, port: number, dir: string) {
    this.server = server;
    this.port = port;
    this.dir = dir;
  }

  /** @param closesAfterServer as Peer.connect. */
  async connect(host = '127.0.0.1', closesAfterServer = true): Promise<Peer> {
    const logMark = this.server.logged.length;
    const peer = await Peer.connect(this.port, host, closesAfterServer);
    this.#peers++;
    peer.logMark = logMark;
    return peer;
  }

  /** Sends a dialogue at once and waits for the end of the session on both sides. */
  async play(dialogue: Dialogue): Promise<Played> {
    const peer = await this.connect();
    peer.send(dialogue.send);
    if (dialogue.ends === true) peer.end();
    return this.finish(peer, dialogue);
  }

  /** Waits for the end of a session that a peer has played, and for its one line in the log. */
  async finish(peer: Peer, format: Partial<AnswerFormat> = {}): Promise<Played> {
    const ending = await peer.ended();
    const line = await this.sessionEnd(peer);
    const answer = readAnswer(peer.received, { protocol: USUAL_PROTOCOL, ...format });
    return { answer, ending, line };
  }

  /** Runs a real client; its sessions count like those of our peers. URL in the arguments stands for the daemon. */
  rsync(args: readonly string[], options: RunOptions = {}, sessions = 1): Promise<RunResult> {
    this.#peers += sessions;
    const url = `rsync://127.0.0.1:${this.port}`;
    return rsync(
      args.map((arg) => arg.replace(/^URL/, url)),
      { cwd: this.dir, ...options },
    );
  }

  /** The line that the log has about the session of a peer. */
  sessionEnd(peer: Peer): Promise<LogLine> {
    return this.server.sessionEnd(peer.port, peer.logMark);
  }

  /** The log must hold one line for each session since the start, and nothing else. */
  async expectOneLinePerSession(): Promise<void> {
    const started = this.server.logged.findIndex((line) => line.msg === 'listening');
    const sessions = this.#peers + this.#pulls;
    await this.server.waitFor(() => this.server.logged.length > started + sessions);
    const lines = this.server.logged.slice(started + 1);
    expect(lines.filter((line) => line.msg !== 'session ended' || line.level !== 'info')).toEqual([]);
    expect(lines).toHaveLength(sessions);
  }

  /** Plays a dialogue and judges what came of it. */
  async expectVerdict(dialogue: Dialogue, verdict: Verdict): Promise<Played> {
    const played = await this.play(dialogue);
    judge(played, dialogue.protocol ?? USUAL_PROTOCOL, verdict);
    return played;
  }

  /** A real client pulls the module and must get all of it. */
  async expectHonestPull(): Promise<void> {
    const destination = join(this.dir, `honest${this.#pulls++}`);
    const result = await rsync(['-a', moduleUrl(this.port, 'pub'), `${destination}/`]);
    expect({ exit: result.exitCode, stderr: result.stderr.toString() }).toEqual({ exit: 0, stderr: '' });
    const options = { startedMs: Number.MAX_SAFE_INTEGER };
    expect(compareSnapshots(snapshot(join(this.dir, 'pub'), options), snapshot(destination, options))).toEqual([]);
    removeTree(destination);
  }

  async close(): Promise<void> {
    await this.server.stop();
    removeTree(this.dir);
  }
}

/** Compares a finished session with what must have come of it. */
export function judge({ answer, ending, line }: Played, protocol: number, verdict: Verdict): void {
  const hasEntered = answer.text.includes('@RSYNCD: OK');
  const told = hasEntered ? answer.messages : (answer.text.match(/^@ERROR.*\n/m)?.[0] ?? '');
  expect(line).toMatchObject({ outcome: verdict.outcome, msg: 'session ended' });
  if (verdict.tells === null) expect(told).toBe('');
  else expect(told).toMatch(verdict.tells);
  if (hasEntered && verdict.tells !== null && verdict.exit !== undefined)
    expect(answer.exit).toBe(protocol >= 31 ? verdict.exit : null);
  expect(ending).toBe('end');
}

/** Starts a daemon with the module `pub`; rejects with its log, and leaves nothing behind, when it does not start. */
export async function openStage(options: StageOptions = {}): Promise<Stage> {
  const dir = scratchDir('stage');
  try {
    mkdirSync(join(dir, 'pub'));
    await makeTree(join(dir, 'pub'), [...PUB, ...(options.tree ?? [])]);
    await options.prepare?.(dir);
    const toml = configOf(dir, options).replace('127.0.0.1:0', options.listen ?? '127.0.0.1:0');
    const { server, port } = await startServer({
      toml,
      ...options.process,
      ...(options.nodeArgs && { nodeArgs: options.nodeArgs }),
    });
    return new Stage(server, port, dir);
  } catch (error) {
    removeTree(dir);
    throw error;
  }
}

function configOf(dir: string, options: StageOptions): string {
  const pub: ModuleSpec = { name: 'pub', path: join(dir, 'pub'), ...(options.keys && { keys: options.keys }) };
  const globals = typeof options.globals === 'function' ? options.globals(dir) : options.globals;
  return toToml([pub, ...(options.modules?.(dir) ?? [])], globals);
}
