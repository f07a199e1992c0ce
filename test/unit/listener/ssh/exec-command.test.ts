/** Exec strings: words without a shell, one command and no other. */

import * as fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { UsageError } from '../../../../src/errors.ts';
import { requireDaemonCommand, tokenizeCommand } from '../../../../src/listener/ssh/exec-command.ts';

const LIMITS = { args: 10 };
const words = (command: string) =>
  tokenizeCommand(Buffer.from(command, 'latin1'), LIMITS).map(({ bytes }) => bytes.toString('latin1'));
const live = (command: string) =>
  tokenizeCommand(Buffer.from(command), LIMITS).map(({ bytes, quoted }) =>
    [...bytes]
      .filter((_, i) => quoted[i] === 0)
      .map((byte) => String.fromCharCode(byte))
      .join(''),
  );

describe('tokenizeCommand', () => {
  it.each([
    ['a  b\tc ', ['a', 'b', 'c']],
    ['', []],
    ["a '' b", ['a', '', 'b']],
    ['""', ['']],
    [String.raw`a\ b \'c\"`, ['a b', `'c"`]],
    [`'a b'"c d"e`, ['a bc de']],
    [String.raw`"a\"b\\c\$d\e"`, [String.raw`a"b\c$d\e`]],
    [`'a\\b;$(x)'`, ['a\\b;$(x)']],
    [`";|&<>()"`, [';|&<>()']],
    ['\\;\\&', [';&']],
    ['\\\n', ['\n']],
    ['\xff\x01', ['\xff\x01']],
  ])('cuts %j into %j', (command, expected) => {
    expect(words(command)).toEqual(expected);
  });

  it('cuts the string of the protocol notes', () => {
    const command = String.raw`rsync --skip-compress=gz/z\[ip\] . /srv/a\'b\"c\\d\$e\;f\(g\)h\&i*j?k[l]m\{n\}o~p\#q\!r`;
    expect(words(command)).toEqual([
      'rsync',
      '--skip-compress=gz/z[ip]',
      '.',
      `/srv/a'b"c\\d$e;f(g)h&i*j?k[l]m{n}o~p#q!r`,
    ]);
  });

  it('remembers which bytes were quoted', () => {
    expect(live(String.raw`a*\*'*'"?"[ ~x`)).toEqual(['a*[', '~x']);
  });

  it.each([';', '&', '|', '<', '>', '(', ')', '$', '`', '\n', '\r', 'a;id', 'a $(id)', '"$HOME"', '"`id`"'])(
    'refuses %j, which a shell would act on',
    (command) => {
      expect(() => words(command)).toThrow('only a shell understands');
    },
  );

  it.each([
    ["'a", 'an open quote'],
    ['"a', 'an open quote'],
    ['"a\\', 'an open quote'],
    ['a\\', 'a backslash at the end'],
    ['a\0b', 'a NUL byte'],
  ])('refuses %j for %s', (command, reason) => {
    expect(() => words(command)).toThrow(reason);
  });

  it.each([9, 10, 11])('takes up to 10 words, given %i', (count) => {
    const call = () => words('x '.repeat(count));
    if (count > 10) expect(call).toThrow('too many words');
    else expect(call()).toHaveLength(count);
  });

  it('gives back any words that were quoted for a shell', () => {
    const text = fc.string().filter((one) => !one.includes('\0'));
    fc.assert(
      fc.property(fc.array(text, { maxLength: 10 }), (list) => {
        const command = list.map((one) => `'${one.replaceAll("'", `'\\''`)}'`).join(' ');
        const found = tokenizeCommand(Buffer.from(command), LIMITS).map(({ bytes }) => bytes.toString());
        expect(found).toEqual(list.map((one) => Buffer.from(one).toString()));
      }),
    );
  });

  it('throws nothing but UsageError, whatever it is given', () => {
    fc.assert(
      fc.property(fc.uint8Array(), (bytes) => {
        try {
          tokenizeCommand(Buffer.from(bytes), LIMITS);
        } catch (thrown) {
          expect(thrown).toBeInstanceOf(UsageError);
        }
      }),
    );
  });
});

describe('requireDaemonCommand', () => {
  const check = (command: string) => () => requireDaemonCommand(Buffer.from(command), LIMITS);

  it.each([
    'rsync --server --daemon .',
    '/usr/local/bin/rsync --server --daemon .',
    "'rsync' --server --daemon .",
    'gokr-rsyncd --server --daemon .',
    '/opt/gokr-rsyncd --server --daemon .',
  ])('allows %j', (command) => {
    expect(check(command)).not.toThrow();
  });

  it.each([
    ['rsync --server --sender -vlogDtpr . /etc/passwd', 'paths of the host (HOST:PATH) are not served here'],
    ['rsync --server --sender -vlogDtpr . .', 'rsync://HOST/MODULE/'],
    ['rsync --server -vlogDtpr . /tmp/x', 'read-only and takes no uploads'],
    ['rsync --server --daemon . extra', 'paths of the host'],
    ['rsync --server --daemon --config=/tmp/evil .', 'paths of the host'],
    ['rsync --daemon', 'runs no commands'],
    ['xrsync --server --daemon .', 'paths of the host'],
    ['scp -f /etc/passwd', 'runs no commands'],
    ['rm -rf /', 'runs no commands'],
    ['', 'runs no commands'],
    ['rsync --server --daemon .; id', 'only a shell understands'],
    ['rsync --server --daemon .\nid', 'only a shell understands'],
    ['rsync --server --daemon $(id)', 'only a shell understands'],
  ])('refuses %j', (command, reason) => {
    expect(check(command)).toThrow(UsageError);
    expect(check(command)).toThrow(reason);
  });

  it('never shows the command to the client', () => {
    try {
      check('/bin/\x1b[2Jevil x')();
    } catch (thrown) {
      expect((thrown as UsageError).tell).not.toContain('evil');
    }
    expect.assertions(1);
  });
});
