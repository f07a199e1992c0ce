/** The value of from="…" in authorized_keys: patterns of addresses; key-options.ts calls it. */

import { BlockList, isIP } from 'node:net';

export interface FromList {
  /** True when the address matches a pattern and no negated one. */
  allows(address: string): boolean;
  readonly notes: readonly string[];
}

type Matcher = (address: string) => boolean;

interface Pattern {
  readonly isNegated: boolean;
  readonly matches: Matcher;
}

/**
 * Parses a list of CIDR networks, addresses and wildcard patterns over the address's text, divided by commas; `!` negates.
 *
 * SECURITY: names are never looked up, since the client's side controls the answer (reverse DNS). A name matches nobody; a negated
 * name cannot be honoured.
 * @throws Error for a pattern that cannot be honoured.
 */
export function parseFrom(value: string): FromList {
  const notes: string[] = [];
  const patterns = value.split(',').map((text) => parsePattern(text.trim(), notes));
  return {
    notes,
    allows(address) {
      const hits = patterns.filter(({ matches }) => matches(address));
      return hits.length > 0 && hits.every(({ isNegated }) => !isNegated);
    },
  };
}

function parsePattern(text: string, notes: string[]): Pattern {
  const isNegated = text.startsWith('!');
  const body = isNegated ? text.slice(1) : text;
  if (body === '') throw new Error('from= holds an empty pattern');
  if (body.includes('/')) return { isNegated, matches: networkMatcher(body) };
  if (isIP(body) !== 0) return { isNegated, matches: networkMatcher(`${body}/${isIP(body) === 4 ? 32 : 128}`) };
  const isAddressPattern = /^[0-9a-f:.*?]+$/i.test(body);
  if (!isAddressPattern) {
    if (isNegated) throw new Error('from= excludes a host name, but names are never looked up');
    notes.push('from= holds a host name: names are never looked up, it matches nobody');
  }
  return { isNegated, matches: isAddressPattern ? wildcardMatcher(body) : () => false };
}

function networkMatcher(text: string): Matcher {
  const [address = '', bits = ''] = text.split('/');
  const family = isIP(address);
  const max = family === 4 ? 32 : 128;
  if (family === 0 || !/^\d{1,3}$/.test(bits) || Number(bits) > max) throw new Error('from= holds a broken network');
  const list = new BlockList();
  list.addSubnet(address, Number(bits), family === 4 ? 'ipv4' : 'ipv6');
  return (candidate) => {
    const candidateFamily = isIP(candidate);
    return candidateFamily === family && list.check(candidate, family === 4 ? 'ipv4' : 'ipv6');
  };
}

/** `*` is any text, `?` one character; linear in the length, the address has at most 45. */
function wildcardMatcher(pattern: string): Matcher {
  const parts = pattern.toLowerCase().replace(/\*+/g, '*');
  return (address) => address !== '' && matchWildcard(parts, address.toLowerCase());
}

function matchWildcard(pattern: string, text: string): boolean {
  let [p, t, star, mark] = [0, 0, -1, 0];
  while (t < text.length) {
    if (pattern[p] === '*') {
      star = p++;
      mark = t;
    } else if (p < pattern.length && (pattern[p] === '?' || pattern[p] === text[t])) {
      p++;
      t++;
    } else if (star >= 0) {
      p = star + 1;
      t = ++mark;
    } else {
      return false;
    }
  }
  return p === pattern.length || (pattern[p] === '*' && p === pattern.length - 1);
}
