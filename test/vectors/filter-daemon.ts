/** A real rsync daemon plus a bare protocol 27…31 client that sends any filter records: makes and checks filter vectors. */

import { type ChildProcess, spawn } from 'node:child_process';
import { mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { connect, type Socket } from 'node:net';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { freePort } from '../helpers/free-port.ts';

/** Paths of a small tree; a trailing slash makes a directory, a value is the file's content. */
export type Tree = Readonly<Record<string, string>>;

export interface Listing {
  /** Names of the file list without the trailing order of the server; `.` included. */
  readonly names: string[];
  /** What the server logged about rules; null when it accepted them all. Clients do not see these texts. */
  readonly complaint: string | null;
}

export interface ListRequest {
  readonly protocol?: number;
  /** Short option bundle, `-r` when absent. */
  readonly bundle?: string;
  readonly options?: readonly string[];
  /** Path argument below the module. */
  readonly path?: string;
  /** Gives the server time to complain before the list ends. */
  readonly awaitsMessage?: boolean;
  /** Filter records exactly as they go on the wire, latin1. */
  readonly records?: readonly string[];
}

const MODULE = 'm';

/** Writes a tree of latin1 names below `root`. */
export function plantTree(root: string, tree: Tree): void {
  mkdirSync(root, { recursive: true });
  for (const [path, content] of Object.entries(tree)) {
    const target = Buffer.from(join(root, path), 'latin1');
    if (path.endsWith('/')) mkdirSync(target, { recursive: true });
    else {
      mkdirSync(Buffer.from(dirname(join(root, path)), 'latin1'), { recursive: true });
      writeFileSync(target, Buffer.from(content, 'latin1'));
    }
  }
}

/** One module `m` served by the rsync of PATH on a free loopback port, from a directory of its own. */
export class FilterDaemon {
  readonly root: string;
  #dir: string;
  #log: string;
  #child: ChildProcess | null = null;
  #port = 0;

  constructor() {
    this.#dir = mkdtempSync(join(tmpdir(), 'filter-cases-'));
    this.#log = join(this.#dir, 'log');
    this.root = join(this.#dir, 'tree');
  }

  /** Replaces the tree. */
  plant(tree: Tree): void {
    rmSync(this.root, { recursive: true, force: true });
    plantTree(this.root, tree);
  }

  /** (Re)starts the daemon with further lines for its module section. */
  async start(moduleLines: readonly string[] = []): Promise<void> {
    await this.stop();
    this.#port = await freePort();
    const config = join(this.#dir, 'rsyncd.conf');
    const lines = [
      'use chroot = no',
      `log file = ${this.#log}`,
      `[${MODULE}]`,
      `path = ${this.root}`,
      'uid = 0',
      'gid = 0',
    ];
    writeFileSync(config, Buffer.from(`${[...lines, ...moduleLines].join('\n')}\n`, 'latin1'));
    const args = ['--daemon', '--no-detach', `--config=${config}`, '--address=127.0.0.1', `--port=${this.#port}`];
    this.#child = spawn('rsync', args, { stdio: 'inherit' });
    for (let tries = 0; tries < 100 && !(await canConnect(this.#port)); tries++) await pause(20);
  }

  /** The last logged line about a filter rule, without time and process id. */
  async #complaint(): Promise<string> {
    await pause(20);
    const lines = readFileSync(this.#log, 'latin1').split('\n');
    const line = lines.findLast(
      (text) => /filter rule|trailing|exclude|merge|filter/.test(text) && !/code \d/.test(text),
    );
    return line?.replace(/^\S+ \S+ \[\d+\] /, '') ?? '';
  }

  /** Ends the daemon; its log is forgotten. */
  async stop(): Promise<void> {
    const child = this.#child;
    this.#child = null;
    rmSync(this.#log, { force: true });
    if (!child) return;
    await new Promise<void>((resolve) => {
      child.once('exit', () => resolve());
      child.kill();
    });
  }

  /** Ends the daemon and removes its directory. */
  async dispose(): Promise<void> {
    await this.stop();
    rmSync(this.#dir, { recursive: true, force: true });
  }

  /** The names that the server lists for one request. */
  async list(request: ListRequest): Promise<Listing> {
    const socket = connect(this.#port, '127.0.0.1');
    const source = new Source(socket);
    const protocol = request.protocol ?? 29;
    try {
      socket.on('error', () => undefined);
      const sub = protocol >= 30 ? '.0' : '';
      socket.write(`@RSYNCD: ${protocol}${sub}${protocol >= 30 ? ' md5 md4' : ''}\n${MODULE}\n`);
      while ((await source.line()) !== '@RSYNCD: OK');
      const separator = protocol >= 30 ? '\0' : '\n';
      const caps = protocol >= 30 ? ['-e.f'] : [];
      const args = ['--server', '--sender', request.bundle ?? '-r', ...caps, ...(request.options ?? [])];
      args.push('.', `${MODULE}/${request.path ?? ''}`, '');
      socket.write(Buffer.from(args.join(separator) + separator, 'latin1'));
      const list = filterList(request.records ?? []);
      const send = (bytes: Buffer) =>
        socket.write(protocol >= 30 ? Buffer.concat([int32(0x07000000 + bytes.length), bytes]) : bytes);
      if (list.length > 0) send(list);
      // A bad rule makes the server exit at once: unread bytes would turn its message into a reset.
      if (request.awaitsMessage) await pause(100);
      send(int32(0));
      const names = await readListing(source, protocol);
      return { names, complaint: names.length === 0 ? await this.#complaint() : null };
    } finally {
      socket.destroy();
    }
  }
}

function pause(ms: number): Promise<void> {
  return new Promise((resolve) => setTimeout(resolve, ms));
}

function canConnect(port: number): Promise<boolean> {
  return new Promise((resolve) => {
    const socket = connect(port, '127.0.0.1', () => {
      socket.destroy();
      resolve(true);
    });
    socket.once('error', () => resolve(false));
  });
}

function int32(value: number): Buffer {
  const bytes = Buffer.alloc(4);
  bytes.writeInt32LE(value);
  return bytes;
}

function filterList(records: readonly string[]): Buffer {
  const parts: Buffer[] = [];
  for (const record of records) parts.push(int32(record.length), Buffer.from(record, 'latin1'));
  return Buffer.concat(parts);
}

/** Bytes of a socket, pulled. */
class Source {
  #iterator: AsyncIterator<Buffer>;
  #held: Buffer = Buffer.alloc(0);

  constructor(socket: Socket) {
    this.#iterator = socket[Symbol.asyncIterator]() as AsyncIterator<Buffer>;
  }

  async line(): Promise<string> {
    let text = '';
    for (;;) {
      const byte = await this.take(1);
      if (byte.length === 0) throw new Error(`end of file after ${text}`);
      if (byte[0] === 10) return text;
      text += byte.toString('latin1');
    }
  }

  /** `count` bytes, fewer only at end of file. */
  async take(count: number): Promise<Buffer> {
    while (this.#held.length < count) {
      const step = await this.#iterator.next().catch(() => ({ done: true as const, value: undefined }));
      if (step.done) break;
      this.#held = Buffer.concat([this.#held, step.value]);
    }
    const taken = this.#held.subarray(0, count);
    this.#held = this.#held.subarray(taken.length);
    return taken;
  }
}

/** De-multiplexes until the file list is whole or the server closes. */
async function readListing(source: Source, protocol: number): Promise<string[]> {
  // Compat flags are one byte here because the capability string is short; the seed follows.
  await source.take(protocol >= 30 ? 5 : 4);
  let data: Buffer = Buffer.alloc(0);
  for (;;) {
    const header = await source.take(4);
    if (header.length < 4) return [];
    const frame = header.readUInt32LE();
    const payload = await source.take(frame & 0xffffff);
    if (frame >>> 24 === 7) data = Buffer.concat([data, payload]);
    const names = decodeNames(data, protocol);
    if (names) return names;
  }
}

/** Names of a whole file list (2-file-list.md), or null when bytes are missing. Only -r, -l-less lists. */
function decodeNames(data: Buffer, protocol: number): string[] | null {
  const names: string[] = [];
  let at = 0;
  let last = '';
  while (at < data.length) {
    let flags = data[at++]!;
    if (flags === 0) return names;
    if (flags & 4) flags |= data[at++]! << 8;
    const shared = flags & 0x20 ? data[at++]! : 0;
    let length = data[at++]!;
    if (flags & 0x40) {
      if (protocol >= 30) {
        if (length >= 0xc0) throw new Error('name too long for this client');
        if (length >= 0x80) length = ((length & 0x3f) << 8) | data[at++]!;
      } else {
        length = data.readInt32LE(at - 1);
        at += 3;
      }
    }
    last = last.slice(0, shared) + data.toString('latin1', at, at + length);
    at += length;
    at += protocol >= 30 ? varlongLength(data[at]!, 3) : 4;
    if (!(flags & 0x80)) at += protocol >= 30 ? varlongLength(data[at]!, 4) : 4;
    if (!(flags & 2)) at += 4;
    if (at > data.length) return null;
    names.push(last);
  }
  return null;
}

function varlongLength(first: number, minimum: number): number {
  let extra = 0;
  while (extra < 6 && first & (0x80 >> extra)) extra++;
  return minimum + extra;
}
