import { BlockList } from 'node:net';
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { parseAcl, parseHostLists } from '../../../src/config/acl.ts';
import { refusal } from './fixture.ts';

describe('hosts_allow and hosts_deny', () => {
  it('let everybody in when neither is set', () => {
    expect(parseHostLists(null, null).allows('203.0.113.9')).toBe(true);
  });

  it('deny the rest when only the allow list is set', () => {
    const access = parseHostLists(['10.0.0.0/8', '2001:db8::/32'], null);
    expect(['10.1.2.3', '2001:db8:1::5', '11.0.0.1', '2001:db9::1'].map(access.allows)).toEqual([
      true,
      true,
      false,
      false,
    ]);
  });

  it('allow the rest when only the deny list is set', () => {
    const access = parseHostLists(null, ['10.0.0.0/8']);
    expect(['10.1.2.3', '11.0.0.1'].map(access.allows)).toEqual([false, true]);
  });

  it('let the allow list win over the deny list and allow who is on neither', () => {
    const access = parseHostLists(['10.1.0.0/16'], ['10.0.0.0/8']);
    expect(['10.1.2.3', '10.2.2.3', '11.0.0.1'].map(access.allows)).toEqual([true, false, true]);
  });

  it('match a v4-mapped IPv6 client with IPv4 rules, and a v4-mapped rule with IPv4 clients', () => {
    expect(parseHostLists(['10.0.0.0/8'], ['all']).allows('::ffff:10.0.0.1')).toBe(true);
    expect(parseHostLists(['::ffff:10.0.0.0/104'], ['all']).allows('10.9.9.9')).toBe(true);
  });

  it('do not match an IPv4 client with the IPv6 network ::/0', () => {
    expect(parseHostLists(['::/0'], null).allows('10.0.0.1')).toBe(false);
  });

  it('match a client whose address carries a zone', () => {
    expect(parseHostLists(['fe80::/10'], null).allows('fe80::1%eth0')).toBe(true);
  });

  it.each(['127.0.0.0/8', '::1', 'all'])('count a unix socket as loopback for %s', (who) => {
    expect(parseHostLists([who], null).allows('')).toBe(true);
    expect(parseHostLists(null, [who]).allows('')).toBe(false);
  });

  it('deny a peer whose address cannot be read', () => {
    expect(parseHostLists(null, null).allows('nonsense')).toBe(false);
  });

  it('show their rules in the order in which they are tried', () => {
    expect(parseHostLists(['10.0.0.0/8', '2001:DB8:0::/32'], ['all']).table).toEqual([
      'allow 10.0.0.0/8',
      'allow 2001:db8::/32',
      'deny all',
      'otherwise allow',
    ]);
  });

  it.each([
    ['*.example.org', 'host names are never looked up'],
    ['localhost', 'host names are never looked up'],
    ['10.0.0.1/8', 'write "10.0.0.0/8"'],
    ['2001:db8::1/32', 'write "2001:db8::/32"'],
    ['10.0.0.0/33', 'prefix length'],
    ['::/129', 'prefix length'],
    ['10.0.0.0/255.0.0.0', 'prefix length'],
    ['10.0.0.0/', 'prefix length'],
    ['::ffff:10.0.0.0/8', 'prefix length'],
    ['fe80::1%eth0', 'not a network'],
    ['010.1', 'not a network'],
    ['10.0.0.0/8,192.168.0.0/16', 'prefix length'],
    ['', 'not a network'],
  ])('refuse %j', (who, reason) => {
    expect(refusal(() => parseHostLists([who], null))).toContain(reason);
  });
});

describe('acl', () => {
  it('decides by the first rule that matches', () => {
    const access = parseAcl(['deny 10.1.0.0/16', 'allow 10.0.0.0/8', 'deny all']);
    expect(['10.1.0.1', '10.2.0.1', '192.0.2.1'].map(access.allows)).toEqual([false, true, false]);
  });

  it('allows when nothing matches, as gokr-rsync does', () => {
    expect(parseAcl(['deny 10.0.0.0/8']).allows('192.0.2.1')).toBe(true);
  });

  it.each(['allow', 'permit all', 'allow  all', 'ALLOW all', 'allow all # x', 'deny host.example'])(
    'refuses %j',
    (line) => {
      expect(refusal(() => parseAcl([line]))).toContain('expected');
    },
  );
});

describe('networks', () => {
  const octets = (length: number) => fc.uint8Array({ minLength: length, maxLength: length });

  it('contain the IPv4 addresses that BlockList says they contain', () => {
    fc.assert(
      fc.property(octets(4), octets(4), fc.nat(32), fc.nat(32), (network, other, prefix, shared) => {
        const bits = (bytes: Uint8Array) => Buffer.from(bytes).readUInt32BE();
        const top = (count: number) => (count === 0 ? 0 : (-1 << (32 - count)) >>> 0);
        const text = (value: number) => [24, 16, 8, 0].map((shift) => (value >>> shift) & 255).join('.');
        const base = text((bits(network) & top(prefix)) >>> 0);
        const client = text(((bits(network) & top(shared)) | (bits(other) & ~top(shared))) >>> 0);
        const oracle = new BlockList();
        oracle.addSubnet(base, prefix, 'ipv4');
        expect(parseHostLists([`${base}/${prefix}`], null).allows(client)).toBe(oracle.check(client, 'ipv4'));
      }),
    );
  });

  it('contain the IPv6 addresses that BlockList says they contain', () => {
    const groups = fc.array(fc.integer({ min: 0, max: 0xffff }), { minLength: 8, maxLength: 8 });
    fc.assert(
      fc.property(groups, groups, fc.nat(8), fc.nat(8), (network, other, kept, shared) => {
        const base = network
          .map((group, i) => (i < kept ? group : 0))
          .map((group) => group.toString(16))
          .join(':');
        const client = network.map((group, i) => (i < shared ? group : other[i]!).toString(16)).join(':');
        const oracle = new BlockList();
        oracle.addSubnet(base, kept * 16, 'ipv6');
        expect(parseHostLists([`${base}/${kept * 16}`], null).allows(client)).toBe(oracle.check(client, 'ipv6'));
      }),
    );
  });
});
