/** The lists of a session that shares its scan: played from a recording instead of built. */

import { Bug } from '../errors.ts';
import { breathe, type ListContext, needsBreath } from './context.ts';
import type { FileList } from './file-list.ts';
import type { ListSource } from './list-source.ts';
import type { Player, RecordedList, Recording } from './recording.ts';

type Output = Pick<ListContext, 'writer' | 'messages' | 'slice'>;

/** How often a session has asked for an entry. */
const COUNTERS_BYTES = 2;

/** One per session. Close it when the session ends. */
export class RecordedLists implements ListSource {
  readonly #output: Output;
  readonly #recording: Recording;
  readonly #player: Player;
  #current: RecordedList | null = null;

  constructor(recording: Recording, output: Output) {
    this.#recording = recording;
    this.#output = output;
    this.#player = recording.join(() => output.writer.isBroken);
  }

  get nextDirectory(): number | null {
    return this.#current?.nextDirectory ?? null;
  }

  get hasRootDirectory(): boolean {
    return this.#current?.hasRootDirectory ?? false;
  }

  get entriesSent(): number {
    return this.#current?.entriesSent ?? 0;
  }

  get totalSizeBytes(): number {
    return this.#current?.totalSizeBytes ?? 0;
  }

  first(): Promise<FileList> {
    return this.#play();
  }

  next(): Promise<FileList> {
    return this.#play();
  }

  /** The lists themselves belong to nobody. */
  keptBytes(entries: number): number {
    return COUNTERS_BYTES * entries;
  }

  /** @throws Bug: sessions with attributes scan for themselves. */
  abbreviated(): never {
    throw new Bug('a recording has no attributes');
  }

  close(): void {
    this.#recording.leave(this.#player);
  }

  async #play(): Promise<FileList> {
    const { writer, messages } = this.#output;
    const { at } = this.#player;
    if (needsBreath(this.#output)) await breathe(this.#output);
    const recorded = this.#recording.list(at.list);
    for (;;) {
      while (at.piece < recorded.pieces.length) {
        const frames = recorded.pieces[at.piece++]!;
        writer.putFrames(frames);
        this.#player.sentBytes += frames.length;
        this.#recording.advanced();
        if (needsBreath(this.#output)) await breathe(this.#output);
      }
      if (recorded.list !== null) break;
      writer.flush();
      await this.#recording.change();
    }
    at.list++;
    at.piece = 0;
    this.#current = recorded;
    messages.adopt(recorded.messages!);
    const list = recorded.list.share();
    this.#recording.advanced();
    return list;
  }
}
