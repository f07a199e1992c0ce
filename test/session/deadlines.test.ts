/** Clients that stall, trickle or take nothing: every phase has a deadline, lowered here to one second. */

import { mkdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import type { LimitName } from '../../src/limits.ts';
import { makeTree } from '../helpers/tree.ts';
import { hasRoot } from '../setup/clients.ts';
import { readAnswer } from './support/answer.ts';
import { limitHitsOf, MONITORED } from './support/limit-hits.ts';
import type { Peer } from './support/peer.ts';
import { judge, openStage, type Played, type Stage, type Verdict } from './support/stage.ts';
import {
  argumentList,
  data,
  enter,
  filterRecord,
  frame,
  greeting,
  ItemWriter,
  NO_MORE_FILTERS,
  pullArguments,
  sumHead,
  TRANSFER,
  WHOLE_FILE,
} from './support/wire.ts';

const ONE_SECOND = 1000;
const NEVER = 60_000;

const LIMITS = {
  'limits.greetingMs': ONE_SECOND,
  'limits.moduleLineMs': 4 * ONE_SECOND,
  'limits.authMs': ONE_SECOND,
  'limits.argumentsMs': ONE_SECOND,
  'limits.filterIdleMs': ONE_SECOND,
  'limits.filterMs': 3 * ONE_SECOND,
  'limits.drainMs': ONE_SECOND,
  'limits.outputStallMs': ONE_SECOND,
  'limits.sumsIdleMs': ONE_SECOND,
  timeout: 2,
};

const timeout = (tells: RegExp | null): Verdict => ({ outcome: 'timeout', tells, exit: 30 });

/** What is sent before the silence. */
type Case = readonly [title: string, sent: readonly Buffer[], verdict: Verdict];

const ITEMS = (): ItemWriter => new ItemWriter();
const UP_TO_LIST = [enter('pub'), pullArguments(), data(31, NO_MORE_FILTERS)];

const SILENCES: readonly Case[] = [
  [
    'before the greeting',
    [],
    timeout(/^@ERROR: (timeout while waiting for the greeting|io timeout after 1 seconds)$/m),
  ],
  ['inside the greeting', [Buffer.from('@RSY')], timeout(/^@ERROR: /m)],
  ['before the module line', [greeting()], timeout(/^@ERROR: /m)],
  ['inside early input', [greeting(), Buffer.from('#early_input=100\nabc')], timeout(/^@ERROR: /m)],
  ['before the arguments', [enter('pub')], timeout(/timeout while waiting for the arguments\n$/)],
  ['inside the arguments', [enter('pub'), argumentList(['--server']).subarray(0, 9)], timeout(/the arguments\n$/)],
  [
    'before the second arguments of -s',
    [enter('pub'), argumentList(['--server', '--sender', '-rs'])],
    timeout(/the arguments\n$/),
  ],
  [
    'inside the negotiation',
    [enter('pub'), argumentList(['--server', '--sender', '-re.LsfxCIvu', '.', 'pub/'])],
    timeout(null),
  ],
  ['before the filter list', [enter('pub'), pullArguments()], timeout(/io timeout after 1 seconds\n$/)],
  [
    'inside a filter rule',
    [enter('pub'), pullArguments(), data(31, filterRecord('- x', 50))],
    timeout(/io timeout after 1 seconds\n$/),
  ],
  [
    'inside the names of --files-from',
    [enter('pub'), pullArguments(['--files-from=-', '--from0']), data(31, NO_MORE_FILTERS)],
    timeout(/io timeout after 2 seconds\n$/),
  ],
  ['before the first request', UP_TO_LIST, timeout(/io timeout after 2 seconds\n$/)],
  ['inside an item', [...UP_TO_LIST, data(31, ITEMS().ndx(3))], timeout(/io timeout after 2 seconds\n$/)],
  [
    'inside a sum head',
    [...UP_TO_LIST, data(31, ITEMS().item(3, TRANSFER), sumHead(5, 700, 16, 0).subarray(0, 7))],
    timeout(/io timeout after 2 seconds\n$/),
  ],
  ['before the goodbye', [...UP_TO_LIST, data(31, Buffer.alloc(3))], timeout(/io timeout after 2 seconds\n$/)],
];

/** Sends one byte of `bytes` after the other, at the pace of a slow attacker, until the server has had enough. */
async function trickle(peer: Peer, bytes: Buffer): Promise<void> {
  let at = 0;
  const timer = setInterval(() => {
    if (at < bytes.length) peer.send(bytes.subarray(at, ++at));
  }, 100);
  await peer.ended();
  clearInterval(timer);
}

/** All clients of this file are there at the same time; each test waits for its own. */
describe.skipIf(!hasRoot())('a client that', { timeout: 20_000 }, () => {
  let stage: Stage;
  let silent: readonly Promise<Played>[];
  const others = new Map<string, Promise<Played>>();

  /** A client that stays connected for as long as it is let. */
  async function fallSilent(sent: readonly Buffer[]): Promise<Played> {
    const peer = await stage.connect('127.0.0.1', false);
    peer.send(...sent);
    const played = await stage.finish(peer);
    peer.close();
    return played;
  }

  /** What comes before the phase in question goes at once. */
  async function beSlow(atOnce: Buffer, slowly: Buffer): Promise<Played> {
    const peer = await stage.connect();
    peer.send(atOnce);
    await trickle(peer, slowly);
    return stage.finish(peer);
  }

  async function takeNothing(): Promise<Played> {
    const peer = await stage.connect();
    const request = new ItemWriter().item(1, TRANSFER, WHOLE_FILE);
    peer.send(enter('large'), pullArguments([], 31, ['large/']), data(31, NO_MORE_FILTERS), data(31, request));
    peer.stopReading();
    const line = await stage.sessionEnd(peer);
    peer.close();
    return { line, ending: 'reset', answer: readAnswer(peer.received, { protocol: 31 }) };
  }

  beforeAll(async () => {
    stage = await openStage({
      globals: LIMITS,
      process: { args: MONITORED },
      prepare: async (dir) => {
        writeFileSync(join(dir, 'secrets'), 'alice:secret\n', { mode: 0o600 });
        mkdirSync(join(dir, 'large'));
        await makeTree(join(dir, 'large'), [{ name: 'hole', sparse: true, size: 64 * 1024 * 1024 }]);
      },
      modules: (dir) => [
        { name: 'locked', path: join(dir, 'pub'), keys: { auth_users: ['alice'], secrets_file: join(dir, 'secrets') } },
        { name: 'patient', path: join(dir, 'pub'), keys: { timeout: NEVER / 1000 } },
        { name: 'large', path: join(dir, 'large') },
      ],
    });
    silent = SILENCES.map(([, sent]) => fallSilent(sent));
    others.set('login', fallSilent([Buffer.from('@RSYNCD: 31.0 sha512\nlocked\n')]));
    others.set('greeting', beSlow(Buffer.alloc(0), Buffer.from(`@RSYNCD: 31.0 ${'md5 '.repeat(200)}\n`)));
    others.set('arguments', beSlow(enter('pub'), argumentList(Array<string>(900).fill('-v'))));
    const rules = data(31, ...Array<Buffer>(20).fill(filterRecord('- x')));
    others.set('filter list', beSlow(Buffer.concat([enter('pub'), pullArguments()]), rules));
    others.set('nothing', takeNothing());
    others.set('drain', fallSilent([greeting(), Buffer.from('nothing\n')]));
    const asking = (option: string, module = 'pub') =>
      fallSilent([enter(module), pullArguments([option], 31, [`${module}/`]), data(31, NO_MORE_FILTERS)]);
    const sums = new ItemWriter().item(1, TRANSFER, sumHead(5, 700, 16, 0));
    const unfinished = data(31, sums, Buffer.alloc(30));
    others.set(
      'sums',
      fallSilent([enter('patient'), pullArguments([], 31, ['patient/']), data(31, NO_MORE_FILTERS), unfinished]),
    );
    others.set('shorter', asking('--timeout=1', 'patient'));
    others.set('longer', asking('--timeout=3600'));
    others.set('none', asking('--timeout=0'));
  });
  afterAll(async () => {
    await stage.expectHonestPull();
    await stage.expectOneLinePerSession();
    await stage.close();
  });

  it.each(SILENCES.map((silence, index) => [...silence, index] as const))(
    'falls silent %s is told so and let go',
    async (_title, _sent, verdict, index) => judge(await silent[index]!, 31, verdict),
  );

  it.each([
    ['falls silent before its password', 'login', /^@ERROR: timeout while waiting for the login$/m],
    ['trickles its greeting', 'greeting', /^@ERROR: timeout while waiting for the greeting$/m],
    ['trickles its arguments', 'arguments', /timeout while waiting for the arguments\n$/],
    ['trickles its filter list', 'filter list', /timeout while waiting for the filter list\n$/],
  ])('%s is let go after an absolute time', async (_title, name, tells) => {
    judge(await others.get(name)!, 31, timeout(tells));
  });

  it('asks for a shorter timeout gets it, and hears ours first', async () => {
    const { answer, line } = await others.get('shorter')!;
    expect(line).toMatchObject({ outcome: 'timeout', detail: 'io timeout after 1 seconds' });
    expect(answer.codes[0]).toBe(33);
  });

  it.each(['longer', 'none'])('asks for a timeout that is %s gets ours', async (name) => {
    expect((await others.get(name)!).line).toMatchObject({ detail: 'io timeout after 2 seconds' });
  });

  it('falls silent among its block sums is let go sooner than elsewhere', async () => {
    judge(await others.get('sums')!, 31, timeout(/io timeout after 1 seconds\n$/));
  });

  it('takes no data is let go', async () => {
    expect((await others.get('nothing')!).line).toMatchObject({ outcome: 'timeout', files: 0 });
  });

  it('never closes its side is let go after the drain time', async () => {
    expect((await others.get('drain')!).line).toMatchObject({ outcome: 'access:unknown-module' });
  });

  it('is let go is counted under the name of the deadline', async () => {
    await Promise.all([...silent, ...others.values()]);
    const hits = await limitHitsOf(stage.server);
    expect(Object.keys(LIMITS).filter((name) => !hits.has(name.replace('limits.', '') as LimitName))).toEqual([
      'timeout',
    ]);
  });

  it('uses up the time of each phase is let go before the file list', async () => {
    const globals = { 'limits.preTransferMs': ONE_SECOND };
    const slow = await openStage({ globals, process: { args: MONITORED } });
    const peer = await slow.connect();
    peer.send(enter('pub'), pullArguments());
    await trickle(peer, data(31, ...Array<Buffer>(20).fill(filterRecord('- x'))));
    judge(await slow.finish(peer), 31, timeout(/timeout while waiting for what comes before the file list\n$/));
    expect((await limitHitsOf(slow.server)).get('preTransferMs')).toBe(1);
    await slow.close();
  });

  it('keeps a session alive with keep-alives is let go at the longest session time', async () => {
    const globals = { 'limits.sessionMs': ONE_SECOND };
    const short = await openStage({ globals, process: { args: MONITORED } });
    const peer = await short.connect();
    peer.send(...UP_TO_LIST);
    await trickle(peer, Buffer.concat(Array<Buffer>(100).fill(frame(0))));
    judge(await short.finish(peer), 31, timeout(/session too long\n$/));
    expect((await limitHitsOf(short.server)).get('sessionMs')).toBe(1);
    await short.close();
  });
});
