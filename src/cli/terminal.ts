/** What can be done with the terminal that the daemon was started from; serve.ts asks. */

import type { LogLevel } from '../observe/log.ts';

export interface Terminal {
  /** Of the window as it is now. */
  readonly columns: number;
  readonly rows: number;
  /** False with NO_COLOR (no-color.org) and where a terminal knows no colours. */
  readonly isColoured: boolean;
  /** Whether what stands there can be written over. */
  readonly canMove: boolean;
}

/** A window whose size nobody knows. */
const USUAL = { columns: 80, rows: 24 };

/** What is needed of a stream of Node. */
type Stream = Pick<NodeJS.WriteStream, 'isTTY'> & Partial<Pick<NodeJS.WriteStream, 'columns' | 'rows'>>;

/** Null when the stream is none: then a program reads it. */
export function terminalOf(
  stream: Stream,
  { TERM, NO_COLOR }: Readonly<Record<string, string | undefined>>,
): Terminal | null {
  if (!stream.isTTY) return null;
  const canMove = TERM !== undefined && TERM !== '' && TERM !== 'dumb';
  return {
    // A window of no columns is one that was never told its size.
    get columns() {
      return stream.columns || USUAL.columns;
    },
    get rows() {
      return stream.rows || USUAL.rows;
    },
    isColoured: canMove && !NO_COLOR,
    canMove,
  };
}

/** The level while the daemon starts: what a person wants to know of that is in the summary. */
export function quieter(level: LogLevel): LogLevel {
  return level === 'info' ? 'warn' : level;
}
