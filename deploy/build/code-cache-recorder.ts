/**
 * `node code-cache-recorder.ts DIRECTORY PORT FILE ...`: runs the program of these files (FILE.cjs) on the socket at descriptor 3, is its
 * first client, and writes what V8 has compiled of each then (FILE.cache). A process of its own, because it becomes nobody and because
 * V8's flags are for the whole process.
 */

import { once } from 'node:events';
import { openSync, readFileSync, writeSync } from 'node:fs';
import { connect, type Socket } from 'node:net';
import { join } from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import { setFlagsFromString } from 'node:v8';
import { constants, Script } from 'node:vm';
import { type ProgramFile, startProgram } from './linker.ts';

const NOBODY = 65534;

/** Files of root's, which nobody can write: else the program would not serve them. Every Debian has them. */
const MODULE = '/usr/share/base-files';
const LAST_NAME = 'staff-group';

/** Stands in the cache; V8 does not look at it. */
const FILENAME = '/usr/lib/gokr-rsyncd/gokr-rsyncd.cjs';

/** All that may be compiled before anybody is served. */
const FIRST_FILE = 'start';

const CONFIG = `workers = 1\n[[module]]\nname = "files"\npath = "${MODULE}"\n`;

/** What a client of protocol 31 sends up to the file list: greeting, module, arguments, checksum, and no filter rules in a frame. */
const GREETING = '@RSYNCD: 31.0 md5 md4\n';
const ARGUMENTS = ['--server', '--sender', '-vlogDtpre.iLsfxCIvu', '.', 'files/', '', ''].join('\0');
const CHECKSUM = '\x03md5';
const NO_FILTERS = '\x04\0\0\x07\0\0\0\0';

/** After each step, for what the program does in its own time: the order in which functions are compiled is part of the cache. */
const SETTLE_MS = 200;

const NEVER_MS = 3_600_000;

/** How long the program gathers lines of its log (src/observe/log.ts). */
const GATHER_MS = 20;

/** Parts of Node that take as long to load as half of the program, and that nobody needs before the first transfer. */
const TOO_EARLY = ['assert', 'crypto', 'http', 'tls', 'worker_threads', 'zlib'];

type WriteCallback = (error: Error | null, bytes: number) => void;

/** What the first of two stages leaves to the second, which confines itself no further (src/cli/stages.ts). */
function handOver(file: string): string {
  const flags = { file, listen: null, anonSshListen: null, monitoringListen: null, port: null, address: null, modules: [] };
  const content = Buffer.from(CONFIG).toString('base64');
  return JSON.stringify({
    outcome: { ownRoot: false, landlockAbi: 0, seccomp: false, gaps: [] },
    message: {
      flags,
      context: { credentialsDirectory: null, uid: NOBODY, gid: NOBODY, directory: '/' },
      record: { files: [[file, { content, mode: 0o644, uid: 0 }]], lists: [] },
      sockets: null,
      spares: [],
      notifyFd: null,
    },
  });
}

function becomeNobody(): void {
  if (process.getuid!() !== 0) return;
  process.setgroups!([]);
  process.setgid!(NOBODY);
  process.setuid!(NOBODY);
}

/**
 * Takes time and chance away from the program, however busy the machine that builds it: what it does when it is late would be in some
 * caches and not in others. Its clock stands still, and its timers never fire, but for log lines, which are written with the next turn.
 * @returns when its log says that it listens; what a client did before that would come in another order each time.
 */
function tame(): Promise<void> {
  const { setImmediate, setTimeout, performance } = globalThis;
  const now = performance.now();
  performance.now = () => now;
  process.hrtime = Object.assign(() => [0, 0] as [number, number], { bigint: () => 0n });
  const never = (action: () => void) => setTimeout(action, NEVER_MS);
  const late = (action: () => void, ms = 0) => (ms > GATHER_MS ? never(action) : setImmediate(action));
  Object.assign(globalThis, { setTimeout: late, setInterval: never });
  return new Promise((resolve) => {
    process.getBuiltinModule('node:fs').write = ((_: number, lines: string, ...rest: unknown[]) => {
      if (lines.includes('"msg":"listening"')) resolve();
      process.nextTick(rest.at(-1) as WriteCallback, null, lines.length);
    }) as never;
  });
}

/** Those of TOO_EARLY that are loaded. */
function loadedTooEarly(): string[] {
  const { moduleLoadList } = process as unknown as { readonly moduleLoadList: readonly string[] };
  return TOO_EARLY.filter((part) => moduleLoadList.includes(`NativeModule ${part}`));
}

async function receive(socket: Socket, text: string): Promise<void> {
  let received = '';
  while (!received.includes(text)) received += ((await once(socket, 'data')) as [Buffer])[0].toString('latin1');
  await delay(SETTLE_MS);
}

async function leave(socket: Socket): Promise<void> {
  socket.destroy();
  await delay(SETTLE_MS);
}

/** One client that asks for the list of modules, and one that gets a list of files. */
async function visit(port: number): Promise<void> {
  const first = connect(port, '127.0.0.1');
  await receive(first, '@RSYNCD: ');
  first.write(`${GREETING}#list\n`);
  await receive(first, '@RSYNCD: EXIT');
  await leave(first);
  const second = connect(port, '127.0.0.1');
  await receive(second, '@RSYNCD: ');
  second.write(`${GREETING}files\n`);
  await receive(second, '@RSYNCD: OK\n');
  second.write(Buffer.from(ARGUMENTS + CHECKSUM + NO_FILTERS, 'latin1'));
  await receive(second, LAST_NAME);
  await leave(second);
}

const [directory, port, ...files] = process.argv.slice(2) as [string, string, ...string[]];
const texts = new Map(files.map((file) => [file, readFileSync(join(directory, `${file}.cjs`), 'latin1')]));
const caches = new Map(files.map((file) => [file, openSync(join(directory, `${file}.cache`), 'wx')]));
const handedFd = openSync(join(directory, 'handed'), 'wx+');
writeSync(handedFd, handOver('/etc/gokr-rsyncd.toml'), 0);
becomeNobody();

// What is compiled stays, however often memory is collected.
setFlagsFromString('--no-flush-bytecode');
const scripts = new Map<string, Script>();
function compile(file: string): ProgramFile {
  const options = { filename: FILENAME, importModuleDynamically: constants.USE_MAIN_CONTEXT_DEFAULT_LOADER };
  const script = new Script(texts.get(file)!, options);
  scripts.set(file, script);
  return script.runInThisContext();
}
process.argv = [process.execPath, FILENAME, '--daemon'];
Object.assign(process.env, { GOKR_RSYNCD_STAGE: String(handedFd), LISTEN_PID: String(process.pid), LISTEN_FDS: '1' });
const isListening = tame();
startProgram(compile, import.meta.url);
await isListening;
const early = [...loadedTooEarly(), ...scripts.keys().filter((file) => file !== FIRST_FILE)];
if (early.length > 0) {
  writeSync(2, `loaded before anybody is served: ${early.join(' ')}\n`);
  // What is thrown would be for the program's own handler.
  process.exit(1);
}
await delay(SETTLE_MS);
await visit(Number(port));
// Of what nobody has asked for, where its functions are.
for (const file of files) if (!scripts.has(file)) compile(file);
// Flags as they were: the cache holds their hash.
for (const flag of ['--flush-bytecode', '--hash-seed=0', '--initial-heap-size=0', '--min-semi-space-size=0', '--max-semi-space-size=0']) setFlagsFromString(flag);
for (const [file, fd] of caches) writeSync(fd, scripts.get(file)!.createCachedData());
process.exit(0);
