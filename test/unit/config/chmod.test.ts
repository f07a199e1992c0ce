import { describe, expect, it } from 'vitest';
import { parseChmod } from '../../../src/config/chmod.ts';
import { refusal } from './fixture.ts';
import golden from './outgoing-chmod.json' with { type: 'json' };

const octal = (text: string) => text.split(' ').map((mode) => Number.parseInt(mode, 8));

describe('outgoing_chmod', () => {
  it.each(Object.entries(golden.sent))('sends for %j the modes that a 3.5.0 daemon sends', (text, sent) => {
    const expected = octal(sent);
    const own = octal(golden.own).slice(0, expected.length);
    expect(own.map(parseChmod(text)).map((mode) => mode.toString(8))).toEqual(expected.map((mode) => mode.toString(8)));
  });

  it.each(golden.refused.split(' | '))('refuses %j as a 3.5.0 daemon does', (text) => {
    expect(refusal(() => parseChmod(text))).toContain('is not a mode change');
  });

  it('refuses an empty text', () => {
    expect(refusal(() => parseChmod(''))).toContain('is not a mode change');
  });

  it('treats devices and sockets as files', () => {
    const change = parseChmod('D700,F600');
    expect([0o060644, 0o020644, 0o140644, 0o010644].map(change)).toEqual([0o060600, 0o020600, 0o140600, 0o010600]);
  });
});
