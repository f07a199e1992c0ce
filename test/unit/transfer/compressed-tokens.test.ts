import { createHash } from 'node:crypto';
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import fc from 'fast-check';
import { afterEach, describe, expect, it } from 'vitest';
import { type Compression, createCompressor } from '../../../src/compress/choose.ts';
import type { TokenCompressor } from '../../../src/compress/compressor.ts';
import { Limiter } from '../../../src/compress/limiter.ts';
import { lz4BlockFunction } from '../../../src/compress/lz4.ts';
import { CompressedTokenWriter } from '../../../src/transfer/compressed-tokens.ts';
import { expand, joined, noise, type Op } from './match-helpers.ts';
import { type DecodedOp, decodeDeflate, decodeLz4, decodeZstd, parseTokens } from './token-decoder.ts';

const limiter = new Limiter(2);
const open: CompressedTokenWriter[] = [];
afterEach(() => {
  for (const writer of open.splice(0)) writer.release();
});

/** A writer whose output is collected. */
function collect(make: (sink: (payload: Uint8Array) => void) => TokenCompressor) {
  let bytes = Buffer.alloc(0);
  const put = (more: Uint8Array): void => {
    bytes = Buffer.concat([bytes, more]);
  };
  const integer = (size: number) => (value: number) => {
    const buffer = Buffer.alloc(size);
    buffer.writeUIntLE(value, 0, size);
    put(buffer);
  };
  const output = { putByte: integer(1), putUint16: integer(2), putInt32: integer(4), putBytes: put };
  const writer = new CompressedTokenWriter(output, make);
  open.push(writer);
  const take = (): Buffer => {
    const taken = bytes;
    bytes = Buffer.alloc(0);
    return taken;
  };
  return { writer, take };
}

const writerFor = (compression: Compression, protocol = 31) =>
  collect((sink) => createCompressor(compression, protocol, { limiter, lz4: lz4BlockFunction() }, sink));

/** Writes one file. */
async function writeFile(
  writer: CompressedTokenWriter,
  ops: readonly Op[],
  block: (index: number) => Buffer,
): Promise<void> {
  writer.startFile();
  for (const [kind, value] of ops) {
    if (kind === 'lit') await writer.literal(value);
    else await writer.match(value, block(value));
  }
  await writer.endFile();
}

const noBlock = (): Buffer => Buffer.alloc(0);
const hex = (bytes: Buffer): string => bytes.toString('hex');
/** Records of one run may hold parts of it. */
const joinedOps = (ops: readonly DecodedOp[]): Op[] => joined(ops as Op[]);

describe('the run coder', () => {
  /** Tokens only: a compressor that must not be used. */
  const tokensOnly = () =>
    collect(() => ({ startFile() {}, literal() {}, flushLiterals() {}, matched() {}, release() {} }));
  const encode = async (indexes: Iterable<number>): Promise<string> => {
    const { writer, take } = tokensOnly();
    await writeFile(
      writer,
      [...indexes].map((index): Op => ['match', index]),
      noBlock,
    );
    return hex(take());
  };

  it('codes 72000 consecutive blocks in two runs', async () => {
    expect(await encode(Array(72_000).keys())).toBe('c0ffffc13f1900');
  });

  it('uses the absolute form beyond 63 and backwards', async () => {
    const absolute = '20c800000020000000002040000000bf';
    expect(await encode([200, 0, 64, 127])).toBe(`${absolute}00`);
  });

  it('starts each file relative to 0', async () => {
    const { writer, take } = tokensOnly();
    await writeFile(writer, [['match', 50]], noBlock);
    await writeFile(writer, [['match', 50]], noBlock);
    expect(hex(take())).toBe('b200b200');
  });

  it('codes an empty file as its end mark', async () => {
    expect(await encode([])).toBe('00');
  });

  it('round-trips any order of blocks', async () => {
    await fc.assert(
      fc.asyncProperty(fc.array(fc.oneof(fc.nat(200), fc.nat(2 ** 31 - 1)), { maxLength: 50 }), async (indexes) => {
        const bytes = Buffer.from(await encode(indexes), 'hex');
        expect(parseTokens(bytes).ops).toEqual(indexes.map((index) => ['match', index]));
      }),
      { seed: 20_261_123 },
    );
  });
});

interface TokenVector {
  id: string;
  protocol: number;
  compress: 'zlib' | 'zlibx' | 'zstd' | 'lz4' | 'none';
  input?: string;
  basis_rule?: string;
  files?: { file: string; token_bytes: string }[];
  token_bytes: string;
  sum_head: { blength: number };
  ops: ([string, string] | [string, number] | [string])[];
}

const path = join(import.meta.dirname, '../../vectors/token-streams.json');
const { inputs, vectors } = JSON.parse(readFileSync(path, 'utf8')) as {
  inputs: Record<string, { basis: string | null; file: string }>;
  vectors: TokenVector[];
};
const compressed = vectors.filter((vector) => vector.compress !== 'none' && vector.input !== undefined);

