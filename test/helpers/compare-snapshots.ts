/** Differences of two snapshots as lines that a person can read; interop tests expect none. */

import type { Snapshot } from './snapshot.ts';
import type { Node } from './snapshot-node.ts';

/** One line per difference, `name: field expected … got …`; names are quoted. At most 40 lines. */
export function compareSnapshots(expected: Snapshot, actual: Snapshot): string[] {
  const names = [...new Set([...expected.keys(), ...actual.keys()])].sort();
  const lines = names.flatMap((name) => compareNodes(JSON.stringify(name), expected.get(name), actual.get(name)));
  return lines.length <= 40 ? lines : [...lines.slice(0, 40), `… and ${lines.length - 40} more`];
}

function compareNodes(name: string, expected: Node | undefined, actual: Node | undefined): string[] {
  if (expected === undefined) return [`${name}: should not exist, is a ${actual?.type}`];
  if (actual === undefined) return [`${name}: is missing, should be a ${expected.type}`];
  const fields = [...new Set([...Object.keys(expected), ...Object.keys(actual)])] as (keyof Node)[];
  return fields
    .filter((field) => expected[field] !== actual[field])
    .map((field) => `${name}: ${field} should be ${String(expected[field])}, is ${String(actual[field])}`);
}
