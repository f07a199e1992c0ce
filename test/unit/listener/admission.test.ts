/** Admission as arithmetic, refusal over a real socket with the real client. */

import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { connect, type Socket } from 'node:net';
import { afterEach, describe, expect, it, vi } from 'vitest';
import { DEFAULT_LIMITS } from '../../../src/limits.ts';
import { Admission, AdmissionRefusal, refuseConnection } from '../../../src/listener/admission.ts';
import { type Listener, listenTcp } from '../../../src/listener/tcp.ts';
import type { AdmissionTicket } from '../../../src/session/admission-ticket.ts';

const GREETING = Buffer.from('@RSYNCD: 32.0 sha512 sha256 sha1 md5 md4\n');
const WIDE = {
  ...{ connections: 1000, handshakes: 1000, connectionsPerAddress: 1000, connectionsPerNetwork: 1000 },
  ...{ digestReaders: 1000, digestReadersPerAddress: 1000 },
  ...{ queued: 1000, queuedPerAddress: 1000, queuedPerNetwork: 1000 },
};

function admission(limits: Partial<typeof WIDE>, random = () => 0): Admission {
  return new Admission({ ...WIDE, ...limits }, random);
}

/** The ticket, or the name of the cap. */
function admit(caps: Admission, address: string): AdmissionTicket | string {
  const result = caps.admit({ address, port: 1 });
  return result instanceof AdmissionRefusal ? result.cap : result;
}

function ticket(caps: Admission, address = '192.0.2.1'): AdmissionTicket {
  const result = admit(caps, address);
  if (typeof result === 'string') throw new Error(`refused: ${result}`);
  return result;
}

/** How many of `addresses` get in before the first refusal, and which cap that is. */
function untilRefused(caps: Admission, addresses: string[]): [number, string | undefined] {
  for (const [index, address] of addresses.entries()) {
    const result = admit(caps, address);
    if (typeof result === 'string') return [index, result];
    result.argumentsComplete();
  }
  return [addresses.length, undefined];
}

describe('caps', () => {
  it('admits N connections in all, refuses N + 1, admits again after a release', () => {
    const caps = admission({ connections: 3 });
    const tickets = [ticket(caps), ticket(caps), ticket(caps)];
    expect(admit(caps, '192.0.2.9')).toBe('connections');
    tickets[0]!.release();
    expect(typeof admit(caps, '192.0.2.9')).toBe('object');
  });

  it('gives a place back once, however often it is released', () => {
    const caps = admission({ connections: 2 });
    const first = ticket(caps);
    ticket(caps);
    first.release();
    first.release();
    expect(caps.connections).toBe(1);
    expect(caps.handshakes).toBe(1);
  });

  it('counts connections per IPv4 address', () => {
    const caps = admission({ connectionsPerAddress: 2 });
    expect(untilRefused(caps, ['192.0.2.1', '192.0.2.1', '192.0.2.2', '192.0.2.1'])).toEqual([
      3,
      'connectionsPerAddress',
    ]);
  });

  it('counts connections per IPv4 /24', () => {
    const caps = admission({ connectionsPerNetwork: 2 });
    expect(untilRefused(caps, ['192.0.2.1', '192.0.3.1', '192.0.2.2', '192.0.2.3'])).toEqual([
      3,
      'connectionsPerNetwork',
    ]);
  });

  it.each([
    ['2001:db8:1:2::1', '2001:db8:1:2:ffff::9'],
    ['2001:db8::1', '2001:db8:0:0:1:2:3:4'],
    ['2001:db8::', '2001:db8::5:6:7:8'],
    ['::2', '::192.0.2.1'],
    ['64:ff9b::192.0.2.1', '64:ff9b::c000:201'],
  ])('takes %s and %s for one IPv6 /64', (first, second) => {
    const caps = admission({ connectionsPerAddress: 1 });
    expect(untilRefused(caps, [first, second])).toEqual([1, 'connectionsPerAddress']);
  });

  it.each([
    ['2001:db8:1:2::1', '2001:db8:1:3::1'],
    ['2001:db8::1:0:0:0:1', '2001:db8:0:2::1'],
  ])('takes %s and %s for two IPv6 /64 of one /48', (first, second) => {
    expect(untilRefused(admission({ connectionsPerAddress: 1 }), [first, second])).toEqual([2, undefined]);
    expect(untilRefused(admission({ connectionsPerNetwork: 1 }), [first, second])).toEqual([
      1,
      'connectionsPerNetwork',
    ]);
  });

  it.each(['127.0.0.1', '127.9.9.9', '::1', ''])('exempts %j from the address caps, not from the others', (address) => {
    const caps = admission({ connections: 3, connectionsPerAddress: 1, connectionsPerNetwork: 1 });
    expect(untilRefused(caps, [address, address, address, address])).toEqual([3, 'connections']);
  });

  it('forgets an address with its last connection', () => {
    const caps = admission({ connectionsPerAddress: 1, connectionsPerNetwork: 1 });
    ticket(caps).release();
    expect(typeof admit(caps, '192.0.2.1')).toBe('object');
  });
});

