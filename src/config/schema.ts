/**
 * Every key of the configuration file in one table: kind, range, default, doc text (design.md section 4).
 *
 * values.ts checks against it, load.ts reads its result types from it, and documentation is generated from it.
 */
import { DEFAULT_LIMITS } from '../limits.ts';
import { MAX_WORKERS } from '../shared.ts';

/** One key. `default: null` is "not set"; `required` keys have no default. */
export interface KeySpec {
  /**
   * boolean; integer; number (fraction allowed); size ("50MiB" or bytes); seconds and milliseconds (a count or "30s");
   * choice; text; path (relative to the configuration file); address (host:port); texts (array of strings);
   * networks (array of CIDR); table (inline table, its own keys in `keys`).
   */
  readonly kind:
    | 'boolean'
    | 'integer'
    | 'number'
    | 'size'
    | 'seconds'
    | 'milliseconds'
    | 'choice'
    | 'text'
    | 'path'
    | 'address'
    | 'texts'
    | 'networks'
    | 'table';
  readonly default: boolean | number | string | readonly string[] | null;
  readonly required?: true;
  /** Smallest and largest number of a numeric kind; `max` is the longest text in bytes of kind text. */
  readonly min?: number;
  readonly max?: number;
  /** 0 turns something off, and the smallest number that leaves it on is this. */
  readonly zeroOrAtLeast?: number;
  readonly choices?: readonly string[];
  /** Kind texts and networks: an empty array is an error, because it could be read as "all" or as "none". */
  readonly notEmpty?: true;
  readonly keys?: KeyTable;
  readonly doc: string;
}

export type KeyTable = Readonly<Record<string, KeySpec>>;

type Base<S extends KeySpec> = S['kind'] extends 'boolean'
  ? boolean
  : S['kind'] extends 'integer' | 'number' | 'size' | 'seconds' | 'milliseconds'
    ? number
    : S['kind'] extends 'choice'
      ? S extends { readonly choices: readonly (infer C)[] }
        ? C
        : never
      : S['kind'] extends 'texts' | 'networks'
        ? readonly string[]
        : S['kind'] extends 'table'
          ? object
          : string;

/** The checked values of one table of keys, defaults filled in. */
export type Checked<T extends KeyTable> = {
  readonly [K in keyof T]: Base<T[K]> | (T[K] extends { required: true } ? never : null & T[K]['default']);
};

const DAY_SEC = 86_400;
const MOST_CONNECTIONS = 65_535;
/** Beyond this a Node timer fires at once. */
const LONGEST_TIMER_MS = 2 ** 31 - 1;
const LARGEST_SIZE = 2 ** 40;
const LARGEST_COUNT = 2 ** 31 - 1;
/** Bytes per second: what is slower ends at the deadlines of its clients. Somebody who thinks in KiB learns it here. */
const SLOWEST = 1024;

const LOG_TRANSFERS = ['off', 'session', 'file'] as const;

/** Keys at the top of the file. */
export const GLOBAL_KEYS = {
  motd_file: { kind: 'path', default: null, doc: 'Text shown to every client: UTF-8, at most limits.motdBytes.' },
  max_connections: {
    kind: 'integer',
    min: 1,
    max: MOST_CONNECTIONS,
    default: DEFAULT_LIMITS.connections,
    doc: 'Connections of the whole daemon; the same as limits.connections.',
  },
  max_connections_per_address: {
    kind: 'integer',
    min: 1,
    max: MOST_CONNECTIONS,
    default: DEFAULT_LIMITS.connectionsPerAddress,
    doc: 'Connections per IPv4 address or IPv6 /64, loopback exempt; the same as limits.connectionsPerAddress.',
  },
  timeout: { kind: 'seconds', min: 1, max: DAY_SEC, default: 600, doc: 'Seconds without progress; never 0.' },
  bandwidth_limit: {
    kind: 'size',
    min: 0,
    max: LARGEST_SIZE,
    zeroOrAtLeast: SLOWEST,
    default: 0,
    doc: 'Bytes per second that all transfers together send; 0: no limit.',
  },
  workers: {
    kind: 'integer',
    min: 0,
    max: MAX_WORKERS,
    default: 0,
    doc: 'Threads that serve; 0: one per core, at most 8; 1: the main thread alone.',
  },
  log_level: {
    kind: 'choice',
    choices: ['error', 'warn', 'info', 'debug'],
    default: 'info',
    doc: 'Least severe message that is logged.',
  },
  log_transfers: { kind: 'choice', choices: LOG_TRANSFERS, default: 'session', doc: 'What is logged of a transfer.' },
  log_format: {
    kind: 'choice',
    choices: ['json', 'text'],
    default: 'json',
    doc: 'JSON lines, or the lines of rsyncd.',
  },
  dont_namespace: { kind: 'boolean', default: false, doc: 'No mount namespace; only with authorized_ssh listeners.' },
} as const satisfies KeyTable;

