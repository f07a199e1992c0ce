/**
 * Finds the line of every key and array element of a TOML text, because smol-toml keeps no positions; used by source.ts.
 *
 * It runs only on text that smol-toml has accepted, so it follows the shape and checks nothing. Paths look like
 * `module[2].path` and count from 0.
 */

const BARE_KEY = /[A-Za-z0-9_-]+/y;

class Scanner {
  readonly lines = new Map<string, number>();
  readonly #text: string;
  readonly #seenTables = new Map<string, number>();
  #at = 0;
  #line = 1;
  #table = '';

  constructor(text: string) {
    this.#text = text;
  }

  run(): void {
    for (this.#skipBlank(); this.#at < this.#text.length; this.#skipBlank()) {
      if (this.#peek() === '[') {
        this.#header();
      } else {
        this.#pair(this.#table);
      }
    }
  }

  #peek(): string {
    return this.#text[this.#at] ?? '';
  }

  #advance(count = 1): void {
    for (const end = Math.min(this.#at + count, this.#text.length); this.#at < end; this.#at++) {
      if (this.#text[this.#at] === '\n') {
        this.#line++;
      }
    }
  }

  /** Skips blanks, line ends and comments. */
  #skipBlank(): void {
    while (this.#at < this.#text.length) {
      if (this.#peek() === '#') {
        const end = this.#text.indexOf('\n', this.#at);
        this.#at = end < 0 ? this.#text.length : end;
      } else if (/\s|\ufeff/.test(this.#peek())) {
        this.#advance();
      } else {
        return;
      }
    }
  }

  /** `[table]` or `[[array]]`: sets the prefix of the keys that follow. */
  #header(): void {
    const line = this.#line;
    const isArray = this.#text.startsWith('[[', this.#at);
    this.#advance(isArray ? 2 : 1);
    const path = this.#key('');
    this.#skipBlank();
    this.#advance(isArray ? 2 : 1);
    if (isArray) {
      const index = (this.#seenTables.get(path) ?? -1) + 1;
      this.#seenTables.set(path, index);
      this.#table = `${path}[${index}]`;
    } else {
      this.#table = path;
    }
    this.#note(this.#table, line);
  }

  #pair(prefix: string): void {
    const line = this.#line;
    const path = this.#key(prefix);
    this.#note(path, line);
    this.#skipBlank();
    this.#advance(); // the equals sign
    this.#value(path);
  }

  /** A dotted key below `prefix`; an array of tables on the way stands for its last element. */
  #key(prefix: string): string {
    let path = prefix;
    for (;;) {
      this.#skipBlank();
      const index = this.#seenTables.get(path);
      const parent = index === undefined || path === prefix ? path : `${path}[${index}]`;
      const name = this.#simpleKey();
      path = parent === '' ? name : `${parent}.${name}`;
      this.#skipBlank();
      if (this.#peek() !== '.') {
        return path;
      }
      this.#advance();
    }
  }

  #simpleKey(): string {
    const start = this.#at;
    if (this.#peek() === '"' || this.#peek() === "'") {
      this.#string();
      return this.#text.slice(start + 1, this.#at - 1);
    }
    BARE_KEY.lastIndex = start;
    const name = BARE_KEY.exec(this.#text)?.[0] ?? '';
    this.#advance(Math.max(name.length, 1)); // at least one character, so that the scan always ends
    return name;
  }

  #value(path: string): void {
    this.#skipBlank();
    const first = this.#peek();
    if (first === '"' || first === "'") {
      this.#string();
    } else if (first === '[') {
      this.#items(']', (index) => this.#element(`${path}[${index}]`));
    } else if (first === '{') {
      this.#items('}', () => this.#pair(path));
    } else {
      while (this.#at < this.#text.length && !/[\n,\]}#]/.test(this.#peek())) {
        this.#advance();
      }
    }
  }

  #element(path: string): void {
    this.#note(path, this.#line);
    this.#value(path);
  }

  /** The inside of an array or inline table, from its opening to its closing bracket. */
  #items(close: string, readItem: (index: number) => void): void {
    this.#advance();
    for (let index = 0; ; index++) {
      this.#skipBlank();
      if (this.#at >= this.#text.length || this.#peek() === close) {
        break;
      }
      const start = this.#at;
      readItem(index);
      this.#skipBlank();
      if (this.#peek() === ',' || this.#at === start) {
        this.#advance(); // also past a stray character, so that the scan always ends
      }
    }
    this.#advance();
  }

  /** A string of any of the four kinds. */
  #string(): void {
    const quote = this.#peek();
    const isLong = this.#text.startsWith(quote.repeat(3), this.#at);
    const end = isLong ? quote.repeat(3) : quote;
    this.#advance(end.length);
    while (this.#at < this.#text.length && !this.#text.startsWith(end, this.#at)) {
      this.#advance(quote === '"' && this.#peek() === '\\' ? 2 : 1);
    }
    this.#advance(end.length);
    while (isLong && this.#peek() === quote) {
      this.#advance(); // a long string may end in up to two quotes of its own
    }
  }

  #note(path: string, line: number): void {
    if (!this.lines.has(path)) {
      this.lines.set(path, line);
    }
  }
}

/** Line numbers, from 1, of all key paths in a valid TOML text. */
export function locateKeys(text: string): ReadonlyMap<string, number> {
  const scanner = new Scanner(text);
  scanner.run();
  return scanner.lines;
}
