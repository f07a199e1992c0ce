/** The files that an rsyncd.conf consists of, read within bounds; rsyncd-conf.ts asks for them one by one. */
import { readdirSync, statSync } from 'node:fs';
import { join } from 'node:path';
import { ConfigError } from '../errors.ts';
import type { FileRecord } from './file-record.ts';
import { decodeUtf8, MAX_FILE_BYTES, readSmallFile } from './files.ts';

/** Where configuration text comes from; tests have one in memory. */
export interface ConfFiles {
  /** The text of a file. @throws ConfigError without place. */
  read(path: string): string;
  /** The files of a directory whose names end in `suffix`, sorted by name; null when `path` is no directory. */
  list(path: string, suffix: string): readonly string[] | null;
}

/** Names below a directory that are files, sorted as C rsync sorts them: by bytes. */
function filesIn(directory: string, suffix: string): string[] {
  return readdirSync(directory, { withFileTypes: true })
    .filter((entry) => entry.name.endsWith(suffix) && !entry.isDirectory())
    .map((entry) => entry.name)
    .sort((a, b) => Buffer.compare(Buffer.from(a), Buffer.from(b)))
    .map((name) => join(directory, name));
}

function listFiles(path: string, suffix: string): string[] | null {
  try {
    return statSync(path).isDirectory() ? filesIn(path, suffix) : null;
  } catch (error) {
    throw new ConfigError(`"${path}": ${(error as NodeJS.ErrnoException).code ?? error}`, { cause: error });
  }
}

/** The file system. @param record of LoadContext. */
export function diskFiles(record?: FileRecord): ConfFiles {
  return {
    read: (path) => decodeUtf8(path, readSmallFile(path, { maxBytes: MAX_FILE_BYTES, followLink: true, record })),
    list: (path, suffix) => {
      const read = () => listFiles(path, suffix);
      return record === undefined ? read() : record.list(join(path, `*${suffix}`), read);
    },
  };
}
