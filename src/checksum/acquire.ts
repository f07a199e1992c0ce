/** Hands out the sums of a session (3-transfer.md 3.4, 3.5, 6.1); session/ acquires them, flist/ and transfer/ use them. */

import type { IHasher } from 'hash-wasm';
import { Bug } from '../errors.ts';
import { kernel } from './kernel.ts';
import { PlainBlockDigest, PlainContentSum, type PlainHash } from './md5.ts';
import { createNoSum } from './none.ts';
import { borrow, createSeeded, giveBack, isLoaded } from './pool.ts';
import type { BlockDigest, ChecksumName, ContentSum, SumVariant, TransferSums } from './sums.ts';
import { Xxh3BlockSum, Xxh3ContentSum, type Xxh3Name, Xxh3State } from './xxh3.ts';
import { finishInto, WASM_DIGEST_LENGTH, WasmContentSum } from './xxhash.ts';

const NOTHING = new Uint8Array(0);

/** `release` gives pooled instances back. */
interface BlockSummer extends BlockDigest {
  readonly release: () => void;
}

/** The algorithm behind a variant. */
function baseName(variant: SumVariant): ChecksumName {
  if (variant === 'md4-old') return 'md4';
  return variant === 'md5-legacy' ? 'md5' : variant;
}

async function contentSum(name: ChecksumName, prefix: Uint8Array): Promise<ContentSum> {
  switch (name) {
    case 'none':
      return createNoSum();
    case 'md5':
    case 'sha1':
      return new PlainContentSum(name, prefix);
    case 'md4':
      if (!isLoaded('md4')) return new PlainContentSum('md4', prefix);
      break;
    default:
      if (!isLoaded(name)) throw new Bug(`checksum ${name} used but not loaded`);
  }
  const hasher = await borrow(name);
  return (isXxh3(name) ? xxh3Sum(name, hasher) : null) ?? new WasmContentSum(name, hasher, prefix);
}

function isXxh3(name: ChecksumName): name is Xxh3Name {
  return name === 'xxh3' || name === 'xxh128';
}

/** Null where the kernel is missing, or has no memory left. */
function xxh3Sum(name: Xxh3Name, short: IHasher): Xxh3ContentSum | null {
  const code = kernel();
  const state = code === null ? null : Xxh3State.make(code, 0n);
  return code === null || state === null ? null : new Xxh3ContentSum(name, code, state, short);
}

/**
 * The sum for `-c` file lists: content only, no seed (2-file-list.md 2.7).
 * @throws Bug for `none` and for xxHash names while WebAssembly is not loaded; both are refused earlier.
 */
export async function acquireListSum(name: ChecksumName): Promise<ContentSum> {
  if (name === 'none') throw new Bug('checksum none cannot describe list entries');
  return contentSum(name, NOTHING);
}

/**
 * Both sums of a transfer. `seed` is the signed 32-bit session seed, used verbatim.
 * @throws Bug for xxHash variants while WebAssembly is not loaded.
 */
export async function acquireTransferSums(variant: SumVariant, seed: number): Promise<TransferSums> {
  const seed4 = Buffer.alloc(4);
  seed4.writeInt32LE(seed);
  // Old MD4 hashes the seed before the file even when it is 0; no other whole-file sum is seeded (3-transfer.md 6.1).
  const file = await contentSum(baseName(variant), variant === 'md4-old' ? seed4 : NOTHING);
  let blocks: Promise<BlockSummer> | null = null;
  return {
    variant,
    digestLength: file.digestLength,
    file,
    blocks() {
      blocks ??= createBlockSummer(variant, seed, seed === 0 ? NOTHING : seed4);
      return blocks;
    },
    release() {
      file.release();
      // Whoever asked for them has their error.
      blocks?.then(
        (made) => made.release(),
        () => {},
      );
    },
  };
}

async function createBlockSummer(variant: SumVariant, seed: number, seed4: Uint8Array): Promise<BlockSummer> {
  switch (variant) {
    case 'xxh64':
    case 'xxh3':
    case 'xxh128':
      return createXxhSummer(variant, seed);
    case 'md5':
    case 'sha1':
      return createPlainSummer(variant, seed4, NOTHING);
    case 'md5-legacy':
      return createPlainSummer('md5', NOTHING, seed4);
    case 'md4':
    case 'md4-old':
      return isLoaded('md4') ? createMd4Summer(variant, seed4) : createMd4Fallback(variant, seed4);
    case 'none':
      return { variants: 1, sum: () => Buffer.alloc(1), release() {} };
  }
}

async function createXxhSummer(name: 'xxh64' | 'xxh3' | 'xxh128', seed: number): Promise<BlockSummer> {
  const hasher = await createSeeded(name, seed);
  const code = isXxh3(name) ? kernel() : null;
  const state = code === null ? null : Xxh3State.make(code, BigInt(seed));
  if (isXxh3(name) && code !== null && state !== null) {
    const blocks = new Xxh3BlockSum(name, code, state, hasher);
    return { variants: 1, sum: (block) => blocks.sum(block), release: () => blocks.release() };
  }
  const out = Buffer.alloc(WASM_DIGEST_LENGTH[name]);
  const sum: BlockDigest['sum'] = (block) => {
    hasher.init();
    hasher.update(block);
    return finishInto(out, name, hasher);
  };
  return { variants: 1, sum, release() {} };
}

function createPlainSummer(name: PlainHash, head: Uint8Array, tail: Uint8Array): BlockSummer {
  const digest = new PlainBlockDigest(name);
  const sum: BlockDigest['sum'] = (block) => asBuffer(digest.digest(head, block, tail));
  return { variants: 1, sum, release() {} };
}

/** Explicit md4 puts the seed last or first depending on the client's crypto library (3-transfer.md 3.5). */
function md4Variants(variant: SumVariant, seed4: Uint8Array): number {
  return variant === 'md4' && seed4.length > 0 ? 2 : 1;
}

async function createMd4Summer(variant: SumVariant, seed4: Uint8Array): Promise<BlockSummer> {
  const hasher = await borrow('md4');
  const out = Buffer.alloc(16);
  const sum: BlockDigest['sum'] = (block, blockVariant) => {
    hasher.init();
    if (blockVariant === 1) hasher.update(seed4);
    hasher.update(block);
    if (blockVariant === 0) hasher.update(seed4);
    return finishInto(out, 'md4', hasher);
  };
  return { variants: md4Variants(variant, seed4), sum, release: () => giveBack('md4', hasher) };
}

function createMd4Fallback(variant: SumVariant, seed4: Uint8Array): BlockSummer {
  const digest = new PlainBlockDigest('md4');
  const sum: BlockDigest['sum'] = (block, blockVariant) => {
    const first = blockVariant === 1;
    return asBuffer(digest.digest(first ? seed4 : NOTHING, block, first ? NOTHING : seed4));
  };
  return { variants: md4Variants(variant, seed4), sum, release() {} };
}

function asBuffer(bytes: Uint8Array): Buffer {
  return Buffer.isBuffer(bytes) ? bytes : Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength);
}
