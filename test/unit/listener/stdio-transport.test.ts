/** StdioTransport over two named pipes: one end of each under test, the other end ours. */

import { spawnSync } from 'node:child_process';
import { closeSync, constants, openSync, readSync, writeSync } from 'node:fs';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { ConfigError, PeerGone } from '../../../src/errors.ts';
import { remoteShellPeer, StdioTransport } from '../../../src/listener/stdio-transport.ts';
import { removeTree, scratchDir } from '../../helpers/scratch.ts';

const { O_NONBLOCK, O_RDONLY, O_WRONLY } = constants;

let scratch = '';
let transport: StdioTransport;
/** What the client writes to and reads from. */
let client: { toUs: number | null; fromUs: number | null };

beforeEach(() => {
  scratch = scratchDir('stdio');
  const [input, output] = [join(scratch, 'in'), join(scratch, 'out')];
  spawnSync('mkfifo', [input, output]);
  const ours = openSync(input, O_RDONLY | O_NONBLOCK);
  const fromUs = openSync(output, O_RDONLY | O_NONBLOCK);
  client = { toUs: openSync(input, O_WRONLY), fromUs };
  transport = new StdioTransport(undefined, { input: ours, output: openSync(output, O_WRONLY) });
});

afterEach(() => {
  transport.destroy();
  hangUp('toUs');
  hangUp('fromUs');
  removeTree(scratch);
});

function hangUp(side: 'toUs' | 'fromUs'): void {
  const fd = client[side];
  if (fd !== null) closeSync(fd);
  client[side] = null;
}

/** Everything that is in the pipe now; null at its end. */
function received(): Buffer | null {
  const into = Buffer.alloc(1024 * 1024);
  try {
    const length = readSync(client.fromUs!, into);
    return length === 0 ? null : into.subarray(0, length);
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'EAGAIN') return Buffer.alloc(0);
    throw error;
  }
}

describe('StdioTransport', () => {
  it('reads what comes, and null at its end', async () => {
    writeSync(client.toUs!, 'hello');
    expect(String(await transport.read())).toBe('hello');
    const next = transport.read();
    hangUp('toUs');
    expect(await next).toBe(null);
    expect(await transport.read()).toBe(null);
  });

  it('writes more than a pipe holds, gives memory back, and then ends', async () => {
    const total = 300_000;
    let isReleased = false;
    transport.write(Buffer.alloc(total, 7), () => {
      isReleased = true;
    });
    transport.endWrite();
    let length = 0;
    for (let part = received(); part !== null; part = received()) {
      length += part.length;
      await sleep(1);
    }
    expect([length, isReleased]).toEqual([total, true]);
  });

  it('says when enough has gone out', async () => {
    transport.write(Buffer.alloc(300_000));
    let isDrained = false;
    const drained = transport.drained(0).then(() => {
      isDrained = true;
    });
    await sleep(20);
    expect(isDrained).toBe(false);
    while (!isDrained) {
      received();
      await sleep(1);
    }
    await drained;
    expect(transport.queuedBytes).toBe(0);
  });

  it('still writes when the client has ended its side', async () => {
    hangUp('toUs');
    expect(await transport.read()).toBe(null);
    transport.write(Buffer.from('bye'));
    await transport.drained(0);
    expect(String(received())).toBe('bye');
  });

  it('breaks, with memory given back, when nobody reads any more', async () => {
    hangUp('fromUs');
    let isReleased = false;
    const reading = transport.read();
    transport.write(Buffer.alloc(1000), () => {
      isReleased = true;
    });
    await expect(reading).rejects.toThrow(PeerGone);
    await expect(transport.drained(0)).rejects.toThrow('EPIPE');
    await sleep(10);
    expect(isReleased).toBe(true);
    let isReleasedLater = false;
    transport.write(Buffer.alloc(1), () => {
      isReleasedLater = true;
    });
    expect(isReleasedLater).toBe(true);
  });

  it('ends every wait when it is destroyed', async () => {
    transport.write(Buffer.alloc(300_000));
    const waits = [transport.read(), transport.drained(0)];
    transport.destroy();
    for (const wait of waits) await expect(wait).rejects.toThrow(PeerGone);
  });

  it('takes no file for a remote shell', () => {
    const fd = openSync('/dev/null', O_RDONLY);
    try {
      expect(() => new StdioTransport(undefined, { input: fd, output: fd })).toThrow(ConfigError);
      expect(() => new StdioTransport(undefined, { input: fd, output: fd })).toThrow('standard input is neither');
    } finally {
      closeSync(fd);
    }
  });
});

describe('remoteShellPeer', () => {
  it.each([
    ['192.0.2.7 50000 192.0.2.1 22', { address: '192.0.2.7', port: 50000 }],
    ['::ffff:192.0.2.7 1 :: 22', { address: '192.0.2.7', port: 1 }],
    ['fe80::1%eth0 1 fe80::2%eth0 22', { address: 'fe80::1', port: 1 }],
    ['UNKNOWN 65535 UNKNOWN 65535', { address: '', port: 0 }],
    ['', { address: '', port: 0 }],
    [null, { address: '', port: 0 }],
  ])('reads SSH_CONNECTION %j', (connection, peer) => {
    expect(remoteShellPeer(connection)).toEqual(peer);
  });
});
