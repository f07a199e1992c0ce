import { createHash } from 'node:crypto';
import { appendFileSync, truncateSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterEach, beforeAll, beforeEach, describe, expect, it } from 'vitest';
import { loadChecksums } from '../../../src/checksum/pool.ts';
import { weakSum } from '../../../src/checksum/rolling.ts';
import { FileLists } from '../../../src/flist/lists.ts';
import { BlockSums } from '../../../src/transfer/block-sums.ts';
import type { TransferContext } from '../../../src/transfer/context.ts';
import { type SendPlan, sendContent } from '../../../src/transfer/send-file.ts';
import type { SumHead } from '../../../src/transfer/sum-head.ts';
import { removeTree, scratchDir } from '../../helpers/scratch.ts';
import { dataOf } from '../support/bytes.ts';
import { StreamDecoder } from '../support/list-decoder.ts';
import { type ContextPlan, makeSession, type SessionFixture, type TransferPlan } from '../support/session-context.ts';

let root: string;
let session: SessionFixture | null = null;

beforeAll(loadChecksums);

beforeEach(() => {
  root = scratchDir('send');
});

afterEach(() => {
  session?.close();
  session = null;
  removeTree(root);
});

const WHOLE: SumHead = { count: 0, blockLength: 0, strongLength: 0, remainder: 0 };
const PLAN: Omit<SendPlan, 'blockSums'> = {
  request: { ndx: 1, iflags: 0xa000, basisType: 0x80, xname: null },
  name: Buffer.from('f'),
  appends: false,
  isRedo: false,
};

interface Sent {
  head: number[];
  tokens: (Buffer | number)[];
  sum: string;
  error: number | null;
  /** Bytes that the client has in the end. */
  result: Buffer;
}

interface Setup {
  head?: SumHead;
  sums?: (context: TransferContext) => Promise<Buffer>;
  basis?: Buffer;
  plan?: Partial<SendPlan>;
  session?: Partial<ContextPlan>;
  transfer?: TransferPlan;
  /** Runs between opening the file and sending it. */
  meanwhile?: () => void;
}

/** Writes `content`, sends it, and reads the answer as a client does. */
async function send(content: Buffer, setup: Setup = {}): Promise<Sent> {
  const { head = WHOLE, basis = Buffer.alloc(0) } = setup;
  writeFileSync(join(root, 'f'), content);
  session = await makeSession({ root, ...setup.session });
  const context = await session.forTransfer(new FileLists(session.context), setup.transfer);
  const { digestLength } = context.sums;
  const blockSums = new BlockSums(head, { digestLength, limits: context.limits });
  if (setup.sums) blockSums.append(await setup.sums(context));
  const file = context.view.openFile(context.view.root, Buffer.from('f'));
  setup.meanwhile?.();
  const error = await sendContent(context, file, { ...PLAN, blockSums, ...setup.plan });
  file.close();
  const stream = new StreamDecoder(dataOf(session.sent()), { protocol: 31, compatFlags: 0 });
  const sentHead = [stream.int(), stream.int(), stream.int(), stream.int()];
  const tokens = stream.tokens();
  const sum = stream.bytes(digestLength).toString('hex');
  expect(stream.isAtEnd).toBe(true);
  context.sums.release();
  const block = (i: number) => basis.subarray(i * head.blockLength, (i + 1) * head.blockLength);
  const result = Buffer.concat(tokens.map((token) => (typeof token === 'number' ? block(token) : token)));
  return { head: sentHead, tokens, sum, error: error?.errno ?? null, result };
}

const md5 = (bytes: Uint8Array) => createHash('md5').update(bytes).digest('hex');
const ZERO_SUM = '00'.repeat(16);

/** Bytes without repetition that a block search could find. */
function noise(length: number, seed = 1): Buffer {
  const bytes = Buffer.alloc(length);
  let state = seed;
  for (let i = 0; i < length; i++) {
    state = (Math.imul(state, 1103515245) + 12345) >>> 0;
    bytes[i] = state >>> 16;
  }
  return bytes;
}

