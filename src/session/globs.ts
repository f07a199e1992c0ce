/** Wildcards in path arguments, expanded against the module (1-session.md 3.3 step 4); source-paths.ts calls it. */

import { LimitError } from '../errors.ts';
import type { Limits } from '../limits.ts';
import type { TimeSlice } from '../slice.ts';
import type { SourcePath } from './paths.ts';

const SLASH = 0x2f;
const DOT_BYTE = 0x2e;
const SLASH_BYTES = Buffer.from('/');

/** What expansion needs to see of the module. Paths are from the module root, without leading slash; empty is the root. */
export interface GlobDeps {
  /** Names in a directory in its own order, latin1; empty when it cannot be read. */
  readdir(dir: Buffer): readonly string[] | Promise<readonly string[]>;
  /** Whether the path is a directory, or a link to one inside the module. */
  isDirectory(path: Buffer): boolean;
  /** Whether the path exists, links followed. */
  exists(path: Buffer): boolean;
  /** Whether the module's own rules hide it. */
  hidden(path: Buffer, isDirectory: boolean): boolean;
  /** One path component as a pattern. */
  compileGlob(component: Buffer): { matches(name: Buffer): boolean };
  hasWildcards(bytes: Buffer): boolean;
  /** A path or a component without wildcards, or whose wildcards match nothing, as a name. */
  literalOf(bytes: Buffer): Buffer;
  /** The session's. */
  readonly slice: TimeSlice;
  /** CPU time of this thread in milliseconds; absent, that of the system. */
  readonly cpuMs?: () => number;
}

export type GlobLimits = Pick<Limits, 'globPatterns' | 'globDirents' | 'globResults' | 'globMs' | 'pathBytes'>;

/**
 * Replaces each path that has wildcards by what it matches, in directory order; without a match it stays as it is.
 * The second of two equal patterns is dropped. Yields to other sessions while it works.
 * @throws LimitError `globPatterns`, `globDirents`, `globResults` or `globMs`.
 */
export async function expandGlobs(
  paths: readonly SourcePath[],
  deps: GlobDeps,
  limits: GlobLimits,
): Promise<SourcePath[]> {
  const expansion = new Expansion(deps, limits);
  const expanded: SourcePath[] = [];
  const seen = new Set<string>();
  for (const path of paths) {
    if (!deps.hasWildcards(path.text)) {
      expanded.push({ text: deps.literalOf(path.text) });
      continue;
    }
    const key = path.text.toString('latin1');
    // SECURITY: the same pattern 800 times would otherwise hold 800 copies of its matches (security.md B-7).
    if (seen.has(key)) continue;
    seen.add(key);
    if (seen.size > limits.globPatterns) throw new LimitError('globPatterns', 'too many wildcard arguments');
    const matches = await expansion.expand(path.text);
    // One by one: spreading 100 000 arguments overflows the stack.
    for (const text of matches.length > 0 ? matches : [deps.literalOf(path.text)]) expanded.push({ text });
  }
  return expanded;
}

/** A match in the making: as it goes into the list, and where it is. They differ by `./` and `/./`. */
interface Candidate {
  readonly text: Buffer;
  readonly path: Buffer;
}

class Expansion {
  readonly #deps: GlobDeps;
  readonly #limits: GlobLimits;
  readonly #slice: TimeSlice;
  readonly #cpuMs: () => number;
  /** Reading of the clock when the current stretch of work began. */
  #sinceMs: number;
  #spentMs = 0;
  #dirents = 0;
  #results = 0;

  constructor(deps: GlobDeps, limits: GlobLimits) {
    this.#deps = deps;
    this.#limits = limits;
    this.#slice = deps.slice;
    this.#cpuMs = deps.cpuMs ?? threadCpuMs;
    this.#sinceMs = this.#cpuMs();
  }

