/** Reads an rsyncd.conf with all that it includes into modules and their settings; rsyncd-convert.ts judges them. */
import { ConfigError } from '../errors.ts';
import type { ConfFiles } from './rsyncd-files.ts';
import { logicalLines, parseStatement, type Statement } from './rsyncd-lines.ts';
import type { ParamRow } from './rsyncd-param.ts';
import { findParam, nearestParam } from './rsyncd-params.ts';

/** Nesting of &include and &merge: honest configurations have two levels, a file that includes itself has no end. */
const MAX_DEPTH = 16;

/** Files of one configuration, far above one per module of a large mirror. */
const MAX_FILES = 4096;

/** Text of all files together. */
const MAX_CHARACTERS = 4 * 1024 * 1024;

/** Problems that are collected before reading ends: nobody reads more, and each costs a search for the nearest name. */
const MAX_PROBLEMS = 100;

/** Modules of one configuration. */
const MAX_MODULES = 10_000;

/** A line of one of the files, from 1. */
export interface ConfPlace {
  readonly file: string;
  readonly line: number;
}

/** One `name = value`. */
export interface Setting {
  readonly row: ParamRow;
  readonly value: string;
  readonly place: ConfPlace;
}

/** Settings by the manual's name of the parameter. */
export type Settings = ReadonlyMap<string, Setting>;

export interface ConfModule {
  readonly name: string;
  readonly place: ConfPlace;
  readonly own: Settings;
  /** Defaults that were in force where the module began. */
  readonly inherited: Settings;
}

/** A line in reading order: a setting, a line that only gives structure, or a line that is wrong. */
export type ConfEntry =
  | { readonly kind: 'setting'; readonly setting: Setting }
  | { readonly kind: 'structure'; readonly place: ConfPlace; readonly label: string }
  | { readonly kind: 'problem'; readonly place: ConfPlace; readonly label: string; readonly problem: string };

export interface RsyncdConf {
  /** Defaults in force at the end of the top file. */
  readonly globals: Settings;
  readonly modules: readonly ConfModule[];
  readonly entries: readonly ConfEntry[];
  /** Text of each file that was read. */
  readonly texts: ReadonlyMap<string, string>;
}

interface OpenModule extends ConfModule {
  readonly own: Map<string, Setting>;
}

class Reader {
  readonly #files: ConfFiles;
  readonly #modules = new Map<string, OpenModule>();
  readonly #entries: ConfEntry[] = [];
  readonly #texts = new Map<string, string>();
  #problems = 0;
  #characters = 0;
  #filesRead = 0;
  #depth = 0;
  /** Replaced, never changed, so that modules can keep what was in force. */
  #globals: Settings = new Map();
  /** Null in the global section. */
  #module: OpenModule | null = null;

  constructor(files: ConfFiles) {
    this.#files = files;
  }

  result(): RsyncdConf {
    return {
      globals: this.#globals,
      modules: [...this.#modules.values()],
      entries: this.#entries,
      texts: this.#texts,
    };
  }

  /** Reads one file into the section that is open. @throws ConfigError when it cannot be read at all. */
  readFile(file: string): void {
    const text = this.#filesRead < MAX_FILES ? this.#files.read(file) : '';
    this.#characters += text.length;
    this.#filesRead++;
    if (this.#characters > MAX_CHARACTERS || this.#filesRead > MAX_FILES) {
      throw new ConfigError(
        `"${file}": the configuration has more than ${MAX_FILES} files or ${MAX_CHARACTERS} characters`,
      );
    }
    if (text.includes('\0')) {
      throw new ConfigError(`"${file}" holds a NUL character`);
    }
    this.#texts.set(file, text);
    for (const { line, text: statement } of logicalLines(text)) {
      if (this.#problems >= MAX_PROBLEMS) {
        return;
      }
      this.#readLine({ file, line }, statement);
    }
  }

  #readLine(place: ConfPlace, text: string): void {
    let statement: Statement;
    try {
      statement = parseStatement(text);
      this.#perform(place, statement);
    } catch (error) {
      if (!(error instanceof ConfigError)) {
        throw error;
      }
      this.#problem(place, text.slice(0, 60), error.message);
    }
  }

