/** What a configuration amounts to, as text for --check. */
import type { Config, ListenerConfig, LoadContext, ModuleConfig } from '../config/config.ts';
import { formatListenAddress } from '../config/listen-address.ts';
import { EXIT } from '../errors.ts';
import { DEFAULT_LIMITS, type Limits } from '../limits.ts';
import { escapeControls } from '../observe/escape.ts';
import { sandboxReport } from './guarantees.ts';
import { keyLines, keyWarnings, type ListenerKeys, readListenerKeys } from './listener-keys.ts';
import type { Start } from './stages.ts';
import { workerCount } from './worker-count.ts';

/** Defaults that differ from rsync's and matter for security (security.md C). The text sees the effective value. */
const DIFFERENCES: readonly ((config: Config) => string)[] = [
  () =>
    'read only: always; uploads and every option that writes are refused (rsync: read only = yes may be switched off)',
  () =>
    'confinement: no path leaves a module, links are never followed out (rsync: use chroot, else client options decide)',
  ({ timeoutSec }) => `timeout = ${timeoutSec}: cannot be 0, and every phase has a deadline (rsync: 0, none)`,
  ({ limits }) =>
    `max connections = ${limits.connections}, per address ${limits.connectionsPerAddress} (rsync: no limit)`,
  () => 'auth digest: at least sha256 unless a module says otherwise (rsync: no floor)',
  () => 'secrets files: owner and mode are always checked (rsync: strict modes may be switched off)',
  () => 'access lists: networks only, names are never looked up (rsync: host names and DNS)',
  () => 'numeric ids = true unless a module says otherwise (rsync: names are sent when not in a chroot)',
  () => 'refuse options: a built-in list of accepted options comes first (rsync: all but the listed are accepted)',
  () => 'per-directory merge files: never read through a link (rsync: followed inside the module)',
  () => 'log: a client cannot change what is logged (rsync: max verbosity)',
];

function listed(label: string, items: readonly string[]): string[] {
  return items.length === 0 ? [] : [`  ${label}: ${items.map(escapeControls).join(', ')}`];
}

function authLines({ auth }: ModuleConfig): string[] {
  if (auth === null) {
    return ['  login: none (anonymous)'];
  }
  return [...listed('login: users', auth.users), `  login: digest ${auth.digest} or stronger`];
}

/** All filter rules in the order in which they are tried, one per line. */
function ruleLines({ rules }: ModuleConfig): string[] {
  const rows = (label: string, list: readonly (string | Buffer)[]) =>
    list.map((rule) => `    ${label} ${escapeControls(rule.toString())}`);
  const all = [
    ...rows('filter ', rules.filter),
    ...rows('include', rules.includeFrom),
    ...rows('include', rules.include),
    ...rows('exclude', rules.excludeFrom),
    ...rows('exclude', rules.exclude),
  ];
  return all.length === 0 ? [] : ['  filters, first match wins:', ...all];
}

function moduleLines(module: ModuleConfig): string[] {
  const switches = [
    module.list ? '' : 'not listed',
    module.numericIds ? '' : 'sends names of users and groups',
    module.mungeSymlinks ? 'munged links are restored' : '',
    module.ignoreNonreadable ? 'unreadable files are hidden' : '',
    module.openNoatime ? 'access times are kept' : '',
    module.xattrs ? 'extended attributes and ACLs are sent' : '',
  ].filter((text) => text !== '');
  return [
    `module ${module.name}`,
    `  path: ${escapeControls(module.path)}`,
    ...listed('comment', module.comment === '' ? [] : [module.comment]),
    ...module.access.table.map((rule, index) => (index === 0 ? `  access: ${rule}` : `          ${rule}`)),
    ...authLines(module),
    ...ruleLines(module),
    ...listed('modes sent', module.outgoingChmod === null ? [] : [module.outgoingChmod.text]),
    ...listed('refused options', module.refuseOptions),
    ...listed('uncompressed', module.dontCompress ?? []),
    ...placeLines(module),
    ...rateLines(module).map((line) => `  ${line}`),
    ...cacheLines(module),
    `  timeout: ${module.timeoutSec} s`,
    `  log: ${module.logTransfers}`,
    ...listed('settings', switches),
  ];
}

