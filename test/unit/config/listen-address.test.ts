import { describe, expect, it } from 'vitest';
import { formatListenAddress, parseListenAddress } from '../../../src/config/listen-address.ts';
import { refusal } from './fixture.ts';

describe('parseListenAddress', () => {
  it.each([
    ['[::]:873', { host: '::', port: 873 }],
    ['[2001:db8::1]:8730', { host: '2001:db8::1', port: 8730 }],
    ['0.0.0.0:873', { host: '0.0.0.0', port: 873 }],
    [':873', { host: '::', port: 873 }],
    ['*:873', { host: '::', port: 873 }],
    ['localhost:0', { host: 'localhost', port: 0 }],
    ['mirror-1.example.org:65535', { host: 'mirror-1.example.org', port: 65535 }],
  ])('reads %s', (text, address) => {
    expect(parseListenAddress(text)).toEqual(address);
  });

  it.each([
    ['873', 'not an address and port'],
    ['', 'not an address and port'],
    ['::1:873', 'IPv6 needs brackets'],
    ['[127.0.0.1]:873', 'brackets hold an IPv6 address'],
    ['[]:873', 'brackets hold an IPv6 address'],
    ['[::]', 'not an address and port'],
    ['localhost:', 'not a port'],
    ['localhost:65536', 'not a port'],
    ['localhost:-1', 'not a port'],
    ['localhost:rsync', 'not a port'],
    ['010.1:873', 'neither an IP address nor a host name'],
    ['256.0.0.1:873', 'neither an IP address nor a host name'],
    ['a_b:873', 'neither an IP address nor a host name'],
    ['-x:873', 'neither an IP address nor a host name'],
  ])('refuses %j', (text, reason) => {
    expect(refusal(() => parseListenAddress(text))).toContain(reason);
  });

  it('is undone by formatListenAddress', () => {
    expect(['[::1]:873', 'localhost:0'].map((text) => formatListenAddress(parseListenAddress(text)))).toEqual([
      '[::1]:873',
      'localhost:0',
    ]);
  });
});
