/** Everything that a server sent in one session, taken apart: text phase, preamble, messages, data. */

export interface Answer {
  /** Up to and with the OK line, or all of it when there is none. */
  readonly text: string;
  /** Texts of the message codes 1 to 4, in order. */
  readonly messages: string;
  /** Every code that was used, but data. */
  readonly codes: readonly number[];
  /** Payload of MSG_ERROR_EXIT; null when none came, NaN for an empty one. */
  readonly exit: number | null;
  /** Compat flags; 0 below protocol 30. */
  readonly flags: number;
  readonly seed: number | null;
  /** Payload of all data frames. */
  readonly data: Buffer;
  /** False when the stream ends inside a frame. */
  readonly isWhole: boolean;
}

const OK = Buffer.from('@RSYNCD: OK\n');

export interface AnswerFormat {
  readonly protocol: number;
  /** Whether name lists come when the flags allow them; false with --checksum-choice. */
  readonly namesSums?: boolean;
  readonly namesCompressors?: boolean;
}

/** Takes the bytes of one session apart. */
export function readAnswer(received: Buffer, format: AnswerFormat): Answer {
  const at = received.indexOf(OK);
  const textEnd = at < 0 ? received.length : at + OK.length;
  const text = received.toString('latin1', 0, textEnd);
  const preamble = readPreamble(received.subarray(textEnd), format);
  return { text, ...preamble, ...readFrames(received.subarray(textEnd + preamble.length)) };
}

function readPreamble(bytes: Buffer, format: AnswerFormat): { flags: number; seed: number | null; length: number } {
  let length = 0;
  let flags = 0;
  if (format.protocol >= 30 && bytes.length > 0) {
    flags = bytes[0]!;
    length = 1;
    if (flags & 0x80) {
      flags = ((flags & 0x3f) << 8) | bytes[1]!;
      length = 2;
    }
    const isNamed = (flags & 0x80) !== 0;
    if (isNamed && format.namesSums !== false) length += 1 + bytes[length]!;
    if (isNamed && format.namesCompressors === true) length += 1 + bytes[length]!;
  }
  if (bytes.length < length + 4) return { flags, seed: null, length: bytes.length };
  return { flags, seed: bytes.readInt32LE(length), length: length + 4 };
}

function readFrames(bytes: Buffer): Pick<Answer, 'messages' | 'codes' | 'exit' | 'data' | 'isWhole'> {
  const data: Buffer[] = [];
  const texts: string[] = [];
  const codes: number[] = [];
  let exit: number | null = null;
  let at = 0;
  while (at + 4 <= bytes.length) {
    const header = bytes.readUInt32LE(at);
    const code = (header >>> 24) - 7;
    const payload = bytes.subarray(at + 4, at + 4 + (header & 0xffffff));
    if (payload.length < (header & 0xffffff)) break;
    at += 4 + payload.length;
    if (code === 0) data.push(payload);
    else codes.push(code);
    if (code >= 1 && code <= 4) texts.push(payload.toString('latin1'));
    if (code === 86) exit = payload.length === 4 ? payload.readInt32LE() : Number.NaN;
  }
  return { messages: texts.join(''), codes, exit, data: Buffer.concat(data), isWhole: at === bytes.length };
}
