/**
 * An independent reader of what a server sends: file lists, ids, items, tokens, statistics (written from the protocol notes,
 * sharing no code with src/). It knows the options `-r`, `-o`, `-g`, `-D`, `-l`, `-H`; no checksums, ACLs or xattrs.
 */

export interface DecodedEntry {
  /** Bytes of the entry in the stream. */
  readonly from: number;
  readonly to: number;
  readonly flags: number;
  readonly name: string;
  readonly size: number;
  readonly mtime: number;
  readonly nsec: number;
  readonly mode: number;
  readonly uid: number;
  readonly gid: number;
  readonly linkTarget: string | null;
  /** Group number; -1 for the first of a group, null without one. */
  readonly group: number | null;
}

export interface DecodedList {
  readonly entries: DecodedEntry[];
  readonly ioError: number;
}

export interface DecoderSetup {
  readonly protocol: number;
  readonly compatFlags: number;
  readonly owner?: boolean;
  readonly group?: boolean;
  readonly links?: boolean;
  readonly devices?: boolean;
}

/** Reads a data stream from the front; `at` is the offset of the next byte. */
export class StreamDecoder {
  at = 0;
  readonly #data: Buffer;
  readonly #setup: DecoderSetup;
  readonly #ndx = { positive: -1, negative: 1 };
  #previous = { name: '', mode: 0, mtime: 0, uid: 0, gid: 0 };
  readonly #first = new Map<number, DecodedEntry>();

  constructor(data: Buffer, setup: DecoderSetup) {
    this.#data = data;
    this.#setup = setup;
  }

  get isAtEnd(): boolean {
    return this.at === this.#data.length;
  }

