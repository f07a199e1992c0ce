/** Every message code and many lengths from the client, in the filter list and in the transfer phase; floods of frames. */

import { afterAll, afterEach, beforeAll, describe, expect, it } from 'vitest';
import { peakRssKiB } from '../helpers/process-stats.ts';
import { hasRoot } from '../setup/clients.ts';
import { openStage, type Stage } from './support/stage.ts';
import { allDone, data, enter, frame, int32, NO_MORE_FILTERS, pullArguments } from './support/wire.ts';

const DATA = 0;
const IO_ERROR = 22;
const NOOP = 42;
const ERROR_EXIT = 86;
const NO_SEND = 102;

/** Header bytes are 7 + code: all 256 of them. */
const CODES = Array.from({ length: 256 }, (_, byte) => byte - 7);

/** At once; below half of `limits.handshakes`, from where on connections are dropped at random. */
const PARALLEL = 16;

interface Expected {
  readonly outcome: string;
  readonly exit: number | null;
}

/** What must come of one frame in the place where an index is expected, and then of the end of the stream. */
function expectedOf(code: number, length: number): Expected {
  const accepted = { outcome: 'peer-gone', exit: null };
  if (code === DATA) return accepted;
  if (length > 5119) return { outcome: 'protocol', exit: 12 };
  if (code === NOOP && length === 0) return accepted;
  if (code === ERROR_EXIT && (length === 0 || length === 4)) return { outcome: 'client-exit', exit: Number.NaN };
  return { outcome: 'protocol', exit: 12 };
}

describe.skipIf(!hasRoot())('of frames, the daemon', { timeout: 30_000 }, () => {
  let stage: Stage;

  beforeAll(async () => {
    // Hundreds of sessions in a second: their lines must all be there.
    stage = await openStage({ globals: { 'limits.logLinesPerSecond': 100_000, 'limits.messagesPerSecond': 1000 } });
  });
  afterAll(() => stage.close());
  afterEach(() => stage.expectHonestPull());

  const start = (protocol = 31): Buffer =>
    Buffer.concat([enter('pub', protocol), pullArguments([], protocol), data(protocol, NO_MORE_FILTERS)]);

  async function outcomeOf(code: number, length: number, protocol: number): Promise<Expected> {
    const payload = Buffer.alloc(Math.min(length, 5120), 1);
    const send = Buffer.concat([start(protocol), frame(code, payload, length)]);
    const { line, answer, ending } = await stage.play({ protocol, send, ends: code === DATA || code === NOOP });
    expect(ending).toBe('end');
    return { outcome: String(line.outcome), exit: answer.exit };
  }

  it.each([0, 1, 4, 5119, 5120, 2 ** 24 - 1])('judges each of the 256 codes with a length of %i', async (length) => {
    const wrong: string[] = [];
    for (let first = 0; first < CODES.length; first += PARALLEL) {
      const codes = CODES.slice(first, first + PARALLEL);
      // Data that is there is taken for requests, whose own tests are elsewhere.
      const asked = codes.filter((code) => !(code === DATA && length > 0));
      const outcomes = await Promise.all(asked.map((code) => outcomeOf(code, length, 31)));
      outcomes.forEach((outcome, index) => {
        const expected = expectedOf(asked[index]!, length);
        if (outcome.outcome === expected.outcome && Object.is(outcome.exit, expected.exit)) return;
        wrong.push(`code ${asked[index]}: ${JSON.stringify(outcome)} instead of ${JSON.stringify(expected)}`);
      });
    }
    expect(wrong).toEqual([]);
  });

  it('tells clients of protocol 30 what was wrong without a code', async () => {
    const send = Buffer.concat([start(30), frame(101, Buffer.from('x'))]);
    const { answer } = await stage.play({ protocol: 30, send });
    expect(answer).toMatchObject({
      messages: 'rsync: [sender] protocol error: unexpected message code 101\n',
      exit: null,
    });
  });

  it('acknowledges the exit of a client, with its code in the log', async () => {
    const { line, answer } = await stage.play({ send: Buffer.concat([start(), frame(ERROR_EXIT, int32(20))]) });
    expect(line).toMatchObject({ outcome: 'client-exit', exit: 20 });
    expect(answer).toMatchObject({ messages: '', exit: Number.NaN });
  });

  it('refuses such frames within the filter list as well', async () => {
    for (const bad of [frame(IO_ERROR, int32(-1)), frame(NO_SEND, int32(1)), frame(1, Buffer.from('text'))]) {
      const send = Buffer.concat([enter('pub'), pullArguments(), bad]);
      const verdict = { outcome: 'protocol', tells: /unexpected message code \d+\n$/, exit: 12 };
      await stage.expectVerdict({ send }, verdict);
    }
  });

  it('ends with a client that stops inside a header or a payload', async () => {
    for (const cut of [
      frame(DATA, Buffer.alloc(4)).subarray(0, 3),
      frame(DATA, Buffer.alloc(1), 5),
      frame(NOOP, Buffer.alloc(0), 9),
    ]) {
      const { line } = await stage.play({ send: Buffer.concat([start(), cut]), ends: true });
      expect(line).toMatchObject({ outcome: 'peer-gone' });
    }
  });

  it('takes keep-alives between any two bytes', async () => {
    const dialogue = [NO_MORE_FILTERS, allDone(31)].flatMap((bytes) =>
      Array.from(bytes, (byte) => Buffer.from([byte])),
    );
    const frames = dialogue.flatMap((byte) => [frame(DATA), frame(DATA, byte), frame(NOOP)]);
    const { line } = await stage.play({ send: Buffer.concat([enter('pub'), pullArguments(), ...frames]) });
    expect(line).toMatchObject({ outcome: 'ok' });
  });

  it('does not grow by any of it', () => {
    const grown = peakRssKiB(stage.server.pid) / 1024;
    // A daemon that has served a few clients has 90 to 110 MiB; 1500 sessions with a leak of 64 KiB each would add 96.
    expect(grown).toBeLessThan(180);
  });

  it('writes one line about each of the sessions above, and no other', () => stage.expectOneLinePerSession());
});
