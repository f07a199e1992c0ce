/** The TOML that --convert-config prints for an rsyncd.conf. */
import { escapeJsonControls } from '../observe/escape.ts';
import type { Conversion, ConvertedSection } from './rsyncd-convert.ts';
import type { TomlValue } from './rsyncd-param.ts';

/** A value as TOML. JSON strings are basic strings of TOML once DEL and C1 are escaped. */
function valueText(value: TomlValue): string {
  if (typeof value === 'bigint' || typeof value === 'boolean') {
    return String(value);
  }
  return typeof value === 'string' ? escapeJsonControls(JSON.stringify(value)) : `[${value.map(valueText).join(', ')}]`;
}

/** SECURITY: a section that lacks a refused line could open more than its original; it is printed as comments. */
function sectionLines(header: string | null, section: ConvertedSection): string[] {
  const pairs = Object.entries(section.keys).map(([key, value]) => `${key} = ${valueText(value)}`);
  const lines = header === null ? pairs : [header, ...pairs];
  return section.isRefused ? lines.map((line) => `# ${line}`) : lines;
}

/** The whole configuration; ends with a line feed. Refused sections are commented out. */
export function rsyncdToml({ global, listener, modules }: Conversion): string {
  const isIncomplete = [global, listener, ...modules].some((section) => section.isRefused);
  const blocks = [
    isIncomplete ? ['# Not complete: sections that hold refused lines are comments.'] : [],
    sectionLines(null, global),
    sectionLines('[[listener]]', listener),
    ...modules.map((module) => sectionLines('[[module]]', module)),
  ];
  const filled = blocks.filter((lines) => lines.length > 0);
  return `${filled.map((lines) => lines.join('\n')).join('\n\n')}\n`;
}
