/** One [[module]] section → ModuleConfig, its files read and its lists parsed; load.ts calls it per module. */
import { resolve } from 'node:path';
import { ConfigError } from '../errors.ts';
import { DaemonFilter, type DaemonFilterRules, patternsOfFile } from '../filter/daemon.ts';
import { DEFAULT_LIMITS, type Limits } from '../limits.ts';
import type { LogTransfers } from '../observe/transfer-log.ts';
import { type AccessList, parseAcl, parseHostLists } from './acl.ts';
import { parseChmod } from './chmod.ts';
import type { LoadContext, ModuleAuth, ModuleConfig } from './config.ts';
import { checkDirectory, MAX_FILE_BYTES, readSmallFile } from './files.ts';
import { type Checked, MODULE_KEYS } from './schema.ts';
import { readSecrets, secretsPath } from './secrets.ts';
import type { Source } from './source.ts';
import { checkSection, keyPath, type Section } from './values.ts';

type Values = Checked<typeof MODULE_KEYS>;

/** What every module's checks share. */
export interface ModuleSurroundings {
  readonly source: Source;
  readonly context: LoadContext;
  /** Directory that relative file names start from. */
  readonly baseDir: string;
  /** What modules inherit. */
  readonly timeoutSec: number;
  readonly limits: Pick<Limits, 'queued'>;
  readonly logTransfers: LogTransfers;
  /** Collects remarks for Config.warnings. */
  readonly warn: (text: string) => void;
}

