import { describe, expect, it } from 'vitest';
import { convertConfig, EXIT_REFUSED } from '../../../src/cli/convert.ts';
import { loadConfig } from '../../../src/config/load.ts';
import { NO_FLAGS, refusal } from '../config/fixture.ts';
import { FILE, memoryFiles } from '../config/rsyncd-fixture.ts';

const CONTEXT = { credentialsDirectory: null, uid: 0 };
const convert = (text: string) => convertConfig(FILE, CONTEXT, memoryFiles({ [FILE]: text }));

describe('--convert-config', () => {
  it('prints a verdict for each line that says something, and TOML that loads', () => {
    const { toml, verdicts, exit } = convert('# c\npid file = /x\n\n[a]\npath = /usr\n');
    expect(verdicts.split('\n')).toEqual([
      `${FILE}:2: W pid file: ignored: we write no files; systemd or the container knows the process`,
      `${FILE}:4: I [a]: [[module]]`,
      `${FILE}:5: I path: path`,
      '',
    ]);
    expect(exit).toBe(0);
    expect(loadConfig(toml, 'x.toml', NO_FLAGS, CONTEXT).modules.map(({ name }) => name)).toEqual(['a']);
  });

  it('ends with 2 and prints as comments the sections that lack a refused line', () => {
    const { toml, exit } = convert('path = /usr\n[open]\n[closed]\nhosts allow = localhost');
    expect(exit).toBe(EXIT_REFUSED);
    expect(loadConfig(toml, 'x.toml', NO_FLAGS, CONTEXT).modules.map(({ name }) => name)).toEqual(['open']);
    expect(toml).toContain('# [[module]]\n# name = "closed"\n');
    expect(toml).toContain('# Not complete');
  });

  it('prints nothing but comments when a line could not be read at all', () => {
    const { toml, exit } = convert('path = /usr\n[a]\nhosts alow = 10.0.0.1');
    expect(exit).toBe(EXIT_REFUSED);
    expect(toml.split('\n').filter((line) => !/^(#|$)/.test(line))).toEqual([]);
  });

  it('ends with 2 for values that our checks refuse on every machine', () => {
    const { verdicts, exit } = convert('[a b]\npath = /nowhere');
    expect(exit).toBe(EXIT_REFUSED);
    expect(verdicts).toContain('"a b" is not a module name');
  });

  it('only notes what this machine lacks', () => {
    const { verdicts, exit } = convert('[a]\npath = /nowhere\nexclude from = /nowhere/ex');
    expect(exit).toBe(0);
    expect(verdicts).toContain(`note: this would not be served on this machine:\n${FILE}:2: [a] path: "/nowhere"`);
  });

  it('never lets a value end its TOML string', () => {
    const { toml } = convert('[a]\npath = /usr\ncomment = x" \\ \u007f \u0085 = [[module]]\n');
    expect(toml).toContain('comment = "x\\" \\\\ \\u007f \\u0085 = [[module]]"\n');
  });

  it('escapes control characters of the file in its verdicts', () => {
    expect(convert('\u001b[2J = 1').verdicts).not.toContain('\u001b');
  });

  it('refuses a file that cannot be read', () => {
    expect(refusal(() => convertConfig('/nowhere.conf', CONTEXT))).toContain('no such file');
  });
});
