/**
 * `log_format = "text"`: the log in the lines that rsync's own daemon writes, for tools that read those (rsyncstats, log watchers).
 *
 *   2026/11/28 02:25:57 [40123] send UNDETERMINED [192.0.2.1] pub (alice) dir/file 1234
 *
 * In the place of the process of a connection, which rsync has and we have not, stands the port of its client.
 */

import { escapeControls, escapeJsonControls } from './escape.ts';
import { FILE_SENT } from './transfer-log.ts';

type Fields = Readonly<Record<string, unknown>>;

/** rsync writes this where it looks up no names, and we never do. */
const HOST = 'UNDETERMINED';

/** Sessions that were refused, in rsync's words. */
const REFUSALS: Readonly<Record<string, (fields: Fields, from: string) => string>> = {
  'access:unknown-module': (_, from) => `unknown module tried ${from}`,
  'access:denied': ({ module }, from) => `rsync denied on module ${shown(module)} ${from}`,
  'access:auth': ({ module, detail }, from) =>
    `auth failed on module ${shown(module)} ${from}: ${shown(detail).replace(/^authentication failed: /, '')}`,
  'access:max-connections': ({ module }, from) => `max connections reached on module ${shown(module)} ${from}`,
};

/** The lines that stand for one JSON line of the log, each with its line feed. */
export function textLines(json: string): string[] {
  const { time, level, msg, ...fields } = JSON.parse(json) as Record<string, unknown>;
  const prefix = `${clockText(new Date(String(time)))} [${Number(fields.port ?? process.pid)}]`;
  return messages(String(msg ?? ''), String(level), fields).map((message) => `${prefix} ${message}\n`);
}

function messages(msg: string, level: string, fields: Fields): string[] {
  if (msg === FILE_SENT) {
    const { peer, module, user, file, size } = fields;
    return [`send ${HOST} [${shown(peer)}] ${shown(module)} (${shown(user)}) ${shown(file)} ${Number(size)}`];
  }
  if (msg === 'session ended') return sessionMessages(fields);
  const facts = Object.entries(fields).map(([key, value]) => ` ${escapeControls(key)}=${factText(value)}`);
  const mark = level === 'info' || level === 'debug' ? '' : `${level}: `;
  return [`${mark}${escapeControls(msg)}${facts.join('')}`];
}

function sessionMessages(fields: Fields): string[] {
  const { peer, module, user, outcome, exit, detail, bytesSent, bytesReceived, totalSize } = fields;
  const host = `${HOST} (${shown(peer)})`;
  const refusal = REFUSALS[String(outcome)];
  if (refusal !== undefined) return [refusal(fields, `from ${host}`)];
  const end = outcome === 'ok' ? [] : [`rsync error: ${shown(detail)} (code ${Number(exit)}) from ${host}`];
  if (module === undefined) return outcome === 'ok' ? [`module-list request from ${host}`] : end;
  const who = user === undefined ? host : `${shown(user)}@${host}`;
  return [
    `rsync on ${shown(module)}/ from ${who}`,
    `sent ${Number(bytesSent)} bytes  received ${Number(bytesReceived)} bytes  total size ${Number(totalSize ?? 0)}`,
    ...end,
  ];
}

function shown(value: unknown): string {
  return value === undefined ? '' : escapeControls(String(value));
}

function factText(value: unknown): string {
  if (typeof value === 'string' && /^[^\s"=\\]+$/.test(value)) return escapeControls(value);
  return escapeJsonControls(JSON.stringify(value));
}

/** `2026/11/28 02:25:57` in local time, as rsync writes it. */
function clockText(time: Date): string {
  const two = (value: number): string => String(value).padStart(2, '0');
  const date = `${time.getFullYear()}/${two(time.getMonth() + 1)}/${two(time.getDate())}`;
  return `${date} ${two(time.getHours())}:${two(time.getMinutes())}:${two(time.getSeconds())}`;
}