  bytes(count: number): Buffer {
    if (this.at + count > this.#data.length) throw new Error(`stream ends inside a value at ${this.at}`);
    this.at += count;
    return this.#data.subarray(this.at - count, this.at);
  }

  byte(): number {
    return this.bytes(1)[0]!;
  }

  u16(): number {
    return this.bytes(2).readUInt16LE();
  }

  int(): number {
    return this.bytes(4).readInt32LE();
  }

  varint(): number {
    return Number(BigInt.asIntN(32, this.#variable(1)));
  }

  varlong(min: number): number {
    return Number(BigInt.asIntN(64, this.#variable(min)));
  }

  longint(): number {
    const short = this.int();
    return short === -1 ? Number(this.bytes(8).readBigInt64LE()) : short;
  }

  ndx(): number {
    if (this.#setup.protocol < 30) return this.int();
    let first = this.byte();
    if (first === 0) return -1;
    const side = first === 0xff ? 'negative' : 'positive';
    if (side === 'negative') first = this.byte();
    let value = this.#ndx[side] + first;
    if (first === 0xfe) {
      const [high, low] = [this.byte(), this.byte()];
      if (high < 0x80) value = this.#ndx[side] + high * 256 + low;
      else value = (high - 0x80) * 2 ** 24 + low + this.byte() * 256 + this.byte() * 65536;
    }
    this.#ndx[side] = value;
    return side === 'negative' ? -value : value;
  }

  /** One list up to and with its end marker. */
  list(start: number): DecodedList {
    const entries: DecodedEntry[] = [];
    for (;;) {
      const from = this.at;
      const flags = this.#flags();
      if (flags === 0) return { entries, ioError: this.#setup.compatFlags & 0x80 ? this.varint() : 0 };
      if (flags === 0x1004 && !(this.#setup.compatFlags & 0x80)) return { entries, ioError: this.varint() };
      const entry = this.#entry(flags, from, start);
      if (entry.group === -1) this.#first.set(start + entries.length, entry);
      entries.push(entry);
    }
  }

  /** A trailing list of ids. */
  ids(): [number, string][] {
    const found: [number, string][] = [];
    for (let id = this.#id(); id !== 0; id = this.#id()) found.push([id, this.bytes(this.byte()).toString('latin1')]);
    if (this.#setup.compatFlags & 0x100) found.push([0, this.bytes(this.byte()).toString('latin1')]);
    return found;
  }

  /** Plain tokens up to the end mark: literal bytes and block numbers. */
  tokens(): (Buffer | number)[] {
    const found: (Buffer | number)[] = [];
    for (let token = this.int(); token !== 0; token = this.int()) {
      found.push(token > 0 ? this.bytes(token) : -token - 1);
    }
    return found;
  }

  #variable(min: number): bigint {
    const first = this.byte();
    let extra = 0;
    let mask = 0x7f;
    while (extra < 6 && first & (0x80 >> extra)) {
      extra++;
      mask >>= 1;
    }
    if (extra === 6) mask = 3;
    const low = this.bytes(min - 1 + extra);
    let value = 0n;
    for (const [i, byte] of low.entries()) value += BigInt(byte) << BigInt(8 * i);
    return value + (BigInt(first & mask) << BigInt(8 * low.length));
  }

  #flags(): number {
    if (this.#setup.compatFlags & 0x80) return this.varint();
    const first = this.byte();
    if (this.#setup.protocol >= 28 && first & 4) return first | (this.byte() << 8);
    return first;
  }

  #id(): number {
    return this.#setup.protocol >= 30 ? this.varint() : this.int();
  }

  #entry(flags: number, from: number, start: number): DecodedEntry {
    const { protocol, owner, group, links } = this.#setup;
    const isModern = protocol >= 30;
    const previous = this.#previous;
    const shared = flags & 0x20 ? this.byte() : 0;
    const length = flags & 0x40 ? this.#id() : this.byte();
    const name = previous.name.slice(0, shared) + this.bytes(length).toString('latin1');
    let groupNumber: number | null = null;
    if (isModern && flags & 0x200) groupNumber = flags & 0x1000 ? -1 : this.varint();
    if (groupNumber !== null && groupNumber >= start) return this.#abbreviated(groupNumber, { name, flags, from });
    const size = isModern ? this.varlong(3) : this.longint();
    let { mtime, mode, uid, gid } = previous;
    if (!(flags & 0x80)) mtime = isModern ? this.varlong(4) : this.bytes(4).readUInt32LE();
    const nsec = protocol >= 31 && flags & 0x2000 ? this.varint() : 0;
    if (!(flags & 2)) mode = this.int();
    if (owner && !(flags & 8)) uid = this.#idWithName(flags & 0x400);
    if (group && !(flags & 0x10)) gid = this.#idWithName(flags & 0x800);
    this.#skipRdev(flags, mode);
    const isLink = (mode & 0o170000) === 0o120000;
    const linkTarget = links && isLink ? this.bytes(this.#id()).toString('latin1') : null;
    this.#previous = { name, mode, mtime, uid, gid };
    return { from, to: this.at, flags, name, size, mtime, nsec, mode, uid, gid, linkTarget, group: groupNumber };
  }

  #abbreviated(group: number, own: Pick<DecodedEntry, 'name' | 'flags' | 'from'>): DecodedEntry {
    const first = this.#first.get(group);
    if (first === undefined) throw new Error(`group ${group} has no first entry`);
    const { mode, mtime, uid, gid } = first;
    this.#previous = { name: own.name, mode, mtime, uid, gid };
    return { ...first, ...own, to: this.at, group };
  }

  #idWithName(hasName: number): number {
    const id = this.#id();
    if (this.#setup.protocol >= 30 && hasName) this.bytes(this.byte());
    return id;
  }

  #skipRdev(flags: number, mode: number): void {
    const { protocol, devices } = this.#setup;
    const type = mode & 0o170000;
    const isDevice = type === 0o20000 || type === 0o60000;
    const isSpecial = (type === 0o10000 || type === 0o140000) && protocol < 31;
    if (!devices || !(isDevice || isSpecial)) return;
    if (protocol === 27) {
      if (!(flags & 4)) this.int();
      return;
    }
    if (!(flags & 0x100)) this.#id();
    if (protocol < 30 && flags & 0x800) this.byte();
    else this.#id();
  }
}
