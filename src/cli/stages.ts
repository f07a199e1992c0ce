/**
 * A start in two stages: the first, as whoever started us, reads the configuration, binds sockets and locks itself in; then the same
 * process executes this program again, and the second stage serves with what the first has left to it (sandbox/confine.ts). Where
 * that is not possible there is one stage, and the log says what is missing. main.ts calls prepareStart.
 */

import { resolve } from 'node:path';
import type { Config, ConfigFlags, LoadContext } from '../config/config.ts';
import { isSocketFd } from '../config/descriptors.ts';
import { FileRecord, type FileRecordJson } from '../config/file-record.ts';
import { directoriesOf, isThroughLinks } from '../config/files.ts';
import type { ListenAddress } from '../config/listen-address.ts';
import { readConfig } from '../config/load.ts';
import { inheritedSockets } from '../listener/activation.ts';
import { listenRefusal } from '../listener/tcp.ts';
import { bindSocket } from '../sandbox/bind-socket.ts';
import {
  type Confinement,
  confine,
  type Handed,
  isConfinedAlready,
  kernelForConfinement,
  type Outcome,
  unconfined,
} from '../sandbox/confine.ts';
import { HAND_OVER_VARIABLE, takeHandOver } from '../sandbox/hand-over.ts';
import { connectDatagram, duplicateDescriptor, type Kernel } from '../sandbox/syscalls.ts';
import { NAME_TABLES } from '../vfs/id-names.ts';
import { closeModuleRoot, openModuleRoot } from '../vfs/open-root.ts';
import { readListenerKeys } from './listener-keys.ts';
import { spareDescriptors } from './worker-count.ts';

type Environment = Readonly<Record<string, string | undefined>>;

/** What is to be started. */
export interface StartRequest {
  /** Asked for in the first stage, which alone sees what --modules-in is about. */
  readonly flags: () => ConfigFlags;
  /** Whether listeners are opened: not for --check. */
  readonly serves: boolean;
  /** --require-sandbox=strict. */
  readonly strict: boolean;
  readonly environment: Environment;
  readonly context: LoadContext;
  /** Reads the configuration in the first stage, which alone sees all places where one may be. */
  readonly load: (context: LoadContext) => Config;
}

/** Sockets that the first stage has bound, in the order of the configuration. */
export interface BoundSockets {
  readonly listeners: readonly number[];
  readonly monitoring: readonly number[];
}

/** What serve.ts and check.ts start from. */
export interface Start {
  readonly config: Config;
  readonly context: LoadContext;
  readonly environment: Environment;
  /** What the first stage could do. */
  readonly outcome: Outcome;
  /** Who has locked this process in. */
  readonly confinedBy: 'ourselves' | 'somebody else' | 'nobody';
  /** Null: no stage has opened any yet, or they are inherited. */
  readonly sockets: BoundSockets | null;
  /** Further descriptors of each socket that serves, for workers; empty where the stage that serves makes its own. */
  readonly spares: readonly (readonly number[])[];
  /** Connected to the service manager by the first stage. */
  readonly notifyFd: number | null;
  /** Whether a guarantee that does not hold keeps us from serving. */
  readonly strict: boolean;
  /** Reads the configuration again, as far as this stage sees its files. @throws ConfigError. */
  readonly readAgain: () => Config;
}

/** From one stage to the next. */
interface Message {
  readonly flags: ConfigFlags;
  readonly context: LoadContext;
  readonly record: FileRecordJson;
  readonly sockets: BoundSockets | null;
  readonly spares: readonly (readonly number[])[];
  readonly notifyFd: number | null;
}

/**
 * Loads the configuration and locks the process in.
 * @throws ConfigError, SandboxError before anything is served.
 */
export async function prepareStart(request: StartRequest): Promise<Start> {
  silenceExperiments();
  const { [HAND_OVER_VARIABLE]: variable, ...environment } = request.environment;
  const handed = takeHandOver(variable) as Handed | null;
  if (handed !== null) return { ...secondStage(handed, environment), strict: request.strict };
  const record = new FileRecord();
  const context = { ...request.context, record };
  const config = request.load(context);
  for (const listener of config.listeners) readListenerKeys(listener, context);
  // SECURITY: a root behind a stranger's link is refused now, not when the first client comes (CVE-2026-53784).
  for (const { path } of config.modules) closeModuleRoot(openRoot(config, path));
  const { strict } = request;
  const readAgain = () => request.load(request.context);
  const first = { config, context, environment, sockets: null, spares: [], notifyFd: null, strict, readAgain };
  if (isService(environment) && process.geteuid?.() !== 0) {
    return { ...first, outcome: unconfined(), confinedBy: 'somebody else' };
  }
  const kernel = await kernelForConfinement();
  const outcome = typeof kernel === 'string' ? unconfined(kernel) : await firstStage(kernel, request, first);
  return { ...first, outcome, confinedBy: 'nobody' };
}

