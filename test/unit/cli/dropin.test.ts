import { describe, expect, it } from 'vitest';
import { dropinText } from '../../../src/cli/dropin.ts';
import type { Config } from '../../../src/config/config.ts';
import { FileRecord } from '../../../src/config/file-record.ts';

/** A configuration of which only the modules matter. */
function configOf(...modules: readonly { path: string; numericIds?: boolean }[]): Config {
  const full = modules.map(({ path, numericIds = true }, index) => ({ name: `m${index}`, path, numericIds }));
  return { file: '/etc/gokr-rsyncd.toml', modules: full } as unknown as Config;
}

/** Files by path, with their modes, as if they had been read for the configuration. */
function recordOf(modes: Readonly<Record<string, number>>): FileRecord {
  const record = new FileRecord();
  for (const [path, mode] of Object.entries(modes))
    record.file(path, () => ({ content: Buffer.alloc(0), mode, uid: 0 }));
  return record;
}

const settingsOf = (config: Config, modes: Readonly<Record<string, number>> = {}) =>
  dropinText(config, recordOf(modes))
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
    expect(() => dropinText(configOf({ path }), new FileRecord())).toThrow(/module "m0": .* cannot be bound/);
  });

  it('refuses a path that would become a line of its own', () => {
    expect(() => dropinText(configOf({ path: '/a\nUser=root' }), new FileRecord())).toThrow('control characters');
  });

  it('binds the files that the configuration names, and passes secret ones as credentials', () => {
    const modes = {
      '/etc/gokr-rsyncd.toml': 0o100644,
      '/etc/rsyncd.motd': 0o100644,
      '/etc/gokr-rsyncd/excludes': 0o100644,
      '/etc/100% secret/rsyncd.secrets': 0o100600,
      '/etc/gokr-rsyncd/group.secrets': 0o100640,
    };
    expect(settingsOf(configOf(), modes)).toEqual([
      '[Service]',
      'BindReadOnlyPaths=/etc/rsyncd.motd',
      'LoadCredential=rsyncd.secrets:/etc/100%% secret/rsyncd.secrets',
      'LoadCredential=group.secrets:/etc/gokr-rsyncd/group.secrets',
    ]);
  });

  it.each([
    [['/a/secrets', '/b/secrets'], 'two credentials of one name'],
    [['/a/the secrets'], 'no credential can have this name'],
    [['/a\nUser=root/secrets'], 'control characters'],
  ])('refuses secrets files that cannot be passed: %j', (paths, message) => {
    const modes = Object.fromEntries(paths.map((path) => [path, 0o100600]));
    expect(() => dropinText(configOf(), recordOf(modes))).toThrow(message);
  });
});
