/** A peer that has sent certain bytes and then closed: the ByteSource of session tests, on the real ByteReader. */

import type { ByteSource, TextSink } from '../../src/session/line-source.ts';
import { ByteReader } from '../../src/wire/reader.ts';

/** @param chunkBytes how many bytes arrive at a time. */
export function byteScript(bytes: string | Buffer, chunkBytes = Number.POSITIVE_INFINITY): ByteReader & ByteSource {
  let rest = typeof bytes === 'string' ? Buffer.from(bytes, 'latin1') : bytes;
  const next = () => {
    const chunk = rest.subarray(0, Math.min(chunkBytes, rest.length));
    rest = rest.subarray(chunk.length);
    return chunk.length === 0 ? null : chunk;
  };
  return new ByteReader({ tryRead: () => null, read: async () => next() });
}

/** Collects what the session writes. */
export function textSink(): TextSink & { readonly text: string } {
  let text = '';
  return {
    get text() {
      return text;
    },
    writeText(bytes) {
      text += bytes.toString('latin1');
    },
    flush: async () => {},
  };
}
