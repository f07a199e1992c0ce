/**
 * Landlock, no_new_privs and seccomp for a mode that serves one client over what it has inherited: the remote command, the forced
 * command, the daemon behind a remote shell, the one shot. No root of its own, and the identity stays; daemons go through
 * cli/stages.ts instead.
 */

import { confine, kernelForConfinement } from './confine.ts';
import { HAND_OVER_VARIABLE, takeHandOver } from './hand-over.ts';
import { type Handed, type Outcome, unconfined } from './outcome.ts';

/** What the mode still needs. */
export interface LockInOptions<M> {
  /** Directories and files that stay readable, with all below them; those that do not exist are left out. */
  readonly readable: readonly (string | Buffer)[];
  /** Open descriptors that are needed beside the standard streams, as a listening socket. */
  readonly descriptors?: readonly number[];
  /** Whether new sockets may still be opened; default no. */
  readonly sockets?: boolean;
  /** Whether FFI stays available, for extended attributes; default no. */
  readonly ffi?: boolean;
  /** Told to the next stage, as JSON: what the first has found out and the next could not, and bytes that are no UTF-8. */
  readonly message: M;
}

/** In the stage that goes on. */
export interface LockedIn<M> {
  readonly outcome: Outcome;
  readonly message: M;
}

/** The next stage of a process that has locked itself in; null in the first. @throws SandboxError over a forged variable. */
export function lockedIn<M>(environment: Readonly<Record<string, string | undefined>>): LockedIn<M> | null {
  return takeHandOver(environment[HAND_OVER_VARIABLE]) as (Handed & LockedIn<M>) | null;
}

/**
 * Locks this process in and starts it again with the same arguments: only the next stage returns from the two lines
 *
 *     const stage = lockedIn<Message>(process.env) ?? (await lockIn({ readable: ['/srv/backup'], message }, process.env));
 *
 * or a process that cannot be locked in (`outcome.landlockAbi` and `outcome.seccomp` say so). Call it before anything is read from
 * standard input: 60 to 90 ms. Arguments and environment pass as Node's texts; put bytes into the message, in base64.
 * @throws SandboxError when it fails half-way.
 */
export async function lockIn<M>(
  options: LockInOptions<M>,
  environment: Readonly<Record<string, string | undefined>>,
): Promise<LockedIn<M>> {
  const { readable, message, descriptors = [], sockets = false, ffi = false } = options;
  const kernel = await kernelForConfinement();
  if (typeof kernel === 'string') return { outcome: unconfined(kernel), message };
  const confinement = { readable, root: null, keepsIdentity: true, sockets, ffi, descriptors, environment, message };
  return { outcome: confine(kernel, confinement), message };
}
