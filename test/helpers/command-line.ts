/** Command lines of the tools behind `npm run`: --help, and a clear word about what is wrong. */

import { type ParseArgsOptionsConfig, parseArgs } from 'node:util';

type Values<T extends ParseArgsOptionsConfig> = ReturnType<typeof parseArgs<{ options: T }>>['values'];

/**
 * Reads the options of this process. With --help prints `usage` and ends with 0; with anything unknown says so and ends with 1.
 * @param usage one line, without "usage: ".
 */
export function readOptions<T extends ParseArgsOptionsConfig>(usage: string, options: T): Values<T> {
  return readCommand(usage, options, { allowPositionals: false }).values;
}

/** As readOptions, for a tool that may also take words. */
export function readCommand<T extends ParseArgsOptionsConfig>(
  usage: string,
  options: T,
  { allowPositionals = true } = {},
): { values: Values<T>; positionals: readonly string[] } {
  try {
    const help = { type: 'boolean', short: 'h', default: false } as const;
    const { values, positionals } = parseArgs({ allowPositionals, options: { ...options, help } });
    if ((values as { help?: boolean }).help === true) {
      console.log(`usage: ${usage}`);
      process.exit(0);
    }
    return { values: values as Values<T>, positionals };
  } catch (error) {
    console.error(`${(error as Error).message}\nusage: ${usage}`);
    return process.exit(1);
  }
}

/** A number of at least `least`; ends the process with 1 and a message otherwise. */
export function numberOption(name: string, text: string, least = 0): number {
  const value = Number(text);
  if (text.trim() !== '' && value >= least) return value;
  console.error(`--${name}: a number of at least ${least} is needed, not "${text}"`);
  return process.exit(1);
}
