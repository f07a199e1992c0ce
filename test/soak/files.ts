/** Files that say of themselves what they hold, so that a mixture of two versions is noticed. */

import { renameSync, writeFileSync } from 'node:fs';

const LINE_BYTES = 32;

/** Version `version` of a file: every line names it, and where it stands. */
export function contentOf(version: number, lines: number): Buffer {
  const header = `version ${version} lines ${lines}`;
  const all = [header, ...Array.from({ length: lines }, (_, line) => `v ${version} line ${line}`)];
  return Buffer.from(all.map((line) => `${line.padEnd(LINE_BYTES - 1)}\n`).join(''));
}

/** Whether bytes are one whole version of a file. */
export function isOneVersion(bytes: Buffer): boolean {
  const match = /^version (\d+) lines (\d+) *\n/.exec(bytes.toString('latin1', 0, LINE_BYTES));
  return match !== null && bytes.equals(contentOf(Number(match[1]), Number(match[2])));
}

/** Puts a new version in place of the old one in one step, as package mirrors do. */
export function replaceFile(path: string, version: number, lines: number): void {
  writeFileSync(`${path}.new`, contentOf(version, lines));
  renameSync(`${path}.new`, path);
}
