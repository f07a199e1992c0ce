/** Where a configuration value came from, and how to say that it is wrong (style.md 3.7); used by all of config/. */
import { ConfigError } from '../errors.ts';
import { escapeControls } from '../observe/escape.ts';
import { locateKeys } from './positions.ts';

/** A value as an error message shows it: at most 200 characters, control characters escaped. */
export function showValue(value: unknown): string {
  const text =
    JSON.stringify(value, (_key, part: unknown) => (typeof part === 'bigint' ? Number(part) : part)) ?? String(value);
  return escapeControls(text.length > 200 ? `${text.slice(0, 200)}…` : text);
}

/** The line before, the line itself with a mark under its first word, the line after. */
function codeFrame(lines: readonly string[], line: number): string {
  const width = String(line + 1).length;
  const frame: string[] = [];
  for (let number = Math.max(1, line - 1); number <= Math.min(lines.length, line + 1); number++) {
    const text = lines[number - 1]!;
    frame.push(`${String(number).padStart(width)} | ${text}`);
    if (number === line) {
      frame.push(`${' '.repeat(width)} | ${' '.repeat(text.length - text.trimStart().length)}^`);
    }
  }
  return frame.map((row) => `\n  ${row.trimEnd()}`).join('');
}

/** Where a key path was written. */
export interface Place {
  readonly file: string;
  /** From 1. */
  readonly line: number;
  /** The whole file, for the lines around. */
  readonly text: string;
  /** How the file calls it, when not by the key path. */
  readonly label?: string;
}

/** One configuration (or, with `file` null, the command line alone). */
export class Source {
  readonly file: string | null;
  readonly #text: string;
  #places: ReadonlyMap<string, Place> | null;

  /** @param places of all key paths, when the configuration is not the TOML text itself. */
  constructor(file: string | null, text: string, places: ReadonlyMap<string, Place> | null = null) {
    this.file = file;
    this.#text = text;
    this.#places = places;
  }

  /** The error for one key path: names file, line, key path and problem, and shows the lines around. */
  error(path: string, problem: string, cause?: unknown): ConfigError {
    const place = this.#placeOf(path);
    const shownPath = escapeControls(place?.label ?? path);
    if (this.file === null || place === null) {
      const where = this.file === null || path.startsWith('--') ? '' : `${this.file}: `;
      return new ConfigError(`${where}${shownPath}: ${problem}`, { cause });
    }
    const frame = codeFrame(place.text.split(/\r?\n/), place.line);
    return new ConfigError(`${place.file}:${place.line}: ${shownPath}: ${problem}\n${frame}`, { cause });
  }

  /** The error for a place that has a line but no key path. */
  errorAtLine(line: number, problem: string, cause?: unknown): ConfigError {
    const frame = codeFrame(this.#text.split(/\r?\n/), line);
    return new ConfigError(`${this.file ?? 'configuration'}:${line}: ${problem}\n${frame}`, { cause });
  }

  /** Runs a parser that knows nothing of files; gives its ConfigError the place of `path`. */
  locate<T>(path: string, parse: () => T): T {
    try {
      return parse();
    } catch (error) {
      if (error instanceof ConfigError) {
        throw this.error(path, error.message, error);
      }
      throw error;
    }
  }

  /** Place of a key path, or of the nearest enclosing part that was written. */
  #placeOf(path: string): Place | null {
    this.#places ??= this.#locateToml();
    for (let part = path; part !== ''; part = part.replace(/(\.[^.[]*|\[\d+\]|^[^.[]*)$/, '')) {
      const place = this.#places.get(part);
      if (place !== undefined) {
        return place;
      }
      if (part.startsWith('--')) {
        return null;
      }
    }
    return null;
  }

  #locateToml(): ReadonlyMap<string, Place> {
    const { file } = this;
    if (file === null) {
      return new Map();
    }
    const lines = [...locateKeys(this.#text)];
    return new Map(lines.map(([path, line]) => [path, { file, line, text: this.#text }]));
  }
}
