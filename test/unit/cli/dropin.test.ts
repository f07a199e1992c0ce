import { describe, expect, it } from 'vitest';
import { dropinText } from '../../../src/cli/dropin.ts';
import type { Config } from '../../../src/config/config.ts';

/** A configuration of which only the modules matter. */
function configOf(...modules: readonly { path: string; numericIds?: boolean }[]): Config {
  const full = modules.map(({ path, numericIds = true }, index) => ({ name: `m${index}`, path, numericIds }));
  return { file: '/etc/gokr-rsyncd.toml', modules: full } as unknown as Config;
}

const settingsOf = (config: Config) =>
  dropinText(config)
    .split('\n')
    .filter((line) => line !== '' && !line.startsWith('#'));

describe('dropinText', () => {
  it('binds each path once, read-only and noexec', () => {
    expect(settingsOf(configOf({ path: '/srv/a' }, { path: '/srv/b' }, { path: '/srv/a' }))).toEqual([
      '[Service]',
      'BindReadOnlyPaths=/srv/a',
      'NoExecPaths=+/srv/a',
      'BindReadOnlyPaths=/srv/b',
      'NoExecPaths=+/srv/b',
    ]);
  });

  it('takes the meaning from what systemd would read as syntax', () => {
    expect(settingsOf(configOf({ path: '/a b:c%d"e\'f\\g' }))).toContain(
      'BindReadOnlyPaths=/a\\ b\\:c%%d\\"e\\\'f\\\\g',
    );
  });

  it('binds the tables of names where a module sends names', () => {
    expect(settingsOf(configOf({ path: '/a', numericIds: false }))).toContain('BindReadOnlyPaths=/etc/passwd');
  });

  it.each(['/home', '/home/bob/pub', '/root/x'])('opens up what ProtectHome= hides for %s', (path) => {
    expect(settingsOf(configOf({ path }))).toContain('ProtectHome=tmpfs');
  });

  it('leaves ProtectHome= alone otherwise', () => {
    expect(settingsOf(configOf({ path: '/homes/x' }))).not.toContain('ProtectHome=tmpfs');
  });

  it.each(['/', '/usr', '/usr/lib', '/lib', '/proc', '/bin'])('refuses %s, which would hide our own files', (path) => {
    expect(() => dropinText(configOf({ path }))).toThrow(/module "m0": .* cannot be bound/);
  });

  it('refuses a path that would become a line of its own', () => {
    expect(() => dropinText(configOf({ path: '/a\nUser=root' }))).toThrow('control characters');
  });
});
