/** What the client's user reads: texts and I/O error words in the form that each protocol understands (1-session.md 6.3, 6.5). */

import { limitHits } from '../limit-hits.ts';
import {
  MSG_ERROR,
  MSG_ERROR_EXIT,
  MSG_ERROR_XFER,
  MSG_INFO,
  MSG_IO_ERROR,
  MSG_IO_TIMEOUT,
  MSG_NO_SEND,
  MSG_WARNING,
} from './constants.ts';
import { encodeInt32 } from './ints.ts';
import type { FrameWriter } from './writer.ts';

/** Longest text by protocol: 2.6.0 to 2.6.3 die on more than 1023 bytes, all others on more than 5119. */
const TEXT_MAX_OLD = 1023;
const TEXT_MAX = 5119;

/** What messages have done so far, as another session is to go on from it. */
export interface MessageState {
  readonly ioError: number;
  readonly hasFileErrors: boolean;
  readonly fileMessages: number;
}

/** Sends messages of one session; texts are bytes, since they quote file names. */
export class ClientMessages {
  readonly #writer: FrameWriter;
  readonly #protocol: number;
  readonly #maxFileMessages: number;
  #quiet = false;
  #fileMessages = 0;
  /** Bits of IOERR_*, as the file list's end marker carries them. */
  ioError = 0;
  /** A text was sent that makes the client exit with 23, whatever `ioError` says. */
  hasFileErrors = false;
  /** A file that was listed or looked at is gone. */
  hasVanished = false;

  /** @param maxFileMessages texts about single files before only their count is kept (B-13c). */
  constructor(writer: FrameWriter, protocol: number, maxFileMessages: number) {
    this.#writer = writer;
    this.#protocol = protocol;
    this.#maxFileMessages = maxFileMessages;
  }

  /** `-q`: informational texts are not sent. */
  setQuiet(): void {
    this.#quiet = true;
  }

  get state(): MessageState {
    return { ioError: this.ioError, hasFileErrors: this.hasFileErrors, fileMessages: this.#fileMessages };
  }

  /** Counts messages that the client got without our help. @param other all of them, those counted before included. */
  adopt(other: MessageState): void {
    this.ioError |= other.ioError;
    this.hasFileErrors ||= other.hasFileErrors;
    this.#fileMessages = Math.max(this.#fileMessages, other.fileMessages);
  }

  /** A problem with one file; the client will exit with 23. */
  fileError(text: Buffer): void {
    this.#fileText(MSG_ERROR_XFER, text);
  }

  /** A file vanished: a warning that leaves the exit code alone where the protocol has one. */
  vanished(text: Buffer): void {
    this.hasVanished = true;
    this.#fileText(this.#protocol >= 30 ? MSG_WARNING : this.#protocol >= 28 ? MSG_INFO : MSG_ERROR_XFER, text);
  }

  warning(text: Buffer): void {
    this.#fileText(this.#protocol >= 30 ? MSG_WARNING : MSG_INFO, text);
  }

  info(text: Buffer): void {
    if (!this.#quiet) this.#fileText(MSG_INFO, text);
  }

  /** Requested file not sent; protocols below 30 have no such message. */
  noSend(ndx: number): void {
    if (this.#protocol >= 30) this.#int(MSG_NO_SEND, ndx);
  }

  /** The I/O error word outside a list's end marker. */
  ioErrorWord(bits: number): void {
    if (this.#protocol >= 30) this.#int(MSG_IO_ERROR, bits);
  }

  /** Announces our timeout to a daemon client (1-session.md 6.4). */
  ioTimeout(seconds: number): void {
    if (this.#protocol >= 31) this.#int(MSG_IO_TIMEOUT, seconds);
  }

  /** The end of a failed session: text, and the exit code where the protocol can carry it. */
  fatal(text: Buffer, exit: number): void {
    this.#text(this.#protocol >= 30 ? MSG_ERROR : MSG_ERROR_XFER, text);
    if (this.#protocol >= 31) this.#int(MSG_ERROR_EXIT, exit);
  }

  /** Answers the client's MSG_ERROR_EXIT. */
  acknowledgeExit(): void {
    if (this.#protocol >= 31) this.#writer.putMessage(MSG_ERROR_EXIT, new Uint8Array(0));
  }

  #fileText(code: number, text: Buffer): void {
    if (code === MSG_ERROR_XFER) this.hasFileErrors = true;
    // SECURITY: a million missing names would be a million messages; the rest is only counted (B-13c).
    this.#fileMessages++;
    if (this.#fileMessages < this.#maxFileMessages) this.#text(code, text);
    else if (this.#fileMessages === this.#maxFileMessages) {
      limitHits.count('fileMessages');
      this.#text(code, Buffer.from('too many messages, the rest is suppressed\n'));
    }
  }

  #text(code: number, text: Buffer): void {
    const max = this.#protocol >= 30 ? TEXT_MAX : TEXT_MAX_OLD;
    const fitting = text.length <= max ? text : Buffer.from(text.subarray(0, max));
    if (fitting !== text) fitting.write('...\n', max - 4, 'latin1');
    this.#writer.putMessage(code, fitting);
  }

  #int(code: number, value: number): void {
    const payload = Buffer.allocUnsafe(4);
    encodeInt32(payload, 0, value);
    this.#writer.putMessage(code, payload);
  }
}
