/** Our own command line: one table of options and its interpreter; main.ts calls parseCommandLine first. */
import { parseArgs } from 'node:util';
import type { ConfigFlags } from '../config/config.ts';
import { nearestName } from '../config/nearest.ts';
import { EXIT, UsageError } from '../errors.ts';

interface CliOption {
  readonly name: string;
  readonly short?: string;
  /** What the value is called in --help; an option without it is a switch. */
  readonly value?: string;
  /** The value may be left out. */
  readonly isValueOptional?: true;
  /** Another spelling of this option. */
  readonly alias?: string;
  readonly doc: string;
}

/** Every option that we accept, in the order of --help. */
export const CLI_OPTIONS = [
  { name: 'daemon', doc: 'serve modules (what this program does anyway)' },
  { name: 'no-detach', doc: 'accepted for rsync; we never detach' },
  {
    name: 'config',
    value: 'FILE',
    alias: 'gokr.config',
    doc: 'read this configuration file; FILE.conf is an rsyncd.conf',
  },
  { name: 'gokr.listen', value: 'ADDR', doc: 'listen on ADDR, as "[::]:873", instead of the configured addresses' },
  {
    name: 'gokr.anonssh_listen',
    value: 'ADDR',
    doc: 'listen on ADDR for anonymous SSH, instead of the configured addresses for that',
  },
  {
    name: 'gokr.monitoring_listen',
    value: 'ADDR',
    doc: 'serve metrics and status page on ADDR, instead of the configured addresses for that',
  },
  { name: 'gokr.modulemap', value: 'NAME=PATH', doc: 'serve the directory PATH as module NAME; repeatable' },
  { name: 'modules-in', value: 'DIRECTORY', doc: 'serve each directory in DIRECTORY as a module named like it' },
  { name: 'port', value: 'PORT', doc: 'listen on this port instead of the configured one' },
  { name: 'address', value: 'HOST', doc: 'listen on this address instead of the configured one' },
  { name: 'check', doc: 'check the configuration, print what it amounts to, exit' },
  { name: 'print-dropin', doc: 'print the systemd drop-in that lets the service read the configured modules, exit' },
  { name: 'healthcheck', doc: 'ask the running daemon for its module list, exit with 0 if it answers, else 1' },
  {
    name: 'convert-config',
    value: 'FILE',
    doc: 'print the rsyncd.conf FILE as TOML, verdicts on standard error; exit 2 if one is R',
  },
  {
    name: 'keygen',
    value: 'FILE',
    isValueOptional: true,
    doc: 'make an SSH host key in the new FILE (ssh_host_ed25519_key), print its public key, exit',
  },
  {
    name: 'server',
    doc: "rsync's own, for a remote shell: --sender sends the user's files, --daemon modules",
  },
  { name: 'sender', doc: 'only with --server, and what it always is: uploads are refused' },
  {
    name: 'restrict',
    value: 'DIR',
    doc: 'for command= in authorized_keys: the key may only pull, from DIR and what is below it',
  },
  {
    name: 'once',
    doc: 'serve one module to one client, with a password of its own; exit with the outcome',
  },
  { name: 'once-timeout', value: 'TIME', doc: 'how long --once waits for its client: seconds, or "10m" (1h)' },
  {
    name: 'require-sandbox',
    value: 'strict',
    doc: 'refuse to start when one guarantee of the sandbox does not hold; --check shows them',
  },
  { name: 'version', short: 'V', doc: 'print versions and licence, exit' },
  { name: 'help', short: 'h', doc: 'print this text, exit' },
] as const satisfies readonly CliOption[];

