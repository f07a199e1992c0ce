import { describe, expect, it } from 'vitest';
import { OPTION_ROWS, ROWS_BY_LETTER, ROWS_BY_NAME } from '../../../src/options/table.ts';

describe('the option table', () => {
  it('has each name once', () => {
    const names = OPTION_ROWS.map(({ name }) => name).filter(Boolean);
    expect(names.toSorted()).toEqual([...ROWS_BY_NAME.keys()].toSorted());
  });

  it('has each letter once', () => {
    const letters = OPTION_ROWS.map(({ letter }) => letter).filter(Boolean);
    expect(letters.toSorted()).toEqual([...ROWS_BY_LETTER.keys()].toSorted());
  });

  it('includes only options that exist', () => {
    const implied = OPTION_ROWS.flatMap(({ implies }) => implies);
    expect(implied.filter((name) => !ROWS_BY_NAME.has(name))).toEqual([]);
  });

  it('gives a value to every option that rsync clients send with one', () => {
    // 1-session.md 4.3, last paragraph.
    const names = `address backup-dir block-size bwlimit cc checksum-choice checksum-seed chmod chown compare-dest
      compress-choice compress-level compress-threads config confine-root contimeout copy-as copy-dest debug dparam
      early-input exclude exclude-from filter files-from groupmap iconv include include-from info link-dest log-file
      log-file-format log-format max-alloc max-delete max-size min-size modify-window only-write-batch out-format outbuf
      partial-dir password-file port protocol read-batch remote-option rsh rsync-path skip-compress sockopts stderr
      stop-after stop-at suffix temp-dir time-limit timeout usermap write-batch zc zl zt`.split(/\s+/);
    const withValue = OPTION_ROWS.filter(({ name, value }) => name !== '' && value !== 'none').map(({ name }) => name);
    expect(withValue.toSorted()).toEqual(names.toSorted());
  });

  it.each([...'eB@TfM'])('gives a value to -%s', (letter) => {
    expect(ROWS_BY_LETTER.get(letter)?.value).not.toBe('none');
  });

  it('knows the letters that rsync 3.5.0 knows, and no others', () => {
    // Found by asking a 3.5.0 daemon for each letter; `a` and `V` are among them.
    const letters = [...'bdehiklmnpqrtuvxyzBCDEFHIJKLOPRSTW0468', ...'acfgosAMNUVX@'];
    expect([...ROWS_BY_LETTER.keys()].toSorted()).toEqual(letters.toSorted());
  });
});
