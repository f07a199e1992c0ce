import { describe, expect, it } from 'vitest';
import { SandboxError } from '../../../src/errors.ts';
import { connectDatagram } from '../../../src/sandbox/syscalls.ts';

describe('connectDatagram', () => {
  it.each(['', '/', 'relative', 'vsock:2:1', '/a\0b', `/${'x'.repeat(107)}`])(
    'refuses the address %j',
    async (address) => {
      await expect(connectDatagram(address)).rejects.toThrow(SandboxError);
    },
  );

  it('says so when nobody listens', async () => {
    await expect(connectDatagram('/nowhere/notify')).rejects.toThrow('cannot connect');
  });
});
