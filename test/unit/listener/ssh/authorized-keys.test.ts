/** authorized_keys: keys, options, addresses, and lines that give no access. */

import * as fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { parseAuthorizedKeys } from '../../../../src/listener/ssh/authorized-keys.ts';
import { generateHostKey } from '../../../../src/listener/ssh/ed25519-key.ts';

const KEY = generateHostKey();
const OTHER = generateHostKey();
const find = (text: string, address = '192.0.2.7') => parseAuthorizedKeys(text).find(KEY.blob, address);

describe('lines', () => {
  it('may be empty, comments, keys with and without comment and options', () => {
    const text = `# comment\n\n  ${OTHER.publicLine}\r\nrestrict ${KEY.publicLine} me@host with spaces\n`;
    const keys = parseAuthorizedKeys(text);
    expect(keys.warnings).toEqual([]);
    expect(keys.keys.map(({ line, fingerprint }) => [line, fingerprint])).toEqual([
      [3, OTHER.fingerprint],
      [4, KEY.fingerprint],
    ]);
  });

  it('name the key that may log in, and no other', () => {
    expect(find(OTHER.publicLine)).toBeNull();
    expect(find(`${OTHER.publicLine}\n${KEY.publicLine}`)?.fingerprint).toBe(KEY.fingerprint);
  });

  it.each([
    ['garbage', 'no key type'],
    ['ssh-ed25519', 'not base64'],
    ['ssh-ed25519 ****', 'not base64'],
    ['ssh-ed25519 AAAA', 'ends inside'],
    [KEY.publicLine.replace('ssh-ed25519 ', 'ssh-rsa '), 'another type'],
    [`ssh-ed25519 ${Buffer.alloc(2049).toString('base64')}`, 'too long'],
    [`command="open ${KEY.publicLine}`, 'no key type'],
  ])('that are broken give no access and a warning: %s', (line, reason) => {
    const keys = parseAuthorizedKeys(`# first\n${line}`);
    expect(keys.keys).toEqual([]);
    expect(keys.warnings).toHaveLength(1);
    expect(keys.warnings[0]).toMatch(/^line 2 gives no access: /);
    expect(keys.warnings[0]).toContain(reason);
  });

  it('never throw, whatever they hold', () => {
    const word = fc.constantFrom(
      'from=',
      '"',
      'restrict',
      ',',
      ' ',
      '\\"',
      'ssh-ed25519',
      'AAAA',
      '!',
      '*',
      '/8',
      '1.2.3.4',
    );
    const line = fc.oneof(
      fc.string(),
      fc.array(word).map((words) => words.join('')),
    );
    fc.assert(
      fc.property(line, (text) => {
        parseAuthorizedKeys(`${text}\n${text} ${KEY.publicLine}`).find(KEY.blob, '192.0.2.7');
      }),
      { numRuns: 500 },
    );
  });
});

describe('options', () => {
  it('without effect here are accepted in any spelling', () => {
    const options = 'restrict,pty,no-PTY,no-X11-forwarding,no-agent-forwarding,permitopen="host:1",permitopen="host:2"';
    expect(find(`${options} ${KEY.publicLine}`)).not.toBeNull();
  });

  it('name the modules of a key', () => {
    expect(find(`environment="GOKR_MODULES=a, b,c" ${KEY.publicLine}`)?.rights.modules).toEqual(['a', 'b', 'c']);
    expect(find(`environment="GOKR_MODULES=" ${KEY.publicLine}`)?.rights.modules).toEqual([]);
    expect(find(KEY.publicLine)?.rights.modules).toBeNull();
  });

  it('set no other variable, and say so', () => {
    const keys = parseAuthorizedKeys(`environment="LD_PRELOAD=x" ${KEY.publicLine}`);
    expect(keys.find(KEY.blob, '192.0.2.7')?.rights.modules).toBeNull();
    expect(keys.warnings).toEqual(['line 1: environment= has no effect other than for GOKR_MODULES']);
  });

  it.each(['rsync --server --daemon .', '/usr/bin/gokr-rsyncd --server --daemon .'])(
    'may force the command %s',
    (command) => {
      expect(find(`command="${command}" ${KEY.publicLine}`)).not.toBeNull();
    },
  );

  it.each([
    'command="/bin/backup"',
    'command="echo \\"x\\""',
    'command=""',
    'cert-authority',
    'principals="a"',
    'expiry-time="20300101"',
    'verify-required',
    'unheard-of',
    'from',
    'from=""',
    'from="10.0.0.0/33"',
    'from="!host.example"',
    'from="10.0.0.0/8",from="0.0.0.0/0"',
    'environment="GOKR_MODULES=a",environment="GOKR_MODULES=b"',
    'restrict;pty',
    'from="a"b',
  ])('that cannot be honoured take the access away: %s', (options) => {
    const keys = parseAuthorizedKeys(`${options} ${KEY.publicLine}`);
    expect(keys.keys).toEqual([]);
    expect(keys.warnings).toHaveLength(1);
  });
});

describe('from=', () => {
  it.each([
    ['192.0.2.7', '192.0.2.7', true],
    ['192.0.2.7', '192.0.2.70', false],
    ['192.0.2.0/24', '192.0.2.255', true],
    ['192.0.2.0/24', '192.0.3.0', false],
    ['0.0.0.0/0', '2001:db8::1', false],
    ['2001:db8::/32', '2001:db8:ffff::1', true],
    ['2001:DB8::1', '2001:db8::1', true],
    ['192.0.2.*', '192.0.2.99', true],
    ['192.0.2.?', '192.0.2.99', false],
    ['*', '203.0.113.1', true],
    ['192.0.2.0/24,!192.0.2.7', '192.0.2.7', false],
    ['192.0.2.0/24,!192.0.2.7', '192.0.2.8', true],
    ['!192.0.2.7', '192.0.2.8', false],
    ['host.example', '192.0.2.7', false],
    ['*', '', false],
    ['0.0.0.0/0', '', false],
  ])('%s, seen from %s: %j', (patterns, address, isAllowed) => {
    expect(find(`from="${patterns}" ${KEY.publicLine}`, address) !== null).toBe(isAllowed);
  });

  it('says that host names match nobody', () => {
    expect(parseAuthorizedKeys(`from="*.example" ${KEY.publicLine}`).warnings[0]).toContain('never looked up');
  });

  it('lets a second line for the same key allow more', () => {
    const text = `from="10.0.0.1",environment="GOKR_MODULES=a" ${KEY.publicLine}\n${KEY.publicLine}`;
    expect(find(text, '10.0.0.1')?.rights.modules).toEqual(['a']);
    expect(find(text, '10.0.0.2')?.rights.modules).toBeNull();
  });
});
