/** The recorded sessions of test/vectors/sessions.json and the module that they were recorded from. */

import { chmodSync, mkdirSync, readFileSync, utimesSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import type { SumVariant } from '../../../src/checksum/sums.ts';
import { type FileStats, ModuleView } from '../../../src/vfs/module-root.ts';
import type { DirectoryPath } from '../../../src/vfs/path.ts';
import { dataOf } from '../support/bytes.ts';

export interface ClientEvent {
  readonly at: number;
  readonly item?: number;
  readonly iflags?: string;
  readonly sum_head?: readonly number[];
  readonly sums?: readonly (readonly [string, string])[];
  readonly done?: boolean;
  readonly del_stats?: readonly number[];
}

export interface ServerEvent extends ClientEvent {
  readonly sub_list_for_dir?: number;
  readonly kind?: string;
  readonly ops?: readonly (readonly [string, (string | number)?])[];
  readonly file_sum?: string;
  readonly stats?: readonly number[];
}

interface SessionVector {
  readonly id: string;
  readonly protocol: number;
  readonly client_args: readonly string[];
  readonly compat_flags: number;
  readonly incremental: boolean;
  readonly checksum: SumVariant;
  readonly compress: string;
  readonly seed: number;
  readonly c2s_hex: string;
  readonly s2c_hex: string;
  readonly binary_phase_starts_at: { readonly c2s: number; readonly s2c: number };
  readonly client_events: readonly ClientEvent[];
  readonly server_events: readonly ServerEvent[];
}

export interface RecordedSession extends SessionVector {
  /** What the client sent behind the preamble, with its frames. */
  readonly clientBytes: Buffer;
  /** The data that the server sent behind the seed, without frames. */
  readonly serverData: Buffer;
  readonly dryRun: boolean;
}

const path = join(import.meta.dirname, '../../vectors/sessions.json');
const vectors = JSON.parse(readFileSync(path, 'utf8')) as { sessions: SessionVector[] };

export const sessions: RecordedSession[] = vectors.sessions.map((vector) => ({
  ...vector,
  clientBytes: Buffer.from(vector.c2s_hex, 'hex').subarray(vector.binary_phase_starts_at.c2s),
  serverData: dataOf(Buffer.from(vector.s2c_hex, 'hex').subarray(vector.binary_phase_starts_at.s2c)),
  dryRun: vector.client_args.some((arg) => /^-[a-z]*n/.test(arg)),
}));

const MTIME = 0x65937d25;

/** Makes the module's directory `sess` below `root`. */
export function makeRecordedTree(root: string): void {
  const lines = Array.from({ length: 60 }, (_, i) => `line ${String(i).padStart(2, '0')} of the file\n`).join('');
  const base = join(root, 'sess');
  mkdirSync(join(base, 'sub'), { recursive: true });
  const files = { changed: `${lines.slice(0, 400)}INSERTED${lines.slice(400)}`, empty: '', 'sub/new': 'new file\n' };
  for (const [name, content] of Object.entries(files)) {
    writeFileSync(join(base, name), content);
    chmodSync(join(base, name), 0o644);
    utimesSync(join(base, name), MTIME, MTIME);
  }
  for (const directory of [join(base, 'sub'), base]) {
    chmodSync(directory, 0o755);
    utimesSync(directory, MTIME, MTIME);
  }
}

/** The module as it was recorded: names in the recorded order, directories of 4096 bytes. */
export class RecordedView extends ModuleView {
  override async readdir(directory: DirectoryPath): Promise<string[]> {
    return (await super.readdir(directory)).sort();
  }

  override lstat(directory: DirectoryPath, name: Buffer | string): FileStats {
    return withRecordedSize(super.lstat(directory, name));
  }

  override statDirectory(directory: DirectoryPath): FileStats {
    return withRecordedSize(super.statDirectory(directory));
  }
}

function withRecordedSize(stats: FileStats): FileStats {
  if (stats.isDirectory()) stats.size = 4096n;
  return stats;
}
