/** Bytes for tests: the spec's notation, ways to cut a stream, frames. */

/** Parses the notation of the protocol notes: hex digits, "text" in quotes, `|` and white space for the eye. */
export function hex(notation: string): Buffer {
  const parts: Buffer[] = [];
  for (const [i, part] of notation.split('"').entries()) {
    if (i % 2 === 1) parts.push(Buffer.from(part, 'latin1'));
    else {
      const digits = part.replace(/[\s|]/g, '');
      const bytes = Buffer.from(digits, 'hex');
      if (bytes.length * 2 !== digits.length) throw new Error(`no hex: ${part}`);
      parts.push(bytes);
    }
  }
  return Buffer.concat(parts);
}

/** One byte a chunk. */
export function singleBytes(bytes: Buffer): Buffer[] {
  return Array.from(bytes, (byte) => Buffer.from([byte]));
}

/** The ways in which a stream may arrive: whole, byte by byte, and cut once at every offset. */
export function everyCut(bytes: Buffer): Buffer[][] {
  const cuts = [[Buffer.from(bytes)], singleBytes(bytes)];
  for (let at = 1; at < bytes.length; at++) {
    cuts.push([Buffer.from(bytes.subarray(0, at)), Buffer.from(bytes.subarray(at))]);
  }
  return cuts;
}

/** A frame of the multiplexed stream with the given header length, which may lie. */
export function frame(code: number, payload: Uint8Array = Buffer.alloc(0), length = payload.length): Buffer {
  const header = Buffer.alloc(4);
  header.writeUInt32LE(((7 + code) * 2 ** 24 + length) >>> 0);
  return Buffer.concat([header, payload]);
}

/** Frames of a multiplexed stream, in order. */
export function splitFrames(bytes: Buffer): { code: number; payload: Buffer }[] {
  const frames: { code: number; payload: Buffer }[] = [];
  let at = 0;
  while (at < bytes.length) {
    const header = bytes.readUInt32LE(at);
    const end = at + 4 + (header & 0xffffff);
    if (end > bytes.length) throw new Error('frame is cut');
    frames.push({ code: (header >>> 24) - 7, payload: bytes.subarray(at + 4, end) });
    at = end;
  }
  return frames;
}

/** What the data frames of a multiplexed stream carry. */
export function dataOf(bytes: Buffer): Buffer {
  return Buffer.concat(
    splitFrames(bytes)
      .filter(({ code }) => code === 0)
      .map(({ payload }) => payload),
  );
}

/** The texts and other messages of a multiplexed stream, as `code:latin1`. */
export function messagesOf(bytes: Buffer): string[] {
  return splitFrames(bytes)
    .filter(({ code }) => code !== 0)
    .map(({ code, payload }) => `${code}:${payload.toString('latin1')}`);
}
