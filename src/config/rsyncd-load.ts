/** Serves from an rsyncd.conf: its sections go through the same checks as those of a TOML file; load.ts calls it. */
import { ConfigError } from '../errors.ts';
import { escapeControls } from '../observe/escape.ts';
import { readIdNames } from '../vfs/id-names.ts';
import type { Config, ConfigFlags, LoadContext } from './config.ts';
import { readRsyncdConf } from './rsyncd-conf.ts';
import { type Conversion, type ConvertedSection, convertRsyncdConf, type Verdict } from './rsyncd-convert.ts';
import { type ConfFiles, diskFiles } from './rsyncd-files.ts';
import type { Identity } from './rsyncd-param.ts';
import { loadSections, type Sections } from './sections.ts';
import { type Place, Source } from './source.ts';

/** A configuration as it was read, with the texts for error messages. */
export interface RsyncdSource {
  readonly file: string;
  readonly conversion: Conversion;
  readonly texts: ReadonlyMap<string, string>;
}

function identityOf(context: LoadContext): Identity {
  return {
    uid: context.uid,
    gid: context.gid ?? -1,
    idOf(kind, name) {
      const names = readIdNames(kind === 'uid' ? '/etc/passwd' : '/etc/group');
      const found = [...names].find(([, known]) => known.toString('latin1') === name);
      return found?.[0] ?? null;
    },
  };
}

/** Reads an rsyncd.conf and judges its lines. @throws ConfigError when it cannot be read at all. */
export function openRsyncdConf(
  file: string,
  context: LoadContext,
  files: ConfFiles = diskFiles(context.record),
): RsyncdSource {
  const conf = readRsyncdConf(files, file);
  return { file, conversion: convertRsyncdConf(conf, identityOf(context)), texts: conf.texts };
}

/** One line about one line of the file, safe to print. */
export function verdictText({ place, letter, label, text }: Verdict): string {
  return escapeControls(`${place.file}:${place.line}: ${letter} ${label}: ${text}`);
}

/** The places of a section's keys, by key path. */
function placesOf(path: string, section: ConvertedSection, texts: RsyncdSource['texts']): [string, Place][] {
  return [...section.places].map(([key, { file, line, label }]) => {
    const keyPath = [path, key].filter((part) => part !== '').join('.');
    return [keyPath, { file, line, label, text: texts.get(file) ?? '' }];
  });
}

function refuseProblems(verdicts: readonly Verdict[]): void {
  const refused = verdicts.filter(({ letter }) => letter === 'R');
  if (refused.length > 0) {
    const lines = refused.map(({ place, label, text }) =>
      escapeControls(`${place.file}:${place.line}: ${label}: ${text}`),
    );
    throw new ConfigError(lines.join('\n'));
  }
}

/**
 * The checked configuration of an rsyncd.conf; lines that are ignored become warnings.
 * @throws ConfigError with one line for each line that is refused, or with the first value that our checks refuse.
 */
export function loadRsyncdConf(source: RsyncdSource, flags: ConfigFlags, context: LoadContext): Config {
  const { file, conversion, texts } = source;
  refuseProblems(conversion.verdicts);
  const { global, listener, modules, verdicts } = conversion;
  const sections: Sections = {
    global: { path: '', raw: global.keys },
    limits: { path: 'limits', raw: {} },
    listeners: [{ path: 'listener[0]', raw: listener.keys }],
    modules: modules.map((module, index) => ({ path: `module[${index}]`, raw: module.keys })),
  };
  const places = new Map([
    ...placesOf('', global, texts),
    ...placesOf('listener[0]', listener, texts),
    ...modules.flatMap((module, index) => placesOf(`module[${index}]`, module, texts)),
  ]);
  const warnings = verdicts.filter(({ letter }) => letter === 'W');
  return loadSections(new Source(file, '', places), sections, {
    flags,
    context,
    warnings: warnings.map(({ place, label, text }) => `${place.file}:${place.line}: ${label}: ${text}`),
  });
}
