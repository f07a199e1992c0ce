/** The parameters of rsyncd.conf that belong to the whole daemon, one row each; rsyncd-params.ts joins the tables. */
import { parseHost } from './listen-address.ts';
import { parseHosts } from './rsyncd-hosts.ts';
import {
  absoluteFile,
  ignored,
  type Outcome,
  type ParamRow,
  parseCount,
  refuse,
  refused,
  setsKey,
} from './rsyncd-param.ts';
import { parseBoolean } from './rsyncd-words.ts';

/** Port of the listener when `port` is 0 or absent. */
const LARGEST_PORT = 65_535;

/** Keys of the listener that is made of `address` and `port`; rsyncd-convert.ts joins them. */
function listenPort(value: string): Outcome {
  const port = parseCount(value);
  if (port > LARGEST_PORT) {
    refuse(`"${value}" is not a port: expected a number from 0 to ${LARGEST_PORT}`);
  }
  return port === 0
    ? { letter: 'D', text: 'the usual port' }
    : { letter: 'D', text: '[[listener]] rsyncd', keys: { port: BigInt(port) } };
}

function proxyHosts(value: string): Outcome {
  const trusted = parseHosts(value);
  // SECURITY: whoever may send the header chooses the address that access lists see (CVE-2026-53791).
  return trusted.includes('all')
    ? refuse('"*" would let every client choose its own address: name the proxies')
    : { letter: 'I', text: '[[listener]] proxy_trusted', keys: { proxy_trusted: trusted } };
}

function identityNote(): Outcome {
  return {
    letter: 'D',
    text: 'an unprivileged identity is kept, root is given up for nobody before anything is served',
  };
}

const GLOBAL = { scope: 'global', kind: 'text' } as const;

/** The 11 global parameters in the order of the manual. */
export const GLOBAL_PARAMS: readonly ParamRow[] = [
  { name: 'motd file', ...GLOBAL, verdict: 'D', convert: setsKey('motd_file', absoluteFile, 'D') },
  {
    name: 'pid file',
    ...GLOBAL,
    verdict: 'W',
    ...ignored('we write no files; systemd or the container knows the process'),
  },
  { name: 'port', scope: 'global', kind: 'number', verdict: 'D', convert: listenPort },
  {
    name: 'address',
    ...GLOBAL,
    verdict: 'D',
    convert: (value) => ({ letter: 'D', text: '[[listener]] rsyncd', keys: { address: parseHost(value) } }),
  },
  {
    name: 'socket options',
    ...GLOBAL,
    verdict: 'D',
    ...ignored('keepalive and a user timeout are always set, nothing else'),
  },
  { name: 'listen backlog', scope: 'global', kind: 'number', verdict: 'D', ...ignored('the backlog is 511') },
  {
    name: 'daemon chroot',
    ...GLOBAL,
    verdict: 'D',
    convert: refused('put the directory before each path, and confine the daemon with RootDirectory= or a container'),
  },
  { name: 'daemon uid', ...GLOBAL, verdict: 'D', ignoresValue: true, convert: identityNote },
  { name: 'daemon gid', ...GLOBAL, verdict: 'D', ignoresValue: true, convert: identityNote },
  {
    name: 'proxy protocol',
    scope: 'global',
    kind: 'boolean',
    verdict: 'I',
    convert: setsKey('proxy_protocol', parseBoolean),
  },
  { name: 'proxy protocol hosts', ...GLOBAL, verdict: 'I', convert: proxyHosts },
];