/** What the command line asks for. */
export type Command =
  | { readonly kind: 'help' }
  | { readonly kind: 'version' }
  | { readonly kind: 'convert'; readonly file: string }
  /** rsync's --server --sender: the whole command line is the client's. */
  | { readonly kind: 'shell' }
  | { readonly kind: 'restrict'; readonly directory: string }
  | {
      readonly kind: 'once';
      readonly flags: ConfigFlags;
      /** Milliseconds until a client must have logged in. */
      readonly timeoutMs: number;
    }
  | {
      readonly kind: 'keygen';
      /** null: the default name. */
      readonly file: string | null;
    }
  | {
      readonly kind: ConfiguredKind;
      readonly flags: ConfigFlags;
      /** --modules-in; null when absent. */
      readonly modulesIn: string | null;
      /** --require-sandbox=strict. */
      readonly strictSandbox: boolean;
    };

/** What is done with a configuration. */
type ConfiguredKind = 'check' | 'print-dropin' | 'healthcheck' | 'serve' | 'shell-daemon';

/** Switches that do something else than serve; the first that is given wins. */
const MODES = ['check', 'print-dropin', 'healthcheck'] as const satisfies readonly ConfiguredKind[];

/** Values by option name, in the order given; switches hold one empty text per use. */
type Given = ReadonlyMap<string, readonly string[]>;

function usage(problem: string): UsageError {
  return new UsageError(`gokr-rsyncd: ${problem}; see gokr-rsyncd --help`, { exit: EXIT.SYNTAX });
}

/**
 * rsync's own server modes, which a remote shell starts: `--server` among the options, that is before a lone `.`.
 * @returns null when it is none of them.
 * @throws UsageError for an upload.
 */
function serverMode(argv: readonly string[]): Command | null {
  const dot = argv.indexOf('.');
  const options = dot < 0 ? argv : argv.slice(0, dot);
  if (!options.includes('--server')) {
    return null;
  }
  if (options.includes('--sender')) {
    return { kind: 'shell' };
  }
  if (!options.includes('--daemon')) {
    // SECURITY: an upload is refused before any other argument is looked at; no receiver exists in this program.
    throw new UsageError('gokr-rsyncd: read-only: uploads are refused, this program only sends files\n', {
      exit: EXIT.SYNTAX,
    });
  }
  const given = collect([...options, ...argv.slice(dot < 0 ? argv.length : dot + 1)]);
  return { kind: 'shell-daemon', ...configuredBy(given) };
}

function configuredBy(given: Given) {
  const sandbox = last(given, 'require-sandbox');
  if (sandbox !== null && sandbox !== 'strict') throw usage('the only value of --require-sandbox is strict');
  return { flags: flagsOf(given), modulesIn: last(given, 'modules-in'), strictSandbox: sandbox !== null };
}

function flagsOf(given: Given): ConfigFlags {
  return {
    file: last(given, 'config'),
    listen: last(given, 'gokr.listen'),
    anonSshListen: last(given, 'gokr.anonssh_listen'),
    monitoringListen: last(given, 'gokr.monitoring_listen'),
    port: last(given, 'port'),
    address: last(given, 'address'),
    modules: given.get('gokr.modulemap') ?? [],
  };
}

/** parseArgs' form of the table, aliases included. */
function parserOptions(): Record<string, { type: 'boolean' | 'string'; short?: string }> {
  const rows = CLI_OPTIONS.flatMap((option: CliOption) => {
    const row = {
      type: option.value === undefined ? ('boolean' as const) : ('string' as const),
      ...(option.short === undefined ? {} : { short: option.short }),
    };
    return option.alias === undefined
      ? [[option.name, row] as const]
      : [[option.name, row] as const, [option.alias, { type: row.type }] as const];
  });
  return Object.fromEntries(rows);
}

function findOption(name: string): CliOption | undefined {
  return CLI_OPTIONS.find((option: CliOption) => option.name === name || option.alias === name);
}

function unknownOption(rawName: string): UsageError {
  const names = CLI_OPTIONS.flatMap((option: CliOption) => [
    option.name,
    ...(option.alias === undefined ? [] : [option.alias]),
  ]);
  const nearest = nearestName(rawName.replace(/^-+/, ''), names);
  return usage(`unknown option ${JSON.stringify(rawName)}; the nearest known option is --${nearest}`);
}