const NAME = /^[A-Za-z0-9._+-]{1,64}$/;
const REFUSED_OPTION = /^!?[A-Za-z0-9*?[][A-Za-z0-9*?[\]-]*$/;
/** What the wire cannot carry in a user name, and rsync's list syntax that an array makes needless. */
const NO_USER_NAME = /^[@#]|[\s:,*?[\]]/;

const NO_RULES: DaemonFilterRules = { filter: [], includeFrom: [], include: [], excludeFrom: [], exclude: [] };

function parseAccess(source: Source, section: Section, values: Values): AccessList {
  const { acl, hosts_allow: allow, hosts_deny: deny } = values;
  if (acl !== null && (allow !== null || deny !== null)) {
    throw source.error(keyPath(section, 'acl'), 'cannot stand beside hosts_allow or hosts_deny: use one form');
  }
  if (acl !== null) {
    return locateItem(source, keyPath(section, 'acl'), acl, (lines) => parseAcl(lines));
  }
  const checked = { hosts_allow: allow, hosts_deny: deny };
  for (const [key, list] of Object.entries(checked)) {
    locateItem(source, keyPath(section, key), list ?? [], (entries) => parseHostLists(entries, null));
  }
  return parseHostLists(allow, deny);
}

/** Parses a list; tries the elements one by one first, so that an error names the element. */
function locateItem<T>(
  source: Source,
  path: string,
  list: readonly string[],
  parse: (list: readonly string[]) => T,
): T {
  list.forEach((item, index) => {
    source.locate(`${path}[${index}]`, () => parse([item]));
  });
  return parse(list);
}

function checkItems(
  source: Source,
  path: string,
  list: readonly string[],
  problem: (item: string) => string | null,
): void {
  list.forEach((item, index) => {
    const text = problem(item);
    if (text !== null) {
      throw source.error(`${path}[${index}]`, `"${item}" ${text}`);
    }
  });
}

function loadAuth(at: ModuleSurroundings, section: Section, values: Values): ModuleAuth | null {
  const { source } = at;
  const { auth_users: users, secrets_file: file, auth_digest: digest } = values;
  if (users === null && file === null) {
    return null;
  }
  if (users === null || file === null) {
    // SECURITY: half a login would serve the module to everybody.
    const [present, absent] = users === null ? ['secrets_file', 'auth_users'] : ['auth_users', 'secrets_file'];
    throw source.error(keyPath(section, present), `needs ${absent} as well`);
  }
  checkItems(source, keyPath(section, 'auth_users'), users, (user) =>
    NO_USER_NAME.test(user)
      ? 'is not a user name: no blanks, no colon or comma, no wildcards, no leading @ or #; one entry per user'
      : null,
  );
  const path = secretsPath(file, at.baseDir, at.context);
  const secrets = source.locate(keyPath(section, 'secrets_file'), () =>
    readSecrets(path, at.context.uid, at.context.record),
  );
  const passwords = new Map<string, Buffer>();
  for (const user of users) {
    const key = Buffer.from(user).toString('latin1');
    const password = secrets.get(key);
    if (password === undefined) {
      at.warn(`module ${values.name}: user "${user}" has no line in the secrets file and cannot log in`);
    } else {
      passwords.set(key, password);
    }
  }
  return { users, digest, passwordOf: (user) => passwords.get(user.toString('latin1')) ?? null };
}

/** Compiles one list of rules for its errors alone; the sessions' filter is compiled with the limits in force. */
function checkRules(key: keyof DaemonFilterRules, rules: readonly (string | Buffer)[]): void {
  new DaemonFilter({ ...NO_RULES, [key]: rules }, DEFAULT_LIMITS);
}

/** As checkRules for a single element, whose key path says already which rule it is. */
function checkRule(key: keyof DaemonFilterRules, rule: string): void {
  try {
    checkRules(key, [rule]);
  } catch (error) {
    const isOurs = error instanceof ConfigError;
    throw isOurs ? new ConfigError(error.message.replace(/^\w+, rule 1: /, ''), { cause: error }) : error;
  }
}

function loadRules(at: ModuleSurroundings, section: Section, values: Values): DaemonFilterRules {
  for (const key of ['filter', 'include', 'exclude'] as const) {
    values[key].forEach((rule, index) => {
      at.source.locate(`${keyPath(section, key)}[${index}]`, () => checkRule(key, rule));
    });
  }
  const readRules = (key: 'include_from' | 'exclude_from') => {
    const file = values[key];
    return at.source.locate(keyPath(section, key), () => {
      if (file === null) {
        return [];
      }
      const rules = patternsOfFile(
        readSmallFile(resolve(at.baseDir, file), { maxBytes: MAX_FILE_BYTES, record: at.context.record }),
      );
      checkRules(key === 'include_from' ? 'includeFrom' : 'excludeFrom', rules);
      return rules;
    });
  };
  return {
    filter: values.filter,
    includeFrom: readRules('include_from'),
    include: values.include,
    excludeFrom: readRules('exclude_from'),
    exclude: values.exclude,
  };
}

function checkIdentity(source: Source, section: Section, values: Values): void {
  if (!NAME.test(values.name)) {
    const allowed = 'expected 1 to 64 letters, digits, ".", "_", "+" or "-"';
    throw source.error(keyPath(section, 'name'), `"${values.name}" is not a module name: ${allowed}`);
  }
  source.locate(keyPath(section, 'path'), () => checkDirectory(values.path));
}

function loadChmod(source: Source, path: string, text: string | null): ModuleConfig['outgoingChmod'] {
  return text === null ? null : { text, apply: source.locate(path, () => parseChmod(text)) };
}

function loadGenerationFile(source: Source, section: Section, values: Values): string {
  const { generation_file: file, file_list_cache: cacheSec } = values;
  if (file === '') return file;
  const problem = (text: string) => source.error(keyPath(section, 'generation_file'), text);
  if (cacheSec === 0) throw problem('needs file_list_cache as well');
  if (file.startsWith('/') || file.split('/').some((part) => part === '..' || part === '.' || part === '')) {
    throw problem(`"${file}" is not a path inside the module, as "snapshots/CURRENT"`);
  }
  return file;
}

function loadQueue(at: ModuleSurroundings, section: Section, values: Values): ModuleConfig['queue'] {
  const { queue: places, queue_timeout: timeoutSec, max_connections: max } = values;
  if (places > 0 && max === 0) throw at.source.error(keyPath(section, 'queue'), 'needs max_connections as well');
  if (places > at.limits.queued) {
    at.warn(
      `module ${values.name}: queue = ${places}, but limits.queued lets only ${at.limits.queued} wait in all queues`,
    );
  }
  return { places, timeoutSec };
}

/**
 * Checks one module and reads the files that it names.
 * @throws ConfigError naming file, line, key path, value and what is allowed.
 */
export function loadModule(at: ModuleSurroundings, section: Section): ModuleConfig {
  const { source } = at;
  const values = checkSection(source, section, MODULE_KEYS);
  checkIdentity(source, section, values);
  checkItems(source, keyPath(section, 'refuse_options'), values.refuse_options, (option) =>
    REFUSED_OPTION.test(option) ? null : 'is not an option name: no leading dashes, * ? [ ] as wildcards, ! to negate',
  );
  if (values.open_noatime && at.context.uid !== 0) {
    at.warn(`module ${values.name}: open_noatime works only for files that uid ${at.context.uid} owns`);
  }
  return {
    name: values.name,
    path: values.path,
    comment: values.comment,
    list: values.list,
    access: parseAccess(source, section, values),
    auth: loadAuth(at, section, values),
    maxConnections: values.max_connections,
    queue: loadQueue(at, section, values),
    bytesPerSecond: values.bandwidth_limit,
    rules: loadRules(at, section, values),
    numericIds: values.numeric_ids,
    timeoutSec: values.timeout ?? at.timeoutSec,
    ignoreNonreadable: values.ignore_nonreadable,
    mungeSymlinks: values.munge_symlinks,
    outgoingChmod: loadChmod(source, keyPath(section, 'outgoing_chmod'), values.outgoing_chmod),
    refuseOptions: values.refuse_options,
    openNoatime: values.open_noatime,
    xattrs: values.xattrs,
    dontCompress: values.dont_compress,
    logTransfers: values.log_transfers ?? at.logTransfers,
    logSample: values.log_sample,
    listCacheSec: values.file_list_cache,
    generationFile: loadGenerationFile(source, section, values),
  };
}

/** Refuses two modules of one name, naming the second. */
export function refuseDuplicateNames(
  source: Source,
  sections: readonly Section[],
  modules: readonly ModuleConfig[],
): void {
  modules.forEach((module, index) => {
    if (modules.findIndex((other) => other.name === module.name) !== index) {
      throw source.error(keyPath(sections[index]!, 'name'), `"${module.name}" is the name of an earlier module`);
    }
  });
}
