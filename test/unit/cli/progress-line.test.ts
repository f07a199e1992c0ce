import { describe, expect, it } from 'vitest';
import { type Progress, progressText } from '../../../src/cli/progress-line.ts';

const BEGINNING: Progress = { files: 0, bytesSent: 0, bytesPerSecond: 0, seconds: 0, etaSec: null, progress: null };
const LISTED = {
  entries: 9,
  listedBytes: 4_000_000,
  passedBytes: 1_000_000,
  isListComplete: false,
  listMs: 1,
  file: null,
};

describe('progressText', () => {
  it.each([
    ['waiting for a client, 1:05', null],
    ['0 files, 0 B sent, 0 B/s', BEGINNING],
    [
      '1 file, 1.5 KiB sent, 25 % of 3.8 MiB so far, 0 B/s',
      { ...BEGINNING, files: 1, bytesSent: 1536, progress: LISTED },
    ],
    [
      '12,000 files, 4.7 GiB sent, 25 % of 3.8 MiB, 1.0 MiB/s, 0:03 left',
      {
        ...{ files: 12_000, bytesSent: 5_000_000_000, bytesPerSecond: 2 ** 20, seconds: 9, etaSec: 3 },
        progress: { ...LISTED, isListComplete: true },
      },
    ],
  ])('says "%s"', (text, session) => {
    expect(progressText(session, 65)).toBe(text);
  });
});