describe('handshakes', () => {
  it('are never dropped up to half the cap', () => {
    const caps = admission({ handshakes: 10 }, () => 0);
    for (let index = 0; index < 6; index++) expect(typeof admit(caps, `192.0.2.${index}`)).toBe('object');
    expect(admit(caps, '192.0.2.9')).toBe('handshakes');
  });

  it('are dropped with a chance that grows to 1 at the cap', () => {
    let random = 0;
    const caps = admission({ handshakes: 10 }, () => random);
    random = 0.99;
    for (let index = 0; index < 9; index++) ticket(caps, `192.0.2.${index}`);
    random = 0.79;
    expect(admit(caps, '192.0.2.9')).toBe('handshakes');
    random = 0.81;
    expect(typeof admit(caps, '192.0.2.9')).toBe('object');
    random = 0.999999;
    expect(admit(caps, '192.0.2.9')).toBe('handshakes');
  });

  it.each(['192.0.2.1', '2001:db8::1', '127.0.0.2', '::1', ''])('are half of the cap for one client: %j', (address) => {
    const caps = admission({ handshakes: 10 }, () => 0);
    const tickets = Array.from({ length: 5 }, () => ticket(caps, address));
    expect(admit(caps, address)).toBe('handshakes');
    expect(typeof admit(caps, '127.0.0.1')).toBe('object');
    tickets[0]!.argumentsComplete();
    expect(typeof admit(caps, address)).toBe('object');
  });

  it('end with the arguments, once', () => {
    const caps = admission({});
    const first = ticket(caps);
    ticket(caps);
    first.argumentsComplete();
    first.argumentsComplete();
    expect(caps.handshakes).toBe(1);
    first.release();
    expect(caps.handshakes).toBe(1);
  });
});

describe('modules', () => {
  /** Whether a client that sends its arguments at once gets a place. */
  const enter = (client: AdmissionTicket, name: string, max: number): boolean =>
    client.enterModule(name, { max, queue: 0 }) && client.argumentsComplete();

  it('take N clients and refuse N + 1 until one leaves', () => {
    const caps = admission({});
    const [first, second, third] = [ticket(caps), ticket(caps), ticket(caps)];
    expect(enter(first, 'pub', 2)).toBe(true);
    expect(enter(second, 'pub', 2)).toBe(true);
    expect(enter(third, 'pub', 2)).toBe(false);
    first.release();
    expect(enter(third, 'pub', 2)).toBe(true);
  });

  it('are unlimited with 0 and counted apart', () => {
    const caps = admission({});
    expect(enter(ticket(caps), 'a', 1)).toBe(true);
    expect(enter(ticket(caps), 'b', 1)).toBe(true);
    expect(enter(ticket(caps), 'c', 0)).toBe(true);
    expect(caps.connectionsIn('c')).toBe(1);
  });

  it('give no place away before the arguments are complete', () => {
    const caps = admission({});
    const [stalled, quick] = [ticket(caps), ticket(caps)];
    expect(stalled.enterModule('pub', { max: 1, queue: 0 })).toBe(true);
    expect(caps.connectionsIn('pub')).toBe(0);
    expect(enter(quick, 'pub', 1)).toBe(true);
    expect(stalled.argumentsComplete()).toBe(false);
    stalled.release();
    expect(caps.connectionsIn('pub')).toBe(1);
    quick.release();
    expect(caps.connectionsIn('pub')).toBe(0);
  });

  it('are not held by who only stays for the end of its connection, and no handshake either', () => {
    const caps = admission({});
    const [stalled, served] = [ticket(caps), ticket(caps)];
    expect(enter(served, 'pub', 1)).toBe(true);
    stalled.leave();
    served.leave();
    expect([caps.connections, caps.handshakes, caps.connectionsIn('pub')]).toEqual([2, 0, 0]);
    expect(enter(ticket(caps), 'pub', 1)).toBe(true);
    stalled.release();
    served.release();
    expect(caps.connections).toBe(1);
  });

  it('cannot be entered twice by one ticket', () => {
    const caps = admission({});
    const first = ticket(caps);
    first.enterModule('a', { max: 0, queue: 0 });
    expect(() => first.enterModule('b', { max: 0, queue: 0 })).toThrow('a ticket enters one module');
  });
});

