/** Test oracle: decodes compressed token streams as a receiver does, with node's own decoders (3-transfer.md 5.2…5.6). */

import { constants, inflateRawSync, zstdDecompressSync } from 'node:zlib';

export type DecodedOp = ['lit', Buffer] | ['match', number] | ['data', number];

const SYNC_MARK = Buffer.from([0, 0, 0xff, 0xff]);

/** Splits a stream into records and tokens; `data` operations carry the index of their record. */
export function parseTokens(bytes: Buffer): { ops: DecodedOp[]; records: Buffer[]; used: number } {
  const ops: DecodedOp[] = [];
  const records: Buffer[] = [];
  let at = 0;
  let last = 0;
  const run = (start: number, hasMore: boolean): void => {
    const more = hasMore ? bytes.readUInt16LE(at) : 0;
    if (hasMore) at += 2;
    if (hasMore && more === 0) throw new Error('run of one block');
    for (let i = start; i <= start + more; i++) ops.push(['match', i]);
    last = start + more;
  };
  for (;;) {
    const flag = bytes[at++]!;
    if (flag === 0) return { ops, records, used: at };
    if ((flag & 0xc0) === 0x40) {
      const length = ((flag & 0x3f) << 8) | bytes[at++]!;
      if (length === 0) throw new Error('empty record');
      ops.push(['data', records.length]);
      records.push(bytes.subarray(at, at + length));
      at += length;
    } else if (flag >= 0x80) run(last + (flag & 0x3f), flag >= 0xc0);
    else if (flag === 0x20 || flag === 0x21) {
      at += 4;
      run(bytes.readInt32LE(at - 4), flag === 0x21);
    } else throw new Error(`unknown flag ${flag}`);
  }
}

/** Operations with the records of each literal run decoded by `decode(payload, matched blocks since the run before)`. */
function decodeRuns(bytes: Buffer, decode: (payload: Buffer, matched: number[]) => Buffer): DecodedOp[] {
  const { ops, records, used } = parseTokens(bytes);
  if (used !== bytes.length) throw new Error('bytes after the end mark');
  const result: DecodedOp[] = [];
  let run: Buffer[] = [];
  let matched: number[] = [];
  const endRun = (): void => {
    if (run.length === 0) return;
    result.push(['lit', decode(Buffer.concat(run), matched)]);
    run = [];
    matched = [];
  };
  for (const op of ops) {
    if (op[0] === 'data') run.push(records[op[1]]!);
    else {
      endRun();
      result.push(op);
      matched.push(op[1] as number);
    }
  }
  endRun();
  return result;
}

/** zlib and zlibx; `block(i)` gives what a copied block puts into the history, nothing for zlibx. */
export function decodeDeflate(bytes: Buffer, block: (index: number) => Buffer): DecodedOp[] {
  let history = Buffer.alloc(0);
  return decodeRuns(bytes, (payload, matched) => {
    history = Buffer.concat([history, ...matched.map(block)]);
    const options = history.length > 0 ? { dictionary: history.subarray(-32_768) } : {};
    const finishFlush = constants.Z_SYNC_FLUSH;
    const data = inflateRawSync(Buffer.concat([payload, SYNC_MARK]), { ...options, finishFlush });
    history = Buffer.concat([history, data]);
    return data;
  });
}

/** zstd; `before` are the payloads of earlier files of the session, which share the frame. Returns the new payloads. */
export function decodeZstd(bytes: Buffer, before: Buffer): { ops: DecodedOp[]; payloads: Buffer } {
  let payloads = before;
  const options = { finishFlush: constants.ZSTD_e_flush };
  const decoded = (frame: Buffer): Buffer => (frame.length > 0 ? zstdDecompressSync(frame, options) : Buffer.alloc(0));
  const ops = decodeRuns(bytes, (payload) => {
    const known = decoded(payloads).length;
    payloads = Buffer.concat([payloads, payload]);
    return decoded(payloads).subarray(known);
  });
  return { ops, payloads };
}

/** lz4, record by record. */
export function decodeLz4(bytes: Buffer): DecodedOp[] {
  const { ops, records } = parseTokens(bytes);
  return ops.map((op) => (op[0] === 'data' ? ['lit', decodeLz4Block(records[op[1]]!)] : op));
}

/** One LZ4 block. */
export function decodeLz4Block(block: Buffer): Buffer {
  const out: number[] = [];
  let at = 0;
  const extended = (nibble: number): number => {
    let length = nibble;
    if (nibble === 15) {
      let byte: number;
      do {
        byte = block[at++]!;
        length += byte;
      } while (byte === 255);
    }
    return length;
  };
  while (at < block.length) {
    const token = block[at++]!;
    const literals = extended(token >> 4);
    for (let i = 0; i < literals; i++) out.push(block[at++]!);
    if (at >= block.length) break;
    const distance = block.readUInt16LE(at);
    at += 2;
    const length = extended(token & 15) + 4;
    for (let i = 0; i < length; i++) out.push(out[out.length - distance]!);
  }
  return Buffer.from(out);
}
