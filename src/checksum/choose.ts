/** Which checksum a session uses: names, negotiation and what protocols imply (1-session.md 5.4, 3-transfer.md 3.4, 7.1). */

import { UsageError } from '../errors.ts';
import { isLoaded } from './pool.ts';
import type { ChecksumName, SumVariant } from './sums.ts';

/** All names in the order of the reference's list; the first is preferred. */
const NAMES: readonly ChecksumName[] = ['xxh128', 'xxh3', 'xxh64', 'md5', 'md4', 'sha1', 'none'];

/** The two halves of --checksum-choice. `auto` is what the protocol implies. */
export interface ChecksumChoice {
  readonly transfer: ChecksumName | 'auto';
  readonly list: ChecksumName | 'auto';
}

/** Names that we offer, in the reference's order; xxHash needs `loadChecksums` and WebAssembly. */
export function advertisedChecksums(): ChecksumName[] {
  return NAMES.filter((name) => !isXxh(name) || isLoaded(name));
}

function isXxh(name: ChecksumName): name is 'xxh128' | 'xxh3' | 'xxh64' {
  return name.startsWith('xxh');
}

/** The known name that `text` means, in any case, `xxhash` being an alias; null when we do not have it. */
export function lookUpChecksum(text: string, ours: readonly string[]): ChecksumName | null {
  const lower = text.toLowerCase();
  const name = NAMES.find((known) => known === (lower === 'xxhash' ? 'xxh64' : lower));
  return name !== undefined && ours.includes(name) ? name : null;
}

/**
 * The first name of the client's space-separated list that is also in `ours`, the list we sent; null without overlap.
 * The client's order decides: both sides apply this rule and must agree (1-session.md 5.4).
 */
export function chooseChecksum(clientList: Buffer, ours: readonly string[]): ChecksumName | null {
  for (const text of clientList.toString('latin1').split(' ')) {
    const name = lookUpChecksum(text, ours);
    if (name !== null) return name;
  }
  return null;
}

/**
 * Parses the value of --checksum-choice: `A` or `A,B` (3-transfer.md 7.1); null when both halves are `auto`.
 * @throws UsageError (code 4) for a name that we do not have.
 */
export function parseChecksumChoice(value: string): ChecksumChoice | null {
  const comma = value.indexOf(',');
  const transfer = parseHalf(comma < 0 ? value : value.slice(0, comma));
  const list = comma < 0 ? transfer : parseHalf(value.slice(comma + 1));
  return transfer === 'auto' && list === 'auto' ? null : { transfer, list };
}

function parseHalf(text: string): ChecksumName | 'auto' {
  if (text.toLowerCase() === 'auto') return 'auto';
  const name = lookUpChecksum(text, advertisedChecksums());
  if (name === null) throw new UsageError(`unknown checksum name: ${text}\n`);
  return name;
}

/** The transfer sum where no name was negotiated or chosen; `seedOrderFix` is compat bit 0x20 (3-transfer.md 3.4). */
export function impliedVariant(protocol: number, seedOrderFix: boolean): SumVariant {
  if (protocol < 30) return 'md4-old';
  return seedOrderFix ? 'md5' : 'md5-legacy';
}

/** The `-c` sum where no name was negotiated or chosen (2-file-list.md 2.7). */
export function impliedListChecksum(protocol: number): ChecksumName {
  return protocol < 30 ? 'md4' : 'md5';
}