describe('queues', () => {
  const PLACES = { max: 1, queue: 3 };
  /** A client that has come as far as the queue, and what it is told there. */
  const arrive = (caps: Admission, address = '192.0.2.1', name = 'pub') => {
    const client = ticket(caps, address);
    return { client, told: client.enterModule(name, PLACES) && client.queueUp() };
  };

  it('let nobody wait while there are places, and give them away before the arguments', () => {
    const caps = admission({});
    expect(arrive(caps).told).toBe(null);
    expect(caps.connectionsIn('pub')).toBe(1);
    expect(arrive(caps).told).toEqual({ ahead: 0, waiting: 1 });
    expect(arrive(caps, '192.0.2.1', 'other').told).toBe(null);
  });

  it('are served in the order of arrival, whatever order they look in', () => {
    const caps = admission({});
    const [first, second, third, fourth] = [arrive(caps), arrive(caps), arrive(caps), arrive(caps)];
    expect([second.told, third.told, fourth.told]).toEqual([0, 1, 2].map((ahead) => ({ ahead, waiting: ahead + 1 })));
    first.client.release();
    expect(fourth.client.queueUp()).toEqual({ ahead: 2, waiting: 3 });
    expect(third.client.queueUp()).toEqual({ ahead: 1, waiting: 3 });
    expect(second.client.queueUp()).toBe(null);
    expect(second.client.argumentsComplete()).toBe(true);
    expect(third.client.queueUp()).toEqual({ ahead: 0, waiting: 2 });
  });

  it('are not overtaken by somebody who comes while a place is free', () => {
    const caps = admission({});
    const [first, second] = [arrive(caps), arrive(caps)];
    first.client.release();
    expect(arrive(caps).told).toEqual({ ahead: 1, waiting: 2 });
    expect(second.client.queueUp()).toBe(null);
  });

  it('close ranks behind somebody who leaves, and give back a place that is not wanted', () => {
    const caps = admission({});
    const [first, second, third] = [arrive(caps), arrive(caps), arrive(caps)];
    second.client.leaveQueue();
    expect(third.client.queueUp()).toEqual({ ahead: 0, waiting: 1 });
    first.client.release();
    expect(third.client.queueUp()).toBe(null);
    third.client.leaveQueue();
    expect(caps.connectionsIn('pub')).toBe(0);
  });

  it('refuse those beyond their length, before the login and behind it', () => {
    const caps = admission({});
    const late = ticket(caps);
    expect(late.enterModule('pub', PLACES)).toBe(true);
    for (let index = 0; index < 4; index++) expect(arrive(caps).told).not.toBe(false);
    expect(ticket(caps).enterModule('pub', PLACES)).toBe(false);
    expect(late.queueUp()).toBe(false);
  });

  it('take no handshake away from others', () => {
    const caps = admission({});
    const [first] = [arrive(caps), arrive(caps), arrive(caps)];
    first.client.argumentsComplete();
    expect(caps.handshakes).toBe(0);
  });

  it('wake up whoever waits, and only when something has moved', async () => {
    const caps = admission({});
    const [first, second] = [arrive(caps), arrive(caps)];
    let isAwake = false;
    const awake = second.client.queueMoved(3_600_000).then(() => {
      isAwake = true;
    });
    arrive(caps);
    await new Promise((resolve) => setImmediate(resolve));
    expect(isAwake).toBe(false);
    first.client.release();
    await awake;
  });

  it('lose the clients of a worker that died', () => {
    const area = { memory: new SharedArrayBuffer(Admission.BYTES) };
    const [one, other] = [0, 1].map((worker) => new Admission(WIDE, () => 0, { ...area, worker }));
    const [first, second, third] = [arrive(one!), arrive(one!), arrive(other!)];
    expect([first.told, second.told, third.told]).toEqual([null, { ahead: 0, waiting: 1 }, { ahead: 1, waiting: 2 }]);
    expect(other!.forget(0)).toBe(2);
    expect(third.client.queueUp()).toBe(null);
  });
});

