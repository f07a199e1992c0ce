import { describe, expect, it } from 'vitest';
import { FileRecord } from '../../../src/config/file-record.ts';
import { readSmallFile } from '../../../src/config/files.ts';
import { makeDirectory } from './fixture.ts';

const replay = (record: FileRecord) => new FileRecord(JSON.parse(JSON.stringify(record)));

describe('FileRecord', () => {
  it('answers in the next stage as the disk did in the first, also when the file is gone', () => {
    const place = makeDirectory();
    const path = place.file('secrets', Buffer.from([0x61, 0xff, 0x00]), 0o640);
    const record = new FileRecord();
    const first = readSmallFile(path, { maxBytes: 10, record });
    place.remove();
    const seen: number[] = [];
    const check = ({ mode, uid }: { mode: number; uid: number }) => void seen.push(mode & 0o777, uid);
    expect(readSmallFile(path, { maxBytes: 10, record: replay(record), check })).toEqual(first);
    expect(seen).toEqual([0o640, process.getuid?.() ?? 0]);
  });

  it('knows in the next stage only what was read in the first', () => {
    const next = replay(new FileRecord());
    expect(next.exists('/etc/passwd', () => true)).toBe(false);
    expect(() => readSmallFile('/etc/passwd', { maxBytes: 1e6, record: next })).toThrow('was not read');
  });

  it('keeps lists of names, and that there was no directory', () => {
    const record = new FileRecord();
    record.list('/a/*.conf', () => ['/a/b.conf']);
    record.list('/c/*.conf', () => null);
    const next = replay(record);
    expect(next.list('/a/*.conf', () => [])).toEqual(['/a/b.conf']);
    expect(next.list('/c/*.conf', () => [])).toBeNull();
  });
});
