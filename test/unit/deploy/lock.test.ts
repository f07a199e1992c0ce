/** package-lock.json is for the npm of Debian 12 as well: version 9, which runs in Node 18. */

import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';

interface Package {
  readonly optional?: boolean;
  readonly engines?: { readonly node?: string };
}

const LOCK = join(import.meta.dirname, '../../../package-lock.json');
const OLDEST_NODE = [18, 20];

/** @returns whether one of the alternatives of `range` (`^a.b.c`, `>=a.b`) admits the oldest Node. */
function admits(range: string): boolean {
  return range.split('||').some((alternative) => {
    const [, operator, major, minor] = /^\s*(\^|>=)\s*(\d+)(?:\.(\d+))?/.exec(alternative) ?? [];
    const wanted = [Number(major), Number(minor ?? 0)];
    const same = OLDEST_NODE[0] === wanted[0] && OLDEST_NODE[1]! >= wanted[1]!;
    return same || (operator === '>=' && OLDEST_NODE[0]! > wanted[0]!);
  });
}

describe('package-lock.json', () => {
  const packages = Object.entries(JSON.parse(readFileSync(LOCK, 'utf8')).packages as Record<string, Package>);

  // That npm leaves out optional packages, native parts of the test runner among them, for the version of the Node that runs npm, which
  // is not the one that runs our code: take "engines" out of their entries again when npm has written it there.
  it('has no optional package that asks for a newer Node than the one that runs npm', () => {
    const optional = packages.filter(([, { optional }]) => optional === true);
    expect(optional.length).toBeGreaterThan(50);
    const refused = optional.filter(([, { engines }]) => engines?.node !== undefined && !admits(engines.node));
    expect(refused.map(([path]) => path)).toEqual([]);
  });
});
