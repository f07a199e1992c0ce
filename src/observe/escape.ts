/** Makes text from peers and file systems safe to print; log.ts and everything that writes for people calls it. */

/**
 * C0 and C1 controls, DEL, Unicode line breaks, direction overrides and lone surrogates.
 * SECURITY: a file named `\x1b[2J` must not drive a terminal, U+009B is ESC [ in one byte, and U+202E shows text backwards.
 */
// biome-ignore lint/suspicious/noControlCharactersInRegex: control characters are what this looks for.
const UNSAFE = /[\u0000-\u001f\u007f-\u009f\u061c\u200e\u200f\u2028-\u202e\u2066-\u2069]|\p{Surrogate}/gu;

/** What JSON itself leaves alone; a subset of UNSAFE that can only stand inside its strings. */
const UNSAFE_IN_JSON = /[\u007f-\u009f\u061c\u200e\u200f\u2028-\u202e\u2066-\u2069]|\p{Surrogate}/gu;

const SHORT: Readonly<Record<string, string>> = { '\n': '\\n', '\r': '\\r', '\t': '\\t' };

/** `text` with every control character written as `\n`, `\x1b` or `\u202e`; a backslash as it is. */
export function escapeControls(text: string): string {
  return text.replace(UNSAFE, (character) => SHORT[character] ?? escaped(character));
}

/** A JSON text in which the control characters that JSON allows are `\u` escapes too; its value is unchanged. */
export function escapeJsonControls(json: string): string {
  return json.replace(UNSAFE_IN_JSON, unicodeEscape);
}

function escaped(character: string): string {
  const code = character.charCodeAt(0);
  return code < 0x100 ? `\\x${code.toString(16).padStart(2, '0')}` : unicodeEscape(character);
}

function unicodeEscape(character: string): string {
  return `\\u${character.charCodeAt(0).toString(16).padStart(4, '0')}`;
}
