/** An SSH listener with an echo behind it, in the process of the test. */

import { DEFAULT_LIMITS, type Limits } from '../../src/limits.ts';
import { parseAuthorizedKeys } from '../../src/listener/ssh/authorized-keys.ts';
import { generateHostKey } from '../../src/listener/ssh/ed25519-key.ts';
import { KexGate } from '../../src/listener/ssh/kex-gate.ts';
import { Penalties } from '../../src/listener/ssh/penalties.ts';
import { type SshOutcome, serveSsh } from '../../src/listener/ssh/server.ts';
import { listenTcp } from '../../src/listener/tcp.ts';
import { echo } from '../unit/listener/ssh/serve.ts';

export interface SshServer {
  readonly port: number;
  readonly hostKey: ReturnType<typeof generateHostKey>;
  /** One line per login: key exchange and cipher. */
  readonly logins: string[];
  readonly refused: string[];
  /** One for each connection so far. */
  readonly outcomes: Promise<SshOutcome>[];
  close(): Promise<void>;
}

/** @param authorizedKeys text of such a file; absent for an anonymous listener. */
export async function startSshServer(
  options: { limits?: Partial<Limits>; authorizedKeys?: string } = {},
): Promise<SshServer> {
  // Every test comes from one address: the process-wide gate must not slow it down.
  const limits = { ...DEFAULT_LIMITS, sshKexPerSecond: 1000, ...options.limits };
  const { authorizedKeys } = options;
  const shared = { hostKey: generateHostKey(), kexGate: new KexGate(limits), penalties: new Penalties(limits), limits };
  const logins: string[] = [];
  const refused: string[] = [];
  const outcomes: Promise<SshOutcome>[] = [];
  const listener = await listenTcp({ host: '127.0.0.1', port: 0 }, (transport) => {
    const outcome = serveSsh(transport, {
      ...shared,
      authentication: authorizedKeys === undefined ? 'anonymous' : parseAuthorizedKeys(authorizedKeys),
      onExec: echo,
      onLogin: (who, { kex, cipherOut }) => logins.push(`${who.user} ${kex} ${cipherOut}`),
      onRefused: (what) => refused.push(what),
    });
    outcomes.push(outcome);
  });
  return { port: listener.port, hostKey: shared.hostKey, logins, refused, outcomes, close: () => listener.close() };
}
