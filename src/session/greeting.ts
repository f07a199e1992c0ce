/**
 * The text phase up to the module request; connect.ts calls it.
 *
 *   @RSYNCD: <version>[.<sub>][ <digest>…]\n     both sides, neither waits for the other (1-session.md 2.1)
 *   [#early_input=<n>\n <n bytes>]  <module>\n | \n | #list\n
 */

import { ProtocolError } from '../errors.ts';
import { limitHits } from '../limit-hits.ts';
import type { LimitName, Limits } from '../limits.ts';
import type { ByteSource, TextSink } from './line-source.ts';
import {
  badEarlyInput,
  missingDigests,
  missingSubprotocol,
  protocolMismatch,
  startupError,
  unknownCommand,
} from './refusals.ts';

/** Digests for authentication, best first. */
export const AUTH_DIGESTS = ['sha512', 'sha256', 'sha1', 'md5', 'md4'] as const;
export type AuthDigest = (typeof AUTH_DIGESTS)[number];

const OUR_VERSION = 32;
const MIN_VERSION = 27;
const MAX_VERSION = 40;
const LF = 0x0a;
const CR = 0x0d;
const NUL = 0x00;
const HASH = 0x23;
/** Module names are padded to this in a listing. */
const NAME_COLUMN = 15;

/** Our first line, with its line feed. */
export const OUR_GREETING: Buffer = Buffer.from(`@RSYNCD: ${OUR_VERSION}.0 ${AUTH_DIGESTS.join(' ')}\n`);

const LISTING_END = Buffer.from('@RSYNCD: EXIT\n');

/** What the client's greeting says. */
export interface ClientGreeting {
  /** The number of the client's greeting. */
  readonly version: number;
  /** Negotiated protocol, 27…32. */
  readonly protocol: number;
  /** The client's digest names in its order, lower case; null when it sent no list (before 3.2.7). */
  readonly digests: readonly string[] | null;
}

/** What the client asks for. */
export type ModuleRequest = { readonly kind: 'list' } | { readonly kind: 'module'; readonly name: Buffer };

/**
 * Sends our greeting and the message of the day, then reads the client's greeting.
 * @param motd as it goes out, without the final line feed; null for none.
 * @throws AccessError with the line of 1-session.md 2.2, ProtocolError for a line that is no line.
 */
export async function exchangeGreeting(
  source: ByteSource,
  sink: TextSink,
  motd: Buffer | null,
  limits: Pick<Limits, 'lineBytes' | 'motdBytes'>,
): Promise<ClientGreeting> {
  sink.writeText(OUR_GREETING);
  if (motd !== null) sink.writeText(motdText(motd, limits));
  await sink.flush();
  return parseGreeting(await readLine(source, limits, 'lineBytes', 'greeting'));
}

/** Parses a client's greeting, without line feed. @throws AccessError */
export function parseGreeting(line: Buffer): ClientGreeting {
  const match = /^@RSYNCD: (\d+)(?:\.(\d+))?[^ ]*( .*)?$/s.exec(line.toString('latin1'));
  if (match === null) throw startupError();
  const version = Number(match[1]);
  const hasSub = match[2] !== undefined;
  if (version >= 30 && !hasSub) throw missingSubprotocol(line);
  if (version >= 32 && match[3] === undefined) throw missingDigests(line);
  const protocol = negotiateProtocol(version, Number(match[2] ?? 0));
  const digests = match[3]?.toLowerCase().split(' ').filter(Boolean) ?? null;
  return { version, protocol, digests };
}

/**
 * The protocol that both sides speak: a non-zero sub marks a pre-release, which falls back to the protocol before it.
 * @throws AccessError when it would be below 27, or `version` above 40.
 */
export function negotiateProtocol(version: number, sub: number): number {
  if (version > MAX_VERSION) throw protocolMismatch();
  const final = version <= OUR_VERSION && sub !== 0 ? version - 1 : version;
  const protocol = Math.min(final, OUR_VERSION);
  if (protocol < MIN_VERSION) throw protocolMismatch();
  return protocol;
}

/**
 * Reads lines up to the one that says what the client wants; early input is read and dropped.
 * @throws AccessError for commands that we do not know, ProtocolError, PeerGone.
 */
export async function readModuleRequest(
  source: ByteSource,
  limits: Pick<Limits, 'lineBytes' | 'earlyInputBytes'>,
): Promise<ModuleRequest> {
  let line = await readLine(source, limits, 'lineBytes', 'module request');
  const earlyInput = /^#early_input=(.*)$/s.exec(line.toString('latin1'));
  if (earlyInput !== null) {
    await dropEarlyInput(source, earlyInput[1]!, limits.earlyInputBytes);
    line = await readLine(source, limits, 'lineBytes', 'module request');
  }
  if (line.length === 0 || line.equals(Buffer.from('#list'))) return { kind: 'list' };
  if (line[0] === HASH) throw unknownCommand(line);
  return { kind: 'module', name: line };
}

async function dropEarlyInput(source: ByteSource, lengthText: string, max: number): Promise<void> {
  const length = /^\d{1,9}$/.test(lengthText) ? Number(lengthText) : 0;
  if (length < 1 || length > max) throw badEarlyInput(length > max);
  await source.readBytes(length, 'early input');
}

/**
 * One line of the text phase: carriage returns are dropped anywhere.
 * @param limit the longest line's name.
 * @throws ProtocolError above that, or for a NUL byte.
 */
export async function readLine<Name extends LimitName>(
  source: ByteSource,
  limits: Pick<Limits, Name>,
  limit: Name,
  field: string,
): Promise<Buffer> {
  const line = await source.readUntil(LF, limits[limit], field, limit);
  if (line.includes(NUL)) throw new ProtocolError(`NUL byte in the ${field}`);
  return line.includes(CR) ? Buffer.from(line.filter((byte) => byte !== CR)) : line;
}

/**
 * The answer to `#list`, with its EXIT line: names padded to 15 bytes, a TAB, the comment.
 * Modules that do not fit into `listingBytes` are left out.
 */
export function moduleListing(
  modules: readonly { readonly name: string; readonly comment: string }[],
  limits: Pick<Limits, 'listingBytes'>,
): Buffer {
  const lines: Buffer[] = [];
  let left = limits.listingBytes - LISTING_END.length;
  for (const { name, comment } of modules) {
    const nameBytes = Buffer.from(name);
    const padding = ' '.repeat(Math.max(NAME_COLUMN - nameBytes.length, 0));
    const line = Buffer.concat([nameBytes, Buffer.from(`${padding}\t${comment}\n`)]);
    left -= line.length;
    if (left < 0) {
      limitHits.count('listingBytes');
      break;
    }
    lines.push(line);
  }
  return Buffer.concat([...lines, LISTING_END]);
}

/**
 * The message of the day as it goes out: cut to `motdBytes`, one line feed behind it. Lines that clients would take
 * for the protocol are moved one column.
 */
export function motdText(motd: Buffer, limits: Pick<Limits, 'motdBytes'>): Buffer {
  const text = motd.toString('latin1', 0, Math.min(motd.length, limits.motdBytes));
  return Buffer.from(`${text.replace(/^(?=@RSYNCD:|@ERROR)/gm, ' ')}\n`, 'latin1');
}
