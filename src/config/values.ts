/** Checks raw TOML values against the table of schema.ts; called by load.ts and module.ts for each section. */
import { parseListenAddress } from './listen-address.ts';
import { nearestName } from './nearest.ts';
import { parseNetwork } from './network.ts';
import type { Checked, KeySpec, KeyTable } from './schema.ts';
import { type Source, showValue } from './source.ts';

/** A raw table as smol-toml gives it, with the path that error messages name. */
export interface Section {
  /** `module[2]`, or empty for the top of the file. */
  readonly path: string;
  readonly raw: Readonly<Record<string, unknown>>;
}

const SIZE_UNITS: ReadonlyMap<string, number> = new Map([
  ['', 1],
  ['KiB', 2 ** 10],
  ['MiB', 2 ** 20],
  ['GiB', 2 ** 30],
  ['TiB', 2 ** 40],
  ['kB', 1e3],
  ['MB', 1e6],
  ['GB', 1e9],
  ['TB', 1e12],
]);

const DURATION_UNITS: ReadonlyMap<string, number> = new Map([
  ['ms', 1],
  ['s', 1000],
  ['m', 60_000],
  ['h', 3_600_000],
  ['d', 86_400_000],
]);

/** `12MiB` in bytes or `30s` in milliseconds; null for anything else. A bare 0 needs no unit. */
function parseQuantity(text: string, units: ReadonlyMap<string, number>): number | null {
  const match = /^(\d{1,15})([A-Za-z]*)$/.exec(text);
  const factor = text === '0' ? 1 : units.get(match?.[2] ?? '?');
  return match === null || factor === undefined ? null : Number(match[1]) * factor;
}

/** The path of a key below a section, as error messages name it. */
export function keyPath(section: Section, key: string): string {
  return section.path === '' ? key : `${section.path}.${key}`;
}

function describeRange({ min, max, zeroOrAtLeast }: KeySpec): string {
  if (min === undefined) return '';
  return zeroOrAtLeast === undefined ? ` from ${min} to ${max}` : ` of 0 or from ${zeroOrAtLeast} to ${max}`;
}

/** What is allowed for a key, in words; also the range column of generated documentation. */
export function describeKind(spec: KeySpec): string {
  const range = describeRange(spec);
  switch (spec.kind) {
    case 'boolean':
      return 'true or false';
    case 'integer':
      return `a whole number${range}`;
    case 'number':
      return `a number${range}`;
    case 'size':
      return `a size${range} bytes, as 65536 or "50MiB"`;
    case 'seconds':
      return `a time${range} seconds, as 600 or "10m"`;
    case 'milliseconds':
      return `a time${range} milliseconds, as 5000 or "5s"`;
    case 'choice':
      return `one of ${spec.choices?.map((choice) => `"${choice}"`).join(', ')}`;
    case 'text':
      return `a text of at most ${spec.max} bytes without control characters`;
    case 'path':
      return 'a file name';
    case 'address':
      return 'an address and port, as "[::]:873"';
    case 'texts':
      return 'an array of texts without control characters, none of them empty';
    case 'networks':
      return 'an array of networks, as ["10.0.0.0/8"]';
    case 'table':
      return `a table with the keys ${Object.keys(spec.keys ?? {}).join(', ')}`;
  }
}

/** True for text without control characters: a line feed in a comment could forge a line of the protocol. */
function isPlainText(value: unknown): value is string {
  // SECURITY: C0, DEL and C1 in names, comments or rules would reach clients' terminals and forge protocol lines.
  // biome-ignore lint/suspicious/noControlCharactersInRegex: they are what this looks for
  return typeof value === 'string' && !/[\u0000-\u001f\u007f-\u009f]/.test(value);
}

/** The number of a numeric kind in its own unit, or null when the value has the wrong type. */
function toNumber(spec: KeySpec, value: unknown): number | null {
  if (typeof value === 'bigint') {
    return Number(value);
  }
  if (spec.kind === 'number') {
    return typeof value === 'number' ? value : null;
  }
  if (typeof value !== 'string' || spec.kind === 'integer') {
    return null;
  }
  if (spec.kind === 'size') {
    return parseQuantity(value, SIZE_UNITS);
  }
  const ms = parseQuantity(value, DURATION_UNITS);
  return ms === null || spec.kind === 'milliseconds' ? ms : ms / 1000;
}