describe('refusals', () => {
  it('name the cap and its value', () => {
    const refusal = admission({ connections: 0 }).admit({ address: '', port: 0 });
    expect(refusal).toMatchObject({ cap: 'connections', max: 0, mayTell: true });
  });

  it('are told to as many clients at once as may be in a handshake', () => {
    const caps = admission({ connections: 0, handshakes: 2 });
    const refusals = [0, 1, 2].map(() => caps.admit({ address: '', port: 0 }) as AdmissionRefusal);
    expect(refusals.map(({ mayTell }) => mayTell)).toEqual([true, true, false]);
    refusals[2]!.release();
    refusals[0]!.release();
    refusals[0]!.release();
    const later = [0, 1].map(() => caps.admit({ address: '', port: 0 }) as AdmissionRefusal);
    expect(later.map(({ mayTell }) => mayTell)).toEqual([true, false]);
  });
});

describe('refuseConnection', () => {
  let listener: Listener | undefined;
  const caps = admission({ connections: 0, handshakes: 1 });

  afterEach(async () => {
    vi.useRealTimers();
    await listener?.close();
  });

  async function refusing(): Promise<number> {
    listener = await listenTcp({ host: '127.0.0.1', port: 0 }, (transport) => {
      refuseConnection(transport, caps.admit(transport.peer) as AdmissionRefusal, DEFAULT_LIMITS, GREETING);
    });
    return listener.port;
  }

  it.each([32, 29, 27])('is shown by a real rsync client that speaks protocol %i', async (protocol) => {
    const port = await refusing();
    const client = spawn('rsync', [`--protocol=${protocol}`, `rsync://127.0.0.1:${port}/pub/`]);
    let stderr = '';
    client.stderr.on('data', (chunk) => {
      stderr += String(chunk);
    });
    const [status] = await once(client, 'close');
    expect(stderr.split('\n')[0]).toBe('@ERROR: max connections (0) reached -- try again later');
    expect(status).toBe(5);
  });

  it('closes on a client that never does', async () => {
    const port = await refusing();
    const client = connect({ port, host: '127.0.0.1', allowHalfOpen: true });
    let text = '';
    client.on('data', (chunk) => {
      text += String(chunk);
    });
    client.on('error', () => {});
    await once(client, 'end');
    expect(text).toBe(`${GREETING}@ERROR: max connections (0) reached -- try again later\n`);
    await closedByServer(client);
    expect(client.destroyed).toBe(true);
  });

  it('closes on a client that talks too much, without waiting for the end of the grace time', async () => {
    vi.useFakeTimers({ toFake: ['setTimeout'] });
    const port = await refusing();
    const client = connect({ port, host: '127.0.0.1', allowHalfOpen: true });
    client.on('error', () => {});
    client.resume();
    client.write(Buffer.alloc(100_000));
    await closedByServer(client);
    expect(client.destroyed).toBe(true);
  });
});

/** Writing into a closed connection fails; into a lingering one it does not. */
async function closedByServer(client: Socket): Promise<void> {
  const closed = new Promise((resolve) => client.once('close', resolve));
  const timer = setInterval(() => client.write('x'), 20);
  await closed;
  clearInterval(timer);
}