function placeLines({ maxConnections, queue }: ModuleConfig): string[] {
  if (maxConnections === 0) return [];
  const waiting = queue.places === 0 ? '' : `, ${queue.places} more may wait for up to ${queue.timeoutSec} s`;
  return [`  max connections: ${maxConnections}${waiting}`];
}

function rateLines({ bytesPerSecond }: Pick<ModuleConfig, 'bytesPerSecond'>): string[] {
  return bytesPerSecond === 0 ? [] : [`bandwidth: ${bytesPerSecond} bytes per second`];
}

function cacheLines({ listCacheSec, generationFile }: ModuleConfig): string[] {
  if (listCacheSec === 0) return [];
  const until = generationFile === '' ? '' : `, until ${escapeControls(generationFile)} changes`;
  return [`  file list: one scan for all clients, for ${listCacheSec} s${until}`];
}

/** The bounds that are not what limits.ts says. */
function limitLines(limits: Readonly<Limits>): string[] {
  const names = Object.keys(DEFAULT_LIMITS) as (keyof Limits)[];
  const changed = names.filter((name) => limits[name] !== DEFAULT_LIMITS[name]);
  const rows = changed.map((name) => `  ${name} = ${limits[name]} (default ${DEFAULT_LIMITS[name]})`);
  return ['limits that differ from their default', ...(rows.length === 0 ? ['  none'] : rows)];
}

function listenerLines({ kind, address, proxyTrusted }: ListenerConfig, keys: ListenerKeys): string[] {
  const proxies =
    proxyTrusted === undefined ? [] : [`proxies, each connection with a header: ${proxyTrusted.join(', ')}`];
  return [`  ${kind} ${formatListenAddress(address)}`, ...[...proxies, ...keyLines(keys)].map((line) => `    ${line}`)];
}

/**
 * --check: prints what the configuration amounts to and what the sandbox guarantees.
 * @returns the exit code.
 * @throws SandboxError with what a start would be refused with; ConfigError as checkText.
 */
export async function check(start: Start): Promise<number> {
  const { text, refusal } = await sandboxReport(start);
  process.stdout.write(checkText(start.config, start.context) + text);
  if (refusal !== null) throw refusal;
  return EXIT.OK;
}

/**
 * The effective configuration, one topic per paragraph, without any password or key; ends with a line feed.
 * @throws ConfigError naming a file of a listener that cannot be used.
 */
export function checkText(
  config: Config,
  context: Pick<LoadContext, 'credentialsDirectory' | 'uid' | 'record'>,
): string {
  const keys = config.listeners.map((listener) => readListenerKeys(listener, context));
  const listeners = config.listeners.flatMap((listener, index) => listenerLines(listener, keys[index]!));
  const names = config.modules.map(({ name }) => name);
  const warnings = [...config.warnings, ...keys.flatMap((one) => keyWarnings(one, names))];
  const paragraphs = [
    [`configuration: ${escapeControls(config.file ?? 'command line')}`],
    ['listeners', ...(listeners.length === 0 ? ['  none configured'] : listeners)],
    ...config.modules.map(moduleLines),
    [
      `motd: ${config.motd === null ? 'none' : `${config.motd.length} bytes`}`,
      `workers: ${workerCount(config)}`,
      `log level: ${config.logLevel}`,
      ...rateLines(config),
    ],
    limitLines(config.limits),
    ['defaults that differ from rsync', ...DIFFERENCES.map((difference) => `  ${difference(config)}`)],
    ...(warnings.length === 0 ? [] : [['warnings', ...warnings.map((line) => `  ${escapeControls(line)}`)]]),
  ];
  return `${paragraphs.map((lines) => lines.join('\n')).join('\n\n')}\n`;
}