/** What a client with `basis` asks with. */
function deltaSetup(basis: Buffer, blockLength: number, strongLength = 16): Pick<Setup, 'head' | 'sums' | 'basis'> {
  const head = {
    count: Math.ceil(basis.length / blockLength),
    blockLength,
    strongLength,
    remainder: basis.length % blockLength,
  };
  const sums = async (context: TransferContext) => {
    const blocks = await context.sums.blocks();
    return Buffer.concat(
      Array.from({ length: head.count }, (_, i) => {
        const block = basis.subarray(i * blockLength, (i + 1) * blockLength);
        const record = Buffer.alloc(4 + strongLength);
        record.writeUInt32LE(weakSum(block, 0, block.length) >>> 0);
        blocks.sum(block, 0).copy(record, 4, 0, strongLength);
        return record;
      }),
    );
  };
  return { head, sums, basis };
}

describe('a whole file', () => {
  // Sizes around a token, around what is read in one tick, and around several chunks.
  it.each([0, 1, 32768, 32769, 131_072, 131_073, 262_144, 300_001, 1_000_000])('of %i bytes arrives', async (size) => {
    const content = noise(size);
    const sent = await send(content);
    expect(sent.result.equals(content)).toBe(true);
    expect([sent.head, sent.sum, sent.error]).toEqual([[0, 0, 0, 0], md5(content), null]);
    expect(sent.tokens.every((token) => typeof token !== 'number' && token.length <= 32768)).toBe(true);
  });

  it('is asked for by a count of zero whatever else the head says, and gets the head back', async () => {
    const head = { count: 0, blockLength: 32768, strongLength: 2, remainder: 0 };
    expect(await send(Buffer.from('x'), { head })).toMatchObject({
      head: [0, 32768, 2, 0],
      sum: md5(Buffer.from('x')),
    });
  });

  it('is sent when there are more sums than we keep', async () => {
    const content = noise(5000);
    const setup = deltaSetup(content, 700);
    const sent = await send(content, { ...setup, session: { limits: { blockSums: 7 } } });
    expect(sent.tokens.length).toBe(1);
    expect([sent.head[0], sent.sum]).toEqual([8, md5(content)]);
  });
});

describe('a file that changes', () => {
  it.each([1000, 400_000])('to become shorter is padded with zeros and has a wrong sum (%i bytes)', async (size) => {
    const content = noise(size);
    const sent = await send(content, { meanwhile: () => truncateSync(join(root, 'f'), size - 500) });
    expect(sent.result.equals(Buffer.concat([content.subarray(0, size - 500), Buffer.alloc(500)]))).toBe(true);
    expect([sent.sum, sent.error]).toEqual([ZERO_SUM, 61]);
  });

  it('to become empty is all zeros', async () => {
    const sent = await send(noise(300_000), { meanwhile: () => truncateSync(join(root, 'f'), 0) });
    expect(sent.result.equals(Buffer.alloc(300_000))).toBe(true);
    expect(sent.error).toBe(61);
  });

  it('to become longer is sent as long as it was when it was opened', async () => {
    const content = noise(1000);
    const sent = await send(content, { meanwhile: () => appendFileSync(join(root, 'f'), 'more') });
    expect([sent.result.equals(content), sent.sum, sent.error]).toEqual([true, md5(content), null]);
  });

  it('under a search is padded as well', async () => {
    const content = noise(5000);
    const sent = await send(content, {
      ...deltaSetup(content, 700),
      meanwhile: () => truncateSync(join(root, 'f'), 3000),
    });
    expect(sent.result.equals(Buffer.concat([content.subarray(0, 3000), Buffer.alloc(2000)]))).toBe(true);
    expect([sent.sum, sent.error]).toEqual([ZERO_SUM, 61]);
  });
});

