/** Enforces style.md 4.2 (who may import what) and 4.4 (sizes) on src/ with a small scanner of its own. */
import { readdirSync, readFileSync } from 'node:fs';
import { basename, dirname, join, normalize } from 'node:path';
import { describe, expect, it } from 'vitest';

const SRC = new URL('../../src/', import.meta.url).pathname;
const FILES = readdirSync(SRC, { recursive: true, encoding: 'utf8' }).filter((name) => name.endsWith('.ts'));

/** Rank of each folder and top file. Inside rank 2, flist may use options; inside rank 6, sandbox may use config, and cli may use both. */
const RANKS: Readonly<Record<string, number>> = {
  ...{
    'limits.ts': 0,
    'slice.ts': 0.01,
    'shared.ts': 0,
    'arena.ts': 0,
    'on-demand.ts': 0,
    'assembler.ts': 0,
    'errors.ts': 0.1,
    'limit-hits.ts': 0.1,
  },
  ...{ store: 0.2 },
  ...{ wire: 1, vfs: 1, checksum: 1, compress: 1, filter: 1, observe: 1 },
  ...{ options: 2, flist: 2.1, transfer: 3, session: 4, listener: 5, config: 6, sandbox: 6.1, cli: 6.2, 'main.ts': 7 },
};
/** Node modules that only some places may import; the empty list is nobody. */
const RESTRICTED: Readonly<Record<string, RegExp>> = {
  'node:fs': /^(vfs|config|sandbox)\/|^listener\/ssh\/hostkey\.ts$|^observe\/notify\.ts$/,
  'node:fs/promises': /^(vfs|config|sandbox)\//,
  'node:net': /^(listener|config)\/|^sandbox\/self-test\.ts$/,
  'node:tls': /^listener\/tls\.ts$/,
  'node:http': /^listener\/monitoring\.ts$/,
  'node:ffi': /^sandbox\/syscalls\.ts$|^vfs\/xattrs\.ts$/,
  'node:child_process': /^$/,
  'node:vm': /^$/,
};
const MAX_FILE_LINES = 400;
const MAX_FUNCTION_LINES = 70;
/** For tables (marked `// table`) and `switch` dispatchers (eight cases or more). */
const MAX_TABLE_LINES = 100;
const MAX_PARAMETERS = 5;

const TOKEN =
  /\/\/[^\n]*|\/\*[\s\S]*?\*\/|'(?:\\.|[^'\\\n])*'|"(?:\\.|[^"\\\n])*"|(?<=[(,=:[!&|?{};+>]\s*|return\s+)\/(?![*/])(?:\\.|\[(?:\\.|[^\]\\\n])*\]|[^/\\\n[])+\/[a-z]*|[`{}]/g;