function isWithin(spec: KeySpec, value: number): boolean {
  const isWhole = spec.kind === 'number' || Number.isInteger(value);
  if (value > 0 && value < (spec.zeroOrAtLeast ?? 0)) return false;
  return isWhole && value >= (spec.min ?? 0) && value <= (spec.max ?? Number.MAX_SAFE_INTEGER);
}

/** One value of a simple kind; undefined when it is not allowed. */
function simpleValue(spec: KeySpec, value: unknown): unknown {
  switch (spec.kind) {
    case 'boolean':
      return typeof value === 'boolean' ? value : undefined;
    case 'choice':
      return typeof value === 'string' && spec.choices?.includes(value) ? value : undefined;
    case 'text':
      return isPlainText(value) && Buffer.byteLength(value) <= (spec.max ?? 0) ? value : undefined;
    case 'path':
      return isPlainText(value) && value !== '' ? value : undefined;
    case 'texts':
      return Array.isArray(value) && value.every((item) => isPlainText(item) && item !== '') ? value : undefined;
    default: {
      const number = toNumber(spec, value);
      return number !== null && isWithin(spec, number) ? number : undefined;
    }
  }
}

/** Kinds with a grammar of their own; their parsers say themselves what is wrong. */
function parsedValue(source: Source, spec: KeySpec, path: string, value: unknown): unknown {
  if (spec.kind === 'address' && typeof value === 'string') {
    source.locate(path, () => parseListenAddress(value));
    return value;
  }
  if (spec.kind === 'networks' && Array.isArray(value) && value.every((item) => typeof item === 'string')) {
    value.forEach((item, index) => {
      source.locate(`${path}[${index}]`, () => parseNetwork(item));
    });
    return value;
  }
  if (spec.kind === 'table' && isTable(value)) {
    return checkSection(source, { path, raw: value }, spec.keys ?? {});
  }
  return undefined;
}

/** True for a TOML table (not an array, not a date). */
export function isTable(value: unknown): value is Record<string, unknown> {
  return typeof value === 'object' && value !== null && !Array.isArray(value) && !(value instanceof Date);
}

function checkValue(source: Source, spec: KeySpec, path: string, value: unknown): unknown {
  const hasGrammar = spec.kind === 'address' || spec.kind === 'networks' || spec.kind === 'table';
  const checked = hasGrammar ? parsedValue(source, spec, path, value) : simpleValue(spec, value);
  if (checked === undefined) {
    const hint = /^timeout$|\.timeout$/.test(path) && Number(value) === 0 ? '; a timeout cannot be switched off' : '';
    throw source.error(path, `${showValue(value)} is not allowed: expected ${describeKind(spec)}${hint}`);
  }
  if (spec.notEmpty && Array.isArray(checked) && checked.length === 0) {
    // SECURITY: an empty access list reads as "nobody" to some and as "everybody" to others.
    throw source.error(path, 'an empty list is ambiguous: leave the key out for no restriction');
  }
  return checked;
}

/** Refuses keys that the table does not know, naming the nearest that it does. */
export function refuseUnknownKeys(source: Source, section: Section, known: readonly string[]): void {
  for (const key of Object.keys(section.raw)) {
    if (!known.includes(key)) {
      const nearest = nearestName(key, known);
      throw source.error(keyPath(section, key), `unknown key; the nearest known key is ${nearest}`);
    }
  }
}

/**
 * The checked values of a section, defaults filled in.
 * @throws ConfigError naming file, line, key path, value and what is allowed.
 */
export function checkSection<T extends KeyTable>(source: Source, section: Section, table: T): Checked<T> {
  const known = Object.keys(table);
  refuseUnknownKeys(source, section, known);
  const values = known.map((key) => {
    const spec = table[key]!;
    if (Object.hasOwn(section.raw, key)) {
      return [key, checkValue(source, spec, keyPath(section, key), section.raw[key])];
    }
    if (spec.required) {
      throw source.error(keyPath(section, key), `missing: expected ${describeKind(spec)}`);
    }
    return [key, spec.default];
  });
  return Object.fromEntries(values) as Checked<T>;
}
