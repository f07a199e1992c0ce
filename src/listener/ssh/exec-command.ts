/** The command string of an exec request (1-session.md 3.5): cut into words without any shell, then judged; channel.ts calls it. */

import { UsageError } from '../../errors.ts';
import type { Limits } from '../../limits.ts';

/** One word of a command. */
export interface CommandWord {
  readonly bytes: Buffer;
  /** For each byte 1 when it was quoted or escaped: only the others may be wildcards or a leading tilde. */
  readonly quoted: Uint8Array;
}

/** Bytes that a shell would act on. SECURITY: unquoted, they are refused, not passed on as text (CVE-2026-53790). */
const SHELL_BYTES = new Set(Buffer.from(';&|<>()$`\n\r', 'latin1'));
const BLANKS = new Set(Buffer.from(' \t', 'latin1'));
/** What a backslash escapes inside double quotes. */
const ESCAPED_IN_QUOTES = new Set(Buffer.from('"\\$`', 'latin1'));

const BACKSLASH = 0x5c;
const SINGLE_QUOTE = 0x27;
const DOUBLE_QUOTE = 0x22;

/**
 * Cuts a command into words as a POSIX shell would without expanding anything.
 * @throws UsageError for what a shell would act on, an open quote, a NUL, or too many words.
 */
export function tokenizeCommand(command: Buffer, limits: Pick<Limits, 'args'>): CommandWord[] {
  return new Tokenizer(command, limits.args).run();
}

class Tokenizer {
  readonly #command: Buffer;
  readonly #maxWords: number;
  readonly #words: CommandWord[] = [];
  #bytes: number[] = [];
  #quoted: number[] = [];
  /** A word has begun; an empty pair of quotes is one. */
  #isInWord = false;
  #at = 0;

  constructor(command: Buffer, maxWords: number) {
    this.#command = command;
    this.#maxWords = maxWords;
  }

  run(): CommandWord[] {
    if (this.#command.includes(0)) throw refusal('a NUL byte');
    while (this.#at < this.#command.length) this.#step(this.#command[this.#at++]!);
    this.#endWord();
    return this.#words;
  }

  #step(byte: number): void {
    if (BLANKS.has(byte)) this.#endWord();
    else if (byte === BACKSLASH) this.#put(this.#next('a backslash at the end'), true);
    else if (byte === SINGLE_QUOTE) this.#singleQuoted();
    else if (byte === DOUBLE_QUOTE) this.#doubleQuoted();
    else if (SHELL_BYTES.has(byte)) throw refusal('a character that only a shell understands');
    else this.#put(byte, false);
  }

  #singleQuoted(): void {
    this.#isInWord = true;
    for (let byte = this.#quotedByte(); byte !== SINGLE_QUOTE; byte = this.#quotedByte()) this.#put(byte, true);
  }

  #doubleQuoted(): void {
    this.#isInWord = true;
    for (let byte = this.#quotedByte(); byte !== DOUBLE_QUOTE; byte = this.#quotedByte()) {
      if (byte === 0x24 || byte === 0x60) throw refusal('a character that only a shell understands');
      const escaped = byte === BACKSLASH ? this.#command[this.#at] : undefined;
      if (escaped !== undefined && ESCAPED_IN_QUOTES.has(escaped)) this.#at++;
      this.#put(escaped !== undefined && ESCAPED_IN_QUOTES.has(escaped) ? escaped : byte, true);
    }
  }

  #quotedByte(): number {
    return this.#next('an open quote');
  }

  #next(what: string): number {
    const byte = this.#command[this.#at++];
    if (byte === undefined) throw refusal(what);
    return byte;
  }

  #put(byte: number, isQuoted: boolean): void {
    this.#isInWord = true;
    this.#bytes.push(byte);
    this.#quoted.push(isQuoted ? 1 : 0);
  }

  #endWord(): void {
    if (!this.#isInWord) return;
    if (this.#words.length >= this.#maxWords) throw refusal('too many words');
    this.#words.push({ bytes: Buffer.from(this.#bytes), quoted: Uint8Array.from(this.#quoted) });
    this.#bytes = [];
    this.#quoted = [];
    this.#isInWord = false;
  }
}

function refusal(what: string): UsageError {
  return new UsageError(`gokr-rsyncd: the command holds ${what}; there is no shell here.\n`);
}

/** True when the words are the daemon protocol's command. */
export function wantsDaemon(words: readonly CommandWord[]): boolean {
  const [program = '', ...args] = words.map(({ bytes }) => bytes.toString('latin1'));
  return /^(?:.*\/)?(?:rsync|gokr-rsyncd)$/s.test(program) && args.join('\0') === '--server\0--daemon\0.';
}

const URL_FORM = `Use the daemon protocol, which names a module:
  rsync -e ssh rsync://HOST/MODULE/PATH DESTINATION
  rsync -e ssh HOST::MODULE/PATH DESTINATION
or  rsync -e ssh rsync://HOST/  for the list of modules.
`;

/**
 * Checks that a command asks for the daemon protocol, the only one that there is.
 * @throws UsageError whose `tell` is for the client's standard error.
 */
export function requireDaemonCommand(command: Buffer, limits: Pick<Limits, 'args'>): void {
  const words = tokenizeCommand(command, limits);
  if (wantsDaemon(words)) return;
  const args = words.slice(1).map(({ bytes }) => bytes.toString('latin1'));
  if (args[0] !== '--server') throw new UsageError(`gokr-rsyncd: this server runs no commands. ${URL_FORM}`);
  const isUpload = !args.includes('--sender') && !args.includes('--daemon');
  const reason = isUpload
    ? 'this server is read-only and takes no uploads.'
    : 'paths of the host (HOST:PATH) are not served here.';
  throw new UsageError(`gokr-rsyncd: ${reason} ${URL_FORM}`);
}
