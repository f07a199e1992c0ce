/** Caps on connections, handshakes, addresses and modules (security.md B-1); main.ts asks before it starts a session. */

import { isIPv4 } from 'node:net';
import { Bug } from '../errors.ts';
import { limitHits } from '../limit-hits.ts';
import type { Limits } from '../limits.ts';
import type { AdmissionTicket } from '../session/admission-ticket.ts';
import type { PeerAddress, Transport } from '../wire/transport.ts';

export type AdmissionLimits = Pick<
  Limits,
  'connections' | 'handshakes' | 'connectionsPerAddress' | 'connectionsPerNetwork'
>;

/** The cap that a connection met, under its name in limits.ts. */
export type AdmissionCap = keyof AdmissionLimits;

/** From this share of the handshake cap on, new connections are refused at random (as sshd's MaxStartups does). */
const EARLY_DROP_FROM = 0.5;

/** Longest time that a refused client gets to read why. Its own lines take one round trip; 3 s would triple the sockets. */
const REFUSAL_LINGER_MS = 1000;

/** Why a connection was not admitted. Pass it to `refuseConnection`, which also gives its place back. */
export class AdmissionRefusal {
  readonly cap: AdmissionCap;
  /** The cap's value, as the client reads it. */
  readonly max: number;
  /** False when so many refused clients are being told already that this one is just closed. */
  readonly mayTell: boolean;
  readonly #release: () => void;

  constructor(cap: AdmissionCap, max: number, mayTell: boolean, release: () => void) {
    this.cap = cap;
    this.max = max;
    this.mayTell = mayTell;
    this.#release = release;
  }

  /** Ends the refusal's own bookkeeping; `refuseConnection` calls it. */
  release(): void {
    this.#release();
  }
}

/** Counts what is open. One per daemon, shared by all listeners. */
export class Admission {
  readonly #limits: AdmissionLimits;
  readonly #random: () => number;
  #connections = 0;
  #handshakes = 0;
  #refusalsTold = 0;
  // SECURITY: peers choose these keys, but never more than `connections` of them live at once, and none looks like an
  // integer, so V8's string table cannot be flooded (CVE-2026-21717).
  readonly #perAddress = new Map<string, number>();
  readonly #perNetwork = new Map<string, number>();
  readonly #perModule = new Map<string, number>();

  /** @param random uniform in [0, 1); decides who is dropped early. */
  constructor(limits: AdmissionLimits, random: () => number = Math.random) {
    this.#limits = limits;
    this.#random = random;
  }

  /** Connections that hold a ticket. */
  get connections(): number {
    return this.#connections;
  }

  /** Connections that have not sent all their arguments. */
  get handshakes(): number {
    return this.#handshakes;
  }

  /** Connections in a module. */
  connectionsIn(moduleName: string): number {
    return this.#perModule.get(moduleName) ?? 0;
  }

