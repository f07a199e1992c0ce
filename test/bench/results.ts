/**
 * The document of the bench: results.json holds the last figures of each scenario, and from it comes the table of RESULTS.md,
 * between two marks; what stands around the table is written by hand.
 */

import { existsSync, readFileSync, writeFileSync } from 'node:fs';
import { availableParallelism } from 'node:os';
import { join } from 'node:path';
import type { Outcome } from './measure.ts';
import type { Figures, Scenario } from './scenario.ts';

const JSON_PATH = join(import.meta.dirname, 'results.json');
const DOCUMENT = join(import.meta.dirname, 'RESULTS.md');
const BEGIN = '<!-- table: npm run bench -- --write -->';
const END = '<!-- end of table -->';

interface Result extends Outcome {
  /** Day of the run. */
  readonly date: string;
  readonly cores: number;
  readonly command: string;
}

type Results = { readonly [scenario: string]: Result };

const HEAD = ['work', 'CPU ours, s', 'CPU C, s', 'ratio', 'target', 'wall ours, s', 'wall C, s', 'ratio', 'target'];

/** One line of the table: cells without separators. Memory stands in the place of CPU; a figure without a partner is judged itself. */
export function row({ title, targets }: Scenario, { ours, reference }: Outcome): string[] {
  const first = ours.memory === undefined ? 'cpu' : 'memory';
  const cells = ([first, 'wall'] as const).flatMap((field) => {
    const [mine, theirs] = [ours[field], reference?.[field]];
    const ratio = mine === undefined || theirs === undefined ? '' : judged(mine / theirs, targets[field]);
    const own = theirs === undefined && mine !== undefined && mine > (targets[field] ?? mine);
    const shown = text(field, mine);
    return [own ? `**${shown}**` : shown, text(field, theirs), ratio, bound(targets[field])];
  });
  return [title, ...cells];
}

/** Whether every figure is within its target. */
export function isMet({ targets }: Scenario, { ours, reference }: Outcome): boolean {
  return (Object.keys(targets) as (keyof Figures)[]).every(
    (field) => ours[field]! / (reference?.[field] ?? 1) <= targets[field]!,
  );
}

/** Seconds, or MiB where the column says nothing else. */
function text(field: keyof Figures, value: number | undefined): string {
  if (value === undefined) return '';
  return field === 'memory' ? `${value.toFixed(0)} MiB` : value.toFixed(value < 1 ? 3 : 2);
}

/** A ratio that misses its target stands out. */
function judged(ratio: number, target: number | undefined): string {
  const text = ratio.toFixed(2);
  return target !== undefined && ratio > target ? `**${text}**` : text;
}

function bound(target: number | undefined): string {
  return target === undefined ? '' : `≤ ${target}`;
}

/** Adds outcomes to results.json and renews the table; rows of other scenarios stay as they are. */
export function writeResults(all: readonly Scenario[], outcomes: ReadonlyMap<string, Outcome>, command: string): void {
  const known = existsSync(JSON_PATH) ? (JSON.parse(readFileSync(JSON_PATH, 'utf8')) as Results) : {};
  const added = Array.from(outcomes, ([name, outcome]): [string, Result] => [
    name,
    { date: new Date().toISOString().slice(0, 10), cores: availableParallelism(), command, ...rounded(outcome) },
  ]);
  const results: Results = { ...known, ...Object.fromEntries(added) };
  writeFileSync(JSON_PATH, `${JSON.stringify(results, null, 2)}\n`);
  const document = readFileSync(DOCUMENT, 'utf8');
  const [before, after] = [document.indexOf(BEGIN) + BEGIN.length, document.indexOf(END)];
  writeFileSync(DOCUMENT, `${document.slice(0, before)}\n${table(all, results)}\n${document.slice(after)}`);
}

function rounded({ ours, reference }: Outcome): Outcome {
  const round = (figures: Figures): Figures =>
    Object.fromEntries(Object.entries(figures).map(([field, value]) => [field, Number(value.toFixed(4))]));
  return { ours: round(ours), reference: reference === null ? null : round(reference) };
}

function table(all: readonly Scenario[], results: Results): string {
  const measured = all.filter(({ name }) => results[name] !== undefined);
  const lines = measured.map((scenario) => row(scenario, results[scenario.name]!));
  const runs = new Set(measured.map(({ name }) => describe(results[name]!)));
  const rule = HEAD.map(() => '---');
  return [...runs, '', ...[HEAD, rule, ...lines].map((cells) => `| ${cells.join(' | ')} |`)].join('\n');
}

function describe({ date, cores, command }: Result): string {
  return `* ${date}, ${cores} cores: \`${command}\``;
}