describe('captured sessions of rsync 3.5.0', () => {
  const opsOf = (vector: TokenVector): Op[] =>
    vector.ops.flatMap(([kind, value]): Op[] => {
      if (kind === 'lit') return [['lit', Buffer.from(value as string, 'hex')]];
      return kind === 'match' ? [['match', value as number]] : [];
    });
  const blockOf =
    (vector: TokenVector) =>
    (index: number): Buffer =>
      Buffer.from(inputs[vector.input!]!.basis ?? '', 'hex').subarray(
        index * vector.sum_head.blength,
        (index + 1) * vector.sum_head.blength,
      );
  const decode = (vector: TokenVector, bytes: Buffer): Op[] => {
    if (vector.compress === 'lz4') return joinedOps(decodeLz4(bytes));
    if (vector.compress === 'zstd') return joinedOps(decodeZstd(bytes, Buffer.alloc(0)).ops);
    return joinedOps(decodeDeflate(bytes, vector.compress === 'zlib' ? blockOf(vector) : noBlock));
  };

  it.each(compressed)('$id: the test decoder understands the capture', (vector) => {
    expect(decode(vector, Buffer.from(vector.token_bytes, 'hex'))).toEqual(joined(opsOf(vector)));
  });

  it.each(compressed)('$id: our stream decodes to the same operations', async (vector) => {
    const name = vector.compress as Compression['name'];
    const { writer, take } = writerFor({ name, level: name === 'zstd' ? 3 : 6 }, vector.protocol);
    await writeFile(writer, opsOf(vector), blockOf(vector));
    expect(decode(vector, take())).toEqual(joined(opsOf(vector)));
  });
});

describe('zlib', () => {
  const basis = noise(40_000, 1);
  const block = (index: number): Buffer => basis.subarray(index * 10_000, (index + 1) * 10_000);

  it('refers to matched data, where zlibx does not', async () => {
    const ops: Op[] = [
      ['lit', Buffer.from('start')],
      ['match', 0],
      ['lit', block(0)],
      ['match', 1],
    ];
    const sizes: number[] = [];
    for (const name of ['zlib', 'zlibx'] as const) {
      const { writer, take } = writerFor({ name, level: 6 });
      await writeFile(writer, ops, block);
      const bytes = take();
      expect(joinedOps(decodeDeflate(bytes, name === 'zlib' ? block : noBlock))).toEqual(joined(ops));
      sizes.push(bytes.length);
    }
    expect(sizes[0]).toBeLessThan(500);
    expect(sizes[1]).toBeGreaterThan(10_000);
  });

  it('keeps the history right when more than a window was matched', async () => {
    const ops: Op[] = [
      ['lit', block(0)],
      ['match', 0],
      ['match', 1],
      ['match', 2],
      ['match', 3],
      ['lit', block(0)],
      ['match', 1],
      ['lit', block(3)],
    ];
    const { writer, take } = writerFor({ name: 'zlib', level: 6 });
    await writeFile(writer, ops, block);
    expect(joinedOps(decodeDeflate(take(), block))).toEqual(joined(ops));
  });

  it('starts every file with an empty history', async () => {
    const { writer, take } = writerFor({ name: 'zlib', level: 6 });
    await writeFile(
      writer,
      [
        ['lit', block(0)],
        ['match', 1],
      ],
      block,
    );
    const first = take();
    await writeFile(
      writer,
      [
        ['lit', block(0)],
        ['match', 1],
      ],
      block,
    );
    expect(take()).toEqual(first);
  });

  it('equals the reference byte for byte for a short whole file', async () => {
    const data = Buffer.from('Hello, rsync transfer!\n');
    const { writer, take } = writerFor({ name: 'zlib', level: 6 });
    await writeFile(writer, [['lit', data]], noBlock);
    expect(hex(take())).toBe('4019f248cdc9c9d751282aaecc4b5628294acc2b4e4b2d52e4020000');
  });

  const bigTokens = vectors.filter((vector) => vector.basis_rule !== undefined);

  it.each(bigTokens)('$id: the capture decodes with the history rule of its protocol', (vector) => {
    const { big, history, file } = bigTokenCase();
    const ops = decodeDeflate(Buffer.from(vector.token_bytes, 'hex'), vector.protocol < 31 ? history : big);
    expect(expand(joinedOps(ops), file.basis, 100_000).equals(file.content)).toBe(true);
  });

  it.each([30, 31])(
    'at protocol %i keeps blocks over 65535 bytes in the history as its receiver does',
    async (protocol) => {
      const { big, history, file, ops } = bigTokenCase();
      const { writer, take } = writerFor({ name: 'zlib', level: 6 }, protocol);
      await writeFile(writer, ops, big);
      const decoded = decodeDeflate(take(), protocol < 31 ? history : big);
      expect(expand(joinedOps(decoded), file.basis, 100_000).equals(file.content)).toBe(true);
    },
  );

  /** Three blocks of 100000 bytes and a file with copies of their parts, by the `basis_rule` of the vectors. */
  function bigTokenCase() {
    const line = (_: unknown, i: number): string =>
      `${(Math.imul(i, 2_654_435_761) >>> 0).toString(16).padStart(8, '0')} some words that compress quite well ${i}\n`;
    const basis = Buffer.from(Array.from({ length: 30_000 }, line).join('')).subarray(0, 300_000);
    expect(createHash('md5').update(basis).digest('hex')).toBe('a3125bff5776cfb22126d2f31b8fc2ef');
    const big = (index: number): Buffer => basis.subarray(index * 100_000, (index + 1) * 100_000);
    const history = (index: number): Buffer =>
      Buffer.concat([big(index).subarray(0, 65_535), big(index).subarray(0, 100_000 - 65_535)]);
    const first = basis.subarray(90_000, 99_000);
    const second = basis.subarray(100_010, 109_000);
    const ops: Op[] = [
      ['match', 0],
      ['lit', first],
      ['match', 1],
      ['lit', second],
      ['match', 2],
    ];
    return { big, history, ops, file: { basis, content: expand(ops, basis, 100_000) } };
  }
});

