import { describe, expect, it } from 'vitest';
import { TurnSource } from '../../../src/session/turn-source.ts';
import { clientTurn } from '../../../src/slice.ts';

const BYTES = Buffer.from('bytes');
const ready = { tryRead: () => BYTES, read: () => Promise.resolve(BYTES) };

describe('a source that is heard in turns', () => {
  it('hands bytes on behind the other work of its client', async () => {
    const order: string[] = [];
    const source = new TurnSource(ready, 'one client');
    const before = clientTurn('one client').then(() => order.push('before'));
    const heard = source.read().then((bytes) => order.push(String(bytes)));
    await Promise.all([before, heard]);
    expect(order).toEqual(['before', 'bytes']);
  });

  it('hands them on at once when its client is at work', async () => {
    const order: string[] = [];
    const source = new TurnSource(ready, 'one client');
    source.release();
    const before = clientTurn('one client').then(() => order.push('turn'));
    const heard = source.read().then((bytes) => order.push(String(bytes)));
    await Promise.all([before, heard]);
    expect(order).toEqual(['bytes', 'turn']);
  });

  it('passes on the end and what breaks the connection', async () => {
    const ended = new TurnSource({ tryRead: () => null, read: () => Promise.resolve(null) }, 'one client');
    expect(await ended.read()).toBe(null);
    const broken = new TurnSource(
      { tryRead: () => null, read: () => Promise.reject(new Error('reset')) },
      'one client',
    );
    await expect(broken.read()).rejects.toThrow('reset');
  });
});
