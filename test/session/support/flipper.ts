/** A process that swaps a path between two things as fast as it can; the race tests pull while it runs. */

import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { NODE } from './server.ts';

/** Replaces `path` by `evil` and back, each time in one step, until it is ended. */
const SCRIPT = `
  const { renameSync } = require('node:fs');
  const [path, evil, aside] = process.argv.slice(1);
  let swaps = 0;
  process.on('SIGTERM', () => { console.log(swaps); process.exit(); });
  function flip() {
    for (let i = 0; i < 50; i++) {
      renameSync(path, aside); renameSync(evil, path);
      renameSync(path, evil); renameSync(aside, path);
      swaps++;
    }
    setImmediate(flip);
  }
  console.log('ready');
  flip();
`;

export interface Flipper {
  /** Ends it with everything in its place. @returns how often it swapped. */
  stop(): Promise<number>;
}

/**
 * Starts to swap.
 * @param path what clients ask for.
 * @param evil what takes its place; both must be on one file system.
 */
export async function startFlipper(path: string, evil: string): Promise<Flipper> {
  const child: ChildProcess = spawn(NODE, ['-e', SCRIPT, path, evil, `${path}.aside`], {
    stdio: ['ignore', 'pipe', 'inherit'],
  });
  const output: string[] = [];
  child.stdout!.on('data', (chunk: Buffer) => output.push(chunk.toString()));
  await once(child.stdout!, 'data');
  return {
    stop: async () => {
      const closed = once(child, 'close');
      child.kill('SIGTERM');
      await closed;
      return Number(output.join('').trim().split('\n').at(-1));
    },
  };
}
