/**
 * What gokr-rsyncd.mjs is in a bundle, with linker.ts: runs the program in the files beside it (split.ts), with the code that V8 has
 * compiled for it before (code-cache.ts), where there is any. Nothing of Node is imported: a module record of it would have to be made first.
 */

import { type ProgramFile, startProgram } from './linker.ts';

const { closeSync, existsSync, fstatSync, openSync, readSync } = process.getBuiltinModule('node:fs');
const { constants, Script } = process.getBuiltinModule('node:vm');

/** Of one file of the program; open from the start, so that what is loaded late is of the same build however long that takes. */
interface Opened {
  readonly filename: string;
  readonly text: number;
  readonly cache: number | null;
}

const base = import.meta.filename.slice(0, -'mjs'.length);

function open(name: string): Opened {
  const filename = `${base}${name}cjs`;
  const cache = `${base}${name}cache`;
  return { filename, text: openSync(filename, 'r'), cache: existsSync(cache) ? openSync(cache, 'r') : null };
}

const opened: Readonly<Record<string, Opened>> = { start: open(''), transfer: open('transfer.'), rest: open('rest.') };

const sizeOf = (fd: number): number => fstatSync(fd).size;

/** Reads and closes. */
function read(fd: number, memory: Buffer): Buffer {
  const bytes = readSync(fd, memory, 0, memory.length, 0);
  closeSync(fd);
  return memory.subarray(0, bytes);
}

/** V8 takes no notice of a cache that another version of it has made, or the same with other flags. */
function compile(file: string): ProgramFile {
  const { filename, text, cache } = opened[file]!;
  // One piece of memory for both: the text is copied, and each page that is touched for the first time costs as much as ten system calls.
  const memory = Buffer.allocUnsafeSlow(Math.max(sizeOf(text), cache === null ? 0 : sizeOf(cache)));
  const source = read(text, memory).toString('latin1');
  const program = new Script(source, {
    filename,
    importModuleDynamically: constants.USE_MAIN_CONTEXT_DEFAULT_LOADER,
    ...(cache !== null && { cachedData: read(cache, memory) }),
  });
  return program.runInThisContext();
}

startProgram(compile, import.meta.url);
