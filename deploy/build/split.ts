/**
 * Splits the program: from the modules that esbuild makes of it, which share nothing but what they import of each other, to functions in
 * a few files. linker.ts puts them together again. bundle.ts calls this.
 */

import { basename } from 'node:path';
import type { Metafile } from 'esbuild';

/** By the part of the program that is in them; linker.ts and launcher.ts know them too. */
export const FILES = ['start', 'transfer', 'rest'] as const;

export type FileName = (typeof FILES)[number];

/** What is in a file before the others are asked: these modules of ours, and what they import. */
const CONTENTS: Readonly<Record<Exclude<FileName, 'rest'>, readonly string[]>> = {
  // Up to the first greeting.
  start: ['src/main.ts', 'src/cli/serve.ts'],
  transfer: [
    'src/session/work.ts',
    'src/session/auth.ts',
    'src/checksum/md4.ts',
    'src/checksum/pool.ts',
    'src/compress/lz4.ts',
    'src/flist/shared-lists.ts',
    'src/flist/common-readings.ts',
  ],
};

const IMPORT = /\bimport(?:((?:[\w$]+|\*as [\w$]+|\{[^{}]*\})(?:,\{[^{}]*\})?)\s*from|(?<!\.import))"([^"\n]+)";/g;
const LATE_IMPORT = /\bimport\("\.\/([^"\n]+)\.js"\)/g;
const EXPORT = /\bexport\{([^{}]*)\};\s*$/;
/** Of a package that is no ES module: it has other names besides. */
const EXPORT_DEFAULT = /\bexport default ([^;]*);\s*$/;

type Outputs = Metafile['outputs'];

/** The file of each output, by its path. @throws Error when a module that should begin one is none. */
function assign(outputs: Outputs): Map<string, FileName> {
  const files = new Map<string, FileName>();
  const add = (path: string, file: FileName): void => {
    if (files.has(path)) return;
    files.set(path, file);
    const { imports } = outputs[path]!;
    for (const { path: next, kind, external } of imports) if (kind === 'import-statement' && !external) add(next, file);
  };
  for (const [file, modules] of Object.entries(CONTENTS)) {
    for (const module of modules) {
      const found = Object.entries(outputs).find(([, { entryPoint }]) => entryPoint === module);
      if (found === undefined) throw new Error(`${module} is not imported on its own any more`);
      add(found[0], file as FileName);
    }
  }
  for (const path of Object.keys(outputs)) add(path, 'rest');
  return files;
}

/** `{a as b}` of an import becomes the pattern `{a:b}`, and of an export, the other way round, `{b:a}`. */
const pattern = (list: string): string => list.replace(/([\w$]+)\s+as\s+([\w$]+)/g, '$1:$2');
const literal = (list: string): string => list.replace(/([\w$]+)\s+as\s+([\w$]+)/g, '$2:$1');

/** Declarations for what an import statement names. */
function declarations(names: string | undefined, source: string): string {
  if (names === undefined) return `${source};`;
  const [, first, list] = /^([\w$]+|\*as [\w$]+)?,?(\{[^]*\})?$/.exec(names)!;
  // What Node's parts export by default is the part.
  const whole = first === undefined ? '' : `var ${first.replace('*as ', '')}=${source};`;
  return list === undefined ? whole : `${whole}var${pattern(list)}=${source};`;
}

/** What a part calls, by names that no part has for itself. */
const RESERVED = /\b__(?:link|load)\b/;

/** The body of a function that does what the module does, and returns what it exports. */
function bodyOf(text: string, nameOf: (output: string) => string): string {
  if (RESERVED.test(text)) throw new Error(`${RESERVED.exec(text)![0]} is what a part of the program calls`);
  const imports: string[] = [];
  const rest = text.replace(IMPORT, (_, names: string | undefined, from: string) => {
    const source = from.startsWith('./') ? `__link("${nameOf(from.slice(2, -'.js'.length))}")` : `require("${from}")`;
    imports.push(declarations(names, source));
    return '';
  });
  const body = rest
    .replace(LATE_IMPORT, (_, output: string) => `__load("${nameOf(output)}")`)
    .replace(EXPORT, (_, list: string) => `return{${literal(list)}};`)
    .replace(EXPORT_DEFAULT, (_, whole: string) => `var whole=${whole};return{__proto__:whole,default:whole};`);
  // In front of everything, as imports are.
  return `${imports.join('')}\n${body}`;
}

/**
 * The texts of the files, each an expression for a ProgramFile of linker.ts.
 * @param texts of the modules, by their path in `outputs`.
 */
export function splitProgram(outputs: Outputs, texts: ReadonlyMap<string, string>): Map<FileName, string> {
  const files = assign(outputs);
  const byPart = new Map([...files].map(([path, file]) => [basename(path, '.js'), `${file}/${basename(path, '.js')}`]));
  const nameOf = (output: string): string => byPart.get(output)!;
  return new Map(
    FILES.map((file) => {
      const paths = [...files].flatMap(([path, its]) => (its === file ? [path] : [])).sort();
      const parts = paths.map((path) => {
        const body = `function(){${bodyOf(texts.get(path)!, nameOf)}}`;
        // In brackets V8 compiles a function at once: nearly all parts of these files are run.
        return `${JSON.stringify(basename(path, '.js'))}:${file === 'rest' ? body : `(${body})`}`;
      });
      return [file, `(function(require,entry,__link,__load){"use strict";return{\n${parts.join(',\n')}};})`];
    }),
  );
}
