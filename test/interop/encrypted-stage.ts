/** A daemon with encrypted listeners over a small tree, and pulls from it; the tests of SSH and TLS listeners start it. */

import { mkdirSync } from 'node:fs';
import { join } from 'node:path';
import { expect } from 'vitest';
import { compareSnapshots } from '../helpers/compare-snapshots.ts';
import { textOf } from '../helpers/content.ts';
import { rsync } from '../helpers/rsync.ts';
import type { RunOptions, RunResult } from '../helpers/run.ts';
import { removeTree, scratchDir } from '../helpers/scratch.ts';
import { snapshot } from '../helpers/snapshot.ts';
import { makeTree, type TreeEntry } from '../helpers/tree.ts';
import { Server, type ServerOptions } from '../session/support/server.ts';

export type Kind = 'anon_ssh' | 'authorized_ssh' | 'tls';

const TREE: readonly TreeEntry[] = [
  { name: 'big', content: textOf('big', 2_000_000) },
  { name: 'dir/nested', content: 'nested\n', mode: 0o604 },
  { name: 'empty', content: '' },
  { name: 'file', content: 'content of file\n' },
  { name: 'link', symlink: 'dir/nested' },
];

export class EncryptedStage {
  readonly server: Server;
  /** Scratch directory; the modules `pub`, `team` and `closed` are all `pub` in it, `closed` for no address. */
  readonly dir: string;
  #pulls = 0;

  constructor(server: Server, dir: string) {
    this.server = server;
    this.dir = dir;
  }

  /** The port of the listener of a kind. */
  async port(kind: Kind): Promise<number> {
    const { address } = await this.server.waitFor((line) => line.msg === 'listening' && line.listener === kind);
    return Number(String(address).split(':').at(-1));
  }

  /** Pulls `url` with further arguments; everything of the tree must come, and nothing be said. */
  async expectPull(url: string, args: readonly string[], options: RunOptions = {}): Promise<void> {
    const destination = join(this.dir, `got${this.#pulls++}`);
    const result = await rsync(['-a', ...args, url, `${destination}/`], { cwd: this.dir, ...options });
    expect({ exit: result.exitCode, stderr: textOfErrors(result) }).toEqual({ exit: 0, stderr: '' });
    this.expectTree(destination);
    removeTree(destination);
  }

  /** A directory must be what `pub` is. */
  expectTree(path: string): void {
    const options = { startedMs: Number.MAX_SAFE_INTEGER };
    expect(compareSnapshots(snapshot(join(this.dir, 'pub'), options), snapshot(path, options))).toEqual([]);
  }

  async close(): Promise<void> {
    await this.server.stop();
    removeTree(this.dir);
  }
}

/** What a program complained about. */
export function textOfErrors({ stderr }: RunResult): string {
  return stderr.toString('latin1');
}

/** @param prepare makes key files in the directory and returns the listener sections, and limits if need be. */
export async function openEncryptedStage(
  prepare: (dir: string) => string | Promise<string>,
  options: ServerOptions = {},
): Promise<EncryptedStage> {
  const dir = scratchDir('encrypted');
  mkdirSync(join(dir, 'pub'));
  await makeTree(join(dir, 'pub'), TREE);
  const path = `path = ${JSON.stringify(join(dir, 'pub'))}`;
  const modules = ['pub', 'team', 'closed'].map((name) => `[[module]]\nname = "${name}"\n${path}\n`);
  const toml = `workers = 2\n${await prepare(dir)}\n${modules.join('')}hosts_deny = ["all"]\n`;
  const server = new Server({ toml, ...options });
  try {
    await server.waitFor((line) => line.msg === 'listening');
  } catch (error) {
    await server.stop();
    removeTree(dir);
    throw error;
  }
  return new EncryptedStage(server, dir);
}
