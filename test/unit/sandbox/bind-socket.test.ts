import { describe, expect, it } from 'vitest';
import { bindSocket, socketAddress } from '../../../src/sandbox/bind-socket.ts';
import { loadKernel } from '../../../src/sandbox/syscalls.ts';

describe('socketAddress', () => {
  it('has the form of the kernel for both families', () => {
    expect(socketAddress(Uint8Array.of(127, 0, 0, 1), 873).toString('hex')).toBe('020003697f0000010000000000000000');
    const loopback = new Uint8Array(16);
    loopback[15] = 1;
    expect(socketAddress(loopback, 0x1234).toString('hex')).toBe(`0a00123400000000${'00'.repeat(15)}0100000000`);
  });
});

describe('bindSocket', () => {
  it('binds an address without listening on it', async () => {
    const kernel = await loadKernel();
    const fd = await bindSocket(kernel, '127.0.0.1', 0);
    expect(fd).toBeTypeOf('number');
    kernel.call('close', fd);
  });

  it('names the error of an address that this machine does not have', async () => {
    expect(await bindSocket(await loadKernel(), '192.0.2.1', 0)).toBe('EADDRNOTAVAIL');
  });
});
