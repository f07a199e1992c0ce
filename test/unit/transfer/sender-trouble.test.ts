/** Files that cannot be sent when they are asked for (3-transfer.md 2.5, 2.6). */

import { execFileSync } from 'node:child_process';
import { rmSync, symlinkSync, truncateSync } from 'node:fs';
import { join } from 'node:path';
import { afterEach, beforeAll, describe, expect, it } from 'vitest';
import { loadChecksums } from '../../../src/checksum/pool.ts';
import { Sender } from '../../../src/transfer/sender.ts';
import { cleanUp, list, makeTree } from '../flist/list-fixture.ts';
import { hex, splitFrames } from '../support/bytes.ts';
import { readerOf } from '../support/streams.ts';
import { openDescriptors } from '../vfs/view-fixture.ts';

beforeAll(loadChecksums);
afterEach(cleanUp);

const WHOLE = '00'.repeat(16);

/** Requests and phase ends for file `f`, index 1 of two entries. */
function client(protocol: number, head = WHOLE): Buffer {
  if (protocol < 29) return hex(`01000000 ${head} ${'ffffffff'.repeat(3)}`);
  if (protocol < 30) return hex(`01000000 00a0 ${head} ${'ffffffff'.repeat(4)}`);
  return hex(`02 00a0 ${head} ${'00'.repeat(protocol >= 31 ? 5 : 4)}`);
}

interface Outcome {
  /** Messages as `code:text`, integers in hex. */
  readonly messages: string[];
  /** Number of data frames that hold the content. */
  readonly sentContent: boolean;
}

/** Lists a module with one file, changes it, then asks for the file. */
async function ask(
  protocol: number,
  change: (file: string) => void,
  options: object = {},
  head?: string,
): Promise<Outcome> {
  const root = makeTree({ f: 'content' });
  const listed = await list(root, ['.'], { protocol, options });
  change(join(root, 'f'));
  const { fixture, lists } = listed;
  const context = await fixture.forTransfer(lists, { reader: readerOf(client(protocol, head)) });
  const before = openDescriptors();
  await new Sender(context).run();
  expect(openDescriptors()).toBeLessThanOrEqual(before + 1);
  context.sums.release();
  const frames = splitFrames(fixture.sent());
  const messages = frames
    .filter(({ code }) => code !== 0)
    .map(({ code, payload }) => `${code}:${code < 10 ? payload.toString('latin1') : payload.toString('hex')}`);
  return { messages, sentContent: frames.some(({ payload }) => payload.includes('content')) };
}

const vanish = (file: string) => rmSync(file);

function swapFor(make: (file: string) => void) {
  return (file: string) => {
    rmSync(file);
    make(file);
  };
}

describe('a file that vanished', () => {
  it.each([30, 31, 32])('at protocol %i is a warning, a refusal and the bit for it', async (protocol) => {
    const { messages, sentContent } = await ask(protocol, vanish);
    expect(messages).toEqual(['4:file has vanished: "/f" (in m)\n', '102:01000000', '22:02000000']);
    expect(sentContent).toBe(false);
  });

  it.each([
    [27, 1],
    [28, 2],
    [29, 2],
  ])('at protocol %i is a text alone', async (protocol, code) => {
    expect((await ask(protocol, vanish)).messages).toEqual([`${code}:file has vanished: "/f" (in m)\n`]);
  });
});

describe('a file swapped for something else', () => {
  it.each([
    [
      'a link to the outside',
      (file: string) => symlinkSync('/etc/passwd', file),
      'Too many levels of symbolic links (40)',
    ],
    ['a fifo', (file: string) => execFileSync('mkfifo', [file]), 'Invalid argument (22)'],
  ])('by %s is refused, never opened through or waited for', async (_, make, reason) => {
    const { messages } = await ask(31, swapFor(make));
    expect(messages).toEqual([
      `1:rsync: [sender] send_files failed to open "/f" (in m): ${reason}\n`,
      '102:01000000',
      '22:01000000',
    ]);
  });
});

describe('append mode', () => {
  const head = '01000000 07000000 02000000 00000000';

  it('skips a file that became shorter than what the client has', async () => {
    const { messages, sentContent } = await ask(31, (file) => truncateSync(file, 3), { appendMode: 1 }, head);
    expect(messages).toEqual(['4:skipped diminished file: "/f" (in m)\n', '102:01000000']);
    expect(sentContent).toBe(false);
  });
});

describe('a dry run', () => {
  it('opens nothing', async () => {
    const root = makeTree({ f: 'content' });
    const { fixture, lists } = await list(root, ['.'], { options: { dryRun: true } });
    rmSync(join(root, 'f'));
    const context = await fixture.forTransfer(lists, { reader: readerOf(hex('02 00a0 00 00 00 00 00')) });
    await new Sender(context).run();
    context.sums.release();
    expect(splitFrames(fixture.sent()).every(({ code }) => code === 0)).toBe(true);
  });
});
