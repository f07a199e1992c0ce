/** The error taxonomy: every throw in the daemon is one of these, every catch maps to this table or rethrows. */

import type { LimitName } from './limits.ts';

/** Exit codes of rsync that a server may cause at its client (1-session.md 9.3). */
export const EXIT = {
  OK: 0,
  SYNTAX: 1,
  PROTOCOL: 2,
  FILE_SELECT: 3,
  UNSUPPORTED: 4,
  START_CLIENT: 5,
  SOCKET_IO: 10,
  FILE_IO: 11,
  STREAM_IO: 12,
  IPC: 14,
  SIGNAL: 20,
  MALLOC: 22,
  PARTIAL: 23,
  VANISHED: 24,
  TIMEOUT: 30,
} as const;

export interface ErrorDetails {
  /** Stable string for logs and metrics. */
  code?: string;
  /** rsync exit code that the client should end with. */
  exit?: number;
  /** Text that the client may read; nothing else of the error ever leaves the process. */
  tell?: string;
  /** The bound that was met, when it was one: sessions count it. */
  limit?: LimitName | undefined;
  cause?: unknown;
}

/** Base of all expected failures. `message` is for our log; `tell`, when present, is for the client. */
export class RsyncError extends Error {
  readonly code: string;
  readonly exit: number;
  readonly tell: string | undefined;
  readonly limit: LimitName | undefined;

  constructor(message: string, defaults: { code: string; exit: number }, details: ErrorDetails = {}) {
    super(message, details.cause === undefined ? undefined : { cause: details.cause });
    this.name = new.target.name;
    this.code = details.code ?? defaults.code;
    this.exit = details.exit ?? defaults.exit;
    this.tell = details.tell;
    this.limit = details.limit;
  }
}

/** Our configuration is wrong; raised only before the daemon serves. The message names file, line and key. */
export class ConfigError extends RsyncError {
  constructor(message: string, details?: ErrorDetails) {
    super(message, { code: 'config', exit: EXIT.SYNTAX }, details);
  }
}

/** A client option that we refuse or do not know; `tell` is rsync's own wording. */
export class UsageError extends RsyncError {
  constructor(tell: string, details: ErrorDetails = {}) {
    super(tell.trimEnd(), { code: 'usage', exit: EXIT.UNSUPPORTED }, { tell, ...details });
  }
}

/** Refused before `@RSYNCD: OK`: access list, unknown module, authentication, connection caps. */
export class AccessError extends RsyncError {
  constructor(message: string, tell: string, details: ErrorDetails = {}) {
    super(message, { code: 'access', exit: EXIT.START_CLIENT }, { ...details, tell });
  }
}

/** The peer broke the format or a value range. `tell` is short and never echoes the peer's bytes. */
export class ProtocolError extends RsyncError {
  constructor(message: string, details: ErrorDetails = {}) {
    super(message, { code: 'protocol', exit: EXIT.PROTOCOL }, { tell: `protocol error: ${message}`, ...details });
  }
}

/** The peer reached a bound of limits.ts. `limit` is the bound's name there. */
export class LimitError extends RsyncError {
  constructor(limit: LimitName, message: string, details: ErrorDetails = {}) {
    super(
      message,
      { code: `limit:${limit}`, exit: EXIT.STREAM_IO },
      { tell: `limit ${limit} reached: ${message}`, ...details, limit },
    );
  }
}

/** A deadline passed: handshake, argument phase, idle or total time. */
export class TimeoutError extends RsyncError {
  constructor(message: string, details: ErrorDetails = {}) {
    super(message, { code: 'timeout', exit: EXIT.TIMEOUT }, { tell: message, ...details });
  }
}

/** The peer closed or reset the connection early, or announced its own failure. */
export class PeerGone extends RsyncError {
  constructor(message = 'connection closed by the peer', details?: ErrorDetails) {
    super(message, { code: 'peer-gone', exit: EXIT.SOCKET_IO }, details);
  }
}

/** One file of a module cannot be read; the session goes on. `errno` is the positive system error number. */
export class FileError extends RsyncError {
  readonly errno: number;

  constructor(message: string, errno: number, details?: ErrorDetails) {
    super(message, { code: 'file', exit: EXIT.PARTIAL }, details);
    this.errno = errno;
  }
}

/** A file disappeared between listing and reading; the session goes on. */
export class VanishedError extends FileError {
  constructor(message: string, errno = 2) {
    super(message, errno, { code: 'vanished', exit: EXIT.VANISHED });
  }
}

/** Containment was not achieved or a module is writable; the process refuses to start. */
export class SandboxError extends RsyncError {
  constructor(message: string, details?: ErrorDetails) {
    super(message, { code: 'sandbox', exit: EXIT.SYNTAX }, details);
  }
}

/** One of our own invariants failed; ends the session, never the process. */
export class Bug extends RsyncError {
  constructor(message: string, details: ErrorDetails = {}) {
    super(message, { code: 'bug', exit: EXIT.IPC }, { tell: 'internal error', ...details });
  }
}
