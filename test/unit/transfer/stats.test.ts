import { describe, expect, it } from 'vitest';
import { PeerGone, ProtocolError } from '../../../src/errors.ts';
import { echoDeletionCounts, putStatistics } from '../../../src/transfer/stats.ts';
import { NdxEncoder } from '../../../src/wire/ndx.ts';
import { ByteReader } from '../../../src/wire/reader.ts';
import { FrameWriter } from '../../../src/wire/writer.ts';
import { everyCut, hex } from '../support/bytes.ts';
import { FakeTransport } from '../support/fake-transport.ts';
import { readerOf, written } from '../support/streams.ts';

const RUN = { bytesRead: 0x42, bytesWritten: 0x313a, totalSizeBytes: 0x3087, listBuildMs: 1 };

const statistics = (protocol: number, run = RUN) => written((writer) => putStatistics(writer, protocol, run));

describe('the statistics', () => {
  it('are as captured at protocols 28, 29 and 32', () => {
    expect(statistics(28, { ...RUN, bytesRead: 0x34, bytesWritten: 0x3128 })).toEqual(
      hex('34000000 28310000 87300000'),
    );
    expect(statistics(29)).toEqual(hex('42000000 3a310000 87300000 01000000 00000000'));
    const captured = { ...RUN, bytesRead: 0x41, bytesWritten: 0x3134 };
    expect(statistics(32, captured)).toEqual(hex('00 41 00 | 00 34 31 | 00 87 30 | 00 01 00 | 00 00 00'));
  });

  it('never say that the list took no time', () => {
    expect(statistics(30, { ...RUN, listBuildMs: 0 })).toEqual(statistics(30));
  });

  it('hold totals beyond 2^32', () => {
    const run = { ...RUN, totalSizeBytes: 2 ** 45 };
    expect(statistics(27, run).subarray(8)).toEqual(hex('ffffffff 0000000000200000'));
    expect(statistics(31, run).subarray(6, -6)).toEqual(hex('f0 | 00 00 00 00 00 20'));
  });
});

/** Echoes one message; the sender's encoder may have written other negative indexes before. */
async function echo(chunks: Buffer[], encoder = new NdxEncoder(31)): Promise<Buffer> {
  const transport = new FakeTransport();
  const writer = new FrameWriter(transport, 1000);
  await echoDeletionCounts(readerOf(...chunks), writer, encoder);
  writer.flush();
  return transport.sent;
}

describe('deletion counts', () => {
  const counts = hex('01 | 8080 | 00 | e0ffffff | f000000010');

  it('come back at every cut', async () => {
    for (const cut of everyCut(counts)) expect(await echo(cut)).toEqual(Buffer.concat([hex('ff02'), counts]));
  });

  it('come back under our own index state', async () => {
    const encoder = new NdxEncoder(31);
    encoder.encode(Buffer.alloc(6), 0, -2);
    expect((await echo([counts], encoder)).subarray(0, 2)).toEqual(hex('ff01'));
  });

  it('may be as large as 2^28 and no larger', async () => {
    expect((await echo([hex('f000000010 00 00 00 00')])).length).toBe(11);
    for (const bad of ['f001000010', 'f0ffffffff', 'f000000080', 'f0ffffff7f']) {
      for (let place = 0; place < 5; place++) {
        const bytes = hex('00'.repeat(place) + bad + '00'.repeat(4 - place));
        await expect(echo([bytes])).rejects.toThrow(ProtocolError);
      }
    }
  });

  it('are not repeated when they are cut short or out of range', async () => {
    for (const chunks of [[hex('01 02')], [hex('01 f8')]]) {
      const transport = new FakeTransport();
      const writer = new FrameWriter(transport, 1000);
      const reader = new ByteReader(new FakeTransport(chunks));
      const failure = await echoDeletionCounts(reader, writer, new NdxEncoder(31)).catch((error: unknown) => error);
      expect(failure instanceof PeerGone || failure instanceof ProtocolError).toBe(true);
      writer.flush();
      expect(transport.sent.length).toBe(0);
    }
  });
});
