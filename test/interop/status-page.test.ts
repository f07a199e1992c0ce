/** The status page of a daemon that has something to show, in a real browser: on a desk and on a phone, light and dark. */

import { type ChildProcess, spawn } from 'node:child_process';
import { mkdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { Browser, type Look } from '../helpers/browser.ts';
import { MONITORED } from '../session/support/limit-hits.ts';
import { openStage, type Stage } from '../session/support/stage.ts';
import { enter } from '../session/support/wire.ts';
import { hasRoot, systemClient } from '../setup/clients.ts';
import { haveTool } from './ssh-tools.ts';

const LOOKS: Readonly<Record<string, Look>> = {
  'desk, light': { width: 1280, height: 900, scheme: 'light' },
  'desk, dark': { width: 1280, height: 900, scheme: 'dark' },
  'phone, light': { width: 360, height: 740, scheme: 'light', isPhone: true },
  'phone, dark': { width: 360, height: 740, scheme: 'dark', isPhone: true },
};

const SECTIONS = ['Sessions', 'Throughput of the last hour', 'Modules', 'Limits that fired', 'Sandbox', 'Listeners'];

describe.runIf(hasRoot() && haveTool('chromium'))('the status page in a browser', () => {
  let stage: Stage;
  let browser: Browser;
  let client: ChildProcess;
  let url: string;

  beforeAll(async () => {
    stage = await openStage({
      globals: { 'limits.filterRules': 2, 'limits.argumentsMs': 600_000 },
      keys: { comment: 'public files, with a comment that is rather long for a narrow column' },
      modules: (dir) => [{ name: 'team', path: join(dir, 'pub'), keys: { max_connections: 1, queue: 5 } }],
      tree: [{ name: 'a directory/with-a-rather-long-name-that-does-not-break.tar.gz', size: 60_000_000 }],
      process: { args: MONITORED },
    });
    const { address } = await stage.server.waitFor(({ msg }) => msg === 'monitoring');
    url = `http://${address}/`;
    await stage.rsync(['-r', 'URL/nowhere/']);
    await stage.rsync(['-r', '--exclude=a', '--exclude=b', '--exclude=c', 'URL/pub/', 'copy']);
    (await stage.connect()).send(enter('team'));
    (await stage.connect()).send(enter('team'));
    const [program, ...prefix] = systemClient().command;
    const from = `rsync://127.0.0.1:${stage.port}/pub/`;
    client = spawn(program, [...prefix, '-a', '--bwlimit=1024', from, join(stage.dir, 'slow')], { stdio: 'ignore' });
    while (!/<progress[^>]*>/.test(await (await fetch(url)).text())) await sleep(100);
    browser = await Browser.start();
  });
  afterAll(async () => {
    client?.kill();
    await browser?.close();
    await stage?.close();
  });

  it.each(Object.entries(LOOKS))(
    'shows all that there is on a %s screen, and asks for nothing else',
    async (name, look) => {
      const { html, contentWidth, progressWidths, complaints, requests, png } = await browser.look(url, look);
      const { SCREENSHOTS } = process.env;
      if (SCREENSHOTS !== undefined) {
        mkdirSync(SCREENSHOTS, { recursive: true });
        writeFileSync(join(SCREENSHOTS, `${name.replace(', ', '-')}.png`), png);
      }
      expect(complaints).toEqual([]);
      expect(new Set(requests)).toEqual(new Set([url]));
      expect(contentWidth).toBeLessThanOrEqual(look.width);
      expect(progressWidths.length).toBeGreaterThan(0);
      for (const width of progressWidths) expect(width).toBeGreaterThan(40);
      for (const section of SECTIONS) expect(html).toContain(`<h2>${section}</h2>`);
      expect(html).toContain('queue, 0 ahead');
      expect(html).toContain('1 of 1, 1 waiting');
      expect(png.subarray(1, 4).toString()).toBe('PNG');
    },
  );
});
