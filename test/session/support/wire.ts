/** What a scripted client sends, as bytes: lines, argument lists, frames, items (written from the protocol notes, nothing of src/). */

/** Protocol of a dialogue unless a test says otherwise: the newest that needs no digest list. */
export const USUAL_PROTOCOL = 31;

/** The client's first line. */
export function greeting(protocol = USUAL_PROTOCOL): Buffer {
  const version = protocol < 30 ? `${protocol}` : `${protocol}.0`;
  return Buffer.from(`@RSYNCD: ${version}${protocol < 32 ? '' : ' md5 md4'}\n`);
}

export function int32(value: number): Buffer {
  const bytes = Buffer.alloc(4);
  bytes.writeInt32LE(value | 0);
  return bytes;
}

/** Greeting and module line: everything up to OK for a module without a login. */
export function enter(module: string, protocol = USUAL_PROTOCOL): Buffer {
  return Buffer.concat([greeting(protocol), Buffer.from(`${module}\n`)]);
}

/** An argument list in the framing of the protocol, its end included. */
export function argumentList(args: readonly string[], protocol = USUAL_PROTOCOL): Buffer {
  const delimiter = protocol < 30 ? '\n' : '\0';
  return Buffer.from([...args, ''].map((arg) => arg + delimiter).join(''), 'latin1');
}

/** Capabilities of a client that neither negotiates names nor takes incremental recursion: the sums are MD5. */
const PLAIN_CAPABILITIES = 'e.LsfxC';

/** `--server --sender -r… . pub/`: a plain pull. */
export function pullArguments(options: readonly string[] = [], protocol = USUAL_PROTOCOL, paths = ['pub/']): Buffer {
  const bundle = protocol < 30 ? '-r' : `-r${PLAIN_CAPABILITIES}`;
  return argumentList(['--server', '--sender', bundle, ...options, '.', ...paths], protocol);
}

/** One frame of the multiplexed stream. */
export function frame(code: number, payload: Uint8Array = Buffer.alloc(0), announced = payload.length): Buffer {
  const header = Buffer.alloc(4);
  header.writeUInt32LE(((((7 + code) & 0xff) << 24) | announced) >>> 0);
  return Buffer.concat([header, payload]);
}

/** Stream data as the protocol carries it towards the server: framed from 30 on. */
export function data(protocol: number, ...parts: readonly Uint8Array[]): Buffer {
  const bytes = Buffer.concat(parts);
  return protocol >= 30 ? frame(0, bytes) : bytes;
}

/** One filter record. */
export function filterRecord(rule: string | Buffer, announced?: number): Buffer {
  const bytes = Buffer.from(rule as string, 'latin1');
  return Buffer.concat([int32(announced ?? bytes.length), bytes]);
}

/** The end of the filter list. */
export const NO_MORE_FILTERS = int32(0);

/** Sum head: count, block length, strong length, remainder. */
export function sumHead(count: number, blockLength: number, strongLength: number, remainder: number): Buffer {
  return Buffer.concat([count, blockLength, strongLength, remainder].map(int32));
}

/** A request for the whole file. */
export const WHOLE_FILE = sumHead(0, 0, 0, 0);

export const TRANSFER = 0x8000;

/** The client's side of the index coding; keeps its state like a real client. */
export class ItemWriter {
  readonly #protocol: number;
  #previous = -1;

  constructor(protocol = USUAL_PROTOCOL) {
    this.#protocol = protocol;
  }

  /** An index ≥ 0. */
  ndx(value: number): Buffer {
    if (this.#protocol < 30) return int32(value);
    const difference = value - this.#previous;
    this.#previous = value;
    if (difference > 0 && difference < 254) return Buffer.from([difference]);
    return Buffer.from([0xfe, 0x80 | (value >>> 24), value & 255, (value >> 8) & 255, (value >> 16) & 255]);
  }

  /** Index, item flags (from 29 on), and what follows them. */
  item(ndx: number, iflags: number, ...rest: readonly Uint8Array[]): Buffer {
    const flags = Buffer.alloc(this.#protocol >= 29 ? 2 : 0);
    if (flags.length > 0) flags.writeUInt16LE(iflags);
    return Buffer.concat([this.ndx(ndx), flags, ...rest]);
  }

  /** End of a phase. */
  done(): Buffer {
    return this.#protocol < 30 ? int32(-1) : Buffer.from([0]);
  }

  /** Announces deletion counts; first use only. */
  deletionStats(): Buffer {
    return this.#protocol < 30 ? int32(-3) : Buffer.from([0xff, 0x02]);
  }
}

/** Length header and bytes. */
export function vstring(text: string | Buffer, announced?: number): Buffer {
  const bytes = Buffer.from(text as string, 'latin1');
  const length = announced ?? bytes.length;
  return Buffer.concat([Buffer.from(length < 0x80 ? [length] : [0x80 | (length >> 8), length & 255]), bytes]);
}

/** The goodbye of a client that is satisfied: all phases and the final rounds. */
export function allDone(protocol = USUAL_PROTOCOL): Buffer {
  const rounds = protocol >= 31 ? 5 : protocol >= 29 ? 4 : 3;
  return Buffer.concat(Array<Buffer>(rounds).fill(new ItemWriter(protocol).done()));
}