/** Keys of [[listener]]. Exactly one of rsyncd, anon_ssh, authorized_ssh, tls and http_monitoring names its kind. */
export const LISTENER_KEYS = {
  rsyncd: { kind: 'address', default: null, doc: 'Address of a plain rsync:// listener, as "[::]:873".' },
  proxy_protocol: { kind: 'boolean', default: false, doc: 'Connections start with a PROXY header (HAProxy).' },
  proxy_trusted: { kind: 'networks', default: [], doc: 'Networks that may send PROXY headers.' },
  anon_ssh: { kind: 'address', default: null, doc: 'Address of an SSH listener that asks for no credentials.' },
  host_key_path: {
    kind: 'path',
    default: 'ssh_host_ed25519_key',
    doc: 'Host key of an SSH listener: ed25519, mode 0600, also a credential; --keygen makes one.',
  },
  authorized_ssh: {
    kind: 'table',
    default: null,
    keys: {
      address: { kind: 'address', default: null, required: true, doc: 'Address of the listener.' },
      authorized_keys: { kind: 'path', default: null, required: true, doc: 'Keys that may log in, as for sshd.' },
    },
    doc: 'SSH listener for the keys of a file.',
  },
  tls: { kind: 'address', default: null, doc: 'Address of a TLS listener (rsync-ssl).' },
  tls_certificate: { kind: 'path', default: null, doc: 'Certificate chain of the TLS listener, PEM.' },
  tls_key: {
    kind: 'path',
    default: null,
    doc: 'Private key of the TLS listener, PEM: mode 0640 or stricter, also a credential.',
  },
  http_monitoring: { kind: 'address', default: null, doc: 'Address for health, metrics and the status page.' },
} as const satisfies KeyTable;

/** The keys of [[listener]] of which each entry has exactly one. */
export const LISTENER_KINDS = ['rsyncd', 'anon_ssh', 'authorized_ssh', 'tls', 'http_monitoring'] as const;

