/** What a person reads who starts the daemon from a shell: modules, listeners, sandbox, and commands to try; serve.ts prints it. */

import packageJson from '../../package.json' with { type: 'json' };
import type { Config, ListenerConfig, ModuleConfig } from '../config/config.ts';
import { RSYNC_PORT } from '../config/listen-address.ts';
import type { Guarantee } from '../observe/daemon-state.ts';
import { escapeControls } from '../observe/escape.ts';
import { keyLines } from './listener-keys.ts';
import type { OpenListener } from './workers.ts';

export interface Started {
  readonly config: Pick<Config, 'modules' | 'file'>;
  readonly listeners: readonly Pick<OpenListener, 'addressText' | 'keys'>[];
  /** Addresses of the monitoring listener. */
  readonly monitoring: readonly string[];
  readonly guarantees: readonly Guarantee[];
}

/** Ports that clients take by themselves. */
const TLS_PORT = 874;

/** More modules than this are counted. */
const MAX_MODULES = 20;

const CODES = { bold: 1, good: 32, bad: 31, quiet: 2 } as const;

type Paint = (code: keyof typeof CODES, text: string) => string;

/** The summary, ending with an empty line. */
export function startSummary(started: Started, isColoured: boolean): string {
  const paint: Paint = (code, text) => (isColoured ? `\x1b[${CODES[code]}m${text}\x1b[0m` : text);
  const { config, listeners, guarantees } = started;
  const sections: [string, string[]][] = [
    ['modules', moduleRows(config.modules, paint)],
    ['listeners', listenerRows(started, paint)],
    ['sandbox', guaranteeRows(guarantees, paint)],
    [
      'try it',
      listeners.flatMap(({ keys, addressText }) => commandsToTry(keys.current.kind, addressText, config.modules)),
    ],
  ];
  const title = `${packageJson.name} ${packageJson.version}, read-only, as ${escapeControls(config.file ?? 'the command line')} says`;
  const shown = sections.filter(([, rows]) => rows.length > 0);
  const paragraphs = shown.map(([name, rows]) => [paint('bold', name), ...rows.map((row) => `  ${row}`), '']);
  return [paint('bold', title), '', ...paragraphs.flat(), 'Ctrl-C ends it.', '', ''].join('\n');
}

function moduleRows(modules: Config['modules'], paint: Paint): string[] {
  const shown = modules.slice(0, MAX_MODULES);
  const [names, paths] = [shown.map(({ name }) => name), shown.map(({ path }) => path)].map((texts) =>
    aligned(texts.map(escapeControls)),
  ) as [string[], string[]];
  const rows = shown.map((module, index) =>
    `${names[index]}  ${paths[index]}  ${paint('quiet', escapeControls(notesOf(module)))}`.trimEnd(),
  );
  return modules.length === shown.length ? rows : [...rows, `and ${modules.length - shown.length} more`];
}

function notesOf({ comment, list, auth }: ModuleConfig): string {
  const notes = [list ? '' : 'not listed', auth === null ? '' : 'login needed'].filter(Boolean);
  return `${comment}${notes.length === 0 ? '' : ` (${notes.join(', ')})`}`.trim();
}

function listenerRows({ listeners, monitoring }: Started, paint: Paint): string[] {
  const rows = [
    ...listeners.map(({ addressText, keys }) => ({
      kind: keys.current.kind,
      address: addressText,
      notes: keyLines(keys.current),
    })),
    ...monitoring.map((address) => ({ kind: 'http_monitoring', address, notes: [`http://${address}/`] })),
  ];
  const kinds = aligned(rows.map(({ kind }) => kind));
  return rows.flatMap(({ address, notes }, index) => [
    `${kinds[index]}  ${escapeControls(address)}`,
    ...notes.map((note) => `  ${paint('quiet', note)}`),
  ]);
}

function guaranteeRows(guarantees: readonly Guarantee[], paint: Paint): string[] {
  const names = aligned(guarantees.map(({ name }) => name));
  return guarantees.map(({ holds, detail }, index) => {
    const verdict = holds ? paint('good', 'holds') : paint('bad', 'FAILS');
    return `${verdict}  ${names[index]}  ${escapeControls(detail)}`;
  });
}

/** To copy into another shell of this machine: what is there, and all of the first module that everybody sees. */
export function commandsToTry(
  kind: ListenerConfig['kind'],
  addressText: string,
  modules: readonly Pick<ModuleConfig, 'name' | 'list' | 'auth'>[],
): string[] {
  const place = placeOf(addressText);
  if (place === null) return [];
  const port = place.port === RSYNC_PORT || kind.endsWith('_ssh') ? '' : `:${place.port}`;
  const host = `rsync://${place.host}${kind === 'tls' && place.port === TLS_PORT ? '' : port}`;
  const client = {
    rsyncd: 'rsync',
    tls: 'rsync-ssl',
    anon_ssh: `rsync -e 'ssh -p ${place.port}'`,
    authorized_ssh: `rsync -e 'ssh -p ${place.port} -i KEY'`,
  }[kind];
  const module = modules.find(({ list }) => list) ?? modules[0];
  const list = `${client} ${host}/`;
  return module === undefined ? [list] : [list, `${client} -av ${urlOf(host, module)} ${quoted(`./${module.name}/`)}`];
}

/** With the first user that is a name, where a login is needed. */
function urlOf(host: string, { name, auth }: Pick<ModuleConfig, 'name' | 'auth'>): string {
  const user = auth?.users.find((one) => /^[\w.-]+$/.test(one));
  const url = `${host}/${name}/`;
  return quoted(user === undefined ? url : url.replace('rsync://', `rsync://${user}@`));
}

/** As one word of a shell. */
function quoted(word: string): string {
  return /^[\w.:/@+%-]+$/.test(word) ? word : `'${word.replaceAll("'", "'\\''")}'`;
}

/** Null for what rsync cannot be told in a URL: a unix socket. */
function placeOf(addressText: string): { host: string; port: number } | null {
  const match = /^(.+):(\d+)$/.exec(addressText);
  if (match === null || addressText.startsWith('/')) return null;
  const [, host, port] = match as unknown as [string, string, string];
  return { host: host === '[::]' || host === '0.0.0.0' ? 'localhost' : host, port: Number(port) };
}

function aligned(texts: readonly string[]): string[] {
  const width = Math.max(0, ...texts.map(({ length }) => length));
  return texts.map((text) => text.padEnd(width));
}
