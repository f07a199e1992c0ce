import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { ProtocolError } from '../../../src/errors.ts';
import { MAX_V1_BYTES, MAX_V2_BYTES, parseProxyHeader } from '../../../src/listener/proxy-header.ts';
import { headerV1, headerV2, TCP4, TCP6, UNIX, UNSPEC } from '../../helpers/proxy-headers.ts';

const BEHIND = Buffer.from('@RSYNCD: 31.0\n');

const parse = (header: Buffer) => parseProxyHeader(Buffer.concat([header, BEHIND]));

/** The message of the refusal. */
function refused(header: Buffer): string {
  try {
    parse(header);
  } catch (thrown) {
    if (thrown instanceof ProtocolError) return thrown.message;
    throw thrown;
  }
  throw new Error('was not refused');
}

const GOOD: readonly [string, Buffer, object | null][] = [
  ['TCP4', headerV1('TCP4 192.0.2.7 10.0.0.1 51000 873'), { address: '192.0.2.7', port: 51_000 }],
  ['TCP6', headerV1('TCP6 2001:DB8:0::7 ::1 1 65535'), { address: '2001:db8::7', port: 1 }],
  ['TCP6 for IPv4', headerV1('TCP6 0:0:0:0:0:ffff:c000:0207 ::1 0 873'), { address: '192.0.2.7', port: 0 }],
  ['UNKNOWN', headerV1('UNKNOWN'), null],
  ['UNKNOWN with addresses', headerV1('UNKNOWN ffff::1 ffff::2 1 2'), null],
  ['v2 TCP4', headerV2(0x21, TCP4, '192.0.2.7', 51_000), { address: '192.0.2.7', port: 51_000 }],
  ['v2 TCP6', headerV2(0x21, TCP6, '2001:db8::7', 51_000), { address: '2001:db8::7', port: 51_000 }],
  ['v2 TCP6 for IPv4', headerV2(0x21, TCP6, '::ffff:192.0.2.7', 9), { address: '192.0.2.7', port: 9 }],
  ['v2 unix', headerV2(0x21, UNIX), null],
  ['v2 UNSPEC', headerV2(0x21, UNSPEC), null],
  ['v2 LOCAL', headerV2(0x20, UNSPEC), null],
  ['v2 LOCAL with addresses', headerV2(0x20, TCP4, '192.0.2.7', 1), null],
  [
    'v2 with TLVs',
    headerV2(0x21, TCP4, '192.0.2.7', 9, Buffer.from('0400030000002000055454545454', 'hex')),
    { address: '192.0.2.7', port: 9 },
  ],
];

describe.each(GOOD)('a header %s', (_title, header, client) => {
  it('is taken, and says where it ends', () => {
    expect(parse(header)).toEqual({ bytes: header.length, client });
  });

  it('may come in any pieces', () => {
    for (let length = 0; length < header.length; length++) {
      expect(parseProxyHeader(header.subarray(0, length)), `${length} bytes`).toBeNull();
    }
  });
});

