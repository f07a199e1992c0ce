/** A real sshd with trees to pull, and pulls through it from C rsync and from us; the sshd tests open one each. */

import { chownSync, mkdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, beforeAll, expect } from 'vitest';
import { compareSnapshots } from '../helpers/compare-snapshots.ts';
import { oddTree } from '../helpers/odd-tree.ts';
import { rsync } from '../helpers/rsync.ts';
import { mustRun, type RunResult, run } from '../helpers/run.ts';
import { filterTree } from '../helpers/small-trees.ts';
import { type Snapshot, snapshot } from '../helpers/snapshot.ts';
import { staleTree } from '../helpers/stale-tree.ts';
import { makeTree, type TreeEntry } from '../helpers/tree.ts';
import { haveSshd, type Login, type Sshd, startSshd } from './sshd-server.ts';

/** The user's home, and what a restricted key serves. */
const HOME: readonly TreeEntry[] = [
  { name: 'data/a.c', content: 'a' },
  { name: 'data/b.c', content: 'b' },
  { name: 'data/.hidden.c', content: 'h' },
  { name: 'data/deep/er/file', content: 'deep' },
  { name: 'sp ace/x y', content: 'blank' },
  { name: 'st*r', content: 'star' },
  { name: 'stair', content: 'stair' },
  { name: '-dash', content: 'dash' },
  { name: 'q\'uo"te$(x)`;&', content: 'quotes' },
  { name: 'caf\xe9', content: 'not UTF-8' },
  { name: 'up', symlink: '../outside' },
  { name: 'absolute', symlink: '/etc/hostname' },
  { name: 'todir', symlink: 'data/deep' },
  { name: 'names', content: 'data/a.c\n# comment\nsp ace/\nmissing\n' },
];

export interface Pull {
  readonly args: readonly string[];
  /** Behind `HOST:`, as a user would type them. */
  readonly sources: readonly string[];
  readonly login?: Login;
  /** A directory in the stage's own to copy as the destination. */
  readonly template?: string;
  readonly input?: string;
}

interface Outcome {
  readonly exitCode: number | null;
  readonly stdout: readonly string[];
  readonly stderr: readonly string[];
  readonly tree: Snapshot;
}

/** What C rsync's server says when it gives up; our texts travel to the client and end there. */
const OWN_END = /^rsync error: |connection unexpectedly closed|write error: Broken pipe|^$/;

export class SshdStage {
  readonly sshd: Sshd;
  #pulls = 0;

  constructor(sshd: Sshd) {
    this.sshd = sshd;
  }

  /** Logs in as the account without privileges. */
  get asUser(): Login {
    return { user: this.sshd.user };
  }

  /** A pull with a program at the other end, as a remote command. */
  async pull(program: string, { args, sources, login, template, input }: Pull): Promise<Outcome> {
    const { sshd } = this;
    const startedMs = Date.now() - 1000;
    const dir = join(sshd.dir, `pull${this.#pulls++}`);
    mkdirSync(dir);
    if (template === undefined) mkdirSync(join(dir, 'dst'));
    else await mustRun('cp', ['-a', join(sshd.dir, template), join(dir, 'dst')]);
    const remote = ['-e', sshd.ssh(login).join(' '), `--rsync-path=${program}`];
    const urls = sources.map((source) => `127.0.0.1:${source.replaceAll('DIR', sshd.dir)}`);
    const options = { cwd: dir, input: Buffer.from(input ?? '') };
    const result = await rsync([...remote, '-ii', ...args, ...urls, 'dst/'], options);
    return { ...linesOf(result), exitCode: result.exitCode, tree: snapshot(join(dir, 'dst'), { startedMs }) };
  }

  /** Pulls with C rsync at the other end, then with us, and expects no difference. */
  async expectSame(asked: Pull, exitCode = 0): Promise<void> {
    const expected = await this.pull('rsync', asked);
    const actual = await this.pull(this.sshd.program, asked);
    expect({ ...actual, tree: null }).toEqual({ ...expected, tree: null });
    expect(compareSnapshots(expected.tree, actual.tree)).toEqual([]);
    expect(actual.exitCode).toBe(exitCode);
  }

  /** Runs a command at the other end. */
  remotely(command: string, login: Login = {}): Promise<RunResult> {
    const [ssh, ...args] = this.sshd.ssh(login);
    return run(ssh!, [...args, '127.0.0.1', command]);
  }
}

function linesOf({ stdout, stderr }: RunResult): Pick<Outcome, 'stdout' | 'stderr'> {
  const lines = (output: Buffer) => output.toString('latin1').split('\n').sort();
  return { stdout: lines(stdout), stderr: lines(stderr).filter((line) => !OWN_END.test(line)) };
}

/** Whether the tests that need a stage can run here. */
export const runnable = haveSshd();

/** Set before the first test of a file that calls `useSshdStage`. */
export let stage: SshdStage;
export let sshd: Sshd;

/** A stage for all tests of a file, where one can be had. */
export function useSshdStage(): void {
  if (!runnable) return;
  beforeAll(async () => {
    stage = await openSshdStage();
    sshd = stage.sshd;
  });
  afterAll(() => sshd.close());
}

/** Starts sshd beside the trees `tree`, `filter`, `home` and `stale`, in its own directory. */
async function openSshdStage(): Promise<SshdStage> {
  const sshd = await startSshd();
  for (const [name, entries] of Object.entries({ tree: oddTree(), filter: filterTree(), home: HOME })) {
    mkdirSync(join(sshd.dir, name), { recursive: true });
    await makeTree(join(sshd.dir, name), entries);
  }
  writeFileSync(join(sshd.dir, 'outside'), 'outside');
  mkdirSync(join(sshd.dir, 'stale'));
  await makeTree(join(sshd.dir, 'stale'), staleTree(oddTree()));
  chownSync(sshd.home, sshd.uid, sshd.uid);
  return new SshdStage(sshd);
}
