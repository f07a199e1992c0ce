/** Runs a piece of code in a process of its own, as another user where we are root. */

import { spawnSync } from 'node:child_process';
import { join } from 'node:path';

const SANDBOX = join(import.meta.dirname, '../../../src/sandbox');

export const isRoot = process.getuid?.() === 0;

export interface Identity {
  uid: number;
  gid: number;
  groups?: number[];
}

/** What `body` prints as JSON. It may use `print`, and the exports of `sandbox/<file>` as `subject`. */
export function runAs(identity: Identity | null, file: string, body: string, wrap: string[] = []): unknown {
  const script = `
    const subject = await import(${JSON.stringify(join(SANDBOX, file))});
    const print = (value) => console.log(JSON.stringify(value ?? null));
    try { ${body} } catch (error) { print({ error: error.name, message: error.message }); }`;
  const groups = identity?.groups ? [`--groups=${identity.groups.join()}`] : ['--clear-groups'];
  const drop = identity ? ['setpriv', `--reuid=${identity.uid}`, `--regid=${identity.gid}`, ...groups] : [];
  const [command, ...args] = [...wrap, ...drop, process.execPath, '--input-type=module', '-e', script];
  const child = spawnSync(command!, args, { encoding: 'utf8' });
  if (child.status !== 0) throw new Error(`child failed: ${child.stderr}`);
  return JSON.parse(child.stdout);
}