  async expand(pattern: Buffer): Promise<Buffer[]> {
    const asksForContents = pattern.at(-1) === SLASH;
    const components = splitComponents(pattern);
    let candidates: Candidate[] = [{ text: Buffer.alloc(0), path: Buffer.alloc(0) }];
    for (const [at, component] of components.entries()) {
      const mustBeDirectory = asksForContents || at < components.length - 1;
      candidates = await this.#step(candidates, component, mustBeDirectory);
      if (candidates.length === 0) return [];
    }
    this.#results += candidates.length;
    this.#checkResults(this.#results);
    return candidates.map(({ text }) => (asksForContents ? Buffer.concat([text, SLASH_BYTES]) : text));
  }

  /** Extends every candidate by one component. */
  async #step(candidates: Candidate[], component: Buffer, mustBeDirectory: boolean): Promise<Candidate[]> {
    if (isDot(component)) return candidates.map(({ text, path }) => ({ text: join(text, component), path }));
    const glob = this.#deps.hasWildcards(component) ? this.#deps.compileGlob(component) : null;
    const found: Candidate[] = [];
    for (const { text, path } of candidates) {
      const names = glob === null ? [this.#deps.literalOf(component).toString('latin1')] : await this.#read(path);
      for (const nameText of names) {
        // One at a time: a hundred thousand Buffers at once keep the collector busy for longer than a turn may last.
        const name = Buffer.from(nameText, 'latin1');
        if (this.#slice.expired) await this.#waitFor(() => this.#slice.yield());
        if (glob !== null && (isDotName(name) || !glob.matches(name))) continue;
        const next = { text: join(text, name), path: join(path, name) };
        if (this.#isVisible(next.path, mustBeDirectory)) found.push(next);
        this.#checkResults(this.#results + found.length);
      }
    }
    return found;
  }

  /** Waits for something; meanwhile other sessions work, which is not charged. */
  async #waitFor<T>(what: () => T | Promise<T>): Promise<T> {
    this.#spentMs += this.#cpuMs() - this.#sinceMs;
    // SECURITY: few names can cost much, as a pattern or a link tried in each of many directories (B-7).
    if (this.#spentMs > this.#limits.globMs) throw new LimitError('globMs', 'wildcards take too long');
    const result = await what();
    this.#sinceMs = this.#cpuMs();
    return result;
  }

  async #read(path: Buffer): Promise<readonly string[]> {
    const names = await this.#waitFor(() => this.#deps.readdir(path));
    this.#dirents += names.length;
    if (this.#dirents > this.#limits.globDirents) throw new LimitError('globDirents', 'wildcards meet too many names');
    return names;
  }

  #isVisible(path: Buffer, mustBeDirectory: boolean): boolean {
    if (path.length > this.#limits.pathBytes) return false;
    const isDirectory = this.#deps.isDirectory(path);
    if (mustBeDirectory ? !isDirectory : !isDirectory && !this.#deps.exists(path)) return false;
    return !this.#deps.hidden(path, isDirectory);
  }

  #checkResults(count: number): void {
    if (count > this.#limits.globResults) throw new LimitError('globResults', 'wildcards match too many names');
  }
}

function threadCpuMs(): number {
  const { user, system } = process.threadCpuUsage();
  return (user + system) / 1000;
}

/** The components of a cleaned path; a final slash makes none. */
function splitComponents(path: Buffer): Buffer[] {
  const components: Buffer[] = [];
  let start = 0;
  for (let end = path.indexOf(SLASH); end >= 0; end = path.indexOf(SLASH, start)) {
    components.push(path.subarray(start, end));
    start = end + 1;
  }
  if (start < path.length) components.push(path.subarray(start));
  return components;
}

function join(directory: Buffer, name: Buffer): Buffer {
  return directory.length === 0 ? name : Buffer.concat([directory, SLASH_BYTES, name]);
}

function isDot(component: Buffer): boolean {
  return component.length === 1 && component[0] === DOT_BYTE;
}

/** `.` and `..`, which a directory may list. */
function isDotName(name: Buffer): boolean {
  return isDot(name) || (name.length === 2 && name[0] === DOT_BYTE && name[1] === DOT_BYTE);
}
