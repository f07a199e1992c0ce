/** What encrypted listeners show to clients and ask of them, read from their files; serve.ts does it while it may still read them, check.ts prints it. */

import type { ListenerSettings, LoadContext } from '../config/config.ts';
import type { FileRecord } from '../config/file-record.ts';
import { readPrivateText, readTrustedText } from '../config/key-files.ts';
import { type AuthorizedKeys, parseAuthorizedKeys } from '../listener/ssh/authorized-keys.ts';
import { type HostKey, parseHostKey } from '../listener/ssh/ed25519-key.ts';
import { loadHostKey } from '../listener/ssh/hostkey.ts';
import { loadTlsIdentity, type PemFiles, type TlsIdentity } from '../listener/tls.ts';
import { escapeControls } from '../observe/escape.ts';
import type { LogFields } from '../observe/log.ts';

type SettingsOf<K extends ListenerSettings['kind']> = Extract<ListenerSettings, { kind: K }>;

/** A listener's settings with the content of its files. Immutable: a reload makes a new one. */
export type ListenerKeys =
  | SettingsOf<'rsyncd'>
  | (SettingsOf<'anon_ssh'> & { readonly hostKey: HostKey })
  | (SettingsOf<'authorized_ssh'> & { readonly hostKey: HostKey; readonly authorizedKeys: AuthorizedKeys })
  | (SettingsOf<'tls'> & { readonly identity: TlsIdentity });

/** The listeners of one kind. */
export type KeysOf<K extends ListenerSettings['kind']> = Extract<ListenerKeys, { kind: K }>;

/** What a listener's settings and files are made of again in another thread. Plain data, with private keys in it. */
export interface PackedKeys {
  readonly settings: ListenerSettings;
  readonly hostKey?: string;
  readonly authorizedKeys?: string;
  readonly pem?: PemFiles;
}

type KeyContext = Pick<LoadContext, 'credentialsDirectory' | 'uid' | 'record'>;

/** Reads all files of a listener. @throws ConfigError naming the file. */
export function readListenerKeys(settings: ListenerSettings, context: KeyContext): ListenerKeys {
  const hostKey = (path: string): HostKey =>
    loadHostKey(path, context.credentialsDirectory, (read) => recallText(context.record, path, read));
  switch (settings.kind) {
    case 'rsyncd':
      return settings;
    case 'anon_ssh':
      return { ...settings, hostKey: hostKey(settings.hostKeyPath) };
    case 'authorized_ssh':
      return { ...settings, hostKey: hostKey(settings.hostKeyPath), ...authorizedKeysOf(settings, context) };
    case 'tls':
      return { ...settings, ...identityOf(settings, context) };
  }
}

function recallText(record: FileRecord | undefined, path: string, read: () => string): string {
  if (record === undefined) return read();
  return record
    .file(path, () => ({ content: Buffer.from(read(), 'latin1'), mode: 0, uid: 0 }))
    .content.toString('latin1');
}

/** For `unpackKeys`. */
export function packKeys(keys: ListenerKeys): PackedKeys {
  switch (keys.kind) {
    case 'rsyncd':
      return { settings: keys };
    case 'anon_ssh': {
      const { hostKey, ...settings } = keys;
      return { settings, hostKey: hostKey.toOpenSshPem('') };
    }
    case 'authorized_ssh': {
      const { hostKey, authorizedKeys, ...settings } = keys;
      return { settings, hostKey: hostKey.toOpenSshPem(''), authorizedKeys: authorizedKeys.text };
    }
    case 'tls': {
      const { identity, ...settings } = keys;
      return { settings, pem: identity.files };
    }
  }
}

/** The keys that `packKeys` was given. */
export function unpackKeys({ settings, hostKey, authorizedKeys, pem }: PackedKeys): ListenerKeys {
  switch (settings.kind) {
    case 'rsyncd':
      return settings;
    case 'anon_ssh':
      return { ...settings, hostKey: parseHostKey(hostKey!) };
    case 'authorized_ssh':
      return { ...settings, hostKey: parseHostKey(hostKey!), authorizedKeys: parseAuthorizedKeys(authorizedKeys!) };
    case 'tls':
      return { ...settings, identity: loadTlsIdentity(pem!) };
  }
}

