/** Readers and writers over memory. */

import { ByteReader } from '../../../src/wire/reader.ts';
import { FrameWriter } from '../../../src/wire/writer.ts';
import { FakeTransport } from './fake-transport.ts';

/** A reader of chunks that have all arrived, followed by the end of the stream. */
export function readerOf(...chunks: Buffer[]): ByteReader {
  return new ByteReader(new FakeTransport(chunks));
}

/** A reader that gets each chunk only by waiting for it: `tryRead` has nothing. */
export function waitingReaderOf(...chunks: Buffer[]): ByteReader {
  const queue = [...chunks];
  return new ByteReader({ tryRead: () => null, read: async () => queue.shift() ?? null });
}

/** Raw output of what `produce` does with a writer. */
export function written(produce: (writer: FrameWriter) => void): Buffer {
  const transport = new FakeTransport();
  const writer = new FrameWriter(transport, 1 << 20);
  produce(writer);
  writer.flush();
  return transport.sent;
}

/** A multiplexed writer and its transport. */
export function muxedWriter(maxQueuedBytes = 1 << 20): { writer: FrameWriter; transport: FakeTransport } {
  const transport = new FakeTransport();
  const writer = new FrameWriter(transport, maxQueuedBytes);
  writer.startMux();
  return { writer, transport };
}