describe('a delta', () => {
  const basis = noise(100_000);
  const changed = Buffer.concat([basis.subarray(0, 40_000), Buffer.from('INSERTED'), basis.subarray(40_000)]);

  it.each(['md5', 'md5-legacy', 'md4', 'md4-old', 'xxh128', 'xxh3', 'xxh64', 'sha1'] as const)(
    'with %s sums refers to blocks and expands to the file',
    async (variant) => {
      const sent = await send(changed, { ...deltaSetup(basis, 700, 8), transfer: { variant, seed: 12345 } });
      expect(sent.result.equals(changed)).toBe(true);
      expect(sent.tokens.filter((token) => typeof token === 'number').length).toBe(142);
      expect(sent.error).toBeNull();
    },
  );

  it('echoes a head that announces more than an 8-byte digest as 8', async () => {
    const setup = deltaSetup(basis, 700, 16);
    const sent = await send(changed, { ...setup, transfer: { variant: 'xxh64', seed: 7 } });
    expect(sent.head).toEqual([143, 700, 8, 600]);
    expect(sent.result.equals(changed)).toBe(true);
    expect(sent.tokens.some((token) => typeof token === 'number')).toBe(true);
  });

  it('of a large file is searched in a moving window', async () => {
    const big = noise(700_000, 5);
    const moved = Buffer.concat([Buffer.from('front'), big]);
    const sent = await send(moved, deltaSetup(big, 5000));
    expect(sent.result.equals(moved)).toBe(true);
    expect(sent.tokens.filter((token) => typeof token === 'number').length).toBe(140);
    expect(sent.sum).toBe(md5(moved));
  });

  it('of an empty file is the end of tokens', async () => {
    const sent = await send(Buffer.alloc(0), deltaSetup(basis, 700));
    expect([sent.tokens, sent.sum]).toEqual([[], md5(Buffer.alloc(0))]);
  });

  it.each([
    ['in place', { inplace: true }, 0x80, false],
    ['in place on a partial file', {}, 0x81, false],
    ['into a new file', {}, 0x80, true],
    ['in place from a backup', { inplace: true }, 0x82, true],
  ])('%s uses blocks behind the write position only where they survive', async (_, options, basisType, usesBehind) => {
    // The second half of the new file is the first half of the old one.
    const half = noise(7000, 3);
    const old = Buffer.concat([half, noise(7000, 4)]);
    const swapped = Buffer.concat([noise(7000, 9), half]);
    const request = { ...PLAN.request, basisType };
    const sent = await send(swapped, { ...deltaSetup(old, 700), plan: { request }, session: { options } });
    const behind = sent.tokens.filter((token) => typeof token === 'number' && token < 10).length;
    expect(behind).toBe(usesBehind ? 10 : 0);
    expect(sent.result.equals(swapped)).toBe(true);
  });
});

describe('append mode', () => {
  const content = noise(300_000);
  const head = { count: 72, blockLength: 700, strongLength: 2, remainder: 300 };
  const append = (appendMode: number, protocol = 31, size = content.length) =>
    send(content.subarray(0, size), { head, plan: { appends: true }, session: { protocol, options: { appendMode } } });

  it('sends what the client lacks, and sums only that', async () => {
    const sent = await append(1);
    expect(sent.result.equals(content.subarray(50_000))).toBe(true);
    expect([sent.head, sent.sum]).toEqual([[72, 700, 2, 300], md5(content.subarray(50_000))]);
  });

  it('with verification sums the whole file, as below protocol 30 always', async () => {
    expect((await append(2)).sum).toBe(md5(content));
    session?.close();
    expect((await append(1, 29)).sum).toBe(md5(content));
  });

  it('sends nothing of a file that the client has, and nothing of an empty one', async () => {
    expect(await append(1, 31, 50_000)).toMatchObject({ tokens: [], sum: md5(Buffer.alloc(0)) });
    session?.close();
    expect(await append(2, 31, 0)).toMatchObject({ tokens: [], sum: md5(Buffer.alloc(0)) });
  });
});
