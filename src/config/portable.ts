/** The configuration as plain data that another thread can be sent, and back; cli/ starts workers with it and reloads them. */

import { type AccessRules, compileAccess } from './acl.ts';
import { parseChmod } from './chmod.ts';
import type { AuthDigest, Config, ModuleAuth, ModuleConfig } from './config.ts';

interface PackedAuth {
  readonly users: readonly string[];
  readonly digest: AuthDigest;
  /** Passwords by user, for those of `users` that have one. */
  readonly passwords: ReadonlyMap<string, Uint8Array>;
}

interface PackedModule extends Omit<ModuleConfig, 'access' | 'auth' | 'outgoingChmod'> {
  readonly access: AccessRules;
  readonly auth: PackedAuth | null;
  readonly outgoingChmod: string | null;
}

/** Structured-cloneable, with passwords in it. */
export interface PackedConfig extends Omit<Config, 'modules'> {
  readonly modules: readonly PackedModule[];
}

/** Takes the functions out of a configuration. */
export function packConfig(config: Config): PackedConfig {
  return { ...config, modules: config.modules.map(packModule) };
}

function packModule(module: ModuleConfig): PackedModule {
  const { access, auth, outgoingChmod } = module;
  return {
    ...module,
    access: access.rules,
    auth: auth === null ? null : packAuth(auth),
    outgoingChmod: outgoingChmod?.text ?? null,
  };
}

function packAuth({ users, digest, passwordOf }: ModuleAuth): PackedAuth {
  const passwords = new Map<string, Uint8Array>();
  for (const user of users) {
    const password = passwordOf(Buffer.from(user));
    if (password !== null) passwords.set(Buffer.from(user).toString('latin1'), password);
  }
  return { users, digest, passwords };
}

/** Equal for configurations that are equal in everything, passwords too: not for any log. */
export function configText(config: Config): string {
  return JSON.stringify(packConfig(config), (_, value) => (value instanceof Map ? [...value] : value));
}

/** The configuration that `packConfig` was given, after it was sent. */
export function unpackConfig(packed: PackedConfig): Config {
  const { modules, ...rest } = withBuffers(packed);
  return { ...rest, modules: modules.map(unpackModule) };
}

function unpackModule(packed: PackedModule): ModuleConfig {
  const { access, auth, outgoingChmod } = packed;
  return {
    ...packed,
    access: compileAccess(access),
    auth: auth === null ? null : unpackAuth(auth),
    outgoingChmod: outgoingChmod === null ? null : { text: outgoingChmod, apply: parseChmod(outgoingChmod) },
  };
}

function unpackAuth({ users, digest, passwords }: PackedAuth): ModuleAuth {
  const buffers = new Map(passwords.entries().map(([user, password]) => [user, asBuffer(password)]));
  return { users, digest, passwordOf: (user) => buffers.get(user.toString('latin1')) ?? null };
}

/** Sending turns each Buffer into a Uint8Array; everything of the configuration that holds bytes is a Buffer. */
function withBuffers<T>(value: T): T {
  if (value instanceof Uint8Array) return asBuffer(value) as T;
  if (Array.isArray(value)) return value.map(withBuffers) as T;
  if (typeof value !== 'object' || value === null || value instanceof Map) return value;
  return Object.fromEntries(Object.entries(value).map(([key, part]) => [key, withBuffers(part)])) as T;
}

function asBuffer(bytes: Uint8Array): Buffer {
  return Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength);
}