/**
 * The keys that new connections of one listener get.
 *
 * Authorized keys and certificates change while the daemon runs; the host key is the server's name, and stays.
 */
export class KeyRing<K extends ListenerKeys = ListenerKeys> {
  readonly #context: KeyContext;
  #current: K;

  constructor(keys: K, context: KeyContext) {
    this.#current = keys;
    // What an earlier stage has read is what a reload is to replace.
    this.#context = { ...context, record: undefined };
  }

  get current(): K {
    return this.#current;
  }

  /** Reads the files again. @throws ConfigError naming the file, also when only root could read it; nothing changes then. */
  reload(): void {
    const keys: ListenerKeys = this.#current;
    if (keys.kind === 'authorized_ssh') this.#current = { ...this.#current, ...authorizedKeysOf(keys, this.#context) };
    if (keys.kind === 'tls') this.#current = { ...this.#current, ...identityOf(keys, this.#context) };
  }
}

function authorizedKeysOf({ authorizedKeysPath }: SettingsOf<'authorized_ssh'>, { uid, record }: KeyContext) {
  return { authorizedKeys: parseAuthorizedKeys(readTrustedText(authorizedKeysPath, uid, record)) };
}

function identityOf({ certificatePath, keyPath }: SettingsOf<'tls'>, { uid, record }: KeyContext) {
  const certificate = readTrustedText(certificatePath, uid, record);
  const key = readPrivateText(keyPath, uid, record);
  return { identity: loadTlsIdentity({ certificate, certificatePath, key, keyPath }) };
}

/** Things in the files that the operator should know, one line each. */
export function keyWarnings(keys: ListenerKeys, moduleNames: readonly string[]): string[] {
  if (keys.kind === 'tls') {
    const { validTo } = keys.identity;
    return validTo.getTime() > Date.now() ? [] : [`${keys.certificatePath}: expired on ${validTo.toISOString()}`];
  }
  if (keys.kind !== 'authorized_ssh') return [];
  const { authorizedKeys, authorizedKeysPath } = keys;
  const unknown = authorizedKeys.keys.flatMap(({ line, rights }) =>
    (rights.modules ?? [])
      .filter((name) => !moduleNames.includes(name))
      .map((name) => `line ${line}: GOKR_MODULES names ${JSON.stringify(name)}, which is no module`),
  );
  const nobody = authorizedKeys.keys.length === 0 ? ['holds no usable key: nobody can log in'] : [];
  return [...authorizedKeys.warnings, ...unknown, ...nobody].map((text) => `${authorizedKeysPath}: ${text}`);
}

/** What identifies the listener to its clients, for the log. */
export function keyFields(keys: ListenerKeys): LogFields {
  switch (keys.kind) {
    case 'rsyncd':
      return {};
    case 'anon_ssh':
      return { hostKey: keys.hostKey.fingerprint };
    case 'authorized_ssh':
      return { hostKey: keys.hostKey.fingerprint, authorizedKeys: keys.authorizedKeys.keys.length };
    case 'tls':
      return { certificate: keys.identity.fingerprint, validTo: keys.identity.validTo.toISOString() };
  }
}

/** The same for --check, one fact per line, safe to print. */
export function keyLines(keys: ListenerKeys): string[] {
  return textLines(keys).map(escapeControls);
}

function textLines(keys: ListenerKeys): string[] {
  if (keys.kind === 'rsyncd') return [];
  if (keys.kind === 'tls') {
    const { subject, fingerprint, validTo } = keys.identity;
    return [
      `certificate: ${keys.certificatePath}, ${subject}, valid until ${validTo.toISOString()}`,
      `  SHA-256 ${fingerprint}`,
      `key: ${keys.keyPath}`,
    ];
  }
  const hostKey = `host key: ${keys.hostKeyPath}, ${keys.hostKey.fingerprint}`;
  if (keys.kind === 'anon_ssh') return [hostKey];
  const users = keys.authorizedKeys.keys.map(({ line, fingerprint, rights }) => {
    const modules = rights.modules === null ? 'all modules' : `modules ${rights.modules.join(', ')}`;
    return `  line ${line}: ${fingerprint}, ${modules}`;
  });
  return [hostKey, `authorized keys: ${keys.authorizedKeysPath}`, ...users];
}
