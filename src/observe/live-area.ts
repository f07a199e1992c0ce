/** Lines at the end of a terminal that are written again and again, while the log goes on above them; live-lines.ts fills them. */

/** Every line is cut to the window: one that wrapped could not be found again. */
const MIN_COLUMNS = 20;

/** Up to the first line of the area, and nothing from there on. */
const eraseRows = (rows: number): string => (rows === 0 ? '' : `\r\x1b[${rows}A\x1b[J`);

/** What stands below the log. One per terminal; all that is written to it comes through here. */
export class LiveArea {
  readonly #columns: () => number;
  #lines: readonly string[] = [];

  /** @param columns width of the window now. */
  constructor(columns: () => number) {
    this.#columns = columns;
  }

  get isEmpty(): boolean {
    return this.#lines.length === 0;
  }

  /** The text that puts `lines`, printable and uncoloured, in the place of those before; '' when nothing changes. */
  replace(lines: readonly string[]): string {
    const columns = Math.max(MIN_COLUMNS, this.#columns());
    const next = lines.map((line) => cut(line, columns - 1));
    if (next.length === this.#lines.length && next.every((line, index) => line === this.#lines[index])) return '';
    const text = this.#erase() + next.map((line) => `${line}\n`).join('');
    this.#lines = next;
    return text;
  }

  /** The text that writes `lines`, line feed included, above the area. */
  above(lines: string): string {
    return this.isEmpty ? lines : this.#erase() + lines + this.#lines.map((line) => `${line}\n`).join('');
  }

  /** A window that became narrower has wrapped what was cut for the wider one. */
  #erase(): string {
    const columns = Math.max(MIN_COLUMNS, this.#columns());
    return eraseRows(this.#lines.reduce((sum, line) => sum + Math.max(1, Math.ceil(widthOf(line) / columns)), 0));
  }
}

/** Anything beyond Latin may take two columns. */
function widthOf(text: string): number {
  let width = 0;
  for (const character of text) width += character < '\u0300' ? 1 : 2;
  return width;
}

function cut(line: string, columns: number): string {
  let width = 0;
  let kept = '';
  for (const character of line) {
    width += widthOf(character);
    if (width > columns) return kept;
    kept += character;
  }
  return kept;
}