const TEMPLATE_PART = /(?:\\[\s\S]|\$(?!\{)|[^`\\$])*(?:`|\$\{)/y;

/** Blanks a token; a string keeps its quotes. */
const blank = (token: string) => {
  const empty = token.replace(/[^\n]/g, ' ');
  return /^['"]/.test(token) ? token[0] + empty.slice(2) + token[0] : empty;
};

/** The text with comments, regular expressions and the inside of strings blanked out; positions stay. */
function mask(text: string): string {
  const out: string[] = [];
  const templates: number[] = []; // brace depth of each template that is open
  let end = 0;
  const skip = (from: number, to: number) => {
    out.push(text.slice(end, from), blank(text.slice(from, to)));
    end = to;
    TOKEN.lastIndex = to;
  };
  const skipTemplate = (from: number, start: number) => {
    TEMPLATE_PART.lastIndex = start;
    const part = TEMPLATE_PART.exec(text)?.[0] ?? '';
    skip(from, start + part.length);
    if (part.endsWith('{')) {
      templates.push(0);
    }
  };
  TOKEN.lastIndex = 0;
  for (let match = TOKEN.exec(text); match !== null; match = TOKEN.exec(text)) {
    const [token] = match;
    if (token === '`') {
      skipTemplate(match.index, match.index + 1);
    } else if (token === '{' && templates.length > 0) {
      templates[templates.length - 1]!++;
    } else if (token === '}' && templates.length > 0) {
      if (templates.at(-1) === 0) {
        templates.pop();
        skipTemplate(match.index, match.index + 1);
      } else {
        templates[templates.length - 1]!--;
      }
    } else if (token !== '{' && token !== '}') {
      skip(match.index, match.index + token.length);
    }
  }
  return out.join('') + text.slice(end);
}

/** Position of the bracket that closes the one at `open`. */
function closing(code: string, open: number): number {
  let depth = 0;
  for (let at = open; at < code.length; at++) {
    depth += '([{'.includes(code[at]!) ? 1 : ')]}'.includes(code[at]!) ? -1 : 0;
    if (depth === 0) {
      return at;
    }
  }
  return code.length;
}

function countParameters(list: string): number {
  const flat = list.replace(/=>/g, '  ');
  let depth = 0;
  let count = flat.trim() === '' ? 0 : 1;
  for (const [at, char] of [...flat].entries()) {
    depth += '([{<'.includes(char) ? 1 : ')]}>'.includes(char) ? -1 : 0;
    count += char === ',' && depth === 0 && flat.slice(at + 1).trim() !== '' ? 1 : 0;
  }
  return count;
}

const AFTER_PARAMETERS = /\s*(?::\s*(?!\s)(?:[^=;{}()]|\{[^{}]*\})+?)?\s*(=>\s*\{|=>|\{)/y;

/** Every function with a body in braces: where it starts, its lines and parameters. */
function functionsOf(text: string) {
  const code = mask(text);
  const lineAt = (at: number) => code.slice(0, at).split('\n').length;
  return [...code.matchAll(/\(/g)].flatMap(({ index: open }) => {
    const close = closing(code, open);
    AFTER_PARAMETERS.lastIndex = close + 1;
    const arrow = AFTER_PARAMETERS.exec(code)?.[1];
    const isControl = /\b(if|for|while|switch|catch|with|await)\s*$/.test(code.slice(0, open));
    if (arrow === undefined || arrow === '=>' || (arrow === '{' && isControl)) {
      return [];
    }
    const end = closing(code, AFTER_PARAMETERS.lastIndex - 1);
    const body = text.slice(open, end);
    const isTable = body.includes('// table') || (code.slice(open, end).match(/\bcase\b/g) ?? []).length >= 8;
    const line = lineAt(open);
    return [{ line, lines: lineAt(end) - line + 1, parameters: countParameters(code.slice(open + 1, close)), isTable }];
  });
}

/** Every import and re-export: module, whether only types, line. */
function importsOf(text: string) {
  const found = mask(text).matchAll(/\b(import|export)(\s+type\b)?(?:[^'"`;()]*?\bfrom)?\s*\(?\s*(['"])( *)\3/g);
  return [...found].map((match) => {
    const end = match.index + match[0].length - 1;
    const target = text.slice(end - match[4]!.length, end);
    const line = text.slice(0, match.index).split('\n').length;
    return { target, isType: match[2] !== undefined, isExport: match[1] === 'export', line };
  });
}

const folderOf = (file: string) => file.split('/', 1)[0]!;

function importProblem(
  file: string,
  { target, isType, isExport }: ReturnType<typeof importsOf>[number],
): string | null {
  if (isExport) {
    return 'is a re-export';
  }
  if (!target.startsWith('.')) {
    const name = target.startsWith('node:') || !Object.hasOwn(RESTRICTED, `node:${target}`) ? target : `node:${target}`;
    return RESTRICTED[name]?.test(file) === false ? 'is not allowed here' : null;
  }
  const path = normalize(join(dirname(file), target));
  if (path === '../package.json') {
    return null;
  }
  const [own, other] = [RANKS[folderOf(file)], RANKS[folderOf(path)]];
  if (!FILES.includes(path) || own === undefined || other === undefined) {
    return 'is no file of a known folder';
  }
  const isObserveType = isType && folderOf(path) === 'observe';
  return folderOf(file) === folderOf(path) || other < own || isObserveType ? null : 'does not have a lower rank';
}

/** Problems that single lines show. */
const FORBIDDEN: readonly [RegExp, string, RegExp][] = [
  [/^export default\b/gm, 'default export', /^$/],
  [/\bprocess\.env\b/g, 'process.env', /^main\.ts$|^observe\/notify\.ts$/],
  [/\beval\(|\bnew Function\b/g, 'eval', /^$/],
  [/^(?:export )?(?:let|var) /gm, 'module-level mutable state', /^$/],
];

function lineProblems(text: string, file: string): string[] {
  const code = mask(text);
  return FORBIDDEN.filter(([, , allowed]) => !allowed.test(file)).flatMap(([pattern, name]) =>
    [...code.matchAll(pattern)].map(({ index }) => `${file}:${code.slice(0, index).split('\n').length}: ${name}`),
  );
}

function sizeProblems(text: string, file: string): string[] {
  const lines = text.trimEnd().split('\n').length;
  const tooLong = functionsOf(text).filter((f) => f.lines > (f.isTable ? MAX_TABLE_LINES : MAX_FUNCTION_LINES));
  const tooWide = functionsOf(text).filter((f) => f.parameters > MAX_PARAMETERS);
  return [
    ...(lines > MAX_FILE_LINES ? [`${file}: ${lines} lines`] : []),
    ...tooLong.map((f) => `${file}:${f.line}: function of ${f.lines} lines`),
    ...tooWide.map((f) => `${file}:${f.line}: ${f.parameters} parameters`),
  ];
}

const read = (file: string) => readFileSync(join(SRC, file), 'utf8');

describe('src/', () => {
  it('imports only from the own folder or a lower rank, and restricted modules only where they belong', () => {
    const problems = FILES.flatMap((file) =>
      importsOf(read(file)).flatMap((one) => {
        const problem = importProblem(file, one);
        return problem === null ? [] : [`${file}:${one.line}: "${one.target}" ${problem}`];
      }),
    );
    expect(problems).toEqual([]);
  });

  it('has no default exports, no eval, no hidden environment, no mutable module state', () => {
    expect(FILES.flatMap((file) => lineProblems(read(file), file))).toEqual([]);
  });

  it('has no barrel files', () => {
    expect(FILES.filter((file) => basename(file) === 'index.ts')).toEqual([]);
  });

  it('keeps files, functions and parameter lists within their caps', () => {
    expect(FILES.flatMap((file) => sizeProblems(read(file), file))).toEqual([]);
  });
});

describe('the scanner', () => {
  const body = (lines: number) => '  x();\n'.repeat(lines);

  it('blanks comments, strings, templates and regular expressions but keeps positions', () => {
    // biome-ignore lint/suspicious/noTemplateCurlyInString: the placeholder is part of the code under test
    const text = "a('{', /[/{]\\/{/g, `{${f(`}`, { b })}{`); // {\nb /* { */ / 2 / c";
    expect(mask(text)).toHaveLength(text.length);
    expect(mask(text).replace(/\s+/g, ' ')).toBe("a(' ', , f( , { b }) ); b / 2 / c");
  });

  it('measures functions, methods and arrows, but no control blocks', () => {
    const text = `function a(x: { y: number }): Promise<void> {\n${body(70)}}\nconst b = (): { c: 1 } => {\n};\nif (a) {\n${body(99)}}\n`;
    expect(functionsOf(text).map(({ line, lines }) => [line, lines])).toEqual([
      [1, 72],
      [73, 2],
    ]);
    expect(sizeProblems(text, 'f')).toEqual(['f:1: function of 72 lines']);
  });

  it('allows 100 lines to a switch of eight cases', () => {
    const cases = Array.from({ length: 8 }, (_, i) => `case ${i}:\n${body(10)}`).join('');
    expect(sizeProblems(`class A { m(x) {\nswitch (x) {\n${cases}}\n}\n}\n`, 'f')).toEqual([]);
    expect(sizeProblems(`class A { m(x) {\nswitch (x) {\n${cases}${body(20)}}\n}\n}\n`, 'f')).toEqual([
      'f:1: function of 112 lines',
    ]);
  });

  it('counts parameters whatever their types hold', () => {
    const text = 'const f = (a: Map<A, B>, { b, c }: T, d = [1, 2], e: (x: X, y: Y) => Z, g = h(1, 2),) => {};';
    expect(functionsOf(text)[0]?.parameters).toBe(5);
    expect(sizeProblems('function f(a, b, c, d, e, f) {\n}', 'f')).toEqual(['f:1: 6 parameters']);
  });

  it.each([
    ['wire/reader.ts', "import { x } from '../nowhere/x.ts';", 'is no file of a known folder'],
    ['wire/reader.ts', "import { y } from '../config/load.ts';", 'does not have a lower rank'],
    ['wire/reader.ts', "import {\n  type A,\n  b,\n} from '../vfs/path.ts';", 'does not have a lower rank'],
    ['wire/reader.ts', "import type { A } from '../observe/escape.ts';", null],
    ['wire/reader.ts', "import { a } from '../observe/escape.ts';", 'does not have a lower rank'],
    ['cli/check.ts', "import { a } from '../config/load.ts';", null],
    ['config/load.ts', "import { a } from '../cli/check.ts';", 'does not have a lower rank'],
    ['wire/reader.ts', "const a = await import('node:fs');", 'is not allowed here'],
    ['wire/reader.ts', "import 'child_process';", 'is not allowed here'],
    ['vfs/path.ts', "import { a } from 'node:fs';", null],
    ['vfs/path.ts', "export * from '../errors.ts';", 'is a re-export'],
    ['vfs/path.ts', "import { a } from '../errors.js';", 'is no file of a known folder'],
  ])('judges in %s the import %j', (file, text, problem) => {
    expect(importsOf(text).map((one) => importProblem(file, one))).toEqual([problem]);
  });

  it('sees no import in comments or strings', () => {
    expect(importsOf("// import 'a';\nconst x = \"import 'b'\";\n/* from 'c' */")).toEqual([]);
  });

  it.each(['export default 1;', 'let a = 1;', 'export let a = 1;', 'const a = process.env.X;', "eval('1');"])(
    'refuses %j',
    (text) => {
      expect(lineProblems(text, 'f.ts')).toHaveLength(1);
    },
  );
});
