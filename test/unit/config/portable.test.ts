/** A configuration must mean the same in a worker thread: packed, cloned as a message is, and unpacked. */

import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { type PackedConfig, packConfig, unpackConfig } from '../../../src/config/portable.ts';
import { load, makeDirectory } from './fixture.ts';

describe('a configuration in another thread', () => {
  let place: ReturnType<typeof makeDirectory>;
  beforeAll(() => {
    place = makeDirectory();
    place.file('secrets', 'alice:a pw\nbob:\u00fc\n');
    place.file('motd', 'welcome\n', 0o644);
  });
  afterAll(() => place.remove());

  const travelled = (text: string) => {
    const config = load(text, place.dir);
    return { config, other: unpackConfig(structuredClone(packConfig(config))) };
  };

  const full = (): string => `
motd_file = "${place.dir}/motd"
timeout = 7
[limits]
args = 12
[[module]]
name = "open"
path = "${place.pub}"
exclude = ["*.o"]
outgoing_chmod = "Dg+s,F600"
[[module]]
name = "closed"
path = "${place.pub}"
hosts_allow = ["192.0.2.0/24"]
auth_users = ["alice", "bob", "carol"]
secrets_file = "${place.dir}/secrets"
`;

  it('is plain data on the way', () => {
    expect(() => structuredClone(packConfig(load(full(), place.dir)))).not.toThrow();
  });

  it('holds the same data, with Buffers where there were Buffers', () => {
    const { config, other } = travelled(full());
    // Cloned once more, so that all bytes are of one kind.
    const plain = (one: typeof config): PackedConfig => structuredClone(packConfig(one));
    expect(plain(other)).toEqual(plain(config));
    expect(Buffer.isBuffer(other.motd)).toBe(true);
    expect(other.motd).toEqual(config.motd);
    expect([other.limits.args, other.modules.map(({ name }) => name)]).toEqual([12, ['open', 'closed']]);
  });

  it('lets in whom it let in', () => {
    const { config, other } = travelled(full());
    const decisions = ({ modules }: typeof config) =>
      modules.flatMap(({ access }) =>
        ['192.0.2.7', '192.0.3.7', '2001:db8::1'].map((address) => access.allows(address)),
      );
    expect(decisions(other)).toEqual(decisions(config));
    expect(decisions(other)).toEqual([true, true, true, true, false, false]);
  });

  it('knows the passwords of the listed users that have one, byte for byte', () => {
    const { config, other } = travelled(full());
    const passwords = ({ modules }: typeof config) =>
      ['alice', 'bob', 'carol', 'mallory', '__proto__'].map(
        (user) => modules[1]!.auth?.passwordOf(Buffer.from(user))?.toString() ?? null,
      );
    expect(passwords(other)).toEqual(['a pw', '\u00fc', null, null, null]);
    expect(passwords(other)).toEqual(passwords(config));
    expect([other.modules[0]!.auth, other.modules[1]!.auth!.digest]).toEqual([null, config.modules[1]!.auth!.digest]);
  });

  it('changes modes as before', () => {
    const { config, other } = travelled(full());
    for (const mode of [0o040755, 0o100644, 0o100777]) {
      expect(other.modules[0]!.outgoingChmod!.apply(mode)).toBe(config.modules[0]!.outgoingChmod!.apply(mode));
    }
    expect(other.modules[1]!.outgoingChmod).toBeNull();
  });
});
