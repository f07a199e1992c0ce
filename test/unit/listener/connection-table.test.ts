/** The table of connections as several workers see it: places, counts, and turns to read. */

import { describe, expect, it } from 'vitest';
import { addressKey } from '../../../src/listener/address-key.ts';
import { ConnectionTable } from '../../../src/listener/connection-table.ts';

/** `count` workers' views of one table. */
function tables(count = 2): ConnectionTable[] {
  const memory = new SharedArrayBuffer(ConnectionTable.BYTES);
  return Array.from({ length: count }, (_, worker) => new ConnectionTable({ memory, worker }));
}

function add(table: ConnectionTable, address: string): number {
  return table.add(addressKey(address), () => true)!;
}

/** What a newcomer from `address` would find. */
function censusFor(table: ConnectionTable, address: string): string {
  let found = '';
  table.add(addressKey(address), ({ connections, handshakes, handshakesOfClient, ofAddress, ofNetwork }) => {
    found = [connections, handshakes, handshakesOfClient, ofAddress, ofNetwork].join(' ');
    return false;
  });
  return found;
}

describe('rows', () => {
  it('are counted for all workers, by address and by network', () => {
    const [first, second] = tables() as [ConnectionTable, ConnectionTable];
    add(first, '192.0.2.1');
    add(second, '192.0.2.2');
    add(second, '2001:db8:1:2::1');
    add(second, '127.0.0.1');
    expect(censusFor(first, '192.0.2.1')).toBe('4 4 1 1 2');
    expect(censusFor(first, '192.0.3.1')).toBe('4 4 0 0 0');
    expect(censusFor(first, '2001:db8:1:2:ff::')).toBe('4 4 1 1 1');
    expect(censusFor(first, '2001:db8:1:3::')).toBe('4 4 0 0 1');
    expect(censusFor(first, '2001:db8:2:2::')).toBe('4 4 0 0 0');
    expect(censusFor(first, '127.0.0.1')).toBe('4 4 1 0 0');
    expect(censusFor(first, '127.0.0.2')).toBe('4 4 0 0 0');
  });

  it('count as handshakes until they are served', () => {
    const [table] = tables(1) as [ConnectionTable];
    const rows = [add(table, '192.0.2.1'), add(table, '192.0.2.1')];
    table.serve(rows[0]!);
    expect(table.census()).toMatchObject({ connections: 2, handshakes: 1 });
    table.remove(rows[1]!);
    expect(table.census()).toMatchObject({ connections: 1, handshakes: 0 });
  });

  it('are taken again when they were given back, and hold nothing of before', () => {
    const [table] = tables(1) as [ConnectionTable];
    const row = add(table, '192.0.2.1');
    add(table, '192.0.2.9');
    table.enter(row, 'pub', 0);
    table.awaitTurn(row);
    table.remove(row);
    expect(add(table, '192.0.2.2')).toBe(row);
    expect([censusFor(table, '192.0.2.1'), table.countIn('pub')]).toEqual(['2 2 0 0 2', 0]);
    expect(table.beginTurn({ digestReaders: 1, digestReadersPerAddress: 1 }, () => true)).toBeNull();
  });

  it('of a dead worker are swept out, its lock too', () => {
    const [alive, dead] = tables() as [ConnectionTable, ConnectionTable];
    add(alive, '192.0.2.1');
    for (let index = 0; index < 3; index++) dead.enter(add(dead, '192.0.2.1'), 'pub', 0);
    expect([alive.forget(1), alive.census().connections, alive.countIn('pub')]).toEqual([3, 1, 0]);
  });

  it.each([
    ['N - 1', 1, true],
    ['N', 2, true],
    ['N + 1', 3, false],
  ])('in a module are bounded for all workers: %s', (_, count, isIn) => {
    const workers = tables();
    const entered = Array.from({ length: count }, (__, index) => {
      const table = workers[index % 2]!;
      return table.enter(add(table, '192.0.2.1'), 'pub', 2);
    });
    expect(entered.at(-1)).toBe(isIn);
    expect(workers[0]!.enter(add(workers[0]!, '192.0.2.1'), 'other', 2)).toBe(true);
  });
});

describe('turns to read', () => {
  const any = (): boolean => true;

  it('come in order of arrival over all workers, and only where the connection is', () => {
    const [first, second] = tables() as [ConnectionTable, ConnectionTable];
    const limits = { digestReaders: 1, digestReadersPerAddress: 1 };
    const [a, b] = [add(first, '192.0.2.1'), add(second, '192.0.2.2')];
    first.awaitTurn(a);
    second.awaitTurn(b);
    expect(second.beginTurn(limits, (row) => row === b)).toBeNull();
    expect(first.beginTurn(limits, (row) => row === a)).toBe(a);
    expect(second.beginTurn(limits, (row) => row === b)).toBeNull();
    first.endTurn(a);
    expect(second.beginTurn(limits, (row) => row === b)).toBe(b);
  });

  it('pass over an address that has enough, not over one without a key', () => {
    const [table] = tables(1) as [ConnectionTable];
    const limits = { digestReaders: 9, digestReadersPerAddress: 1 };
    const addresses = ['192.0.2.1', '192.0.2.1', '192.0.2.2', '127.0.0.1', '127.0.0.1'];
    const rows = addresses.map((address) => add(table, address));
    for (const row of rows) table.awaitTurn(row);
    const begun = Array.from({ length: 5 }, () => table.beginTurn(limits, any));
    expect(begun).toEqual([rows[0], rows[2], rows[3], rows[4], null]);
    expect(table.turnsOfAddress(rows[1]!)).toBe(1);
    table.endTurn(rows[0]!);
    expect(table.beginTurn(limits, any)).toBe(rows[1]);
  });

  it('of a dead worker are given to others', () => {
    const [alive, dead] = tables() as [ConnectionTable, ConnectionTable];
    const limits = { digestReaders: 1, digestReadersPerAddress: 1 };
    dead.awaitTurn(add(dead, '192.0.2.1'));
    dead.beginTurn(limits, any);
    const row = add(alive, '192.0.2.1');
    alive.awaitTurn(row);
    expect(alive.beginTurn(limits, any)).toBeNull();
    const { changes } = alive.freed;
    alive.forget(1);
    expect(alive.freed.changes).toBeGreaterThan(changes);
    expect(alive.beginTurn(limits, any)).toBe(row);
  });
});
