import { describe, expect, it } from 'vitest';
import { RecordCutter } from '../../../src/compress/records.ts';

function cutter(trim: number) {
  const records: Buffer[] = [];
  return { records, cut: new RecordCutter((payload) => records.push(Buffer.from(payload)), trim) };
}

describe('RecordCutter', () => {
  it('keeps every byte but the trimmed end, however the input is cut', () => {
    const data = Buffer.from(Array.from({ length: 50_000 }, (_, i) => i % 251));
    for (const piece of [1, 1000, 16_383, 16_384, 50_000]) {
      const { records, cut } = cutter(4);
      for (let at = 0; at < data.length; at += piece) cut.push(data.subarray(at, at + piece));
      expect(cut.endRun()).toEqual(data.subarray(-4));
      expect(Buffer.concat(records).equals(data.subarray(0, -4))).toBe(true);
      expect(records.every((record) => record.length > 0 && record.length <= 16_383)).toBe(true);
    }
  });

  it('emits no record when a run is only its trimmed end', () => {
    const { records, cut } = cutter(4);
    cut.push(Buffer.of(0, 0, 255, 255));
    expect(cut.endRun()).toEqual(Buffer.of(0, 0, 255, 255));
    expect(records).toEqual([]);
  });

  it('starts each run afresh', () => {
    const { records, cut } = cutter(0);
    cut.push(Buffer.from('one'));
    cut.endRun();
    cut.push(Buffer.from('two'));
    cut.endRun();
    expect(records.map(String)).toEqual(['one', 'two']);
  });
});
