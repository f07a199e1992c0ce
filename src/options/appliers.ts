/** What the honoured options do to the draft; table.ts refers to these functions. */

import { parseChecksumChoice } from '../checksum/choose.ts';
import type { Flag, OptionDraft } from './draft.ts';
import { parseBwlimit, parseCapabilities, parseCompressChoice, parseSize, quoteArgument } from './values.ts';

/** One occurrence of an option. */
export interface Occurrence {
  /** Empty for options without a value. */
  readonly text: Buffer;
  /** Value of an `int` row, else 0. */
  readonly number: number;
  /** Given as --no-NAME. */
  readonly negated: boolean;
  /** The option as the client spelled it, without value. */
  readonly spelling: string;
}

/** @throws UsageError for a value that the option does not know. */
export type Apply = (draft: OptionDraft, occurrence: Occurrence) => void;

/** Sets a switch, or clears it in the --no- form. */
export function setFlag(field: Flag): Apply {
  return (draft, { negated }) => {
    draft[field] = !negated;
  };
}

/** Stores the number of an `int` option. */
export function setNumber(field: 'compressLevel' | 'checksumSeed'): Apply {
  return (draft, { number }) => {
    draft[field] = number;
  };
}

/** --new-compress and --old-compress are compression choices without a value. */
export function fixCompression(choice: 'zlib' | 'zlibx'): Apply {
  return (draft) => {
    draft.compressChoice = choice;
  };
}

/** Suffix list of --skip-compress. */
export const skipCompress: Apply = (draft, { text }) => {
  draft.skipSuffixes = text;
};

/** -f: a rule in modern syntax, as it stands. */
export const filterRule: Apply = (draft, { text }) => {
  draft.extraFilterRules.push(text);
};

/** --append-verify in one option. */
export const appendVerify: Apply = (draft) => {
  draft.appendMode = 2;
};

/** Rules given as options stand before the received list; old prefixes `+ ` and `- ` and the lone `!` are kept. */
export function patternRule(prefix: string): Apply {
  return (draft, { text }) => {
    const isRule = /^(?:[+-] |!$)/.test(text.toString('latin1'));
    draft.extraFilterRules.push(isRule ? text : Buffer.concat([Buffer.from(prefix), text]));
  };
}

/** --compress-choice. */
export const compressChoice: Apply = (draft, { text }) => {
  // An unknown name still means that the client has chosen: no list may be exchanged before we can say so.
  draft.compressChoice = 'none';
  draft.compressChoice = parseCompressChoice(text);
};

/** --checksum-choice. */
export const checksumChoice: Apply = (draft, { text }) => {
  draft.checksumChoice = { transfer: 'md5', list: 'md5' };
  // Names are plain ASCII, so quoting changes only what is wrong anyway, and bounds the error text.
  draft.checksumChoice = parseChecksumChoice(quoteArgument(text));
};

/** `-e`: on a server it carries no shell but the capability letters. */
export const capabilities: Apply = (draft, { text }) => {
  const found = parseCapabilities(text);
  draft.capabilities = found?.letters ?? null;
  draft.preRelease = found?.preRelease ?? null;
};

/** --files-from: over the wire or a file of ours. */
export const filesFrom: Apply = (draft, { text }) => {
  draft.filesFrom = text.equals(Buffer.from('-')) ? { kind: 'wire' } : { kind: 'file', path: text };
};

/** --append; twice is --append-verify. */
export const append: Apply = (draft, { negated }) => {
  draft.appendMode = negated ? 0 : Math.min(draft.appendMode + 1, 2);
};

/** -a, which clients spell out. */
export const archive: Apply = (draft) => {
  for (const field of ['recurse', 'links', 'owner', 'group', 'devices', 'specials'] as const) draft[field] = true;
};

/** -D. */
export const devicesAndSpecials: Apply = (draft, { negated }) => {
  draft.devices = !negated;
  draft.specials = !negated;
};

/** `-x` and `-X` count up to two; --no- forms start over. */
export function counted(field: 'oneFileSystem' | 'xattrs'): Apply {
  return (draft, { negated }) => {
    draft[field] = negated ? 0 : Math.min(draft[field] + 1, 2);
  };
}

/** -U; twice also asks for --open-noatime. */
export const atimes: Apply = (draft, { negated }) => {
  draft.openNoatime = !negated && (draft.openNoatime || draft.atimes);
  draft.atimes = !negated;
};

/** -d. */
export const dirs: Apply = (draft, { negated }) => {
  draft.dirs = !negated;
};

/** -R. */
export const relative: Apply = (draft, { negated }) => {
  draft.relative = !negated;
};

/** -z; counted, as two mean zlibx. */
export const compress: Apply = (draft, { negated }) => {
  draft.compress = negated ? 0 : draft.compress + 1;
};

/** Sizes that we ignore must still be sizes. */
export const checkSize: Apply = (_draft, { text, spelling }) => {
  parseSize(text, spelling, 'b');
};

/** --bwlimit. */
export const bwlimit: Apply = (draft, { text, negated, spelling }) => {
  draft.bwlimitKiB = negated ? 0 : parseBwlimit(text, spelling);
};

/** Longest timeout that a client may ask for, in seconds (1-session.md 10). */
const MAX_TIMEOUT_SEC = 86_400;

/** --timeout, clamped. */
export const timeout: Apply = (draft, { number }) => {
  draft.timeoutSec = Math.min(Math.max(number, 0), MAX_TIMEOUT_SEC);
};

/** -F: the first merges `/.rsync-filter` files, the second also hides them. */
export function addMergeRule(draft: OptionDraft): void {
  draft.mergeFiles++;
  if (draft.mergeFiles === 1) draft.extraFilterRules.push(Buffer.from(': /.rsync-filter'));
  if (draft.mergeFiles === 2) draft.extraFilterRules.push(Buffer.from('- .rsync-filter'));
}
