/**
 * What V8 compiles of the program until it has served its first clients, kept for the next start: launcher.ts gives it back to V8, which
 * then neither parses nor compiles that part. bundle.ts calls this; code-cache-recorder.ts is the process that runs the program.
 */

import { spawnSync } from 'node:child_process';
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { type AddressInfo, createServer } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { once } from 'node:events';
import { FILES, type FileName } from './split.ts';

/**
 * Flags of the unit and of the image that V8 holds a cache to: it takes it only with the same. Heap limits are not among those.
 */
const FLAGS = ['--disallow-code-generation-from-strings'];

/** The order of entries in V8's tables depends on it, and with it the bytes of the cache. */
const SAME_BYTES = ['--hash-seed=1', '--initial-heap-size=1024', '--min-semi-space-size=64', '--max-semi-space-size=64'];

const RECORD_MS = 60_000;

/**
 * Runs the program once, for a client of its own. The same program gives the same bytes.
 * @param program texts of the bundle.
 * @param node the Node that it is for.
 * @throws Error with what the program wrote when it does not serve.
 */
export async function recordCodeCache(
  program: ReadonlyMap<FileName, Uint8Array>,
  node: string,
): Promise<Map<FileName, Uint8Array>> {
  const dir = mkdtempSync(join(tmpdir(), 'gokr-rsyncd-code-cache-'));
  const listener = createServer().listen(0, '127.0.0.1');
  try {
    await once(listener, 'listening');
    const { fd } = (listener as unknown as { _handle: { fd: number } })._handle;
    const { port } = listener.address() as AddressInfo;
    for (const [file, text] of program) writeFileSync(join(dir, `${file}.cjs`), text);
    const recorder = join(import.meta.dirname, 'code-cache-recorder.ts');
    const args = [...SAME_BYTES, ...FLAGS, recorder, dir, String(port), ...FILES];
    // The program would take a SIGTERM for a reason to end when its sessions have.
    const end = { timeout: RECORD_MS, killSignal: 'SIGKILL' } as const;
    const { status, output } = spawnSync(node, args, { stdio: ['ignore', 'pipe', 'pipe', fd], ...end });
    if (status !== 0) throw new Error(`the program does not run, and so cannot be recorded:\n${output.join('')}`);
    return new Map(FILES.map((file) => [file, readFileSync(join(dir, `${file}.cache`))]));
  } finally {
    listener.close();
    rmSync(dir, { recursive: true, force: true });
  }
}
