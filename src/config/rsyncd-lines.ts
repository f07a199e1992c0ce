/**
 * Cuts an rsyncd.conf into logical lines and tells what each is; rsyncd-conf.ts calls it for each file.
 *
 *     line      := comment | "[" module "]" | "&" directive ["="] path | name "=" value
 *     comment   := blanks, or a line whose first character is "#" or ";"
 *     continued := a line whose last character, blanks apart, is "\"; comments are not continued
 */
import { ConfigError } from '../errors.ts';
import { splitWords, trimBlanks } from './rsyncd-words.ts';

/** A line with its continuations joined. */
export interface LogicalLine {
  /** Where it begins, from 1. */
  readonly line: number;
  readonly text: string;
}

/** What a logical line says. Names of modules have single blanks; names of parameters have none and are lower case. */
export type Statement =
  | { readonly kind: 'section'; readonly name: string }
  | { readonly kind: 'directive'; readonly name: string; readonly path: string }
  | { readonly kind: 'parameter'; readonly id: string; readonly written: string; readonly value: string };

/** The part before a continuation mark; null when the line has none. */
function beforeBackslash(line: string): string | null {
  const text = trimBlanks(line);
  return text.endsWith('\\') ? line.slice(0, line.lastIndexOf('\\')) : null;
}

/** The logical lines of a text, without comments and empty lines. */
export function* logicalLines(text: string): Generator<LogicalLine> {
  const lines = text.split('\n');
  for (let at = 0; at < lines.length; at++) {
    const line = at + 1;
    if (/^[#;]?$/.test(trimBlanks(lines[at]!).slice(0, 1))) {
      continue;
    }
    const parts: string[] = [];
    let before = beforeBackslash(lines[at]!);
    for (; before !== null && at + 1 < lines.length; before = beforeBackslash(lines[at]!)) {
      parts.push(before);
      at++;
    }
    const joined = trimBlanks([...parts, lines[at]!].join(''));
    if (joined !== '') {
      yield { line, text: joined };
    }
  }
}

/** The name by which a parameter is known: blanks and case do not count. */
export function parameterId(written: string): string {
  return splitWords(written).join('').toLowerCase();
}

function parseSection(text: string): Statement {
  const close = text.indexOf(']');
  const name = splitWords(text.slice(1, Math.max(close, 1))).join(' ');
  if (close < 0) {
    throw new ConfigError('a module name needs a closing bracket: [name]');
  }
  if (name === '' || name.includes('/')) {
    throw new ConfigError('a module name must not be empty or hold a slash');
  }
  return { kind: 'section', name };
}

function parseDirective(text: string): Statement {
  const [head = ''] = splitWords(text);
  const rest = trimBlanks(text.slice(head.length));
  const path = rest.startsWith('=') ? trimBlanks(rest.slice(1)) : rest;
  return { kind: 'directive', name: head.slice(1).toLowerCase(), path };
}

/** Reads one logical line; throws ConfigError without place for what rsync would skip or stop at. */
export function parseStatement(text: string): Statement {
  if (text.startsWith('[')) {
    return parseSection(text);
  }
  if (text.startsWith('&')) {
    return parseDirective(text);
  }
  const equals = text.indexOf('=');
  if (equals < 0) {
    // SECURITY: rsync skips such a line; a restriction with a typing error must not vanish.
    throw new ConfigError('is neither a comment, a [module] nor "name = value"');
  }
  const written = splitWords(text.slice(0, equals)).join(' ');
  if (written === '') {
    throw new ConfigError('has no parameter name before "="');
  }
  return { kind: 'parameter', id: parameterId(written), written, value: trimBlanks(text.slice(equals + 1)) };
}
