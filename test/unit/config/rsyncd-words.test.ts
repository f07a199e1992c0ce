import { describe, expect, it } from 'vitest';
import { parseHosts } from '../../../src/config/rsyncd-hosts.ts';
import {
  parseBoolean,
  parseWhole,
  splitFilterRules,
  splitNames,
  splitPatterns,
  splitWords,
  trimBlanks,
} from '../../../src/config/rsyncd-words.ts';
import { refusal } from './fixture.ts';

describe('lists of an rsyncd.conf', () => {
  it('are words between blanks', () => {
    expect(splitWords(' a\tb  c,d ')).toEqual(['a', 'b', 'c,d']);
    expect(trimBlanks('\t a b \r\n')).toBe('a b');
  });

  it('of names split at blanks and commas, or at commas alone behind a leading comma', () => {
    expect(splitNames('a, b c,,d')).toEqual(['a', 'b', 'c', 'd']);
    expect(splitNames(', a b , c,')).toEqual(['a b', 'c']);
  });

  it.each([
    ['*.o *.c', ['*.o', '*.c']],
    ['- *.o + *.c - *', ['- *.o', '+ *.c', '- *']],
    ['-*.o *.o,*.c', ['-*.o', '*.o,*.c']],
    ['x\\ y "a b"', ['x\\', 'y', '"a', 'b"']],
    ['*.o ! *.c', ['*.o', '!', '*.c']],
    ['# *.o', ['#', '*.o']],
    ['-  *.o', ['- ', '*.o']],
    ['-\t*.o', ['-', '*.o']],
    ['', []],
  ])('of patterns: %j', (text, rules) => {
    expect(splitPatterns(text)).toEqual(rules);
  });

  it.each([
    ['- *.o + *.c', ['- *.o', '+ *.c']],
    ['-s *.txt exclude *', ['-s *.txt', 'exclude *']],
    ['-,s *.c hide x', ['-,s *.c', 'hide x']],
    ['-_*.o include_*.c - *', ['-_*.o', 'include_*.c', '- *']],
    ['- *.o ! - *.c', ['- *.o', '!', '- *.c']],
    ['-! *.c clear - x', ['-! *.c', 'clear', '- x']],
    ['-C - *.c', ['-C', '- *.c']],
    ['merge /etc/rules', ['merge /etc/rules']],
    ['- x y - *.o', ['- x', 'y', '- *.o']],
  ])('of filter rules: %j', (text, rules) => {
    expect(splitFilterRules(text)).toEqual(rules);
  });
});

describe('values of an rsyncd.conf', () => {
  it.each(['yes', 'TRUE', '1', 'Yes'])('take %s for true', (text) => {
    expect(parseBoolean(text)).toBe(true);
  });

  it.each(['no', 'False', '0'])('take %s for false', (text) => {
    expect(parseBoolean(text)).toBe(false);
  });

  it.each(['on', '', '2', 'unset', 'yes!', 'constructor'])(
    'refuse the boolean %j, which rsync would ignore',
    (text) => {
      expect(refusal(() => parseBoolean(text))).toContain('not a boolean');
    },
  );

  it('are whole numbers, negative ones included', () => {
    expect([parseWhole('007'), parseWhole('-1')]).toEqual([7, -1]);
    for (const text of ['', '5x', '1.5', '+1', '0x10', '9'.repeat(10)]) {
      expect(refusal(() => parseWhole(text))).toContain('not a whole number');
    }
  });
});

describe('hosts of an rsyncd.conf', () => {
  it.each([
    ['10.0.0.1', ['10.0.0.1/32']],
    ['10.0.0.1, 192.168.0.0/16 2001:db8::1', ['10.0.0.1/32', '192.168.0.0/16', '2001:db8::1/128']],
    ['127.0.0.9/24', ['127.0.0.0/24']],
    ['10.1.2.3/255.0.0.0', ['10.0.0.0/8']],
    ['10.1.2.3/255.255.255.255', ['10.1.2.3/32']],
    ['10.1.2.3/0.0.0.0', ['0.0.0.0/0']],
    ['2001:db8:1::/ffff:ffff::', ['2001:db8::/32']],
    ['::ffff:10.0.0.1', ['10.0.0.1/32']],
    [',10.0.0.1,10.0.0.2', ['10.0.0.1/32', '10.0.0.2/32']],
    ['*', ['all']],
  ])('become networks: %j', (text, networks) => {
    expect(parseHosts(text)).toEqual(networks);
  });

  it.each([
    ['localhost', 'never looked up'],
    ['*.example.org', 'never looked up'],
    ['192.168.*', 'never looked up'],
    ['ALL', '"*" for everybody'],
    ['@trusted', 'netgroups'],
    ['127/8', 'is not an address'],
    ['fe80::1%eth0', 'zones'],
    ['10.0.0.1/33', 'more than 32 bits'],
    ['10.0.0.0/255.0.255.0', 'no prefix'],
    ['10.0.0.0/ffff::', 'no prefix'],
    ['10.0.0.0/', 'no prefix'],
    ['2001:db8::/255.255.0.0', 'no prefix'],
    ['::ffff:10.0.0.0/104', 'write it as IPv4'],
    [',', 'names nobody'],
  ])('refuse %j', (text, reason) => {
    expect(refusal(() => parseHosts(text))).toContain(reason);
  });
});
