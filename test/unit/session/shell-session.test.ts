import { mkdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { Limiter } from '../../../src/compress/limiter.ts';
import { ConfigError } from '../../../src/errors.ts';
import { DaemonFilter } from '../../../src/filter/daemon.ts';
import type { Limits } from '../../../src/limits.ts';
import { runShellSession, SHELL_LIMITS } from '../../../src/session/shell-session.ts';
import { closeModuleRoot, openModuleRoot } from '../../../src/vfs/open-root.ts';
import { removeTree, scratchDir } from '../../helpers/scratch.ts';
import { FakeTransport } from '../support/fake-transport.ts';

let scratch = '';
let rootFd = -1;
beforeEach(() => {
  scratch = scratchDir('shell');
  mkdirSync(join(scratch, 'dir'));
  writeFileSync(join(scratch, 'dir/file'), 'content');
  rootFd = openModuleRoot(Buffer.from(scratch), SHELL_LIMITS);
});
afterEach(() => {
  closeModuleRoot(rootFd);
  removeTree(scratch);
});

const NO_RULES = { filter: [], includeFrom: [], include: [], excludeFrom: [], exclude: [] };

const int = (value: number): Buffer => {
  const bytes = Buffer.alloc(4);
  bytes.writeInt32LE(value);
  return bytes;
};

/** A session of `-r . PATH`, the client's bytes given; what was sent, said, and how it ended. */
async function serve(
  args: readonly string[],
  chunks: readonly Buffer[],
  { transport = new FakeTransport(chunks), limits = SHELL_LIMITS }: { transport?: FakeTransport; limits?: Limits } = {},
) {
  const said: string[] = [];
  const exit = await runShellSession(transport, {
    args: args.map((arg) => Buffer.from(arg)),
    paths: { kind: 'confined' },
    rootFd,
    limits,
    listing: {
      name: '',
      filter: new DaemonFilter(NO_RULES, SHELL_LIMITS),
      idNames: { users: new Map(), groups: new Map() },
      ignoreNonreadable: false,
      mungeSymlinks: false,
      outgoingChmod: null,
    },
    compression: { limiter: new Limiter(1), lz4: null },
    loadXattrs: async () => {
      throw new ConfigError('no FFI');
    },
    complain: (text) => said.push(text),
    reportBug: (thrown) => {
      throw thrown;
    },
  });
  return { sent: transport.sent, said, exit, transport };
}

const PULL = ['--server', '--sender', '-r', '.', 'dir'];

describe('the session behind a remote shell', () => {
  it('says its version first and takes the lower one', async () => {
    const { sent } = await serve(PULL, [int(29), int(0)]);
    // Version, seed, then frames: no compat flags below protocol 30.
    expect(sent.readInt32LE(0)).toBe(32);
    expect(sent[11]).toBe(7);
    expect(sent.includes('dir')).toBe(true);
  });

  it.each([
    ['-re31.14iLsf', 30],
    ['-re32.1iLsf', 31],
    ['-re32.0iLsf', 32],
    ['-re33.1iLsf', 32],
    ['-re.iLsf', 32],
  ])('meets the pre-release client of %s with %i', async (bundle, version) => {
    const { sent } = await serve(['--server', '--sender', bundle, '.', 'dir'], []);
    expect(sent.toString('hex')).toBe(int(version).toString('hex'));
  });

  it.each([26, 19, 0, -1, 41, 0x6f6c6548])(
    'ends with 2, on standard error, for a client of version %i',
    async (version) => {
      const { exit, said, sent } = await serve(PULL, [int(version)]);
      expect([exit, said, sent.length]).toEqual([
        2,
        ['gokr-rsyncd: protocol version mismatch -- is your shell clean?'],
        4,
      ]);
    },
  );

  it('reads the arguments of -s before the version', async () => {
    const batch = Buffer.from('rsync\0-r\0.\0dir\0\0');
    const { sent, said } = await serve(['--server', '--sender', '-s'], [Buffer.concat([batch, int(29), int(0)])]);
    expect(sent.includes('dir')).toBe(true);
    expect(said).toEqual([]);
  });

  it('says so on standard error when the client is gone before anything began', async () => {
    const { exit, said } = await serve(PULL, []);
    expect([exit, said]).toEqual([10, ['gokr-rsyncd: connection closed while reading protocol version']]);
  });

  it('refuses an option in frames once there are any, and ends with the same code', async () => {
    const { exit, said, sent } = await serve(
      ['--server', '--sender', '-r', '--write-devices', '.', 'dir'],
      [int(31), int(0)],
    );
    expect([exit, said]).toEqual([4, []]);
    expect(sent.includes('refuse --write-devices')).toBe(true);
    expect(sent.subarray(-8).toString('hex')).toBe('0400005d04000000');
  });

  it('never serves what asks for no sender', async () => {
    const { exit, sent } = await serve(['--server', '-r', '.', 'dir'], [int(31), int(0)]);
    expect(exit).toBe(1);
    expect(sent.includes('module is read only')).toBe(true);
    expect(sent.includes('file')).toBe(false);
  });

  it('refuses -X where attributes cannot be read', async () => {
    const { exit, sent } = await serve(['--server', '--sender', '-rX', '.', 'dir'], [int(31), int(0)]);
    expect(exit).toBe(4);
    expect(sent.includes('extended attributes cannot be read here')).toBe(true);
  });

  it('ends with 23 when a path is missing', async () => {
    const { exit, sent } = await serve(['--server', '--sender', '-r', '.', 'missing'], [int(29), int(0)]);
    expect(exit).toBe(23);
    expect(sent.includes('link_stat "/missing" failed: No such file or directory (2)')).toBe(true);
  });

  it('does not wait for the client to close its side when all went well', async () => {
    const transport = new FakeTransport([int(29), int(0)], 'open');
    await serve(['--server', '--sender', '-r', '.', 'missing'], [], { transport });
    expect([transport.writeEnded, transport.destroyed]).toEqual([true, true]);
  });

  it('lets a client that it has refused read why, until that closes its side or time is up', async () => {
    const refused = ['--server', '--sender', '-r', '--write-devices', '.', 'dir'];
    const closing = new FakeTransport([int(31), int(0)], 'open');
    const session = serve(refused, [], { transport: closing });
    while (!closing.writeEnded) await new Promise((resolve) => setImmediate(resolve));
    closing.feed(Buffer.from('what it still sends'));
    await new Promise((resolve) => setImmediate(resolve));
    expect(closing.destroyed).toBe(false);
    closing.end();
    expect((await session).exit).toBe(4);
    const silent = new FakeTransport([int(31), int(0)], 'open');
    expect((await serve(refused, [], { transport: silent, limits: { ...SHELL_LIMITS, drainMs: 10 } })).exit).toBe(4);
  });
});
