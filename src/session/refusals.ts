/** Every `@ERROR` line of the text phase in rsync's own wording (1-session.md 2.7); greeting.ts, auth.ts and connect.ts throw them. */

import { AccessError } from '../errors.ts';

/** Longest piece of the peer's own bytes in an answer, after escaping. */
const MAX_QUOTED = 256;

/** The peer's bytes as they may stand in an answer and in the log: latin1, control bytes as `\#ooo`, at most 256 characters. */
export function quoteLine(bytes: Buffer): string {
  // SECURITY: control bytes in an echoed line could forge further lines for the client or the log.
  let quoted = '';
  for (const byte of bytes) {
    const isControl = byte < 0x20 || byte === 0x7f;
    quoted += isControl ? `\\#${byte.toString(8).padStart(3, '0')}` : String.fromCharCode(byte);
    if (quoted.length > MAX_QUOTED) return `${quoted.slice(0, MAX_QUOTED)}...`;
  }
  return quoted;
}

/** `message` is for the log only. */
function refusal(message: string, tell: string, code: string): AccessError {
  return new AccessError(message, `@ERROR: ${tell}`, { code });
}

/** Also the answer for a module that exists but must not be known to this client. */
export function unknownModule(name: Buffer): AccessError {
  return refusal('unknown module', `Unknown module '${quoteLine(name)}'`, 'access:unknown-module');
}

/** We look up no host names, so the line shows rsync's placeholder. */
export function accessDenied(moduleText: string, addressText: string): AccessError {
  const tell = `access denied to ${moduleText} from UNDETERMINED (${addressText})`;
  return refusal('address not allowed', tell, 'access:denied');
}

/** @param message for the log, where more is known than that the module is full. */
export function tooManyConnections(max: number, message = 'module is full'): AccessError {
  const tell = `max connections (${max}) reached -- try again later`;
  return refusal(message, tell, 'access:max-connections');
}

/** A client waits in a queue, and the daemon is about to end. */
export function stoppingSoon(): AccessError {
  return refusal('the daemon stops', 'the server is stopping -- try again later', 'access:stopping');
}

/** A client waits in a queue, and the configuration that it came under holds no longer. */
export function configurationChanged(): AccessError {
  const tell = 'the configuration of the server has changed -- try again';
  return refusal('the configuration has changed', tell, 'access:reload');
}

/** @param reason for the log; the client never learns which part of a login was wrong. */
export function authFailed(moduleText: string, reason: string): AccessError {
  return refusal(`authentication failed: ${reason}`, `auth failed on module ${moduleText}`, 'access:auth');
}

/** The module's directory cannot be used. */
export function chdirFailed(reason: string): AccessError {
  return refusal(`module directory unusable: ${reason}`, 'chdir failed', 'access:chdir');
}

/** Older than protocol 27, or beyond what a protocol number can be. */
export function protocolMismatch(): AccessError {
  return refusal('protocol version out of range', 'protocol version mismatch', 'access:protocol');
}

/** The first line is no greeting. */
export function startupError(): AccessError {
  return refusal('no rsync greeting', 'protocol startup error', 'access:greeting');
}

export function missingSubprotocol(line: Buffer): AccessError {
  const tell = `your client omitted the subprotocol value: ${quoteLine(line)}`;
  return refusal('greeting without subprotocol', tell, 'access:greeting');
}

export function missingDigests(line: Buffer): AccessError {
  const tell = `your client omitted the digest name list: ${quoteLine(line)}`;
  return refusal('greeting without digest list', tell, 'access:greeting');
}

/** @param ourDigests names in our greeting, separated by spaces. */
export function noCommonDigest(ourDigests: string): AccessError {
  const tell = `your client does not support one of our daemon-auth checksums: ${ourDigests}`;
  return refusal('no authentication digest in common', tell, 'access:auth');
}

export function badEarlyInput(isTooLong: boolean): AccessError {
  const error = { code: 'access:command', ...(isTooLong && { limit: 'earlyInputBytes' as const }) };
  return new AccessError('early input length out of range', '@ERROR: invalid early_input length', error);
}

export function unknownCommand(line: Buffer): AccessError {
  return refusal('unknown command', `Unknown command '${quoteLine(line)}'`, 'access:command');
}
