/** The shipped units under the newest systemd that they are for. */

import { chownSync, mkdirSync, statSync, writeFileSync } from 'node:fs';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { bootMachine, type Machine } from './machine.ts';
import { configure, exposure, install } from './service.ts';

const PUB = '[[module]]\nname = "pub"\npath = "/srv/pub"\n';

describe('systemd 257', () => {
  let machine: Machine;

  beforeAll(async () => {
    machine = await bootMachine('trixie');
    await install(machine);
    mkdirSync(machine.at('/srv/pub'), { recursive: true });
    writeFileSync(machine.at('/srv/pub/owned'), 'hello\n');
    chownSync(machine.at('/srv/pub/owned'), 1000, 1000);
  });
  afterAll(() => machine?.stop());

  it('serves with its own settings, true owners included', async () => {
    await configure(machine, { toml: PUB, dropins: ['systemd/10-v257.conf'] });
    await machine.output('rsync', '-a', 'rsync://127.0.0.1/pub/', '/root/pulled/');
    expect(statSync(machine.at('/root/pulled/owned')).uid).toBe(1000);
    console.log(`exposure on systemd 257: ${(await exposure(machine)) / 10}`);
  });

  it('has the new configuration in force when systemctl reload returns', async () => {
    writeFileSync(machine.at('/etc/gokr-rsyncd.toml'), PUB.replace('"pub"', '"renamed"'));
    await machine.output('systemctl', 'reload', 'gokr-rsyncd.service');
    expect(await machine.output('rsync', 'rsync://127.0.0.1/')).toMatch(/^renamed\s/);
  });
});
