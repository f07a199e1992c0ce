/** rsyncd.conf texts in memory, and what becomes of them, for the tests of config/rsyncd-*.ts. */
import type { Config } from '../../../src/config/config.ts';
import { type RsyncdConf, readRsyncdConf } from '../../../src/config/rsyncd-conf.ts';
import { type Conversion, convertRsyncdConf, type Verdict } from '../../../src/config/rsyncd-convert.ts';
import type { ConfFiles } from '../../../src/config/rsyncd-files.ts';
import { loadRsyncdConf, openRsyncdConf } from '../../../src/config/rsyncd-load.ts';
import type { Identity } from '../../../src/config/rsyncd-param.ts';
import { ConfigError } from '../../../src/errors.ts';
import { NO_FLAGS } from './fixture.ts';

export const FILE = '/etc/rsyncd.conf';

const IDS = new Map([
  ['uid me', 1000],
  ['uid root', 0],
  ['uid other', 5],
  ['gid us', 100],
  ['gid root', 0],
]);

/** User 1000 and group 100, who are called "me" and "us". */
export const ME: Identity = {
  uid: 1000,
  gid: 100,
  idOf: (kind, name) => IDS.get(`${kind} ${name}`) ?? null,
};

/** Files by path; a directory exists when a file lies in it. */
export function memoryFiles(texts: Readonly<Record<string, string>>): ConfFiles {
  return {
    read(path) {
      const text = Object.hasOwn(texts, path) ? texts[path] : undefined;
      if (text === undefined) throw new ConfigError(`"${path}": no such file`);
      return text;
    },
    list(path, suffix) {
      const inside = Object.keys(texts).filter((file) => file.startsWith(`${path}/`));
      return inside.length === 0 ? null : inside.filter((file) => file.endsWith(suffix)).sort();
    },
  };
}

export function readText(text: string, others: Readonly<Record<string, string>> = {}): RsyncdConf {
  return readRsyncdConf(memoryFiles({ [FILE]: text, ...others }), FILE);
}

export function convertText(text: string, others: Readonly<Record<string, string>> = {}): Conversion {
  return convertRsyncdConf(readText(text, others), ME);
}

/** The keys of the modules of a text, their names in front. */
export function moduleKeys(text: string, others: Readonly<Record<string, string>> = {}): Record<string, unknown>[] {
  return convertText(text, others).modules.map((module) => ({ ...module.keys }));
}

/** The verdict on one line of the top file. */
export function verdictOn(line: number, text: string, others: Readonly<Record<string, string>> = {}): Verdict {
  const found = convertText(text, others).verdicts.find(({ place }) => place.file === FILE && place.line === line);
  if (found === undefined) throw new Error(`no verdict on line ${line}`);
  return found;
}

/** Serves from texts in memory; files that they name are real. */
export function loadText(text: string, others: Readonly<Record<string, string>> = {}, uid = 0): Config {
  const context = { credentialsDirectory: null, uid };
  return loadRsyncdConf(openRsyncdConf(FILE, context, memoryFiles({ [FILE]: text, ...others })), NO_FLAGS, context);
}
