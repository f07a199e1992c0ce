/** The manual pages: everything that can be said to the daemon is in them, and the tools that show them have nothing to complain of. */
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { configPage, daemonPage, writeManPages } from '../../../deploy/build/man.ts';
import { CLI_OPTIONS } from '../../../src/cli/options.ts';
import { GLOBAL_KEYS, LIMIT_KEYS, LISTENER_KEYS, MODULE_KEYS } from '../../../src/config/schema.ts';
import { mustRun, run } from '../../helpers/run.ts';
import { removeTree, scratchDir } from '../../helpers/scratch.ts';
import { haveTool } from '../../interop/ssh-tools.ts';

const escaped = (name: string) => name.replaceAll('-', '\\-');

describe('the manual', () => {
  it.each(CLI_OPTIONS.map(({ name }) => name))('has the option --%s', (name) => {
    expect(daemonPage().text).toContain(`\n.TP\n\\fB${escaped(`--${name}`)}\\fR`);
  });

  it.each(
    Object.entries({ GLOBAL_KEYS, LISTENER_KEYS, MODULE_KEYS, LIMIT_KEYS }).flatMap(([table, keys]) =>
      Object.keys(keys).map((key) => [table, key] as const),
    ),
  )('has of %s the key %s', (_, key) => {
    expect(configPage().text).toContain(`\n.TP\n\\fB${escaped(key)}\\fR\n`);
  });

  it('has no unescaped dash that a reader would copy wrongly', () => {
    for (const { text } of [daemonPage(), configPage()]) {
      const lines = text.split('\n').filter((line) => !/^\.(\\"|TH)/.test(line));
      expect(lines.filter((line) => /(^|[^\\])-/.test(line))).toEqual([]);
    }
  });

  it.skipIf(!haveTool('mandoc'))('is clean for mandoc, and shows as text', async () => {
    const dir = scratchDir('man');
    const paths = writeManPages(join(dir, 'man'));
    const lint = await run('mandoc', ['-T', 'lint', '-W', 'warning', ...paths]);
    expect(lint.stdout.toString() + lint.stderr.toString()).toBe('');
    // biome-ignore lint/suspicious/noControlCharactersInRegex: bold is overstruck with backspaces.
    const shown = (await mustRun('mandoc', ['-T', 'ascii', paths[0]!])).stdout.toString().replace(/.\x08/g, '');
    expect(shown).toContain('gokr-rsyncd --daemon --gokr.listen=localhost:8730 --gokr.modulemap=share=/usr/share');
    removeTree(dir);
  });
});
