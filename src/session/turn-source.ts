/** What a client says before it is at work, heard in its turns of the event loop. */

import { clientTurn } from '../slice.ts';
import type { ByteSource } from '../wire/reader.ts';

/**
 * Hands on what arrives in a turn of its client.
 *
 * SECURITY: a greeting, a login and arguments cost a millisecond. Whoever connects again and again would take that from
 * others, beside its slices for computing; so it waits for its turn instead, behind its other connections.
 */
export class TurnSource implements ByteSource {
  readonly #source: ByteSource;
  readonly #client: string;
  #isInTurn = true;

  constructor(source: ByteSource, client: string) {
    this.#source = source;
    this.#client = client;
  }

  /** From here on bytes are handed on as they arrive: the client is at work, and its work is done in slices. */
  release(): void {
    this.#isInTurn = false;
  }

  tryRead(): Buffer | null {
    return this.#source.tryRead();
  }

  read(): Promise<Buffer | null> {
    return this.#isInTurn ? this.#readInTurn() : this.#source.read();
  }

  async #readInTurn(): Promise<Buffer | null> {
    const chunk = await this.#source.read();
    await clientTurn(this.#client);
    return chunk;
  }
}
