/**
 * The worker threads of the process: started, asked, replaced when they die. cli/serve.ts has one pool, cli/worker.ts answers it.
 *
 * Orders go down, each with a number, and each gets one answer; beside those only log lines come up. What both are about is for
 * the layers above.
 */

import { Worker } from 'node:worker_threads';
import { Bug } from '../errors.ts';
import { monotonicMs, WORKER_ARGUMENT } from '../shared.ts';

/** From pool to worker. */
export interface Order {
  readonly number: number;
  readonly body: unknown;
}

/** From worker to pool. */
export type Report =
  /** It accepts connections. */
  | { readonly kind: 'ready' }
  | { readonly kind: 'lines'; readonly lines: readonly string[] }
  | { readonly kind: 'answer'; readonly number: number; readonly body: unknown }
  /** The order could not be carried out; nothing has changed. */
  | { readonly kind: 'refusal'; readonly number: number; readonly reason: string };

/** How a worker ended. */
export interface Death {
  readonly worker: number;
  readonly reason: unknown;
  /** Of all workers since the start. */
  readonly deaths: number;
}

export interface PoolOptions {
  /** File that the process itself was started with. */
  readonly entry: URL;
  readonly count: number;
  /** Called for each start of a worker. May throw, which ends the pool. */
  readonly dataFor: (worker: number) => unknown;
  readonly onLines: (lines: readonly string[]) => void;
  /** A worker died, and nothing of it runs any more; called before it is replaced. */
  readonly onDeath: (death: Death) => void;
  /** Workers die faster than they can be replaced, or can not be replaced. */
  readonly onHopeless: (reason: unknown) => void;
}

/** A worker that lived for this long is replaced at once. */
const SETTLED_MS = 10_000;

/** The first and the longest pause before a worker that died early is started again. */
const FIRST_PAUSE_MS = 50;
const LONGEST_PAUSE_MS = 5000;

/** So many early deaths one after the other are not an accident. */
const MAX_EARLY_DEATHS = 12;

/** A worker that owes an answer for so long hangs, and is ended. An event loop of ours yields every 2 ms. */
export const HANG_MS = 20_000;

interface Question {
  readonly askedMs: number;
  readonly resolve: (body: unknown) => void;
  readonly reject: (reason: Error) => void;
}

/** One thread, and what it owes. */
class Member {
  readonly number: number;
  readonly thread: Worker;
  readonly startedMs = monotonicMs();
  readonly #questions = new Map<number, Question>();
  #lastNumber = 0;
  isReady = false;
  /** Why it ended, when it said so. */
  reason: unknown = null;

  constructor(number: number, thread: Worker) {
    this.number = number;
    this.thread = thread;
  }

  /** Rejects when the worker refuses or dies. */
  ask(body: unknown): Promise<unknown> {
    const number = ++this.#lastNumber;
    return new Promise((resolve, reject) => {
      this.#questions.set(number, { askedMs: monotonicMs(), resolve, reject });
      this.thread.postMessage({ number, body } satisfies Order);
    });
  }

  settle(report: Extract<Report, { number: number }>): void {
    const question = this.#questions.get(report.number);
    this.#questions.delete(report.number);
    if (report.kind === 'answer') question?.resolve(report.body);
    else question?.reject(new Bug(`worker ${this.number}: ${report.reason}`));
  }

  /** Nothing will be answered any more. */
  abandon(): void {
    for (const { reject } of this.#questions.values()) reject(new Bug(`worker ${this.number} died`));
    this.#questions.clear();
  }

  /** For how long the oldest order has gone without an answer, in milliseconds. */
  get owesForMs(): number {
    const oldest = this.#questions.values().next().value;
    return oldest === undefined ? 0 : monotonicMs() - oldest.askedMs;
  }
}

/** Keeps `count` workers alive from `start` to `end`. */
export class WorkerPool {
  readonly #options: PoolOptions;
  readonly #members = new Map<number, Member>();
  readonly #pauses = new Set<NodeJS.Timeout>();
  #deaths = 0;
  #earlyDeaths = 0;
  #isEnding = false;
  /** Set while `start` waits. */
  #onStarted: ((failure: Error | null) => void) | null = null;

  constructor(options: PoolOptions) {
    this.#options = options;
  }

  /** Workers that died since the start. */
  get deaths(): number {
    return this.#deaths;
  }

