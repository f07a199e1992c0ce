/**
 * The two stages of --once: the first binds the socket and locks the process in, which keeps the identity of its user, who may own the
 * files: Landlock, not their modes, keeps it from writing. The second serves. once.ts calls prepareOnce.
 */

import type { Config, ConfigFlags, LoadContext, ModuleConfig } from '../config/config.ts';
import { FileRecord, type FileRecordJson } from '../config/file-record.ts';
import { parseListenAddress } from '../config/listen-address.ts';
import { readConfig } from '../config/load.ts';
import { ConfigError, SandboxError } from '../errors.ts';
import { bindUnix, type InheritedDescriptor, listenRefusal, type TcpAddress, type UnixPath } from '../listener/tcp.ts';
import { bindSocket } from '../sandbox/bind-socket.ts';
import { confine, kernelForConfinement } from '../sandbox/confine.ts';
import { lockedIn } from '../sandbox/lock-in.ts';
import { type Outcome, unconfined } from '../sandbox/outcome.ts';
import type { Kernel } from '../sandbox/syscalls.ts';
import { assertReadOnly } from '../sandbox/verify.ts';
import { NAME_TABLES } from '../vfs/id-names.ts';
import { closeModuleRoot, openModuleRoot } from '../vfs/open-root.ts';

type Environment = Readonly<Record<string, string | undefined>>;

/** What once.ts serves from. */
export interface OnceStart {
  readonly config: Config;
  readonly module: ModuleConfig;
  readonly place: TcpAddress | UnixPath | InheritedDescriptor;
  /** What the first stage could do. */
  readonly outcome: Outcome;
}

/** From one stage to the next. */
interface Message {
  readonly record: FileRecordJson;
  readonly fd: number;
}

/** The tunnel's end. */
const DEFAULT_ADDRESS = '127.0.0.1:0';

/** @throws ConfigError, SandboxError. */
export async function prepareOnce(
  flags: ConfigFlags,
  context: LoadContext,
  environment: Environment,
): Promise<OnceStart> {
  const stage = lockedIn<Message>(environment);
  if (stage !== null) {
    const { record, fd } = stage.message;
    const config = onceConfig(flags, { ...context, record: new FileRecord(record) });
    return { config, module: onlyModule(config), place: { fd }, outcome: stage.outcome };
  }
  const record = new FileRecord();
  const config = onceConfig(flags, { ...context, record });
  const module = onlyModule(config);
  closeModuleRoot(openModuleRoot(Buffer.from(module.path), config.limits));
  const place = placeOf(flags.listen ?? DEFAULT_ADDRESS);
  // Locked in, we could not remove the path again; who cannot write anyway does better without.
  const stays = 'path' in place && isReadOnly(module);
  if (stays) return { config, module, place, outcome: unconfined() };
  const kernel = await kernelForConfinement();
  if (typeof kernel === 'string') return { config, module, place, outcome: unconfined(kernel) };
  const fd = 'path' in place ? await bindUnix(place) : await bindTcp(kernel, place);
  const outcome = confine(kernel, {
    readable: [module.path, ...NAME_TABLES],
    root: null,
    keepsIdentity: true,
    sockets: false,
    ffi: module.xattrs,
    descriptors: [fd],
    environment,
    message: { record: record.toJSON(), fd } satisfies Message,
  });
  return { config, module, place: { fd }, outcome };
}

/** Only what this command line names: other modules and addresses of the machine's daemon are none of its business. */
function onceConfig(flags: ConfigFlags, context: LoadContext): Config {
  return readConfig({ ...flags, listen: null }, null, context, []);
}

function onlyModule({ modules }: Config): ModuleConfig {
  const [module, ...others] = modules;
  if (module !== undefined && others.length === 0) return module;
  throw new ConfigError(
    `--once serves one module, and there are ${modules.length}: give one --gokr.modulemap=NAME=PATH`,
  );
}

function isReadOnly(module: ModuleConfig): boolean {
  try {
    assertReadOnly([module]);
    return true;
  } catch (thrown) {
    if (thrown instanceof SandboxError) return false;
    throw thrown;
  }
}

/** @param address as an address and port, or the absolute path of a unix socket. */
function placeOf(address: string): TcpAddress | UnixPath {
  return address.startsWith('/') ? { path: address } : parseListenAddress(address);
}

async function bindTcp(kernel: Kernel, address: TcpAddress): Promise<number> {
  const fd = await bindSocket(kernel, address.host, address.port);
  if (typeof fd === 'string') throw listenRefusal(address, fd);
  return fd;
}
