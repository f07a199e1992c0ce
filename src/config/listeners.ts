/** [[listener]] sections and the address flags → listeners with absolute file names; sections.ts calls it. */
import { resolve } from 'node:path';
import { ConfigError } from '../errors.ts';
import type { Config, ConfigFlags, ListenerConfig, LoadContext, ProxySettings } from './config.ts';
import { type ListenAddress, parseHost, parseListenAddress, parsePort, RSYNC_PORT } from './listen-address.ts';
import { type Checked, LISTENER_KEYS, LISTENER_KINDS } from './schema.ts';
import { secretsPath } from './secrets.ts';
import type { Source } from './source.ts';
import { checkSection, keyPath, type Section } from './values.ts';

/** What loading listeners needs to know. */
export interface ListenerSurroundings {
  readonly source: Source;
  /** Where relative names of files start. */
  readonly baseDir: string;
  readonly context: LoadContext;
}

type Values = Checked<typeof LISTENER_KEYS>;
type Kind = (typeof LISTENER_KINDS)[number];

/** Keys that mean something for some kinds only. */
const KINDS_OF_KEY = {
  host_key_path: ['anon_ssh', 'authorized_ssh'],
  tls_certificate: ['tls'],
  tls_key: ['tls'],
  proxy_protocol: ['rsyncd', 'anon_ssh', 'authorized_ssh', 'tls'],
  proxy_trusted: ['rsyncd', 'anon_ssh', 'authorized_ssh', 'tls'],
} as const satisfies Readonly<Record<string, readonly Kind[]>>;

/** The host key of an SSH listener that names none, and the file of --keygen. */
export const DEFAULT_HOST_KEY = LISTENER_KEYS.host_key_path.default;

const sameAddress = (a: ListenAddress, b: ListenAddress) => a.host === b.host && a.port === b.port;

/** Nothing is ignored in silence: a certificate beside a plain listener is a mistake that matters. */
function refuseKeysOfOthers(source: Source, section: Section, kind: Kind): void {
  for (const [key, kinds] of Object.entries(KINDS_OF_KEY)) {
    if (Object.hasOwn(section.raw, key) && !(kinds as readonly Kind[]).includes(kind)) {
      throw source.error(keyPath(section, key), `has no effect on a listener of kind ${kind}`);
    }
  }
}

function kindOf(source: Source, section: Section, values: Values): Kind {
  const kinds = LISTENER_KINDS.filter((kind) => values[kind] !== null);
  if (kinds.length !== 1) {
    const found = kinds.length === 0 ? 'has none' : `has ${kinds.join(' and ')}`;
    throw source.error(section.path, `${found}: expected exactly one of ${LISTENER_KINDS.join(', ')}`);
  }
  return kinds[0]!;
}

/** SECURITY: a header that anybody may send lets everybody choose an address (CVE-2026-53791); there is no default of networks. */
function proxySettings(source: Source, section: Section, values: Values): ProxySettings {
  const { proxy_protocol, proxy_trusted } = values;
  if (!proxy_protocol && proxy_trusted.length === 0) return {};
  if (!proxy_protocol)
    throw source.error(keyPath(section, 'proxy_trusted'), 'has no effect without proxy_protocol = true');
  if (proxy_trusted.length > 0) return { proxyTrusted: proxy_trusted };
  throw source.error(
    keyPath(section, 'proxy_protocol'),
    'needs proxy_trusted: the networks that the proxies connect from, as ["10.0.0.5/32"]',
  );
}

/** A listener of the file; `http_monitoring` serves no module, and is no ListenerConfig. */
type FileListener = ListenerConfig | { readonly kind: 'http_monitoring'; readonly address: ListenAddress };

function loadListener({ source, baseDir, context }: ListenerSurroundings, section: Section): FileListener {
  const values = checkSection(source, section, LISTENER_KEYS);
  const kind = kindOf(source, section, values);
  refuseKeysOfOthers(source, section, kind);
  const proxy = proxySettings(source, section, values);
  const hostKeyPath = secretsPath(values.host_key_path, baseDir, context);
  if (kind === 'anon_ssh') return { kind, ...proxy, address: parseListenAddress(values.anon_ssh!), hostKeyPath };
  if (kind === 'authorized_ssh') {
    // The schema has checked the inner table.
    const { address, authorized_keys } = values.authorized_ssh as { address: string; authorized_keys: string };
    const authorizedKeysPath = secretsPath(authorized_keys, baseDir, context);
    return { kind, ...proxy, address: parseListenAddress(address), hostKeyPath, authorizedKeysPath };
  }
  if (kind === 'tls') {
    const pathOf = (key: 'tls_certificate' | 'tls_key'): string => {
      const file = values[key];
      if (file === null) throw source.error(section.path, `has tls without ${key}`);
      return secretsPath(file, baseDir, context);
    };
    const paths = { certificatePath: pathOf('tls_certificate'), keyPath: pathOf('tls_key') };
    return { kind, ...proxy, address: parseListenAddress(values.tls!), ...paths };
  }
  if (kind === 'http_monitoring') return { kind, address: parseListenAddress(values.http_monitoring!) };
  return { kind: 'rsyncd', ...proxy, address: parseListenAddress(values.rsyncd!) };
}

