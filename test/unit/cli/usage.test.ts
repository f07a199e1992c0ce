import { describe, expect, it } from 'vitest';
import packageJson from '../../../package.json' with { type: 'json' };
import { CLI_OPTIONS, parseCommandLine } from '../../../src/cli/options.ts';
import { helpText, versionText } from '../../../src/cli/usage.ts';

describe('helpText', () => {
  it('has one row for every option, within 120 columns', () => {
    for (const { name } of CLI_OPTIONS) {
      expect(helpText()).toMatch(new RegExp(`^  --${name}[[=, ]`, 'm'));
    }
    expect(
      helpText()
        .split('\n')
        .filter((line) => line.length > 120),
    ).toEqual([]);
  });

  it('says where the configuration is looked for', () => {
    expect(helpText('/home/x')).toContain('  /etc/gokr-rsyncd.toml\n  /home/x/.config/gokr-rsyncd.toml\n');
    expect(helpText(null)).not.toContain('/.config');
  });

  it('shows an example that the parser accepts', () => {
    const example = /^ {2}gokr-rsyncd (.*)$/m.exec(helpText())?.[1]?.split(' ') ?? [];
    expect(parseCommandLine(example)).toMatchObject({ kind: 'serve', flags: { modules: ['share=/usr/share'] } });
  });
});

describe('versionText', () => {
  it('names our version, the protocols, Node, zlib and the licence', () => {
    expect(versionText({ node: '26.1.2', zlib: '1.3' })).toBe(
      [
        `gokr-rsyncd  version ${packageJson.version}  protocol version 32 (speaks 27-32)`,
        'Node.js 26.1.2, zlib 1.3',
        'Licence: BSD-3-Clause',
        '',
      ].join('\n'),
    );
  });
});
