import { describe, expect, it } from 'vitest';
import { isUnsafeLink } from '../../../src/flist/unsafe-link.ts';

const unsafe = (target: string, wireName: string) => isUnsafeLink(Buffer.from(target), Buffer.from(wireName));

describe('a link is unsafe', () => {
  it.each([
    ['', 'l'],
    ['/etc/passwd', 'a/b/l'],
    ['..', 'l'],
    ['../x', 'l'],
    ['../../x', 'a/l'],
    ['a/../b', 'x/l'],
    ['../a/../b', 'x/y/l'],
    ['../..', 'a/b/c/l'],
    ['a/..', 'x/l'],
    ['../x', './l'],
    ['../x', '../l'],
    ['../../x', 'a/../b/l'],
  ])('with target %j at %s', (target, wireName) => {
    expect(unsafe(target, wireName)).toBe(true);
  });
});

describe('a link is safe', () => {
  it.each([
    ['x', 'l'],
    ['a/b/c', 'l'],
    ['.', 'l'],
    ['./x', 'l'],
    ['..', 'a/l'],
    ['../x', 'a/l'],
    ['../../x', 'a/b/l'],
    ['..//..//x', 'a/b/l'],
    ['../a..b/x', 'a/l'],
    ['..x', 'l'],
    ['a/..b', 'l'],
    ['../x', 'a//l'],
  ])('with target %j at %s', (target, wireName) => {
    expect(unsafe(target, wireName)).toBe(false);
  });
});
