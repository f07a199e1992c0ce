/** Which files are sent without trying to compress them: --skip-compress and the module's `dont_compress` (3-transfer.md 5.7). */

import { compileGlob, type Glob, type StepLimits } from '../filter/wildmatch.ts';

/** Formats that do not shrink again. */
const DEFAULT_SUFFIXES =
  '7z aac ace apk avi avif br bz2 cab crate deb dmg docx epub flac flv gem gif gpg gz heic iso jar jpeg jpg lrz lz lz4 ' +
  'lzma lzo m4a m4v mkv mov mp3 mp4 mpeg mpg odp ods odt oga ogg ogv opus png pptx qcow2 rar rpm rz snap sfs squashfs ' +
  'svgz sz tbz tbz2 tgz tlz txz tzst vob war webm webp whl wma wmv xlsx xpi xz z zip zst';

/** A set of name patterns. */
export class SkipList {
  readonly #suffixes = new Set<string>();
  readonly #patterns: Glob[] = [];

  /** @param patterns wildcards over the last component of a name; `*.suffix` is matched without them. */
  constructor(patterns: readonly string[], limits: StepLimits) {
    for (const pattern of patterns) {
      const suffix = /^\*\.([^.*?[\\]+)$/.exec(pattern)?.[1];
      if (suffix !== undefined) this.#suffixes.add(suffix);
      else this.#patterns.push(compileGlob(Buffer.from(pattern, 'latin1'), limits));
    }
  }

  /** @param name last component, or a path. */
  matches(name: Buffer): boolean {
    const component = name.subarray(name.lastIndexOf(0x2f) + 1);
    const dot = component.lastIndexOf(0x2e);
    if (dot >= 0 && this.#suffixes.has(component.toString('latin1', dot + 1))) return true;
    return this.#patterns.some((pattern) => pattern.matches(component));
  }
}

/**
 * The list of a session: the client's own, else the module's, else the built-in one.
 * @param clientSuffixes value of --skip-compress, suffixes with slashes between them; null when absent.
 * @param modulePatterns `dont_compress`; null when the configuration has none.
 */
export function skipListFor(
  clientSuffixes: Buffer | null,
  modulePatterns: readonly string[] | null,
  limits: StepLimits,
): SkipList {
  if (clientSuffixes === null) return new SkipList(modulePatterns ?? asPatterns(DEFAULT_SUFFIXES.split(' ')), limits);
  return new SkipList(asPatterns(clientSuffixes.toString('latin1').split('/')), limits);
}

function asPatterns(suffixes: readonly string[]): string[] {
  return suffixes.filter((suffix) => suffix.length > 0).map((suffix) => `*.${suffix}`);
}