  #problem(place: ConfPlace, label: string, problem: string): void {
    this.#problems++;
    this.#entries.push({ kind: 'problem', place, label, problem });
  }

  #perform(place: ConfPlace, statement: Statement): void {
    switch (statement.kind) {
      case 'section':
        this.#openSection(place, statement.name);
        this.#entries.push({ kind: 'structure', place, label: `[${statement.name}]` });
        break;
      case 'directive':
        this.#entries.push({ kind: 'structure', place, label: `&${statement.name}` });
        this.#directive(statement.name, statement.path);
        break;
      case 'parameter':
        this.#parameter(place, statement);
        break;
    }
  }

  /** A name that comes again continues its module, with the defaults that it began with. */
  #openSection(place: ConfPlace, name: string): void {
    const id = name.toLowerCase();
    if (id === 'global') {
      this.#module = null;
      return;
    }
    const known = this.#modules.get(id);
    if (known === undefined && this.#modules.size >= MAX_MODULES) {
      throw new ConfigError(`more than ${MAX_MODULES} modules`);
    }
    this.#module = known ?? { name, place, own: new Map(), inherited: this.#globals };
    this.#modules.set(id, this.#module);
  }

  #parameter(place: ConfPlace, statement: Extract<Statement, { kind: 'parameter' }>): void {
    const row = findParam(statement.id);
    if (row === undefined) {
      // SECURITY: rsync ignores unknown names; `host allow` would open the module to everybody.
      this.#problem(
        place,
        statement.written,
        `unknown parameter; the nearest known one is "${nearestParam(statement.written)}"`,
      );
      return;
    }
    if (row.scope === 'global' && this.#module !== null && row.ignoresValue !== true) {
      this.#problem(place, row.name, 'belongs to the whole daemon: move it before the first [module]');
      return;
    }
    const setting: Setting = { row, value: statement.value, place };
    this.#entries.push({ kind: 'setting', setting });
    if (this.#module !== null && row.scope === 'module') {
      this.#module.own.set(row.name, setting);
    } else {
      this.#globals = new Map(this.#globals).set(row.name, setting);
    }
  }

  /** `&merge` reads in place; `&include` reads each file as one that has nothing but our defaults. */
  #directive(name: string, path: string): void {
    if (name !== 'include' && name !== 'merge') {
      throw new ConfigError('unknown directive: expected &include or &merge');
    }
    if (!path.startsWith('/')) {
      throw new ConfigError(`"${path}" is not an absolute file name; rsync starts in any directory`);
    }
    if (this.#depth >= MAX_DEPTH) {
      throw new ConfigError(`more than ${MAX_DEPTH} files inside each other`);
    }
    const files = this.#files.list(path, name === 'include' ? '.conf' : '.inc') ?? [path];
    this.#depth++;
    try {
      for (const file of files) {
        if (name === 'include') {
          this.#include(file);
        } else {
          this.readFile(file);
        }
      }
    } finally {
      this.#depth--;
    }
  }

  /** Reads a file that sees our defaults and changes none; what follows the directive is global, as with rsync. */
  #include(file: string): void {
    const globals = this.#globals;
    this.#module = null;
    try {
      this.readFile(file);
    } finally {
      this.#globals = globals;
      this.#module = null;
    }
  }
}

/**
 * Reads a configuration; lines that are wrong become entries, so that all of them can be reported.
 * @throws ConfigError when the top file cannot be read or all files together are too large.
 */
export function readRsyncdConf(files: ConfFiles, file: string): RsyncdConf {
  const reader = new Reader(files);
  reader.readFile(file);
  return reader.result();
}