type PlainListener = ProxySettings & { readonly address: ListenAddress };

/** The file's plain listeners with --gokr.listen in their place, or with --port and --address put into each of them. */
function applyAddressFlags(source: Source, configured: readonly PlainListener[], flags: ConfigFlags): PlainListener[] {
  const { listen, port, address } = flags;
  if (listen !== null && (port !== null || address !== null)) {
    throw new ConfigError('--gokr.listen: cannot stand beside --port or --address');
  }
  if (listen !== null) {
    return [{ address: source.locate('--gokr.listen', () => parseListenAddress(listen)) }];
  }
  if (port === null && address === null) {
    return [...configured];
  }
  // SECURITY: --port alone keeps the configured host: a loopback listener must not open to the world.
  const host = address === null ? null : source.locate('--address', () => parseHost(address));
  const number = port === null ? null : source.locate('--port', () => parsePort(port));
  const base = configured.length > 0 ? configured : [{ address: { host: parseHost(''), port: RSYNC_PORT } }];
  const changed = base.map(({ address: old, ...rest }) => ({
    ...rest,
    address: { host: host ?? old.host, port: number ?? old.port },
  }));
  return changed.filter(
    (one, index) => changed.findIndex((other) => sameAddress(one.address, other.address)) === index,
  );
}

/** The listeners that are not for plain connections, with --gokr.anonssh_listen in the place of the anonymous ones. */
function encryptedListeners(
  { source, baseDir, context }: ListenerSurroundings,
  configured: readonly ListenerConfig[],
  { anonSshListen }: ConfigFlags,
): ListenerConfig[] {
  const encrypted = configured.filter(({ kind }) => kind !== 'rsyncd');
  if (anonSshListen === null) return encrypted;
  const address = source.locate('--gokr.anonssh_listen', () => parseListenAddress(anonSshListen));
  const withKey =
    encrypted.find((one) => one.kind === 'anon_ssh') ?? encrypted.find((one) => one.kind === 'authorized_ssh');
  const hostKeyPath = withKey?.hostKeyPath ?? secretsPath(DEFAULT_HOST_KEY, baseDir, context);
  return [{ kind: 'anon_ssh', address, hostKeyPath }, ...encrypted.filter(({ kind }) => kind !== 'anon_ssh')];
}

function monitoringAddresses(
  source: Source,
  configured: readonly FileListener[],
  { monitoringListen }: ConfigFlags,
): ListenAddress[] {
  if (monitoringListen !== null) {
    return [source.locate('--gokr.monitoring_listen', () => parseListenAddress(monitoringListen))];
  }
  return configured.filter(({ kind }) => kind === 'http_monitoring').map(({ address }) => address);
}

/** Plain listeners first, then the others in the order of the file. @throws ConfigError naming the place. */
export function loadListeners(
  at: ListenerSurroundings,
  sections: readonly Section[],
  flags: ConfigFlags,
): Pick<Config, 'listeners' | 'monitoring'> {
  const configured = sections.map((section) => loadListener(at, section));
  configured.forEach(({ kind, address }, index) => {
    if (address.port !== 0 && configured.findIndex((other) => sameAddress(address, other.address)) !== index) {
      const key = kind === 'authorized_ssh' ? 'authorized_ssh.address' : kind;
      throw at.source.error(keyPath(sections[index]!, key), 'is the address of an earlier listener');
    }
  });
  const plain = configured.filter((one) => one.kind === 'rsyncd');
  const serving = configured.filter((one) => one.kind !== 'http_monitoring');
  return {
    listeners: [
      ...applyAddressFlags(at.source, plain, flags).map((one) => ({ ...one, kind: 'rsyncd' as const })),
      ...encryptedListeners(at, serving, flags),
    ],
    monitoring: monitoringAddresses(at.source, configured, flags),
  };
}

/** Where --keygen writes: the named file, else the default name in the current directory. */
export function hostKeyFile(file: string | null): string {
  return resolve(file ?? DEFAULT_HOST_KEY);
}
