/** --convert-config: an rsyncd.conf as TOML with a verdict on each of its lines; main.ts prints what comes back. */
import type { LoadContext } from '../config/config.ts';
import type { ConvertedSection } from '../config/rsyncd-convert.ts';
import { type ConfFiles, diskFiles } from '../config/rsyncd-files.ts';
import { loadRsyncdConf, openRsyncdConf, type RsyncdSource, verdictText } from '../config/rsyncd-load.ts';
import { rsyncdToml } from '../config/rsyncd-toml.ts';
import { ConfigError } from '../errors.ts';

/** Exit code when a line was refused: the TOML lacks something. */
export const EXIT_REFUSED = 2;

/** What the command prints and how it ends. */
export interface ConvertedText {
  readonly toml: string;
  /** For standard error: one line per line of the file, then what keeps the result from being served here. */
  readonly verdicts: string;
  readonly exit: number;
}

const NO_FLAGS = {
  file: null,
  listen: null,
  anonSshListen: null,
  monitoringListen: null,
  port: null,
  address: null,
  modules: [],
};

/** Why a configuration cannot be served, or null when it can. */
function problemOf(source: RsyncdSource, context: LoadContext): string | null {
  try {
    loadRsyncdConf(source, NO_FLAGS, context);
    return null;
  } catch (error) {
    if (error instanceof ConfigError) {
      return error.message;
    }
    throw error;
  }
}

/** The same configuration without a trace of this machine's files: what is wrong with it is wrong everywhere. */
function withoutFiles(source: RsyncdSource): RsyncdSource {
  const strip = (section: ConvertedSection): ConvertedSection => {
    const { motd_file, exclude_from, include_from, secrets_file, auth_users, path, ...keys } = section.keys;
    return { ...section, keys: path === undefined ? keys : { ...keys, path: '/' } };
  };
  const { global, modules } = source.conversion;
  return { ...source, conversion: { ...source.conversion, global: strip(global), modules: modules.map(strip) } };
}

/** Values that the verdicts' table lets pass and our own checks do not, as a module name with blanks. */
function remainingProblem(source: RsyncdSource, context: LoadContext): { text: string; isRefused: boolean } | null {
  const everywhere = problemOf(withoutFiles(source), context);
  if (everywhere !== null) {
    return { text: everywhere, isRefused: true };
  }
  const here = problemOf(source, context);
  return here === null ? null : { text: `note: this would not be served on this machine:\n${here}`, isRefused: false };
}

/** Converts one file and all that it includes. @throws ConfigError when it cannot be read. */
export function convertConfig(file: string, context: LoadContext, files: ConfFiles = diskFiles()): ConvertedText {
  const source = openRsyncdConf(file, context, files);
  const { verdicts } = source.conversion;
  const isRefused = verdicts.some(({ letter }) => letter === 'R');
  const problem = isRefused ? null : remainingProblem(source, context);
  const lines = [...verdicts.map(verdictText), ...(problem === null ? [] : [problem.text])];
  return {
    toml: rsyncdToml(source.conversion),
    verdicts: lines.map((line) => `${line}\n`).join(''),
    exit: isRefused || problem?.isRefused === true ? EXIT_REFUSED : 0,
  };
}