/** That FFI and execve are experimental in Node is no news for an operator; the next stage is started without these warnings. */
function silenceExperiments(): void {
  const printers = process.listeners('warning');
  process.removeAllListeners('warning');
  process.on('warning', (warning) => {
    if (warning.name !== 'ExperimentalWarning') for (const print of printers) print(warning);
  });
}

/** A unit that confines its service is not done better by us, and a second start of the program costs its first client 80 ms. */
function isService({ INVOCATION_ID }: Environment): boolean {
  return INVOCATION_ID !== undefined && process.platform === 'linux' && isConfinedAlready();
}

function secondStage({ outcome, message }: Handed, environment: Environment): Omit<Start, 'strict'> {
  const { flags, context: former, record, sockets, spares, notifyFd } = message as Message;
  const context = { ...former, record: new FileRecord(record) };
  const config = readConfig(flags, null, context);
  const readAgain = () => readConfig(flags, null, former);
  return { config, context, environment, outcome, confinedBy: 'ourselves', sockets, spares, notifyFd, readAgain };
}

type FirstStage = Pick<Start, 'config' | 'environment'> & {
  readonly context: LoadContext & { readonly record: FileRecord };
};

/** Does not return when it succeeds. @returns what is missing else. */
async function firstStage(kernel: Kernel, request: StartRequest, first: FirstStage): Promise<Outcome> {
  const { config, context, environment } = first;
  const passed = inheritedSockets(environment, process.pid, isSocketFd);
  const inherited = passed.map(({ fd }) => fd);
  const sockets = !request.serves || inherited.length > 0 ? null : await bindSockets(kernel, config);
  const serving = sockets?.listeners ?? passed.filter(({ name }) => name !== 'metrics').map(({ fd }) => fd);
  const spares = request.serves ? serving.map((fd) => duplicates(kernel, fd, spareDescriptors(config))) : [];
  const { NOTIFY_SOCKET } = environment;
  const notifyFd = request.serves && NOTIFY_SOCKET ? await connectDatagram(NOTIFY_SOCKET) : null;
  const message: Message = {
    flags: { ...request.flags(), file: config.file === null ? null : resolve(config.file) },
    context: { ...request.context, directory: resolve('.') },
    record: context.record.toJSON(),
    sockets,
    spares,
    notifyFd,
  };
  const opened = [
    ...spares.flat(),
    ...(sockets?.listeners ?? []),
    ...(sockets?.monitoring ?? []),
    ...(notifyFd === null ? [] : [notifyFd]),
  ];
  const descriptors = [...inherited, ...opened];
  const outcome = confine(kernel, { ...confinementOf(config, context.record), descriptors, environment, message });
  for (const fd of opened) kernel.attempt('close', fd);
  return outcome;
}

function duplicates(kernel: Kernel, fd: number, count: number): number[] {
  return Array.from({ length: count }, () => duplicateDescriptor(kernel, fd));
}

async function bindSockets(kernel: Kernel, { listeners, monitoring }: Config): Promise<BoundSockets> {
  const addresses = listeners.map(({ address }) => address);
  return { listeners: await bindAll(kernel, addresses), monitoring: await bindAll(kernel, monitoring) };
}

async function bindAll(kernel: Kernel, addresses: readonly ListenAddress[]): Promise<number[]> {
  const sockets: number[] = [];
  for (const address of addresses) {
    const fd = await bindSocket(kernel, address.host, address.port);
    if (typeof fd === 'string') throw listenRefusal(address, fd);
    sockets.push(fd);
  }
  return sockets;
}

/** What a daemon with this configuration is left with. */
function confinementOf(
  config: Config,
  record: FileRecord,
): Omit<Confinement, 'descriptors' | 'environment' | 'message'> {
  const { modules } = config;
  // What SIGHUP reads again, as far as nobody may.
  const files = [...record.files, ...(needsNames(config) ? NAME_TABLES : [])];
  const places = [...new Set(modules.flatMap(({ path }) => directoriesOf(path)))];
  return {
    readable: [...places, ...files],
    root: config.dontNamespace
      ? null
      : {
          modules: places.map((path) => ({ path, open: () => openRoot(config, path) })),
          linked: modules.map(({ path }) => path).filter(isThroughLinks),
          files,
        },
    keepsIdentity: false,
    sockets: false,
    ffi: modules.some(({ xattrs }) => xattrs),
  };
}

function needsNames({ file, modules }: Config): boolean {
  return file?.endsWith('.conf') === true || modules.some(({ numericIds }) => !numericIds);
}

function openRoot({ limits }: Config, path: string): number {
  return openModuleRoot(Buffer.from(path), limits);
}
