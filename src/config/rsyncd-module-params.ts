/** The parameters of rsyncd.conf that belong to modules, one row each; rsyncd-params.ts joins the tables. */
import { parseHosts } from './rsyncd-hosts.ts';
import {
  absoluteFile,
  checkIdentity,
  type Identity,
  ignored,
  mustBe,
  type Outcome,
  type ParamRow,
  parseCount,
  parseTristate,
  refuse,
  refused,
  setsKey,
} from './rsyncd-param.ts';
import { parseBoolean, parseWhole, splitFilterRules, splitNames, splitPatterns, splitWords } from './rsyncd-words.ts';

function modulePath(value: string): Outcome {
  const path = absoluteFile(value);
  const plain = `${path}/`.replaceAll(/\/(?:\.?\/)+/g, '/').slice(0, -1) || '/';
  return `${path}/`.includes('/./')
    ? { letter: 'W', text: `served as the plain path "${plain}": the dot divides nothing here`, keys: { path: plain } }
    : { letter: 'I', text: 'path', keys: { path: plain } };
}

function useChroot(value: string): Outcome {
  return parseTristate(value) === false
    ? {
        letter: 'W',
        text: 'no path leaves the module all the same; names of users and groups are sent only with numeric ids = no',
      }
    : { letter: 'D', text: 'every session is confined to the module without chroot' };
}

function maxConnections(value: string): Outcome {
  const count = parseWhole(value);
  return count < 0
    ? { letter: 'W', text: 'the module is switched off and left out', leavesOut: true }
    : {
        letter: 'D',
        text: 'max_connections, counted for each module by itself',
        keys: { max_connections: BigInt(count) },
      };
}

function timeout(value: string): Outcome {
  const seconds = parseCount(value);
  return seconds === 0
    ? { letter: 'W', text: 'a timeout cannot be switched off: the default of 600 seconds holds' }
    : { letter: 'D', text: 'timeout', keys: { timeout: BigInt(seconds) } };
}

function openNoatime(value: string): Outcome {
  const isOn = parseTristate(value);
  if (isOn === null) {
    return { letter: 'D', text: 'the client decides' };
  }
  return isOn
    ? { letter: 'D', text: 'open_noatime', keys: { open_noatime: true } }
    : { letter: 'W', text: 'ignored: a client may still ask for it with --open-noatime' };
}

function transferLogging(value: string): Outcome {
  return parseBoolean(value)
    ? { letter: 'D', text: 'log_transfers', keys: { log_transfers: 'file' } }
    : { letter: 'D', text: 'one line is logged for each session, none for each file' };
}

function userIdentity(value: string, identity: Identity): Outcome {
  checkIdentity('uid', value, identity);
  return { letter: 'W', text: 'ignored: there is one identity for all modules, and it is this one or nobody' };
}

function groupIdentity(value: string, identity: Identity): Outcome {
  for (const name of splitNames(value)) {
    checkIdentity('gid', name, identity);
  }
  return { letter: 'W', text: 'ignored: there is one identity for all modules, and it is this one or nobody' };
}

const DIGESTS: readonly string[] = ['sha512', 'sha256', 'sha1', 'md5', 'md4'];

function authDigest(value: string): string {
  const digest = value.toLowerCase();
  return DIGESTS.includes(digest) ? digest : refuse(`"${value}" is not one of ${DIGESTS.join(', ')}`);
}

/** The name of one rule of `auth users` and whether it may log in. */
function parseAuthRule(rule: string): { name: string; mayLogIn: boolean } {
  const colon = rule.indexOf(':');
  const name = colon < 0 ? rule : rule.slice(0, colon);
  const option = colon < 0 ? 'ro' : rule.slice(colon + 1).toLowerCase();
  if (name.startsWith('@')) {
    refuse(`"${rule}" names a group: list its members, groups are never looked up`);
  }
  // SECURITY: a wildcard before a ":deny" or behind it cannot be expanded into names without opening or closing too much.
  if (/[*?[\]]/.test(name)) {
    refuse(`"${rule}" has a wildcard: list the users`);
  }
  if (option === 'rw') {
    refuse(`"${rule}" asks for uploads, which we never take: write the name alone`);
  }
  if (option !== 'ro' && option !== 'deny') {
    refuse(`"${rule}" has an unknown option: expected :ro or :deny`);
  }
  return { name, mayLogIn: option === 'ro' };
}

/** `auth users`: the first rule about a user decides, so a `:deny` takes later mentions of the name away. */
function authUsers(value: string): string[] {
  const rules = splitNames(value).map(parseAuthRule);
  const first = new Map(rules.toReversed().map(({ name, mayLogIn }) => [name, mayLogIn]));
  const users = [...new Set(rules.map(({ name }) => name))].filter((name) => first.get(name) === true);
  return users.length > 0 ? users : refuse(`"${value}" lets nobody log in: leave the module out instead`);
}

const MODULE = { scope: 'module', kind: 'text' } as const;
const SWITCH = { scope: 'module', kind: 'boolean' } as const;
const NUMBER = { scope: 'module', kind: 'number' } as const;

const NO_LOG_FILE = ignored('the log goes to standard error, that is to the journal');
const RECEIVES_NOTHING = ignored('nothing is ever received');
const NO_DNS = ignored('host names are never looked up');
const NO_HOOKS = refused('no program is ever run; follow the log, which has an event for each session');

