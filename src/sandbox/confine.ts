/**
 * Locks the process in: applies what this machine and this start allow to the main thread, then executes the same program with the
 * same arguments and process id, which makes it hold for every thread. cli/stages.ts and main.ts call it.
 *
 * The order matters: mounts and sockets need root, the other ids need the new root to be complete, Landlock and seccomp need
 * no_new_privs, and seccomp comes last because it denies the rest.
 */

import { existsSync } from 'node:fs';
import { SandboxError } from '../errors.ts';
import { HAND_OVER_VARIABLE, keepOverExec, openHandOver, writeHandOver } from './hand-over.ts';
import { type LandlockRule, landlockAbi, restrictFiles } from './landlock.ts';
import { enterMinimalRoot } from './minimal-root.ts';
import { type Handed, type Outcome, unconfined } from './outcome.ts';
import { forbidNewPrivileges, giveUpRoot } from './privileges.ts';
import { findRuntime, isOpenToAll, isReadableToAll, type Runtime } from './runtime-files.ts';
import { filterCalls, isFilterPossible } from './seccomp.ts';
import { type Kernel, loadKernel } from './syscalls.ts';

/** What the process is left with. */
export interface Confinement {
  /** Directories and files that stay readable, with all below them; those that do not exist are left out. */
  readonly readable: readonly (string | Buffer)[];
  /** Of these, what root gets into a root directory of its own; null: no such directory, only Landlock. */
  readonly root: {
    readonly modules: readonly { readonly path: string; readonly open: () => number }[];
    /** Paths of modules to which links lead. */
    readonly linked: readonly string[];
    readonly files: readonly string[];
  } | null;
  /** Whether root stays root, for a command that the user runs with his own rights. */
  readonly keepsIdentity: boolean;
  /** Whether new sockets may still be opened. */
  readonly sockets: boolean;
  /** Whether FFI stays available, for extended attributes. */
  readonly ffi: boolean;
  /** Open descriptors that the next stage needs, beside the standard streams. */
  readonly descriptors: readonly number[];
  /** Environment of the next stage. */
  readonly environment: Readonly<Record<string, string | undefined>>;
  /** Told to the next stage, which finds it beside the outcome; JSON. */
  readonly message: unknown;
}

/** The calls, or the reason why this process cannot confine itself. */
export async function kernelForConfinement(): Promise<Kernel | string> {
  if (process.platform !== 'linux') return `no sandbox on ${process.platform}: only the identity is given up`;
  if (process.arch !== 'x64' && process.arch !== 'arm64') return `no sandbox on ${process.arch}`;
  try {
    return await loadKernel();
  } catch (thrown) {
    if (thrown instanceof SandboxError) return thrown.message;
    throw thrown;
  }
}

/**
 * Confines this process and starts it again, in which case it does not return.
 * @returns what keeps it from doing so; the process is as it was then.
 * @throws SandboxError when it fails half-way.
 */
export function confine(kernel: Kernel, confinement: Confinement): Outcome {
  const givesUpRoot = process.geteuid!() === 0 && !confinement.keepsIdentity;
  const runtime = runtimeFor(givesUpRoot);
  if (typeof runtime === 'string') return unconfined(`not started again: ${runtime}`);
  const handOver = openHandOver(kernel);
  if (typeof handOver === 'string')
    return unconfined(`not started again: no memory for what is handed over: ${handOver}`);
  const gaps: string[] = [];
  const ownRoot = givesUpRoot && confinement.root !== null && tryOwnRoot(kernel, confinement.root, runtime, gaps);
  const closed = givesUpRoot && !ownRoot ? runtime.files.find(({ path }) => !isOpenToAll(path)) : undefined;
  if (closed !== undefined) return unconfined(...gaps, `not started again: nobody may not read ${closed.path}`);
  const abi = landlockAbi(kernel);
  if (!givesUpRoot && abi === 0 && !isFilterPossible(kernel))
    return unconfined(...gaps, 'neither Landlock nor seccomp');
  if (abi === 0) gaps.push('no Landlock: the kernel has none, or it is not allowed to us');
  if (givesUpRoot) giveUpRoot(kernel);
  forbidNewPrivileges(kernel);
  if (abi > 0) restrictFiles(kernel, abi, landlockRules(confinement, runtime));
  const outcome = { ownRoot, landlockAbi: abi, gaps };
  startAgain(kernel, confinement, outcome, handOver);
}

/** What the next stage runs from; or why it could not run. */
function runtimeFor(givesUpRoot: boolean): Runtime | string {
  try {
    const runtime = findRuntime(process.argv[1]!);
    const closed = givesUpRoot ? runtime.files.find(({ path }) => !isReadableToAll(path)) : undefined;
    return closed === undefined ? runtime : `nobody may not read ${closed.path}`;
  } catch (thrown) {
    if (thrown instanceof SandboxError) return thrown.message;
    throw thrown;
  }
}

/** False, and a gap more, where this machine does not let us. */
function tryOwnRoot(
  kernel: Kernel,
  { modules, linked, files }: NonNullable<Confinement['root']>,
  runtime: Runtime,
  gaps: string[],
): boolean {
  try {
    const data = files.filter((path) => existsSync(path)).map((path) => ({ path, use: 'data' }) as const);
    enterMinimalRoot(kernel, { modules, linked, files: [...runtime.files, ...data], links: runtime.links });
    return true;
  } catch (thrown) {
    if (!(thrown instanceof SandboxError)) throw thrown;
    gaps.push(`no root of its own: ${thrown.message}`);
    return false;
  }
}

function landlockRules({ readable }: Confinement, { files }: Runtime): LandlockRule[] {
  const own = files.map(({ path, use }): LandlockRule => ({ path, use: use === 'program' ? 'execute' : 'read' }));
  return [
    ...own,
    ...readable.map((path): LandlockRule => ({ path, use: 'read' })),
    { path: `/proc/${process.pid}`, use: 'read' },
  ];
}

/** The next stage must hear of the filter before the filter is there, which denies what the hand-over is written with. */
function startAgain(kernel: Kernel, confinement: Confinement, done: Omit<Outcome, 'seccomp'>, handOver: number): never {
  const seccomp = isFilterPossible(kernel);
  const gaps = seccomp ? done.gaps : [...done.gaps, 'no seccomp: the kernel has none, or it is not allowed to us'];
  const handed: Handed = { outcome: { ...done, seccomp, gaps }, message: confinement.message };
  // Node would complain that it cannot read such a file any more, which a server that calls nobody has no use for.
  const { NODE_EXTRA_CA_CERTS: _, ...kept } = confinement.environment;
  writeHandOver(handOver, handed);
  keepOverExec(kernel, [...confinement.descriptors, handOver]);
  const environment = { ...kept, [HAND_OVER_VARIABLE]: String(handOver) };
  if (seccomp) filterCalls(kernel, { sockets: confinement.sockets });
  const args = [process.execPath, ...nodeArguments(confinement.ffi), ...process.argv.slice(1)];
  process.execve!(process.execPath, args, environment);
  throw new SandboxError('the program could not be started again');
}

function nodeArguments(ffi: boolean): string[] {
  const wanted = [
    '--disable-warning=ExperimentalWarning',
    // Node does not start when it may not read the system's.
    '--openssl-config=/dev/null',
    ...(ffi ? [] : ['--no-experimental-ffi']),
  ];
  return [...process.execArgv, ...wanted.filter((argument) => !process.execArgv.includes(argument))];
}