/** Splits the arguments into options; every rule about values and unknown names is applied here. */
function collect(argv: readonly string[]): Given {
  const given = new Map<string, string[]>();
  const { tokens } = parseArgs({ args: [...argv], options: parserOptions(), strict: false, tokens: true });
  for (const token of tokens) {
    if (token.kind === 'positional') {
      throw usage(`unexpected argument ${JSON.stringify(token.value)}`);
    }
    if (token.kind !== 'option') {
      continue;
    }
    const option = findOption(token.name);
    if (option === undefined) {
      throw unknownOption(token.rawName);
    }
    if (option.value === undefined && token.value !== undefined) {
      throw usage(`${token.rawName} takes no value`);
    }
    const mayLack = option.value === undefined || (option.isValueOptional === true && token.value === undefined);
    if (!mayLack && (!token.value || (!token.inlineValue && token.value.startsWith('-')))) {
      throw usage(`${token.rawName} needs a value: ${token.rawName}=${option.value}`);
    }
    given.set(option.name, [...(given.get(option.name) ?? []), token.value ?? '']);
  }
  return given;
}

/** The last value of an option, as rsync has it; null when absent. */
function last(given: Given, name: string): string | null {
  return given.get(name)?.at(-1) ?? null;
}

/** How long --once waits for its client unless it is told. */
const ONCE_TIMEOUT = '1h';

/** Milliseconds by unit. */
const UNITS_MS: Readonly<Record<string, number>> = { '': 1000, s: 1000, m: 60_000, h: 3_600_000 };

/** Beyond this a Node timer fires at once. */
const LONGEST_TIMER_MS = 2 ** 31 - 1;

function onceCommand(given: Given): Command {
  const flags = flagsOf(given);
  const text = last(given, 'once-timeout') ?? ONCE_TIMEOUT;
  const [, count = '', unit = ''] = /^(\d{1,9})([smh]?)$/.exec(text) ?? [];
  const timeoutMs = Number(count) * UNITS_MS[unit]!;
  if (timeoutMs < 1 || timeoutMs > LONGEST_TIMER_MS) {
    throw usage(
      `--once-timeout=${text} is not allowed: expected 1 to ${LONGEST_TIMER_MS / 1000} seconds, as 600 or "10m"`,
    );
  }
  if (flags.port !== null || flags.address !== null || flags.anonSshListen !== null) {
    throw usage('--once listens where --gokr.listen says, or on 127.0.0.1:0; --port, --address and SSH are not for it');
  }
  if (flags.file === null && flags.modules.length === 0) {
    throw usage('--once needs a module: --gokr.modulemap=NAME=PATH');
  }
  return { kind: 'once', flags, timeoutMs };
}

/**
 * Parses the arguments behind the program's name.
 * @throws UsageError (exit 1) for anything that we do not know, and for rsync's upload mode.
 */
export function parseCommandLine(argv: readonly string[]): Command {
  const server = serverMode(argv);
  if (server !== null) {
    return server;
  }
  const given = collect(argv);
  if (given.has('help')) {
    return { kind: 'help' };
  }
  if (given.has('version')) {
    return { kind: 'version' };
  }
  const converted = last(given, 'convert-config');
  if (converted !== null) {
    return { kind: 'convert', file: converted };
  }
  const keyFile = last(given, 'keygen');
  if (keyFile !== null) {
    return { kind: 'keygen', file: keyFile === '' ? null : keyFile };
  }
  const directory = last(given, 'restrict');
  if (directory !== null) {
    return { kind: 'restrict', directory };
  }
  if (given.has('once')) {
    return onceCommand(given);
  }
  if (given.has('once-timeout')) {
    throw usage('--once-timeout is only allowed beside --once');
  }
  if (given.has('sender')) {
    throw usage('--sender is only allowed behind --server');
  }
  return { kind: MODES.find((mode) => given.has(mode)) ?? 'serve', ...configuredBy(given) };
}