/** The 48 parameters of modules in the order of the manual. */
export const MODULE_PARAMS: readonly ParamRow[] = [
  { name: 'name', ...MODULE, verdict: 'I', convert: setsKey('name', (value) => value) },
  { name: 'comment', ...MODULE, verdict: 'I', convert: setsKey('comment', (value) => value) },
  { name: 'path', ...MODULE, verdict: 'I', convert: modulePath },
  { name: 'use chroot', ...SWITCH, verdict: 'D', convert: useChroot },
  {
    name: 'name converter',
    ...MODULE,
    verdict: 'R',
    convert: refused('names come from /etc/passwd and /etc/group, read at start; set numeric ids = no to send them'),
  },
  { name: 'numeric ids', ...SWITCH, verdict: 'D', convert: setsKey('numeric_ids', parseBoolean, 'D') },
  { name: 'munge symlinks', ...SWITCH, verdict: 'D', convert: setsKey('munge_symlinks', parseBoolean, 'D') },
  { name: 'insecure links', ...SWITCH, verdict: 'R', convert: mustBe(false, 'no link is followed out of a module') },
  {
    name: 'charset',
    ...MODULE,
    verdict: 'R',
    convert: refused('names are sent as they are stored; --iconv is refused'),
  },
  { name: 'max connections', ...NUMBER, verdict: 'D', convert: maxConnections },
  { name: 'log file', ...MODULE, verdict: 'D', ...NO_LOG_FILE },
  { name: 'syslog facility', ...MODULE, verdict: 'D', ...NO_LOG_FILE },
  { name: 'syslog tag', ...MODULE, verdict: 'D', ...NO_LOG_FILE },
  { name: 'max verbosity', ...NUMBER, verdict: 'D', ...ignored('a client cannot change what is logged') },
  { name: 'lock file', ...MODULE, verdict: 'W', ...ignored('connections are counted inside the one process') },
  {
    name: 'read only',
    ...SWITCH,
    verdict: 'I',
    convert: mustBe(true, 'this daemon only sends; delete the line, or keep C rsync for uploads'),
  },
  {
    name: 'write only',
    ...SWITCH,
    verdict: 'R',
    convert: mustBe(false, 'this daemon only sends; keep C rsync for uploads'),
  },
  { name: 'open noatime', ...SWITCH, verdict: 'D', convert: openNoatime },
  { name: 'list', ...SWITCH, verdict: 'I', convert: setsKey('list', parseBoolean) },
  { name: 'uid', ...MODULE, verdict: 'R', convert: userIdentity },
  { name: 'gid', ...MODULE, verdict: 'R', convert: groupIdentity },
  {
    name: 'fake super',
    ...SWITCH,
    verdict: 'R',
    convert: mustBe(false, 'attributes are sent as the file system has them'),
  },
  { name: 'filter', ...MODULE, verdict: 'I', convert: setsKey('filter', splitFilterRules) },
  { name: 'exclude', ...MODULE, verdict: 'I', convert: setsKey('exclude', splitPatterns) },
  { name: 'include', ...MODULE, verdict: 'I', convert: setsKey('include', splitPatterns) },
  { name: 'exclude from', ...MODULE, verdict: 'I', convert: setsKey('exclude_from', absoluteFile) },
  { name: 'include from', ...MODULE, verdict: 'I', convert: setsKey('include_from', absoluteFile) },
  { name: 'incoming chmod', ...MODULE, verdict: 'W', ...RECEIVES_NOTHING },
  { name: 'outgoing chmod', ...MODULE, verdict: 'I', convert: setsKey('outgoing_chmod', (value) => value) },
  { name: 'auth users', ...MODULE, verdict: 'I', convert: setsKey('auth_users', authUsers) },
  { name: 'secrets file', ...MODULE, verdict: 'I', convert: setsKey('secrets_file', absoluteFile) },
  { name: 'auth digest', ...MODULE, verdict: 'I', convert: setsKey('auth_digest', authDigest) },
  {
    name: 'strict modes',
    ...SWITCH,
    verdict: 'D',
    convert: mustBe(true, 'owner and mode of the secrets file are always checked; delete the line'),
  },
  { name: 'hosts allow', ...MODULE, verdict: 'D', convert: setsKey('hosts_allow', parseHosts, 'D') },
  { name: 'hosts deny', ...MODULE, verdict: 'D', convert: setsKey('hosts_deny', parseHosts, 'D') },
  { name: 'reverse lookup', ...SWITCH, verdict: 'W', ...NO_DNS },
  { name: 'forward lookup', ...SWITCH, verdict: 'W', ...NO_DNS },
  { name: 'ignore errors', ...SWITCH, verdict: 'W', ...ignored('read errors are always reported to the client') },
  { name: 'ignore nonreadable', ...SWITCH, verdict: 'I', convert: setsKey('ignore_nonreadable', parseBoolean) },
  { name: 'transfer logging', ...SWITCH, verdict: 'W', convert: transferLogging },
  { name: 'log format', ...MODULE, verdict: 'W', ...ignored('log lines are JSON with fields of their own') },
  { name: 'timeout', ...NUMBER, verdict: 'D', convert: timeout },
  { name: 'refuse options', ...MODULE, verdict: 'D', convert: setsKey('refuse_options', splitWords, 'D') },
  { name: 'dont compress', ...MODULE, verdict: 'D', convert: setsKey('dont_compress', splitWords, 'D') },
  { name: 'early exec', ...MODULE, verdict: 'R', convert: NO_HOOKS },
  { name: 'pre-xfer exec', ...MODULE, verdict: 'R', convert: NO_HOOKS },
  { name: 'post-xfer exec', ...MODULE, verdict: 'R', convert: NO_HOOKS },
  { name: 'temp dir', ...MODULE, verdict: 'W', ...RECEIVES_NOTHING },
];
