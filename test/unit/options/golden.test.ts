import { readFileSync } from 'node:fs';
import { beforeAll, describe, expect, it } from 'vitest';
import { loadChecksums } from '../../../src/checksum/pool.ts';
import { DEFAULT_LIMITS } from '../../../src/limits.ts';
import { parseServerArgs } from '../../../src/options/parse.ts';
import { readArguments } from '../../../src/session/arguments.ts';
import type { Capture } from '../../golden/options/capture.ts';
import { dumpOptions, LENIENT } from '../../golden/options/dump.ts';
import { byteScript } from '../../helpers/byte-script.ts';

const load = (name: string): { captures: Capture[] } =>
  JSON.parse(readFileSync(new URL(`../../golden/options/${name}`, import.meta.url), 'utf8'));

/** What the real client sent, or a client of the past is known to send → what we make of it. */
async function parseCapture({ greeting, wire }: Capture): Promise<unknown> {
  const protocol = Math.min(Number(/\d+/.exec(greeting)![0]), 32);
  const source = byteScript(wire, 7);
  const { first, second } = await readArguments(source, protocol, DEFAULT_LIMITS);
  const options = parseServerArgs(first, { ...LENIENT, protocol, secondBatch: second });
  return { options: dumpOptions(options), unread: (await source.more()) ? 'bytes' : 'nothing' };
}

beforeAll(loadChecksums);

describe('argument lists of real clients', () => {
  it.each(load('clients.json').captures)('$command', async (capture) => {
    expect(await parseCapture(capture)).toEqual({ options: capture.expected, unread: 'nothing' });
  });
});

describe('argument lists of older clients', () => {
  it.each(load('historic.json').captures)('$command', async (capture) => {
    expect(await parseCapture(capture)).toEqual({ options: capture.expected, unread: 'nothing' });
  });
});