describe('what is no header', () => {
  it.each([
    ['a greeting', Buffer.alloc(0), 'no PROXY header'],
    ['another word', Buffer.from('PROXI TCP4 1.2.3.4 1.2.3.4 1 2\r\n'), 'no PROXY header'],
    ['small letters', Buffer.from('proxy TCP4 1.2.3.4 1.2.3.4 1 2\r\n'), 'no PROXY header'],
    ['a half signature', Buffer.from('\r\n\r\n\0\r\nQUIX'), 'no PROXY header'],
    ...[
      'TCP4 1.2.3.4 1',
      'TCP4 1.2.3.4 1.2.3.4 1 2 3',
      'TCP4 1.2.3.4  1.2.3.4 1 2',
      'TCP4 1.2.3 1.2.3.4 1 2',
      'TCP4 01.2.3.4 1.2.3.4 1 2',
      'TCP4 ::1 ::1 1 2',
      'TCP6 1.2.3.4 1.2.3.4 1 2',
      'TCP6 fe80::1%eth0 ::1 1 2',
      'TCP6 [::1] ::1 1 2',
      'UDP4 1.2.3.4 1.2.3.4 1 2',
      'TCP4',
      'TCP4 localhost localhost 1 2',
    ].map((line): [string, Buffer, string] => [line, headerV1(line), 'wrong PROXY line']),
    ...['65536', '-1', '01', '', '1e3', '0x1'].map((port): [string, Buffer, string] => [
      `port ${port}`,
      headerV1(`TCP4 1.2.3.4 1.2.3.4 ${port} 2`),
      'wrong port',
    ]),
    ['a line end without CR', Buffer.from(`PROXY TCP4 1.2.3.4 1.2.3.4 1 2\n${'x'.repeat(200)}`), 'without an end'],
    ['version 1 in version 2', headerV2(0x11, TCP4), 'unknown version or command'],
    ['an unknown command', headerV2(0x22, TCP4), 'unknown version or command'],
    ['datagrams', headerV2(0x21, 0x12, undefined, undefined, Buffer.alloc(12)), 'something else than a stream'],
    ['an unknown family', headerV2(0x21, 0x41, undefined, undefined, Buffer.alloc(12)), 'something else than a stream'],
    ['TCP4 of 11 bytes', cut(headerV2(0x21, TCP4), 11), 'shorter than its addresses'],
    ['TCP6 of 35 bytes', cut(headerV2(0x21, TCP6), 35), 'shorter than its addresses'],
    ['a unix address of 215 bytes', cut(headerV2(0x21, UNIX), 215), 'shorter than its addresses'],
    ['half a TLV', headerV2(0x21, TCP4, undefined, undefined, Buffer.from('0400', 'hex')), 'inside a TLV'],
    [
      'a TLV longer than the header',
      headerV2(0x21, TCP4, undefined, undefined, Buffer.from('04000500', 'hex')),
      'inside a TLV',
    ],
  ])('is refused: %s', (_title, header, reason) => {
    expect(refused(header)).toContain(reason);
  });

  it.each([MAX_V1_BYTES - 1, MAX_V1_BYTES, MAX_V1_BYTES + 1])(
    'in %i bytes of version 1 is waited for up to 107',
    (bytes) => {
      const header = headerV1(`UNKNOWN ${'x'.repeat(bytes - 'PROXY UNKNOWN \r\n'.length)}`);
      expect(header.length).toBe(bytes);
      if (bytes <= MAX_V1_BYTES) expect(parse(header)).toEqual({ bytes, client: null });
      else expect(refused(header)).toContain('without an end');
    },
  );

  it.each([MAX_V2_BYTES - 1, MAX_V2_BYTES, MAX_V2_BYTES + 1, 16 + 0x8000, 16 + 0xffff])(
    'in %i bytes of version 2 is waited for up to 536',
    (bytes) => {
      const header = cut(headerV2(0x20, UNSPEC), bytes - 16);
      if (bytes <= MAX_V2_BYTES)
        expect(parse(Buffer.concat([header, Buffer.alloc(bytes)]))).toEqual({ bytes, client: null });
      else expect(refused(header)).toContain('too long');
    },
  );

  it('never makes the parser throw anything else, nor take more than there is', () => {
    const start = fc.constantFrom(
      headerV1('TCP4 1.2.3.4 1.2.3.4 1 2'),
      ...GOOD.map(([, header]) => header),
      Buffer.alloc(0),
    );
    const edit = fc.array(fc.tuple(fc.nat(600), fc.nat(255)), { maxLength: 4 });
    fc.assert(
      fc.property(start, edit, fc.uint8Array({ maxLength: 600 }), (header, edits, more) => {
        const input = Buffer.concat([header, more]);
        for (const [at, byte] of edits) if (at < input.length) input[at] = byte;
        try {
          const parsed = parseProxyHeader(input);
          if (parsed === null) expect(input.length).toBeLessThan(MAX_V2_BYTES);
          else expect(parsed.bytes).toBeLessThanOrEqual(input.length);
        } catch (thrown) {
          expect(thrown).toBeInstanceOf(ProtocolError);
        }
      }),
      { numRuns: 3000 },
    );
  });
});

/** The header with another length field. */
function cut(header: Buffer, length: number): Buffer {
  header.writeUInt16BE(length, 14);
  return header.subarray(0, Math.min(header.length, 16 + length));
}
