/** Starts serveSsh on one end of a pair in memory, with a session that echoes; the tests of a whole connection use it. */

import { DEFAULT_LIMITS, type Limits } from '../../../../src/limits.ts';
import { generateHostKey } from '../../../../src/listener/ssh/ed25519-key.ts';
import { KexGate } from '../../../../src/listener/ssh/kex-gate.ts';
import { Penalties } from '../../../../src/listener/ssh/penalties.ts';
import { type SshOptions, type SshOutcome, serveSsh } from '../../../../src/listener/ssh/server.ts';
import type { Transport } from '../../../../src/wire/transport.ts';
import { type ClientChoices, TestClient } from './client.ts';
import { type MemoryTransport, memoryPair } from './memory-transport.ts';

const HOST_KEY = generateHostKey();

export interface Served {
  readonly client: TestClient;
  /** Both ends: what the server reads and writes, and the client's. */
  readonly ends: readonly [MemoryTransport, MemoryTransport];
  readonly outcome: Promise<SshOutcome>;
  /** What was refused, in order. */
  readonly refused: string[];
}

export interface ServeOptions extends Partial<Omit<SshOptions, 'limits'>> {
  readonly limits?: Partial<Limits>;
  readonly address?: string;
}

/** Serves one connection. */
export function serve(choices: ClientChoices = {}, options: ServeOptions = {}): Served {
  const { address, limits: overrides, ...rest } = options;
  // The drain waits for a client that has gone: tests need not.
  const limits = { ...DEFAULT_LIMITS, drainMs: 50, ...overrides };
  const ends = memoryPair(address);
  const refused: string[] = [];
  const outcome = serveSsh(ends[0], {
    hostKey: HOST_KEY,
    authentication: 'anonymous',
    kexGate: new KexGate(limits),
    penalties: new Penalties(limits),
    onExec: echo,
    onRefused: (what) => refused.push(what),
    ...rest,
    limits,
  });
  return { client: new TestClient(ends[1], choices), ends, outcome, refused };
}

/** Sends back what it reads until the end; ends with status 0. */
export async function echo(transport: Transport): Promise<number> {
  try {
    for (;;) {
      const chunk = transport.tryRead() ?? (await transport.read());
      if (chunk === null) break;
      transport.write(chunk);
      await transport.drained(1 << 18);
    }
    transport.endWrite();
    await transport.drained(0);
    return 0;
  } catch {
    return 10;
  }
}
