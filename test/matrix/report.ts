/** Counts what the matrix found and prints it; main.ts feeds it cell by cell. */

import type { Cell, Verdict } from '../interop/stage.ts';
import { cellName } from './cells.ts';

/** Lines that are printed of one failure. */
const SHOWN_LINES = 12;

export class Report {
  readonly #startedMs = Date.now();
  readonly #explained = new Map<string, number>();
  /** Option sets that a client does not know, by client. */
  readonly #unknown = new Map<string, Set<string>>();
  readonly #byClient = new Map<string, { passed: number; failed: number }>();
  readonly #absent: string[] = [];
  #done = 0;
  #isPrinted = false;
  #unknownCells = 0;

  /** A line for the head of the report. */
  note(line: string): void {
    console.log(line);
  }

  /** Something that should be there and is not: fails a run in CI, where nobody would read the warning. */
  absent(what: string): void {
    this.#absent.push(what);
    console.error(`\n*** MISSING: ${what} ***\n`);
  }

  /** The client does not know an option of this cell. */
  unknown(cell: Cell): void {
    const { client, asked } = cell;
    const known = this.#unknown.get(client.name) ?? new Set();
    this.#unknown.set(client.name, known.add(asked.args.join(' ')));
    this.#unknownCells++;
    this.#done++;
  }

  judged(cell: Cell, { differences, explained }: Verdict): void {
    if (this.#isPrinted) return;
    const counts = this.#byClient.get(cell.client.name) ?? { passed: 0, failed: 0 };
    this.#byClient.set(cell.client.name, counts);
    this.#done++;
    for (const { reason } of explained) this.#explained.set(reason, (this.#explained.get(reason) ?? 0) + 1);
    if (differences.length === 0) {
      counts.passed++;
      return;
    }
    counts.failed++;
    console.log(`FAILED ${cellName(cell)}`);
    for (const line of differences.slice(0, SHOWN_LINES)) console.log(`    ${line}`);
    if (differences.length > SHOWN_LINES) console.log(`    … and ${differences.length - SHOWN_LINES} more`);
  }

  progress(total: number): void {
    const seconds = (Date.now() - this.#startedMs) / 1000;
    const failed = [...this.#byClient.values()].reduce((sum, counts) => sum + counts.failed, 0);
    const left = ((total - this.#done) * seconds) / Math.max(1, this.#done);
    console.error(`${this.#done} of ${total}, ${failed} failed, about ${Math.ceil(left / 60)} min left`);
  }

  /** Prints the summary; returns the exit code. What is judged later counts no more. */
  print(): number {
    this.#isPrinted = true;
    let passed = 0;
    let failed = 0;
    for (const [reason, count] of this.#explained) console.log(`deliberate, in ${count} cells: ${reason}`);
    for (const [client, args] of this.#unknown) {
      console.log(`no case for ${client}, which lacks an option (${args.size} sets): ${[...args].join(' | ')}`);
    }
    for (const [client, counts] of this.#byClient) {
      console.log(`${client}: ${counts.passed} passed, ${counts.failed} failed`);
      passed += counts.passed;
      failed += counts.failed;
    }
    if (this.#unknownCells > 0) console.log(`${this.#unknownCells} cells are no case for their client`);
    for (const what of this.#absent) console.log(`missing: ${what}`);
    console.log(`${passed} passed, ${failed} failed`);
    return failed > 0 || (this.#absent.length > 0 && process.env.CI === 'true') ? 1 : 0;
  }
}
