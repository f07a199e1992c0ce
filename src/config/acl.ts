/** Access lists: hosts_allow, hosts_deny and acl become one predicate over addresses, parsed once at load. */
import { ConfigError } from '../errors.ts';
import { addressBytes, formatNetwork, type Network, networkContains, parseNetwork } from './network.ts';

/** Who may connect to a module. */
export interface AccessList {
  /** True when a client at this address may connect. '' (a unix socket) counts as loopback; text that is no address is denied. */
  allows(address: string): boolean;
  /** The rules in the order in which they are tried, the last one for everybody else; for --check. */
  readonly table: readonly string[];
  /** What `compileAccess` makes the same list of. */
  readonly rules: AccessRules;
}

type Action = 'allow' | 'deny';

interface Rule {
  readonly action: Action;
  /** null is everybody. */
  readonly network: Network | null;
}

/** Rules in the order in which they are tried. Plain data. */
export interface AccessRules {
  readonly rules: readonly Rule[];
  readonly otherwise: Action;
}

/** A unix socket's peer matches a rule for either loopback address. */
const LOOPBACK = [Uint8Array.of(127, 0, 0, 1), Uint8Array.of(0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 1)];

function parseWho(action: Action, who: string): Rule {
  return { action, network: who === 'all' ? null : parseNetwork(who) };
}

/** Plain rules → a list that answers. */
export function compileAccess(all: AccessRules): AccessList {
  const { rules, otherwise } = all;
  const table = rules.map(({ action, network }) => `${action} ${network === null ? 'all' : formatNetwork(network)}`);
  return {
    allows(address) {
      const bytes = address === '' ? null : addressBytes(address);
      if (bytes === null && address !== '') {
        return false; // SECURITY: an address that cannot be read must not fall through to the default
      }
      const candidates = bytes === null ? LOOPBACK : [bytes];
      const hit = rules.find(
        ({ network }) => network === null || candidates.some((one) => networkContains(network, one)),
      );
      return (hit?.action ?? otherwise) === 'allow';
    },
    table: [...table, `otherwise ${otherwise}`],
    rules: all,
  };
}

/**
 * rsync's two lists: the allow list wins, then the deny list; an allow list alone denies the rest (1-session.md 2.5).
 * @throws ConfigError without place for an entry that is neither CIDR, nor an address, nor "all".
 */
export function parseHostLists(allow: readonly string[] | null, deny: readonly string[] | null): AccessList {
  const rules = [
    ...(allow ?? []).map((who) => parseWho('allow', who)),
    ...(deny ?? []).map((who) => parseWho('deny', who)),
  ];
  return compileAccess({ rules, otherwise: allow !== null && deny === null ? 'deny' : 'allow' });
}

/**
 * gokr-rsync's ordered form, "allow 10.0.0.0/8", "deny all": the first match decides and no match allows, as there.
 * @throws ConfigError without place for anything else.
 */
export function parseAcl(lines: readonly string[]): AccessList {
  const rules = lines.map((line) => {
    const match = /^(allow|deny) (\S+)$/.exec(line);
    if (match === null) {
      throw new ConfigError(
        `"${line}" is not a rule: expected "allow NETWORK" or "deny NETWORK", NETWORK in CIDR or "all"`,
      );
    }
    return parseWho(match[1] as Action, match[2]!);
  });
  return compileAccess({ rules, otherwise: 'allow' });
}
