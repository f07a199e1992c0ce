/** The queue of a module: who waits is served in turn, costs others nothing, and is told when there is no use in waiting. */

import { chownSync, mkdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { md4 } from '../../src/checksum/md4.ts';
import { authResponse } from '../../src/session/auth.ts';
import { headerV1 } from '../helpers/proxy-headers.ts';
import { removeTree, scratchDir } from '../helpers/scratch.ts';
import { hasRoot } from '../setup/clients.ts';
import { limitHitsOf, MONITORED } from './support/limit-hits.ts';
import { Peer } from './support/peer.ts';
import { type LogLine, Server } from './support/server.ts';
import { allDone, data, enter, greeting, NO_MORE_FILTERS, pullArguments } from './support/wire.ts';

/** The group nogroup of Debian. */
const NOBODY = 65_534;

const FULL = '@ERROR: max connections (1) reached -- try again later\n';
const TURN = 'it is your turn\n@RSYNCD: OK\n';
const number = (place: number, of: number, module = 'pub'): string =>
  `module ${module} is full: you are number ${place} of ${of} in the queue\n`;

const MODULES: Readonly<Record<string, string>> = {
  pub: 'max_connections = 1\nqueue = 3\n',
  brief: 'max_connections = 1\nqueue = 3\nqueue_timeout = 1\n',
  locked: 'max_connections = 1\nqueue = 2\nauth_users = ["alice"]\nsecrets_file = "secrets"\n',
  wide: 'max_connections = 1\nqueue = 20\n',
};

describe.runIf(hasRoot())('a queue', () => {
  let dir: string;
  let server: Server;
  let ports: number[];
  const peers: Peer[] = [];

  const writeConfig = (more = ''): void => {
    const module = ([name, keys]: [string, string]): string =>
      `[[module]]\nname = "${name}"\npath = ${JSON.stringify(join(dir, 'pub'))}\n${keys}`;
    const text = [
      `workers = 2\n${more}[limits]\npreTransferMs = 3500\nargumentsMs = 3000\nqueuedPerAddress = 2`,
      '[[listener]]\nrsyncd = "127.0.0.1:0"',
      '[[listener]]\nrsyncd = "127.0.0.1:0"\nproxy_protocol = true\nproxy_trusted = ["127.0.0.1/32"]',
      ...Object.entries(MODULES).map(module),
    ].join('\n');
    writeFileSync(join(dir, 'config.toml'), text);
  };

  beforeEach(async () => {
    dir = scratchDir('queue');
    mkdirSync(join(dir, 'pub'));
    writeFileSync(join(dir, 'pub/file'), 'content\n');
    writeFileSync(join(dir, 'secrets'), 'alice:secret\n', { mode: 0o640 });
    // For the reload, which is not done by root any more.
    chownSync(join(dir, 'secrets'), 0, NOBODY);
    writeConfig();
    server = new Server({ args: ['--config', join(dir, 'config.toml'), ...MONITORED] });
    await server.waitFor(() => server.logged.filter(({ msg }) => msg === 'listening').length === 2);
    const listening = server.logged.filter(({ msg }) => msg === 'listening');
    ports = listening.map(({ address }) => Number(String(address).split(':').at(-1)));
  });
  afterEach(async () => {
    // Whoever is connected still is given five seconds by a daemon that ends.
    for (const peer of peers.splice(0)) peer.close();
    await server.stop();
    removeTree(dir);
  });

  const connect = async (listener: number): Promise<Peer> => {
    const peer = await Peer.connect(ports[listener]!);
    peers.push(peer);
    return peer;
  };
  /** A client that asks for a module. */
  const ask = async (module = 'pub'): Promise<Peer> => {
    const peer = await connect(0);
    peer.send(enter(module));
    return peer;
  };
  /** Takes the place that it was offered, and keeps it: it asks for no file. */
  const takePlace = async (peer: Peer, module = 'pub'): Promise<Peer> => {
    await peer.untilText('@RSYNCD: OK\n');
    peer.send(pullArguments([], 31, [`${module}/`]), data(31, NO_MORE_FILTERS));
    const { length } = peer.received;
    await peer.until((received) => received.length > length + 20);
    return peer;
  };
  const hold = async (module = 'pub'): Promise<Peer> => takePlace(await ask(module), module);
  const finish = (peer: Peer): void => peer.send(data(31, allDone()));
  const waiting = async (place: number, of = place, module = 'pub'): Promise<Peer> => {
    const peer = await ask(module);
    await peer.untilText(number(place, of, module));
    return peer;
  };
  const endOf = ({ port }: Peer): Promise<LogLine> => server.sessionEnd(port, 0);

  it('serves in the order of arrival, and tells each where it stands', async () => {
    const holder = await hold();
    const [first, second, third] = [await waiting(1), await waiting(2), await waiting(3)];
    const late = await ask();
    expect(late.text).toBe('');
    // Else it may come just when the first has left the queue, and stand in it.
    await late.untilText(FULL);
    finish(holder);
    await first.untilText(`module pub: ${TURN}`);
    await Promise.all([second.untilText(number(1, 2)), third.untilText(number(2, 2))]);
    expect(second.text).not.toContain('OK');
    finish(await takePlace(first));
    await second.untilText(TURN);
    await third.untilText(number(1, 1));
    second.close();
    finish(await takePlace(third));
    const line = await endOf(third);
    expect(line).toMatchObject({ outcome: 'ok', exit: 0 });
    expect(line.queueSeconds).toBeGreaterThan(0);
  });

  it('that is full refuses in the words of rsync', async () => {
    await hold();
    await Promise.all([1, 2, 3].map(() => ask().then((peer) => peer.untilText('in the queue'))));
    const late = await ask();
    await late.ended();
    expect(late.text.endsWith(FULL)).toBe(true);
    expect(await endOf(late)).toMatchObject({ outcome: 'access:max-connections', exit: 5 });
  });

  it.each([
    ['closes', (peer: Peer) => peer.close()],
    ['closes its side alone', (peer: Peer) => peer.end()],
    ['resets', (peer: Peer) => peer.reset()],
    [
      'has sent something and closes',
      (peer: Peer) => {
        peer.send('x');
        peer.end();
      },
    ],
  ])('forgets at once a client that %s', async (_, leave) => {
    await hold();
    const [first, second] = [await waiting(1), await waiting(2)];
    leave(first);
    await second.untilText(number(1, 1));
    const line = await endOf(first);
    expect(line).toMatchObject({ outcome: 'peer-gone', module: 'pub' });
    expect(line.queueSeconds).toBeGreaterThan(0);
  });

  it('serves a client that sends its arguments ahead, and ends one that goes on talking', async () => {
    const holder = await hold();
    const early = await waiting(1);
    early.send(pullArguments(), data(31, NO_MORE_FILTERS), data(31, allDone()));
    const talker = await waiting(2);
    talker.send(Buffer.alloc(2000, 'x'));
    await talker.untilText('@ERROR: protocol error: too many bytes while waiting in the queue\n');
    expect(await endOf(talker)).toMatchObject({ outcome: 'protocol' });
    expect((await limitHitsOf(server)).get('lineBytes')).toBe(1);
    finish(holder);
    expect(await endOf(early)).toMatchObject({ outcome: 'ok' });
  });

  it('keeps nobody longer than queue_timeout', async () => {
    await hold('brief');
    const peer = await waiting(1, 1, 'brief');
    await peer.ended();
    expect(peer.text.endsWith(FULL)).toBe(true);
    expect(await endOf(peer)).toMatchObject({
      ...{ outcome: 'access:max-connections', detail: 'waited 1 s in the queue', exit: 5 },
    });
  });

  it('stops the clock of what comes before the file list, and says something now and then', async () => {
    const holder = await hold();
    const peer = await waiting(1);
    // This comes later than preTransferMs and the tick of the clock.
    await peer.untilText('in the queue\n.');
    finish(holder);
    await peer.untilText(`in the queue\n.\nmodule pub: ${TURN}`);
    finish(await takePlace(peer));
    expect(await endOf(peer)).toMatchObject({ outcome: 'ok' });
  });

  it('takes the place back from a client that does not use its turn', async () => {
    const holder = await hold();
    const [first, second] = [await waiting(1), await waiting(2)];
    finish(holder);
    await first.untilText(TURN);
    expect(await endOf(first)).toMatchObject({ outcome: 'timeout' });
    await takePlace(second);
  });

  describe('behind a login', () => {
    const logIn = async (password: string): Promise<Peer> => {
      const peer = await connect(0);
      peer.send('@RSYNCD: 31.0 sha512\nlocked\n');
      await peer.untilText('AUTHREQD ');
      await peer.until((received) => received.at(-1) === 0x0a);
      const challenge = /AUTHREQD (\S+)\n/.exec(peer.text)![1]!;
      const answer = authResponse('sha512', Buffer.from(password), Buffer.from(challenge), md4);
      peer.send(`alice ${answer}\n`);
      return peer;
    };

    it('has no place for a client that has not logged in', async () => {
      const holder = await takePlace(await logIn('secret'), 'locked');
      const silent = await connect(0);
      silent.send('@RSYNCD: 31.0 sha512\nlocked\n');
      await silent.untilText('AUTHREQD ');
      const wrong = await logIn('wrong');
      await wrong.untilText('@ERROR: auth failed on module locked\n');
      const first = await logIn('secret');
      await first.untilText(number(1, 1, 'locked'));
      finish(holder);
      finish(await takePlace(first, 'locked'));
      expect(await endOf(first)).toMatchObject({ outcome: 'ok', user: 'alice' });
    });
  });

  it('fill the queue as far as an address may, and others still wait', async () => {
    await hold('wide');
    const from = async (address: string): Promise<Peer> => {
      const peer = await connect(1);
      peer.send(headerV1(`TCP4 ${address} 192.0.2.200 ${peer.port} 873`), greeting(), 'wide\n');
      return peer;
    };
    const fillers = await Promise.all(Array.from({ length: 8 }, () => from('192.0.2.1')));
    const ends = await Promise.all(
      fillers.map((peer) => Promise.race([peer.untilText('in the queue').then(() => 'waits'), peer.ended()])),
    );
    expect(ends.filter((end) => end === 'waits')).toHaveLength(2);
    for (const peer of fillers.filter((_, index) => ends[index] !== 'waits'))
      expect(peer.text.endsWith(FULL)).toBe(true);
    expect((await limitHitsOf(server)).get('queuedPerAddress')).toBe(6);
    await (await from('192.0.2.2')).untilText(number(3, 3, 'wide'));
  });

  it('is shown by the metrics and the status page', async () => {
    await hold();
    await waiting(1);
    const { address } = await server.waitFor(({ msg }) => msg === 'monitoring');
    const metrics = await (await fetch(`http://${address}/metrics`)).text();
    expect(metrics).toContain('gokr_rsyncd_sessions_queued{module="pub"} 1\n');
    expect(metrics).toContain('gokr_rsyncd_sessions_active{module="pub"} 2\n');
    expect(await (await fetch(`http://${address}/`)).text()).toContain('queue, 0 ahead');
  });

  it('is sent home when the daemon stops', async () => {
    await hold();
    const peer = await waiting(1);
    server.kill('SIGTERM');
    await peer.untilText('@ERROR: the server is stopping -- try again later\n');
    expect(await endOf(peer)).toMatchObject({ outcome: 'access:stopping', exit: 5 });
  });

  it('is sent home when the configuration has changed, and not when it is only read again', async () => {
    const holder = await hold();
    const peer = await waiting(1);
    const reload = async (since = server.logged.length): Promise<void> => {
      server.kill('SIGHUP');
      await server.waitFor(({ msg }) => String(msg).startsWith('configuration read again'), since);
    };
    await reload();
    const second = await waiting(2);
    finish(holder);
    await takePlace(peer);
    await second.untilText(number(1, 1));
    writeConfig('timeout = 700\n');
    await reload();
    await second.untilText('@ERROR: the configuration of the server has changed -- try again\n');
    expect(await endOf(second)).toMatchObject({ outcome: 'access:reload', exit: 5 });
    finish(peer);
    expect(await endOf(peer)).toMatchObject({ outcome: 'ok' });
  });
});
