/** The modes that sshd starts lock themselves in: a hostile process in their place, and what they still serve. */

import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { chmodSync, cpSync, mkdirSync, readdirSync, readFileSync, writeFileSync } from 'node:fs';
import { createServer, type Server } from 'node:net';
import { join } from 'node:path';
import { text } from 'node:stream/consumers';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { landlockAbi } from '../../src/sandbox/landlock.ts';
import { loadKernel } from '../../src/sandbox/syscalls.ts';
import { HOSTILE_PROBE, notDenied, PROBE_ATTEMPTS, probeOutcomes } from '../helpers/hostile-probe.ts';
import { PROGRAM } from '../helpers/program.ts';
import { removeTree, scratchDir } from '../helpers/scratch.ts';
import { NODE } from '../session/support/server.ts';
import { hasRoot, missing } from '../setup/clients.ts';

const USER = 1000;
const hasLandlock = hasRoot() && landlockAbi(await loadKernel()) > 0;
if (hasRoot() && !hasLandlock) missing('Landlock in this kernel');

/** A user may read what is his to read: rsync's own paths are his command's business. */
const READING = ['list /', 'list other processes', 'look into another process'];

interface Mode {
  readonly name: string;
  readonly args: (dir: string) => readonly string[];
  readonly env?: Readonly<Record<string, string>>;
  /** What this mode may do all the same. */
  readonly allowed: readonly string[];
}

const MODES: readonly Mode[] = [
  { name: '--server --sender', args: () => ['--server', '--sender', '-r', '.', '.'], allowed: READING },
  {
    name: '--restrict',
    args: (dir) => ['--restrict', join(dir, 'pub')],
    env: { SSH_ORIGINAL_COMMAND: 'rsync --server --sender -r . /' },
    allowed: [],
  },
  {
    name: '--server --daemon',
    args: (dir) => ['--server', '--daemon', `--config=${join(dir, 'rsyncd.toml')}`, '.'],
    allowed: [],
  },
];

describe.runIf(hasLandlock)('behind a remote shell', () => {
  let dir: string;
  let service: Server;
  const module = (): string => join(dir, 'pub');

  beforeAll(async () => {
    dir = scratchDir('locked-in');
    mkdirSync(module());
    writeFileSync(join(module(), 'file'), 'content\n');
    cpSync(HOSTILE_PROBE, join(module(), 'probe.mjs'));
    // Anybody may write, if nothing but owners and modes were in the way.
    for (const name of ['', 'file']) chmodSync(join(module(), name), 0o777);
    const toml = `[[module]]\nname = "pub"\npath = ${JSON.stringify(module())}\nxattrs = true\n`;
    writeFileSync(join(dir, 'rsyncd.toml'), toml);
    service = createServer().listen(0, '127.0.0.1');
    await once(service, 'listening');
  });
  afterAll(() => {
    service?.close();
    if (dir !== undefined) removeTree(dir);
  });

  /** Runs a mode as an ordinary user whose client says nothing. @returns what it wrote. */
  async function play({ args, env }: Mode, nodeArgs: readonly string[]) {
    const { port } = service.address() as { port: number };
    const child = spawn(NODE, [...nodeArgs, PROGRAM, ...args(dir)], {
      cwd: module(),
      uid: USER,
      gid: USER,
      env: { PROBE_MODULE: module(), PROBE_PORT: String(port), PROBE_VICTIM: String(process.pid), ...env },
    });
    child.stdin.end();
    const [stdout, stderr] = await Promise.all([text(child.stdout), text(child.stderr), once(child, 'close')]);
    return { stdout, stderr };
  }

  it.each(MODES)('$name gives a hostile process in its place nothing: each attempt is denied', async (mode) => {
    const { stderr } = await play(mode, ['--import', join(module(), 'probe.mjs')]);
    const seen = probeOutcomes(stderr);
    expect(notDenied(seen, mode.allowed)).toEqual([]);
    expect(seen.size).toBeGreaterThanOrEqual(PROBE_ATTEMPTS);
    expect(readFileSync(join(module(), 'file'), 'utf8')).toBe('content\n');
    expect(readdirSync(module()).toSorted()).toEqual(['file', 'probe.mjs']);
  });

  it('serves modules that their user may write, and without Landlock refuses to', async () => {
    const daemon = MODES[2]!;
    expect(await play(daemon, [])).toMatchObject({ stdout: expect.stringMatching(/^@RSYNCD: 32/) });
    const { stdout, stderr } = await play(daemon, ['--no-experimental-ffi']);
    expect(stdout).toBe('');
    expect(stderr).toMatch(/module "pub": .*pub is writable/);
  });

  it('refuses with --require-sandbox=strict what cannot be locked in', async () => {
    const strict: Mode = {
      ...MODES[2]!,
      args: (path) => [...MODES[2]!.args(path).slice(0, -1), '--require-sandbox=strict', '.'],
    };
    expect((await play(strict, [])).stdout).toMatch(/^@RSYNCD: 32/);
    const { stdout, stderr } = await play(strict, ['--no-experimental-ffi']);
    expect([stdout, stderr]).toEqual(['', expect.stringContaining('--require-sandbox=strict: not locked in')]);
  });
});
