/** Numbers, names and texts inside the client's options, and the wording when they are wrong; table.ts and parse.ts call it. */

import { EXIT, UsageError } from '../errors.ts';

/** Longest number that a client can need: 2^63 has 19 digits. */
const MAX_DIGITS = 20;
/** Longest piece of a client's argument in one of our messages, after escaping. */
const MAX_QUOTED = 180;

const INT32_MAX = 2 ** 31 - 1;
const INT32_MIN = -(2 ** 31);
const POWERS = 'bkmgtp';

/** An argument as it may stand in a message: printable ASCII, other bytes as `\#ooo` (1-session.md 6.3), at most 180 characters. */
export function quoteArgument(argument: Buffer): string {
  // SECURITY: 5 000-digit arguments once overran error buffers, control bytes forge log lines (CVE-2026-70457).
  let quoted = '';
  for (const byte of argument) {
    quoted += byte < 0x20 || byte > 0x7e ? `\\#${byte.toString(8).padStart(3, '0')}` : String.fromCharCode(byte);
    if (quoted.length > MAX_QUOTED) return `${quoted.slice(0, MAX_QUOTED)}...`;
  }
  return quoted;
}

/** rsync's answer to an argument that popt rejects, exit 4. */
export function badArgument(argument: Buffer, reason: string): UsageError {
  return new UsageError(`rsync: on remote machine: ${quoteArgument(argument)}: ${reason}\n`);
}

/**
 * A signed 32-bit number in decimal, octal (leading 0) or hexadecimal (leading 0x); empty is 0.
 * @param argument the argument that holds the number, for the message.
 * @throws UsageError (exit 4).
 */
export function parseInt32(text: Buffer, argument: Buffer): number {
  if (text.length === 0) return 0;
  const match = /^([+-]?)(0[xX][0-9a-fA-F]+|0[0-7]*|[1-9][0-9]*)$/.exec(text.toString('latin1'));
  if (match === null) throw badArgument(argument, 'invalid numeric value');
  const digits = match[2]!;
  const value = digits.length > MAX_DIGITS ? Number.POSITIVE_INFINITY : parseDigits(digits);
  const signed = match[1] === '-' ? -value : value;
  if (signed > INT32_MAX || signed < INT32_MIN) throw badArgument(argument, 'number too large or too small');
  return signed + 0;
}

function parseDigits(digits: string): number {
  if (/^0[0-7]+$/.test(digits)) return Number.parseInt(digits, 8);
  return Number(digits);
}

/**
 * A size such as `700`, `1.5m`, `2gib`, `3mb-1`, in bytes.
 * @param option the option as the client spelled it, with dashes.
 * @param defaultSuffix unit of a bare number: `b` or `k`.
 * @throws UsageError (exit 4).
 */
export function parseSize(text: Buffer, option: string, defaultSuffix: 'b' | 'k'): number {
  const match = /^(\d*)(?:\.(\d*))?(?:(b)|([kmgtp])(ib?|b)?)?([+-]1)?$/i.exec(text.toString('latin1'));
  const [, whole = '', fraction = '', bytes, letter, decimal, offset] = match ?? [];
  // A lone offset is a number too: that is how -1 arrives.
  if (match === null || (whole === '' && fraction === '' && offset === undefined)) {
    throw sizeError(text, option, 'is invalid');
  }
  if (whole.length > MAX_DIGITS || fraction.length > MAX_DIGITS) throw sizeError(text, option, 'is too large');
  const power = POWERS.indexOf((bytes ?? letter ?? defaultSuffix).toLowerCase());
  // `kb` is decimal, `k` and `kib` are binary.
  const base = decimal?.toLowerCase() === 'b' ? 1000 : 1024;
  const size = Math.floor(Number(`${whole || 0}.${fraction || 0}`) * base ** power) + Number(offset ?? 0);
  if (size > Number.MAX_SAFE_INTEGER) throw sizeError(text, option, 'is too large');
  return size;
}

/** rsync's answer to a wrong size, exit 4. */
export function sizeError(text: Buffer, option: string, reason: string): UsageError {
  return new UsageError(`rsync: ${option}=${quoteArgument(text)} ${reason}\n`);
}

/**
 * --compress-choice; `auto` is null, as if absent.
 * @throws UsageError (exit 4) for a name that rsync does not have.
 */
export function parseCompressChoice(text: Buffer): 'none' | 'zlib' | 'zlibx' | 'lz4' | 'zstd' | null {
  const key = text.toString('latin1').toLowerCase();
  switch (key) {
    case 'auto':
      return null;
    case 'none':
    case 'zlib':
    case 'zlibx':
    case 'lz4':
    case 'zstd':
      return key;
    default:
      throw new UsageError(`unknown compress name: ${quoteArgument(text)}\n`);
  }
}

/** What `-e` carries to a server: `[version].[sub]letters` (1-session.md 4.2); null for a remote shell's name. */
export function parseCapabilities(
  text: Buffer,
): { letters: string; preRelease: { version: number; sub: number } | null } | null {
  const match = /^(\d{0,9})\.(\d{0,9})([^\d].*)?$/s.exec(text.toString('latin1'));
  if (match === null) return null;
  const version = Number(match[1]);
  return { letters: match[3] ?? '', preRelease: version === 0 ? null : { version, sub: Number(match[2]) } };
}

/** A bandwidth in KiB per second. @throws UsageError (exit 4) for a wrong size or one below 512 bytes. */
export function parseBwlimit(text: Buffer, option: string): number {
  const bytes = parseSize(text, option, 'k');
  if (bytes < 0) throw sizeError(text, option, 'is too large');
  if (bytes > 0 && bytes < 512) throw sizeError(text, option, 'is too small (min: 512 or 0 for unlimited)');
  return Math.floor((bytes + 512) / 1024);
}

/** The refusal of uploads (1-session.md 6.6). */
export function readOnlyError(): UsageError {
  return new UsageError('ERROR: module is read only\n', { exit: EXIT.SYNTAX });
}
