/** Recorded clients against our sender: the same requests in, the same answers out. */

import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { loadChecksums } from '../../../src/checksum/pool.ts';
import { FileLists } from '../../../src/flist/lists.ts';
import { parseSourceArgument } from '../../../src/flist/source-argument.ts';
import { DEFAULT_LIMITS } from '../../../src/limits.ts';
import { readRequest } from '../../../src/transfer/request.ts';
import { Sender } from '../../../src/transfer/sender.ts';
import { parseSumHead, SUM_HEAD_BYTES } from '../../../src/transfer/sum-head.ts';
import { DemuxSource } from '../../../src/wire/demux.ts';
import { NdxDecoder } from '../../../src/wire/ndx.ts';
import { ByteReader } from '../../../src/wire/reader.ts';
import { removeTree, scratchDir } from '../../helpers/scratch.ts';
import { dataOf, messagesOf, singleBytes } from '../support/bytes.ts';
import { FakeTransport } from '../support/fake-transport.ts';
import { StreamDecoder } from '../support/list-decoder.ts';
import { makeSession } from '../support/session-context.ts';
import {
  makeRecordedTree,
  type RecordedSession,
  RecordedView,
  type ServerEvent,
  sessions,
} from './recorded-sessions.ts';

const root = scratchDir('replay');

beforeAll(async () => {
  await loadChecksums();
  makeRecordedTree(root);
});

afterAll(() => removeTree(root));

const plain = sessions.filter(({ compress }) => compress === 'none');

/** Data of a recorded client, arriving in the given chunks. */
function clientReader(protocol: number, chunks: Buffer[]): ByteReader {
  const raw = new ByteReader(new FakeTransport(chunks));
  return protocol >= 30 ? new ByteReader(new DemuxSource(raw, DEFAULT_LIMITS)) : raw;
}

async function skipFilters(reader: ByteReader): Promise<void> {
  for (let length = await reader.readInt32('rule'); length !== 0; length = await reader.readInt32('rule')) {
    await reader.readBytes(length, 'rule');
  }
}

async function openSession(recorded: RecordedSession) {
  return makeSession({
    root,
    protocol: recorded.protocol,
    incRecurse: recorded.incremental,
    compatFlags: recorded.compat_flags,
    options: { dryRun: recorded.dryRun },
    makeView: (root, limits) => new RecordedView(root, limits),
  });
}

const SOURCE = [parseSourceArgument(Buffer.from('sess/'), false)];

/** Runs our side of a recorded session and returns the data that we sent. */
async function replay(recorded: RecordedSession, chunks: Buffer[]): Promise<Buffer> {
  const session = await openSession(recorded);
  try {
    const reader = clientReader(recorded.protocol, chunks);
    await skipFilters(reader);
    const lists = new FileLists(session.context);
    await lists.sendFirst(SOURCE, false);
    const { checksum: variant, seed } = recorded;
    const context = await session.forTransfer(lists, { reader, variant, seed });
    await new Sender(context).run();
    context.sums.release();
    expect(await reader.more()).toBe(false);
    expect(messagesOf(session.sent())).toEqual([]);
    return dataOf(session.sent());
  } finally {
    session.close();
  }
}

/** Splits a server's data at its statistics, whose values depend on frames and clocks. */
function splitStatistics(data: Buffer, { protocol, compat_flags, server_events }: RecordedSession) {
  const at = server_events.find(({ stats }) => stats !== undefined)!.at;
  const decoder = new StreamDecoder(data.subarray(at), { protocol, compatFlags: compat_flags });
  const count = protocol >= 29 ? 5 : 3;
  const stats = Array.from({ length: count }, () => (protocol >= 30 ? decoder.varlong(3) : decoder.longint()));
  return { before: data.subarray(0, at), stats, after: data.subarray(at + decoder.at) };
}

describe('our sender', () => {
  it.each(plain)('answers session $id as C rsync did, however its bytes arrive', async (recorded) => {
    const expected = splitStatistics(recorded.serverData, recorded);
    for (const chunks of [[recorded.clientBytes], singleBytes(recorded.clientBytes)]) {
      const actual = splitStatistics(await replay(recorded, chunks), recorded);
      expect(actual.before.toString('hex')).toBe(expected.before.toString('hex'));
      expect(actual.after.toString('hex')).toBe(expected.after.toString('hex'));
      expect([actual.stats.length, actual.stats[2]]).toEqual([expected.stats.length, expected.stats[2]]);
    }
  });

  it.each(sessions)('sends the file list of session $id as C rsync did', async (recorded) => {
    const session = await openSession(recorded);
    const lists = new FileLists(session.context);
    await lists.sendFirst(SOURCE, false);
    while (!lists.isComplete) await lists.sendSubList();
    const firstAnswer = recorded.server_events.find(({ item, done }) => item !== undefined || done)!.at;
    const expected = recorded.serverData.subarray(0, firstAnswer);
    expect(dataOf(session.sent()).toString('hex')).toBe(expected.toString('hex'));
    session.close();
  });
});