  /** Takes a place for a connection, or says which cap it met. */
  admit(peer: PeerAddress): AdmissionTicket | AdmissionRefusal {
    const keys = isExempt(peer.address) ? null : addressKeys(peer.address);
    const cap = this.#capMet(keys);
    if (cap !== null) return this.#refusal(cap);
    this.#connections++;
    this.#handshakes++;
    if (keys !== null) {
      add(this.#perAddress, keys.address);
      add(this.#perNetwork, keys.network);
    }
    return this.#ticket(keys);
  }

  #capMet(keys: AddressKeys | null): AdmissionCap | null {
    const limits = this.#limits;
    if (this.#connections >= limits.connections) return 'connections';
    if (keys !== null) {
      if ((this.#perAddress.get(keys.address) ?? 0) >= limits.connectionsPerAddress) return 'connectionsPerAddress';
      if ((this.#perNetwork.get(keys.network) ?? 0) >= limits.connectionsPerNetwork) return 'connectionsPerNetwork';
    }
    return this.#dropsHandshake() ? 'handshakes' : null;
  }

  /** SECURITY: half-open floods. The chance rises from 0 at half the cap to 1 at the cap, so honest clients still get in. */
  #dropsHandshake(): boolean {
    const { handshakes } = this.#limits;
    if (this.#handshakes >= handshakes) return true;
    const from = handshakes * EARLY_DROP_FROM;
    return this.#handshakes > from && this.#random() < (this.#handshakes - from) / (handshakes - from);
  }

  #refusal(cap: AdmissionCap): AdmissionRefusal {
    limitHits.count(cap);
    // SECURITY: refused connections are sockets too. As many as may be in a handshake are told why; a flood is just closed.
    const mayTell = this.#refusalsTold < this.#limits.handshakes;
    if (!mayTell) return new AdmissionRefusal(cap, this.#limits[cap], false, () => {});
    this.#refusalsTold++;
    let told = false;
    return new AdmissionRefusal(cap, this.#limits[cap], true, () => {
      if (told) return;
      told = true;
      this.#refusalsTold--;
    });
  }

  #ticket(keys: AddressKeys | null): AdmissionTicket {
    let inHandshake = true;
    let chosen: { name: string; max: number } | null = null;
    let holdsPlace = false;
    let released = false;
    const isFull = (name: string, max: number): boolean => max > 0 && this.connectionsIn(name) >= max;
    const endHandshake = (): void => {
      if (inHandshake) this.#handshakes--;
      inHandshake = false;
    };
    const enterModule = (name: string, max: number): boolean => {
      if (chosen !== null || released) throw new Bug('a ticket enters one module, once');
      if (isFull(name, max)) return false;
      chosen = { name, max };
      return true;
    };
    const argumentsComplete = (): boolean => {
      endHandshake();
      if (chosen === null || holdsPlace || released) return true;
      // SECURITY: only here is a place taken: clients that stall before would keep others out of the module (CVE-2026-70464).
      if (isFull(chosen.name, chosen.max)) return false;
      holdsPlace = true;
      add(this.#perModule, chosen.name);
      return true;
    };
    const release = (): void => {
      if (released) return;
      released = true;
      endHandshake();
      this.#connections--;
      if (keys !== null) {
        subtract(this.#perAddress, keys.address);
        subtract(this.#perNetwork, keys.network);
      }
      if (chosen !== null && holdsPlace) subtract(this.#perModule, chosen.name);
    };
    return { argumentsComplete, enterModule, release };
  }
}

/**
 * Tells a refused client why, waits a moment until it has read that, and closes. Never throws.
 *
 * Clients print the reason as it is only behind a greeting ("rather than greeting" otherwise), and closing over
 * unread input would reset the connection before they see it: hence the greeting and the drain.
 * @param greetingLine our `@RSYNCD: …` line with its newline.
 */
export function refuseConnection(
  transport: Transport,
  refusal: AdmissionRefusal,
  limits: Pick<Limits, 'lineBytes' | 'earlyInputBytes'>,
  greetingLine: Uint8Array,
): void {
  if (!refusal.mayTell) {
    transport.destroy();
    refusal.release();
    return;
  }
  transport.write(greetingLine);
  transport.write(Buffer.from(`@ERROR: max connections (${refusal.max}) reached -- try again later\n`, 'latin1'));
  transport.endWrite();
  const timer = setTimeout(() => transport.destroy(), REFUSAL_LINGER_MS);
  // Greeting, early input and module line: all that a client sends before it reads our answer.
  discard(transport, 2 * limits.lineBytes + limits.earlyInputBytes).finally(() => {
    clearTimeout(timer);
    transport.destroy();
    refusal.release();
  });
}

/** Reads until the peer closes, breaks off or has sent more than `maxBytes`. */
async function discard(transport: Transport, maxBytes: number): Promise<void> {
  let left = maxBytes;
  try {
    while (left >= 0) {
      const chunk = transport.tryRead() ?? (await transport.read());
      if (chunk === null) return;
      left -= chunk.length;
    }
  } catch {
    // PeerGone: nobody is left to be told.
  }
}

interface AddressKeys {
  /** IPv4 address or IPv6 /64. */
  address: string;
  /** IPv4 /24 or IPv6 /48. */
  network: string;
}

/** Tunnels and tests come from loopback; unix sockets have no address. The caps of the whole daemon still hold for them. */
function isExempt(address: string): boolean {
  return address === '' || address === '::1' || (isIPv4(address) && address.startsWith('127.'));
}

function addressKeys(address: string): AddressKeys {
  if (isIPv4(address)) return { address, network: address.slice(0, address.lastIndexOf('.')) };
  const groups = firstGroups(address, 4);
  return { address: groups.join(':'), network: groups.slice(0, 3).join(':') };
}

/** The first `count` of the eight groups of an IPv6 address, `::` filled in, without leading zeros. */
function firstGroups(address: string, count: number): string[] {
  const [head = '', tail] = address.split('::');
  const before = head === '' ? [] : head.split(':');
  const after = tail === undefined || tail === '' ? [] : tail.split(':');
  // A dotted quad at the end stands for two groups.
  const width = (groups: string[]): number => groups.length + (groups.at(-1)?.includes('.') ? 1 : 0);
  const zeros = Math.max(0, 8 - width(before) - width(after));
  const all = [...before, ...new Array<string>(zeros).fill('0'), ...after];
  return all.slice(0, count).map((group) => Number.parseInt(group, 16).toString(16));
}

function add(counts: Map<string, number>, key: string): void {
  counts.set(key, (counts.get(key) ?? 0) + 1);
}

function subtract(counts: Map<string, number>, key: string): void {
  const left = (counts.get(key) ?? 0) - 1;
  if (left > 0) counts.set(key, left);
  else counts.delete(key);
}
