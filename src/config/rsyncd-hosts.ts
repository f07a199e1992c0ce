/** `hosts allow`, `hosts deny` and `proxy protocol hosts` of an rsyncd.conf → our lists of networks in CIDR form. */
import { ConfigError } from '../errors.ts';
import { addressBytes, formatNetwork, maskBytes } from './network.ts';
import { splitWords } from './rsyncd-words.ts';

/** Leading one bits of a net mask; throws ConfigError without place when it has a hole or is none. */
function maskLength(entry: string, mask: string, bytes: number): number {
  const maskText = addressBytes(mask);
  const bits = [...(maskText ?? [])].map((byte) => byte.toString(2).padStart(8, '0')).join('');
  if (maskText?.length !== bytes || !/^1*0*$/.test(bits)) {
    throw new ConfigError(`"${entry}" has a net mask that is no prefix: write the networks in CIDR form`);
  }
  return bits.lastIndexOf('1') + 1;
}

function prefixOf(entry: string, mask: string, bytes: number): number {
  const prefix = /^\d{1,3}$/.test(mask) ? Number(mask) : maskLength(entry, mask, bytes);
  if (prefix > bytes * 8) {
    throw new ConfigError(`"${entry}" has a prefix of more than ${bytes * 8} bits`);
  }
  return prefix;
}

/** One entry: an address, address/bits or address/mask, bits behind the prefix ignored as rsync does; `*` is everybody. */
function parseEntry(entry: string): string {
  if (entry === '*') {
    return 'all';
  }
  const slash = entry.indexOf('/');
  const address = slash < 0 ? entry : entry.slice(0, slash);
  const bytes = address.includes('%') ? null : addressBytes(address);
  if (bytes === null) {
    // SECURITY: a rule on a host name admits everybody when its lookup fails (CVE-2026-43617, CVE-2026-70452).
    throw new ConfigError(
      `"${entry}" is not an address: host names, wildcards, zones and netgroups are never looked up; write the ` +
        'networks in CIDR form, "*" for everybody',
    );
  }
  if (slash < 0) {
    return formatNetwork({ bytes, prefix: bytes.length * 8 });
  }
  if (address.includes(':') && bytes.length === 4) {
    throw new ConfigError(`"${entry}" is an IPv4 network in IPv6 form: write it as IPv4`);
  }
  const prefix = prefixOf(entry, entry.slice(slash + 1), bytes.length);
  return formatNetwork({ bytes: maskBytes(bytes, prefix), prefix });
}

/**
 * A list of hosts as networks and "all".
 * @throws ConfigError without place for host names, wildcards, netgroups, odd masks and a list of commas alone.
 */
export function parseHosts(text: string): string[] {
  const entries = splitWords(text.replaceAll(',', ' ')).map(parseEntry);
  if (entries.length === 0) {
    throw new ConfigError(`"${text}" names nobody: leave the parameter out for no restriction`);
  }
  return entries;
}
