import { once } from 'node:events';
import { type AddressInfo, createServer } from 'node:net';
import { describe, expect, it } from 'vitest';
import { probeDaemon, probeHosts } from '../../../src/listener/probe.ts';

/** Runs a probe against a server that answers each connection with `answer`. */
async function probe(answer: string): Promise<void> {
  const server = createServer((socket) => {
    socket.on('error', () => {});
    socket.end(answer);
  });
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  try {
    await probeDaemon('127.0.0.1', (server.address() as AddressInfo).port);
  } finally {
    server.close();
  }
}

describe('probeDaemon', () => {
  it('accepts a greeting and a list that ends', async () => {
    await probe('@RSYNCD: 32.0 sha512 md5\npub            \tfiles\n@RSYNCD: EXIT\n');
    await probe('@RSYNCD: 32.0 sha512 md5\n@RSYNCD: EXIT\n');
  });

  it.each([
    '',
    '@RSYNCD: 32.0 sha512 md5\n',
    '@RSYNCD: 32.0 sha512 md5\n@ERROR: max connections (512) reached -- try again later\n',
    'SSH-2.0-x\r\n',
    'pub\n@RSYNCD: EXIT\n',
  ])('refuses the answer %j', async (answer) => {
    await expect(probe(answer)).rejects.toThrow('not a module list');
  });

  it('refuses a port where nobody listens', async () => {
    await expect(probeDaemon('127.0.0.1', 1)).rejects.toThrow('ECONNREFUSED');
  });
});

describe('probeHosts', () => {
  it('takes an address for all as loopback', () => {
    expect(probeHosts('::')).toEqual(['127.0.0.1', '::1']);
    expect(probeHosts('0.0.0.0')).toEqual(['127.0.0.1']);
    expect(probeHosts('192.0.2.1')).toEqual(['192.0.2.1']);
  });
});