/** Keys of [[module]]. */
export const MODULE_KEYS = {
  name: {
    kind: 'text',
    max: 64,
    default: null,
    required: true,
    doc: 'Module name: letters, digits and ._+-, up to 64.',
  },
  path: { kind: 'text', max: 4095, default: null, required: true, doc: 'Absolute path of an existing directory.' },
  comment: { kind: 'text', max: 256, default: '', doc: 'Text beside the name in the module list.' },
  list: { kind: 'boolean', default: true, doc: 'Whether the module list shows the module.' },
  hosts_allow: { kind: 'texts', notEmpty: true, default: null, doc: 'Networks (CIDR) or "all" that may connect.' },
  hosts_deny: { kind: 'texts', notEmpty: true, default: null, doc: 'Networks (CIDR) or "all" that may not connect.' },
  acl: {
    kind: 'texts',
    notEmpty: true,
    default: null,
    doc: 'Ordered "allow NETWORK" and "deny NETWORK"; first match wins, no match allows. Not with hosts_allow or hosts_deny.',
  },
  auth_users: { kind: 'texts', notEmpty: true, default: null, doc: 'Users that may log in; needs secrets_file.' },
  secrets_file: { kind: 'path', default: null, doc: 'Lines user:password; mode 0640 or stricter, also a credential.' },
  auth_digest: {
    kind: 'choice',
    choices: ['sha512', 'sha256', 'sha1', 'md5', 'md4'],
    default: 'sha256',
    doc: 'Weakest digest accepted for a login.',
  },
  max_connections: {
    kind: 'integer',
    min: 0,
    max: MOST_CONNECTIONS,
    default: 0,
    doc: 'Sessions of this module; 0: no limit of its own.',
  },
  queue: {
    kind: 'integer',
    min: 0,
    max: MOST_CONNECTIONS,
    default: 0,
    doc: 'Clients that may wait, first come first served, when max_connections are there; 0: they are refused, as by rsync.',
  },
  queue_timeout: {
    kind: 'seconds',
    min: 1,
    max: DAY_SEC,
    default: 600,
    doc: 'Longest wait in the queue; then the client is refused as without one.',
  },
  bandwidth_limit: {
    kind: 'size',
    min: 0,
    max: LARGEST_SIZE,
    zeroOrAtLeast: SLOWEST,
    default: 0,
    doc: 'Bytes per second that all transfers of the module together send; 0: no limit of its own.',
  },
  exclude: { kind: 'texts', default: [], doc: 'Patterns that do not exist for any client.' },
  include: { kind: 'texts', default: [], doc: 'Patterns that are shown; come before the excludes.' },
  filter: { kind: 'texts', default: [], doc: 'Filter rules as "- *.bak"; come first. No merge rules.' },
  exclude_from: { kind: 'path', default: null, doc: 'File of exclude patterns, at most 1 MiB.' },
  include_from: { kind: 'path', default: null, doc: 'File of include patterns, at most 1 MiB.' },
  numeric_ids: { kind: 'boolean', default: true, doc: 'Send no user and group names.' },
  munge_symlinks: { kind: 'boolean', default: false, doc: 'Strip the prefix that rsync puts before stored links.' },
  outgoing_chmod: {
    kind: 'text',
    max: 1024,
    default: null,
    doc: 'Changes to the modes sent, as "D755,F644" (--chmod).',
  },
  refuse_options: { kind: 'texts', default: [], doc: 'Options refused on top of ours; wildcards and ! as in rsync.' },
  dont_compress: { kind: 'texts', default: null, doc: 'Name patterns that are sent uncompressed.' },
  ignore_nonreadable: { kind: 'boolean', default: false, doc: 'Hide unreadable files instead of reporting them.' },
  open_noatime: { kind: 'boolean', default: false, doc: 'Open files without changing their access time.' },
  timeout: {
    kind: 'seconds',
    min: 1,
    max: DAY_SEC,
    default: null,
    doc: 'As the global timeout, which is the default.',
  },
  xattrs: { kind: 'boolean', default: false, doc: 'Serve -X and -A.' },
  log_transfers: { kind: 'choice', choices: LOG_TRANSFERS, default: null, doc: 'As the global key, the default.' },
  file_list_cache: {
    kind: 'seconds',
    min: 0,
    max: DAY_SEC,
    default: 0,
    doc: 'Clients share what was read of a directory until the scan is this old; 0: each has its own.',
  },
  generation_file: {
    kind: 'text',
    max: 4095,
    default: '',
    doc: 'File inside the module; when it changes, the shared scan is done anew at once.',
  },
  log_sample: { kind: 'number', min: 0, max: 1, default: 1, doc: 'Share of files logged with log_transfers = "file".' },
} as const satisfies KeyTable;

/** A limit's key: its kind and range follow from its unit. Only `sessionMs` may be 0, which means none. */
function limitKey(name: string, value: number): KeySpec {
  const doc = `Bound of this name in limits.ts (security.md B).`;
  if (name.endsWith('Ms')) {
    return { kind: 'milliseconds', min: name === 'sessionMs' ? 0 : 1, max: LONGEST_TIMER_MS, default: value, doc };
  }
  if (name.endsWith('Bytes')) {
    return { kind: 'size', min: 1, max: LARGEST_SIZE, default: value, doc };
  }
  return { kind: 'integer', min: 1, max: LARGEST_COUNT, default: value, doc };
}

/** Keys of [limits]: every field of limits.ts under its own name. */
export const LIMIT_KEYS: KeyTable = Object.fromEntries(
  Object.entries(DEFAULT_LIMITS).map(([name, value]) => [name, limitKey(name, value)]),
);

/** Sections of the file, for the nearest-name search and for documentation. */
export const SECTIONS = { limits: LIMIT_KEYS, listener: LISTENER_KEYS, module: MODULE_KEYS } as const;
