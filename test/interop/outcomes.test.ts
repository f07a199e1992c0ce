/** Shows that the comparison of two pulls notices what a user would. */

import { expect, it } from 'vitest';
import { compareOutcomes, type Outcome } from './pull.ts';

const PULLED: Outcome = {
  exitCode: 0,
  stdout: ['>f+++++++++ a', '>f+++++++++ b'],
  ordered: ['>f+++++++++ a', '>f+++++++++ b'],
  stderr: [],
  receivedBytes: 100_000,
  tree: new Map(),
};

it('finds no difference between equal pulls', () => {
  expect(compareOutcomes(PULLED, { ...PULLED })).toEqual([]);
});

it('accepts a few bytes more on the wire, as framing makes them', () => {
  expect(compareOutcomes(PULLED, { ...PULLED, receivedBytes: 104_000 })).toEqual([]);
});

it.each<[string, Partial<Outcome>, RegExp]>([
  ['another exit code', { exitCode: 23 }, /^exit code should be 0, is 23$/],
  ['a line that is missing', { stdout: ['>f+++++++++ a'] }, /^stdout lacks: >f\+{9} b$/],
  ['a line that is added', { stderr: ['rsync: warning'] }, /^stderr has added: rsync: warning$/],
  ['another order', { ordered: PULLED.ordered.toReversed() }, /^order: line 0 should be >f\+{9} a/],
  ['data that came uncompressed', { receivedBytes: 250_000 }, /^bytes received should be about 100000, are 250000$/],
])('notices %s', (_what, change, expected) => {
  expect(compareOutcomes(PULLED, { ...PULLED, ...change }).join('\n')).toMatch(expected);
});

it('does not take two clients that were killed for a success', () => {
  const killed = { ...PULLED, exitCode: null };
  expect(compareOutcomes(killed, killed)).toEqual([
    'the client of the reference was killed at the deadline',
    'the client of ours was killed at the deadline',
  ]);
});
