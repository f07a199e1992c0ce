/** Which files the transfer log names. */
import { describe, expect, it } from 'vitest';
import { limitHits } from '../../../src/limit-hits.ts';
import type { Logger } from '../../../src/observe/log.ts';
import { TransferLog } from '../../../src/observe/transfer-log.ts';

const SESSION = { peer: '192.0.2.1', port: 1, module: 'pub' };

function recorder(isEnabled = true) {
  const lines: [Record<string, unknown>, string][] = [];
  const write = (fields: Record<string, unknown>, message: string) => void lines.push([fields, message]);
  const logger = { info: write, warn: write, isLevelEnabled: () => isEnabled } as unknown as Logger;
  return { lines, logger };
}

const file = (name: string) => ({ sizeBytes: 5, wireBytes: 9, path: () => Buffer.from(name) });

describe('the transfer log', () => {
  it('names a file with its size and what it cost', () => {
    const { lines, logger } = recorder();
    new TransferLog({ logFilesPerSecond: 10 }).fileSent(logger, SESSION, 1, file('dir/a\n'));
    expect(lines).toEqual([[{ ...SESSION, file: 'dir/a\\n', size: 5, sent: 9 }, 'file sent']]);
  });

  it.each([
    [1, 100],
    [0.5, 50],
    [0.1, 10],
    [0.01, 1],
    [0, 0],
  ])('names a share of %d of the files', (share, expected) => {
    const { lines, logger } = recorder();
    const log = new TransferLog({ logFilesPerSecond: 1000 });
    for (let i = 0; i < 100; i++) log.fileSent(logger, SESSION, share, file(`f${i}`));
    expect(lines).toHaveLength(expected);
  });

  it('samples each module by itself', () => {
    const { lines, logger } = recorder();
    const log = new TransferLog({ logFilesPerSecond: 1000 });
    for (let i = 0; i < 10; i++)
      for (const module of ['a', 'b']) log.fileSent(logger, { ...SESSION, module }, 0.5, file('f'));
    expect(lines.filter(([{ module }]) => module === 'a')).toHaveLength(5);
  });

  it('names no more files in a second than it may, counts the others and says how many there were', () => {
    const { lines, logger } = recorder();
    const hits = () => limitHits.snapshot().get('logFilesPerSecond')!;
    const before = hits();
    let now = 0;
    const log = new TransferLog({ logFilesPerSecond: 3 }, () => now);
    for (let i = 0; i < 8; i++) log.fileSent(logger, SESSION, 1, file('f'));
    expect([lines.length, hits() - before]).toEqual([3, 5]);
    now = 1000;
    log.fileSent(logger, SESSION, 1, file('f'));
    expect(lines.slice(3).map(([fields, message]) => [fields.files, message])).toEqual([
      [5, 'files not logged: more than logFilesPerSecond were sent'],
      [undefined, 'file sent'],
    ]);
  });

  it('does not even look for a path below its level', () => {
    const { lines, logger } = recorder(false);
    const never = { ...file(''), path: () => expect.fail('asked for') };
    new TransferLog({ logFilesPerSecond: 10 }).fileSent(logger, SESSION, 1, never);
    expect(lines).toEqual([]);
  });
});
