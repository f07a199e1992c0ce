/** Access lists and connection limits, with real clients and as C rsync words them. */

import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { moduleUrl, rsync } from '../helpers/rsync.ts';
import type { RunResult } from '../helpers/run.ts';
import type { Peer } from '../session/support/peer.ts';
import { openStage, type Stage } from '../session/support/stage.ts';
import { enter, pullArguments, USUAL_PROTOCOL } from '../session/support/wire.ts';
import { hasRoot } from '../setup/clients.ts';

/** Keys of a module, and who may use it. */
type Lists = readonly [name: string, keys: Readonly<Record<string, readonly string[]>>, ipv4: boolean, ipv6: boolean];

const LISTS: readonly Lists[] = [
  ['allows-v4', { hosts_allow: ['127.0.0.0/8'] }, true, false],
  ['allows-v6', { hosts_allow: ['::1'] }, false, true],
  ['allows-both', { hosts_allow: ['127.0.0.1', '::1/128'] }, true, true],
  ['allows-others', { hosts_allow: ['10.0.0.0/8', '2001:db8::/32'] }, false, false],
  ['denies-v4', { hosts_deny: ['127.0.0.1'] }, false, true],
  ['denies-v6', { hosts_deny: ['::/0'] }, true, false],
  ['denies-all', { hosts_deny: ['all'] }, false, false],
  ['allow-wins', { hosts_allow: ['127.0.0.1'], hosts_deny: ['all'] }, true, false],
  ['no-match-allows', { hosts_allow: ['10.0.0.0/8'], hosts_deny: ['192.0.2.0/24'] }, true, true],
  ['mapped', { hosts_deny: ['::ffff:127.0.0.0/104'] }, false, true],
  ['ordered', { acl: ['deny 127.0.0.2', 'allow 127.0.0.0/8', 'deny all'] }, true, false],
  ['ordered-out', { acl: ['deny 127.0.0.1', 'allow 127.0.0.0/8', 'deny all'] }, false, false],
  ['ordered-first', { acl: ['deny 127.0.0.0/8', 'allow all'] }, false, true],
];

describe.skipIf(!hasRoot())('an access list', { timeout: 20_000 }, () => {
  let stage: Stage;

  beforeAll(async () => {
    stage = await openStage({
      listen: '[::]:0',
      modules: (dir) => [
        ...LISTS.map(([name, keys]) => ({ name, path: join(dir, 'pub'), keys })),
        { name: 'hidden', path: join(dir, 'pub'), keys: { list: false, hosts_deny: ['all'] } },
      ],
    });
  });
  afterAll(() => stage.close());

  const pull = (host: string, module: string): Promise<RunResult> =>
    rsync([`rsync://${host}:${stage.port}/${module}/file`, 'got'], { cwd: stage.dir });

  describe.each([
    ['127.0.0.1, which arrives mapped into IPv6,', '127.0.0.1', '127.0.0.1', 2],
    ['::1', '[::1]', '::1', 3],
  ] as const)('for %s', (_title, host, shown, column) => {
    it.each(LISTS)('%s decides as written', async (...row) => {
      const [module, , ...allowed] = row;
      const result = await pull(host, module);
      if (allowed[column - 2]) {
        expect({ exit: result.exitCode, text: result.stderr.toString() }).toEqual({ exit: 0, text: '' });
        return;
      }
      expect(result.exitCode).toBe(5);
      const line = `@ERROR: access denied to ${module} from UNDETERMINED (${shown})`;
      expect(result.stderr.toString().split('\n')).toContain(line);
    });

    it('a denied module that is not listed answers as one that does not exist', async () => {
      const [hidden, unknown] = [await pull(host, 'hidden'), await pull(host, 'hiddem')];
      expect(hidden.stderr.toString()).toBe(unknown.stderr.toString().replaceAll('hiddem', 'hidden'));
      expect(hidden.stderr.toString()).toMatch(/^@ERROR: Unknown module 'hidden'$/m);
      expect([hidden.exitCode, unknown.exitCode]).toEqual([5, 5]);
    });
  });

  it('shows IPv4 addresses as IPv4 in the log', async () => {
    await stage.server.waitFor(({ module, peer }) => module === 'allows-v4' && peer === '127.0.0.1');
    await stage.server.waitFor(({ module, peer }) => module === 'allows-v6' && peer === '::1');
  });
});

describe.skipIf(!hasRoot()).each([1, 2])(
  'a connection limit of %i workers together',
  { timeout: 60_000 },
  (workers) => {
    let stage: Stage;

    beforeAll(async () => {
      stage = await openStage({
        globals: { workers, max_connections: 4, 'limits.handshakes': 16 },
        keys: { max_connections: 2 },
        modules: (dir) => [{ name: 'free', path: join(dir, 'pub') }],
      });
    });
    afterAll(() => stage.close());

    async function occupy(module: string, count: number): Promise<Peer[]> {
      const peers: Peer[] = [];
      for (let index = 0; index < count; index++) {
        const peer = await stage.connect();
        peer.send(enter(module), pullArguments([], USUAL_PROTOCOL, [`${module}/`]));
        // Flags and seed behind OK: the arguments have been read.
        await peer.until((received) => received.length >= received.indexOf('OK\n') + 8 && received.includes('OK\n'));
        peers.push(peer);
      }
      return peers;
    }

    async function leave(peers: readonly Peer[]): Promise<void> {
      for (const peer of peers) peer.close();
      for (const peer of peers) await stage.sessionEnd(peer);
    }

    /** A client may be gone before its place is given back: waits for the line that says so. */
    async function pull(module: string): Promise<RunResult> {
      const since = stage.server.logged.length;
      const result = await rsync([moduleUrl(stage.port, module, 'file'), 'got'], { cwd: stage.dir });
      await stage.server.waitFor(({ msg }) => msg === 'session ended' || msg === 'connection refused', since);
      return result;
    }

    it('of a module lets its last place be used, then refuses in the words of C rsync', async () => {
      const one = await occupy('pub', 1);
      expect((await pull('pub')).exitCode).toBe(0);
      const two = await occupy('pub', 1);
      const refused = await pull('pub');
      expect(refused.exitCode).toBe(5);
      expect(refused.stderr.toString()).toMatch(/^@ERROR: max connections \(2\) reached -- try again later$/m);
      expect((await pull('free')).exitCode).toBe(0);
      await leave([...one, ...two]);
      expect((await pull('pub')).exitCode).toBe(0);
    });

    it('of the whole daemon lets its last place be used, then refuses at the greeting', async () => {
      const three = await occupy('free', 3);
      expect((await pull('free')).exitCode).toBe(0);
      const four = await occupy('free', 1);
      const refused = await pull('free');
      expect(refused.exitCode).toBe(5);
      expect(refused.stderr.toString()).toMatch(/^@ERROR: max connections \(4\) reached -- try again later$/m);
      await leave([...three, ...four]);
      expect((await pull('free')).exitCode).toBe(0);
    });
  },
);
