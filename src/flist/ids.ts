/** Names of user and group ids: which are known, and which this session has already sent (2-file-list.md 2.4, 5). */

import type { FrameWriter } from '../wire/writer.ts';

/** Name tables of the host, read once at start. */
export interface IdNames {
  readonly users: ReadonlyMap<number, Buffer>;
  readonly groups: ReadonlyMap<number, Buffer>;
}

/** The ids of one kind (users or groups) that one session has mentioned. */
export class MentionedIds {
  readonly #names: ReadonlyMap<number, Buffer>;
  readonly #mentioned = new Set<number>();

  /** @param names empty where the module is numeric. */
  constructor(names: ReadonlyMap<number, Buffer>) {
    this.#names = names;
  }

  /** The id's name on its first mention in the session; null later, or when it has none. */
  firstMention(id: number): Buffer | null {
    if (this.#mentioned.has(id)) return null;
    this.#mentioned.add(id);
    return this.#names.get(id) ?? null;
  }

  /** The trailing list of a session without incremental recursion. @param sendsIdZero compat bit ID0_NAMES. */
  putList(writer: FrameWriter, protocol: number, sendsIdZero: boolean): void {
    const putId = (id: number) => (protocol >= 30 ? writer.putVarint(id) : writer.putInt32(id));
    for (const id of this.#mentioned) {
      const name = this.#names.get(id);
      if (id === 0 || name === undefined) continue;
      putId(id);
      putName(writer, name);
    }
    putId(0);
    if (sendsIdZero) putName(writer, this.#names.get(0) ?? Buffer.alloc(0));
  }
}

/** One length byte and the name; tables hold no name above 255 bytes. */
export function putName(writer: FrameWriter, name: Buffer): void {
  writer.putByte(name.length);
  writer.putBytes(name);
}

/** As `putName`, into memory with room for 256 bytes. @returns the offset behind it. */
export function encodeIdName(into: Buffer, offset: number, name: Buffer): number {
  into[offset] = name.length;
  return offset + 1 + name.copy(into, offset + 1);
}
