/** What a real rsync daemon listed for 200 filter lists (test/vectors/make-filter-cases.ts), through our filters. */

import { readFileSync } from 'node:fs';
import { describe, expect, it } from 'vitest';
import { UsageError } from '../../../src/errors.ts';
import { DaemonFilter } from '../../../src/filter/daemon.ts';
import { DEFAULT_LIMITS } from '../../../src/limits.ts';
import { listTree, type Tree } from './tree-walk.ts';

interface Case {
  readonly tree: string | Tree;
  readonly path?: string;
  readonly protocol?: number;
  readonly records?: readonly string[];
  readonly cvsLetter?: boolean;
  readonly module?: { filter?: string; include?: string; exclude?: string };
  readonly listed?: readonly string[];
  readonly refusal?: string;
}

const file = new URL('../../vectors/filter-cases.json', import.meta.url);
const vectors = JSON.parse(readFileSync(file, 'utf8')) as { trees: Record<string, Tree>; cases: Case[] };

function list(item: Case): string[] {
  const { tree, module, listed: _, refusal: __, ...request } = item;
  const one = (rule?: string) => (rule === undefined ? [] : [rule]);
  const rules = {
    filter: one(module?.filter),
    include: one(module?.include),
    includeFrom: [],
    excludeFrom: [],
    exclude: one(module?.exclude),
  };
  return listTree({
    ...request,
    tree: typeof tree === 'string' ? vectors.trees[tree]! : tree,
    module: new DaemonFilter(rules, DEFAULT_LIMITS),
  });
}

function title(item: Case): string {
  const { tree, listed: _, refusal: __, ...rest } = item;
  const files = typeof tree === 'string' ? {} : { mergeFile: tree['sub/.f'] };
  return JSON.stringify({ ...rest, ...files });
}

describe('real rsync 3.5.0', () => {
  it.each(vectors.cases.filter((item) => item.listed).map((item) => [title(item), item] as const))(
    'lists the same names for %s',
    (_, item) => {
      expect(list(item)).toEqual(item.listed);
    },
  );

  it.each(vectors.cases.filter((item) => item.refusal).map((item) => [title(item), item] as const))(
    'refuses %s with the same words',
    (_, item) => {
      const caught = catchError(() => list(item));
      expect(caught).toBeInstanceOf(UsageError);
      // rsync counts lines only; we count words, too.
      expect((caught as UsageError).tell?.replace(/ word \d+/, '')).toBe(`${item.refusal}\n`);
    },
  );
});

function catchError(action: () => unknown): unknown {
  try {
    action();
  } catch (error) {
    return error;
  }
  return null;
}
