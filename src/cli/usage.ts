/** The texts of --help and --version, generated from the option table; main.ts prints them. */
import packageJson from '../../package.json' with { type: 'json' };
import { usualConfigFiles } from '../config/load.ts';
import { PROTOCOL_MAX, PROTOCOL_MIN } from '../wire/constants.ts';
import { CLI_OPTIONS } from './options.ts';

/** One row of --help. */
function optionRow(option: {
  name: string;
  short?: string;
  value?: string;
  isValueOptional?: boolean;
  alias?: string;
  doc: string;
}): [string, string] {
  const named = option.value === undefined ? '' : `=${option.value}`;
  const value = option.isValueOptional ? `[${named}]` : named;
  const short = option.short === undefined ? '' : `, -${option.short}`;
  const alias = option.alias === undefined ? '' : ` (also --${option.alias})`;
  return [`--${option.name}${value}${short}`, `${option.doc}${alias}`];
}

/**
 * The text of --help.
 * @param home the user's home directory as it should be shown; null leaves the user's file out.
 */
export function helpText(home: string | null = '~'): string {
  const rows = CLI_OPTIONS.map(optionRow);
  const width = Math.max(...rows.map(([names]) => names.length));
  return [
    'Usage: gokr-rsyncd [OPTION]...',
    'Serves directories to rsync clients, read-only.',
    '',
    ...rows.map(([names, doc]) => `  ${names.padEnd(width)}  ${doc}`),
    '',
    'Without --config the configuration is the first of these files that exists:',
    ...usualConfigFiles(home).map((file) => `  ${file}`),
    'Options override it. With --gokr.modulemap no file is needed.',
    '',
    'Example, for rsync://localhost:8730/share/:',
    '  gokr-rsyncd --daemon --gokr.listen=localhost:8730 --gokr.modulemap=share=/usr/share',
    '',
  ].join('\n');
}

/**
 * The text of --version.
 * @param versions of the running program; process.versions.
 */
export function versionText(versions: { readonly node?: string; readonly zlib?: string } = process.versions): string {
  return [
    `${packageJson.name}  version ${packageJson.version}  protocol version ${PROTOCOL_MAX} (speaks ${PROTOCOL_MIN}-${PROTOCOL_MAX})`,
    `Node.js ${versions.node}, zlib ${versions.zlib}`,
    `Licence: ${packageJson.license}`,
    '',
  ].join('\n');
}