describe('our readers', () => {
  it.each(sessions)('understand what the client of session $id says', async (recorded) => {
    const { protocol, client_events, dryRun } = recorded;
    for (const chunks of [[recorded.clientBytes], singleBytes(recorded.clientBytes)]) {
      const reader = clientReader(protocol, chunks);
      const decoder = new NdxDecoder(protocol);
      await skipFilters(reader);
      for (const event of client_events) {
        expect(reader.bytesRead - reader.available).toBe(event.at);
        const ndx = await decoder.read(reader);
        if (event.done) expect(ndx).toBe(-1);
        else if (event.del_stats) {
          expect(ndx).toBe(-3);
          for (const count of event.del_stats) expect(await reader.readVarint('count')).toBe(count);
        } else {
          expect(ndx).toBe(event.item);
          const { iflags } = await readRequest(reader, ndx, protocol, DEFAULT_LIMITS);
          expect(iflags).toBe(Number(event.iflags));
          if ((iflags & 0x8000) === 0 || dryRun) continue;
          const bytes = await reader.readBytes(SUM_HEAD_BYTES, 'sum head');
          const head = parseSumHead(bytes, { protocol, digestLength: 16, limits: DEFAULT_LIMITS });
          expect([head.count, head.blockLength, head.strongLength, head.remainder]).toEqual(event.sum_head);
          await reader.readBytes(head.count * (4 + head.strongLength), 'sums');
        }
      }
      expect(await reader.more()).toBe(false);
    }
  });
});

describe('the independent decoder', () => {
  /** Reads one recorded answer and compares it with what the recording says about it. */
  function checkAnswer(decoder: StreamDecoder, event: ServerEvent, recorded: RecordedSession): void {
    expect(decoder.at).toBe(event.at);
    if (event.stats) {
      const values = event.stats.map(() => (recorded.protocol >= 30 ? decoder.varlong(3) : decoder.longint()));
      expect(values).toEqual(event.stats);
      return;
    }
    const ndx = decoder.ndx();
    if (event.done) expect(ndx).toBe(-1);
    else if (event.kind === 'FLIST_EOF') expect(ndx).toBe(-2);
    else if (event.del_stats)
      expect([ndx, ...event.del_stats.map(() => decoder.varint())]).toEqual([-3, ...event.del_stats]);
    else if (event.sub_list_for_dir !== undefined) expect(ndx).toBe(-101 - event.sub_list_for_dir);
    else checkItem(decoder, ndx, event, recorded);
  }

  function checkItem(decoder: StreamDecoder, ndx: number, event: ServerEvent, recorded: RecordedSession): void {
    expect(ndx).toBe(event.item);
    if (recorded.protocol >= 29) expect(decoder.u16()).toBe(Number(event.iflags));
    if (!event.ops) return;
    expect([decoder.int(), decoder.int(), decoder.int(), decoder.int()]).toEqual(event.sum_head);
    const ops = event.ops.filter(([kind]) => kind !== 'end').map(([, value]) => value);
    expect(decoder.tokens().map((token) => (typeof token === 'number' ? token : token.toString('hex')))).toEqual(ops);
    expect(decoder.bytes(16).toString('hex')).toBe(event.file_sum);
  }

  it.each(plain)('reads session $id to its end', (recorded) => {
    const { protocol, compat_flags, incremental } = recorded;
    const decoder = new StreamDecoder(recorded.serverData, { protocol, compatFlags: compat_flags });
    const names = [decoder.list(incremental ? 1 : 0).entries.map(({ name }) => name)];
    if (!incremental && protocol < 30) expect(decoder.int()).toBe(0);
    for (const event of recorded.server_events) {
      checkAnswer(decoder, event, recorded);
      if (event.sub_list_for_dir !== undefined) names.push(decoder.list(6).entries.map(({ name }) => name));
    }
    expect(decoder.isAtEnd).toBe(true);
    expect(names.flat()).toEqual(['.', 'changed', 'empty', 'sub', 'sub/new']);
  });
});