  /** Resolves when all workers accept connections. @throws Bug when one dies before. */
  start(): Promise<void> {
    return new Promise((resolve, reject) => {
      this.#onStarted = (failure) => {
        this.#onStarted = null;
        if (failure === null) resolve();
        else reject(failure);
      };
      for (let worker = 0; worker < this.#options.count; worker++) this.#launch(worker);
    });
  }

  /** The answers of all workers that are there; those that refuse or die meanwhile are left out. */
  async askAll<T>(body: unknown): Promise<{ readonly worker: number; readonly answer: T }[]> {
    const members = [...this.#members.values()].filter(({ isReady }) => isReady);
    const answers = await Promise.allSettled(members.map((member) => member.ask(body)));
    return answers.flatMap((answer, index) =>
      answer.status === 'fulfilled' ? [{ worker: members[index]!.number, answer: answer.value as T }] : [],
    );
  }

  /** As `askAll`, but a worker that refuses is an error. @throws Bug with its reason. */
  async tellAll(body: unknown): Promise<void> {
    await Promise.all([...this.#members.values()].filter(({ isReady }) => isReady).map((member) => member.ask(body)));
  }

  /** True when all workers are there and owe no answer for longer than `ms`. */
  isResponsive(ms: number): boolean {
    const members = [...this.#members.values()];
    return (
      members.length === this.#options.count && members.every(({ isReady, owesForMs }) => isReady && owesForMs < ms)
    );
  }

  /** Ends workers that hang; they are replaced. Call it every few seconds. */
  endHanging(): void {
    for (const member of this.#members.values()) {
      if (member.owesForMs < HANG_MS) continue;
      member.reason ??= new Bug(`no answer for ${HANG_MS} ms`);
      void member.thread.terminate();
    }
  }

  /** From here on no worker is replaced. */
  stopReplacing(): void {
    this.#isEnding = true;
    for (const pause of this.#pauses) clearTimeout(pause);
  }

  /** Ends all threads, whatever they do. */
  async end(): Promise<void> {
    this.stopReplacing();
    await Promise.all([...this.#members.values()].map(({ thread }) => thread.terminate()));
  }

  #launch(number: number): void {
    let thread: Worker;
    try {
      // No resourceLimits: a thread whose heap is full ends alone without them, and --max-old-space-size would override them.
      const [name, workerData] = [`worker ${number}`, this.#options.dataFor(number)];
      thread = new Worker(this.#options.entry, { workerData, name, argv: [WORKER_ARGUMENT] });
    } catch (thrown) {
      this.#options.onHopeless(thrown);
      return;
    }
    const member = new Member(number, thread);
    this.#members.set(number, member);
    thread.on('message', (report: Report) => this.#hear(member, report));
    thread.on('error', (error) => {
      member.reason = error;
    });
    thread.on('exit', () => this.#bury(member));
  }

  #hear(member: Member, report: Report): void {
    switch (report.kind) {
      case 'lines':
        this.#options.onLines(report.lines);
        break;
      case 'ready':
        member.isReady = true;
        if (this.#members.values().every(({ isReady }) => isReady)) this.#onStarted?.(null);
        break;
      default:
        member.settle(report);
    }
  }

  #bury(member: Member): void {
    this.#members.delete(member.number);
    member.abandon();
    if (this.#isEnding) return;
    if (this.#onStarted !== null) {
      this.#isEnding = true;
      this.#onStarted(asError(member.reason));
      return;
    }
    this.#deaths++;
    this.#options.onDeath({ worker: member.number, reason: member.reason, deaths: this.#deaths });
    this.#earlyDeaths = monotonicMs() - member.startedMs < SETTLED_MS ? this.#earlyDeaths + 1 : 0;
    if (this.#earlyDeaths > MAX_EARLY_DEATHS) this.#options.onHopeless(member.reason);
    else this.#replace(member.number);
  }

  #replace(number: number): void {
    if (this.#earlyDeaths <= 1) {
      this.#launch(number);
      return;
    }
    const pauseMs = Math.min(LONGEST_PAUSE_MS, FIRST_PAUSE_MS * 2 ** this.#earlyDeaths);
    const pause = setTimeout(() => {
      this.#pauses.delete(pause);
      this.#launch(number);
    }, pauseMs);
    this.#pauses.add(pause);
  }
}

function asError(reason: unknown): Error {
  return reason instanceof Error ? reason : new Bug('a worker ended before it was ready', { cause: reason });
}