describe('captured sessions of two files', () => {
  const sessions = vectors.filter((vector) => vector.files !== undefined);

  it.each(sessions)('$id: the capture and our stream decode to the files', async (vector) => {
    const name = vector.compress as Compression['name'];
    const { writer, take } = writerFor({ name, level: 3 }, vector.protocol);
    const decodeTheirs = decoder(name, noBlock);
    const decodeOurs = decoder(name, noBlock);
    for (const file of vector.files!) {
      const whole: Op[] = [['lit', Buffer.from(file.file, 'hex')]];
      expect(decodeTheirs(Buffer.from(file.token_bytes, 'hex'))).toEqual(whole);
      await writeFile(writer, whole, noBlock);
      expect(decodeOurs(take())).toEqual(whole);
    }
  });
});

/** Decodes consecutive files of one session. */
function decoder(name: Compression['name'], block: (index: number) => Buffer) {
  let payloads: Buffer = Buffer.alloc(0);
  return (bytes: Buffer): Op[] => {
    if (name === 'lz4') return joinedOps(decodeLz4(bytes));
    if (name !== 'zstd') return joinedOps(decodeDeflate(bytes, name === 'zlib' ? block : noBlock));
    const decoded = decodeZstd(bytes, payloads);
    payloads = decoded.payloads;
    return joinedOps(decoded.ops);
  };
}

describe('every format', () => {
  const formats: Compression[] = [
    { name: 'zlib', level: 1 },
    { name: 'zlib', level: 6 },
    { name: 'zlibx', level: 6 },
    { name: 'zstd', level: 3 },
    { name: 'zstd', level: -5 },
    { name: 'lz4', level: 0 },
  ];
  const basis = Buffer.concat([noise(3000, 2), Buffer.alloc(3000, 'abc')]);
  const block = (index: number): Buffer => basis.subarray(index * 600, (index + 1) * 600);
  const text = Buffer.from('The quick brown fox. '.repeat(20_000));

  it.each(formats)('$name at level $level carries random files of one session', async (compression) => {
    const op = fc.oneof(
      fc.nat(9).map((index): Op => ['match', index]),
      fc.uint8Array({ maxLength: 50, max: 3 }).map((bytes): Op => ['lit', Buffer.from(bytes)]),
      fc.tuple(fc.nat(5000), fc.nat(3000)).map(([at, size]): Op => ['lit', basis.subarray(at, at + size)]),
    );
    const { writer, take } = writerFor(compression);
    const decode = decoder(compression.name, block);
    await fc.assert(
      fc.asyncProperty(fc.array(op, { maxLength: 12 }), async (ops) => {
        await writeFile(writer, ops, block);
        const expected = joined(ops.filter(([kind, value]) => kind === 'match' || value.length > 0));
        expect(decode(take())).toEqual(expected);
      }),
      { numRuns: 40, seed: 20_261_124, endOnFailure: true },
    );
  });

  it.each(formats)('$name at level $level keeps records within 16383 bytes for any data', async (compression) => {
    const { writer, take } = writerFor(compression);
    const data = Buffer.concat([noise(300_000, 3), text]);
    await writeFile(writer, [['lit', data]], noBlock);
    const bytes = take();
    expect(Math.max(...parseTokens(bytes).records.map((record) => record.length))).toBeLessThanOrEqual(16_383);
    const [op] = decoder(compression.name, block)(bytes);
    expect(
      createHash('md5')
        .update(op![1] as Buffer)
        .digest(),
    ).toEqual(createHash('md5').update(data).digest());
  });

  it.each(formats)('$name at level $level writes no record for a file without literals', async (compression) => {
    const { writer, take } = writerFor(compression);
    await writeFile(
      writer,
      [
        ['lit', Buffer.alloc(0)],
        ['match', 0],
      ],
      block,
    );
    expect(hex(take())).toBe('8000');
  });
});
