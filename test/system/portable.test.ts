/** The portable service image: attached with the strictest profile of portablectl, serving, detached. */

import { cpSync, existsSync, mkdirSync, writeFileSync } from 'node:fs';
import { basename, join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { buildPortable } from '../../deploy/build/portable.ts';
import { summarise } from '../../deploy/build/tree.ts';
import { mustRun } from '../helpers/run.ts';
import { removeTree, scratchDir } from '../helpers/scratch.ts';
import { PROJECT, released } from './build.ts';
import { bootMachine, type Machine } from './machine.ts';
import { processStatus } from './service.ts';

const DROPINS = '/etc/systemd/system/gokr-rsyncd.service.d';
const scratch = scratchDir('portable', '/var/tmp');
let image: string;
let packed: string;
let machine: Machine;

/** The image as a directory, which needs no loop device, and as a file. */
async function imageUnderTest(): Promise<string[]> {
  const raw = released(/\.raw$/);
  if (raw === null) return buildPortable(scratch);
  const top = join(scratch, basename(raw, '.raw'));
  await mustRun('unsquashfs', ['-no-progress', '-dest', top, raw]);
  return [top, raw];
}

beforeAll(async () => {
  const [built, booted] = await Promise.all([imageUnderTest(), bootMachine('bookworm')]);
  machine = booted;
  [image, packed] = built as [string, string];
  await mustRun('cp', ['--archive', image, machine.at('/opt')]);
});
afterAll(async () => {
  await machine?.stop();
  removeTree(scratch);
});

describe('the portable image', () => {
  it('has the same bytes each time, packed and not', async () => {
    const [again, packedAgain] = await buildPortable(join(scratch, 'again'));
    expect(summarise(again!).digest).toBe(summarise(image).digest);
    await mustRun('cmp', [packed, packedAgain!]);
  });

  it('is attached with the profile "strict" and serves a module', async () => {
    mkdirSync(machine.at('/srv/pub'), { recursive: true });
    writeFileSync(machine.at('/srv/pub/file'), 'hello\n');
    writeFileSync(machine.at('/etc/gokr-rsyncd.toml'), '[[module]]\nname = "pub"\npath = "/srv/pub"\n');
    mkdirSync(machine.at(DROPINS), { recursive: true });
    cpSync(join(PROJECT, 'deploy/portable.conf'), machine.at(`${DROPINS}/portable.conf`));
    writeFileSync(
      machine.at(`${DROPINS}/modules.conf`),
      '[Service]\nBindReadOnlyPaths=/srv/pub\nNoExecPaths=+/srv/pub\n',
    );
    const path = `/opt/${basename(image)}`;
    await machine.output('portablectl', 'attach', '--profile=strict', '--enable', '--now', path, 'gokr-rsyncd');
    await machine.output('rsync', '-a', 'rsync://127.0.0.1/pub/', '/root/pulled/');
    await machine.output('diff', '-r', '/srv/pub', '/root/pulled');
    expect(Number((await processStatus(machine)).Uid?.split('\t')[0])).toBeGreaterThan(60_000);
  });

  it('is detached without a trace', async () => {
    await machine.output('portablectl', 'detach', '--now', '--enable', `/opt/${basename(image)}`, 'gokr-rsyncd');
    expect(existsSync(machine.at('/etc/systemd/system.attached/gokr-rsyncd.service'))).toBe(false);
  });
});
