/**
 * A start in two stages: the first, as whoever started us, reads the configuration, binds sockets and locks itself in
 * (first-stage.ts); then the same process executes this program again, and the second stage serves with what the first has left to
 * it (sandbox/confine.ts). Where that is not possible there is one stage, and the log says what is missing. main.ts calls prepareStart.
 */

import type { Config, ConfigFlags, LoadContext } from '../config/config.ts';
import { FileRecord, type FileRecordJson } from '../config/file-record.ts';
import { readConfig } from '../config/load.ts';
import { HAND_OVER_VARIABLE, takeHandOver } from '../sandbox/hand-over.ts';
import { type Handed, isConfinedAlready, type Outcome, unconfined } from '../sandbox/outcome.ts';
import { closeModuleRoot, openModuleRoot } from '../vfs/open-root.ts';
import { readListenerKeys } from './listener-keys.ts';

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
export interface Message {
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
  for (const { path } of config.modules) closeModuleRoot(openModuleRoot(Buffer.from(path), config.limits));
  const { strict } = request;
  const readAgain = () => request.load(request.context);
  const first = { config, context, environment, sockets: null, spares: [], notifyFd: null, strict, readAgain };
  if (isService(environment) && process.geteuid?.() !== 0) {
    return { ...first, outcome: unconfined(), confinedBy: 'somebody else' };
  }
  // A service that is confined already starts without what locks others in.
  const { runFirstStage } = await import('./first-stage.ts');
  return { ...first, outcome: await runFirstStage(request, first), confinedBy: 'nobody' };
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
