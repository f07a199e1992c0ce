import { describe, expect, it } from 'vitest';
import { LiveArea } from '../../../src/observe/live-area.ts';
import { screenOf } from '../../helpers/terminal.ts';

describe('the live area', () => {
  it('stays below the log and leaves nothing behind', () => {
    const area = new LiveArea(() => 80);
    let output = area.replace(['one', 'two']);
    output += area.above('logged\n');
    expect(screenOf(output)).toEqual(['logged', 'one', 'two', '']);
    output += area.replace(['three']);
    expect(screenOf(output)).toEqual(['logged', 'three', '']);
    output += area.replace([]);
    output += area.above('last\n');
    expect(screenOf(output)).toEqual(['logged', 'last', '']);
  });

  it('writes nothing when nothing has changed', () => {
    const area = new LiveArea(() => 80);
    area.replace(['one']);
    expect(area.replace(['one'])).toBe('');
    expect(new LiveArea(() => 80).replace([])).toBe('');
  });

  it.each([
    ['a'.repeat(50), 29],
    ['界'.repeat(50), 14],
  ])('cuts %j to the window', (line, length) => {
    expect(new LiveArea(() => 30).replace([line]).trimEnd()).toHaveLength(length);
  });

  it('erases the rows that a line has become in a narrower window', () => {
    let columns = 80;
    const area = new LiveArea(() => columns);
    area.replace(['x'.repeat(79)]);
    columns = 40;
    expect(area.replace([])).toBe('\r\x1b[2A\x1b[J');
  });
});
