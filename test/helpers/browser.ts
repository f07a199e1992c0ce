/** A headless Chromium, driven over its DevTools protocol: pages are looked at as people see them, without a library. */

import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import { endChild } from './running-daemon.ts';
import { removeTree, scratchDir } from './scratch.ts';

/** How a page is looked at. */
export interface Look {
  readonly width: number;
  readonly height: number;
  readonly scheme: 'light' | 'dark';
  readonly isPhone?: boolean;
}

/** What was seen. */
export interface Seen {
  readonly html: string;
  /** Of the whole page, in CSS pixels. */
  readonly contentWidth: number;
  /** Widths of the elements of this name that are visible. */
  readonly progressWidths: readonly number[];
  /** Everything on the console: errors, refusals of the content security policy. */
  readonly complaints: readonly string[];
  /** Addresses that were asked for. */
  readonly requests: readonly string[];
  readonly png: Buffer;
}

interface Message {
  readonly id?: number;
  readonly method?: string;
  readonly sessionId?: string;
  readonly params?: Record<string, unknown>;
  readonly result?: Record<string, unknown>;
  readonly error?: { readonly message: string };
}

type Params = Readonly<Record<string, unknown>>;

export class Browser {
  readonly #child: ChildProcess;
  readonly #dir: string;
  readonly #socket: WebSocket;
  readonly #answers = new Map<number, (message: Message) => void>();
  readonly #listeners = new Set<(message: Message) => void>();
  #lastId = 0;

  private constructor(child: ChildProcess, dir: string, socket: WebSocket) {
    this.#child = child;
    this.#dir = dir;
    this.#socket = socket;
    socket.addEventListener('message', ({ data }) => this.#hear(JSON.parse(String(data)) as Message));
  }

  static async start(): Promise<Browser> {
    const dir = scratchDir('browser');
    const flags = ['--headless=new', '--no-sandbox', '--disable-gpu', '--disable-dev-shm-usage', '--no-first-run'];
    const quiet = ['--disable-background-networking', '--disable-component-update', '--disable-sync', '--mute-audio'];
    const profile = `--user-data-dir=${join(dir, 'profile')}`;
    const child = spawn('chromium', [...flags, ...quiet, profile, '--remote-debugging-port=0', 'about:blank'], {
      stdio: ['ignore', 'ignore', 'pipe'],
      env: { ...process.env, HOME: dir },
    });
    const url = await new Promise<string>((resolve, reject) => {
      createInterface({ input: child.stderr! }).on('line', (line) => {
        const found = /^DevTools listening on (ws:\S+)$/.exec(line)?.[1];
        if (found !== undefined) resolve(found);
      });
      child.once('close', () => reject(new Error('chromium ended')));
    });
    const socket = new WebSocket(url);
    await once(socket, 'open');
    return new Browser(child, dir, socket);
  }

  /** Opens a page in a tab of its own, with scripts switched off, and looks at it. */
  async look(url: string, { width, height, scheme, isPhone = false }: Look): Promise<Seen> {
    const { targetId } = await this.#ask('Target.createTarget', { url: 'about:blank' });
    const { sessionId } = await this.#ask('Target.attachToTarget', { targetId, flatten: true });
    const ask = (method: string, params: Params = {}) => this.#ask(method, params, sessionId as string);
    const complaints: string[] = [];
    const requests: string[] = [];
    const loaded = Promise.withResolvers<void>();
    const listener = (message: Message): void => {
      if (message.sessionId !== sessionId) return;
      if (message.method === 'Page.loadEventFired') loaded.resolve();
      if (message.method === 'Network.requestWillBeSent')
        requests.push((message.params as { request: { url: string } }).request.url);
      if (['Log.entryAdded', 'Runtime.consoleAPICalled', 'Audits.issueAdded'].includes(message.method ?? ''))
        complaints.push(JSON.stringify(message.params));
    };
    this.#listeners.add(listener);
    for (const domain of ['Page', 'Log', 'Runtime', 'Network', 'Audits', 'DOM']) await ask(`${domain}.enable`);
    await ask('Emulation.setScriptExecutionDisabled', { value: true });
    await ask('Emulation.setDeviceMetricsOverride', { width, height, deviceScaleFactor: 1, mobile: isPhone });
    await ask('Emulation.setEmulatedMedia', { features: [{ name: 'prefers-color-scheme', value: scheme }] });
    await ask('Page.navigate', { url });
    await loaded.promise;
    const seen = await this.#see(ask);
    this.#listeners.delete(listener);
    await this.#ask('Target.closeTarget', { targetId });
    return { ...seen, complaints, requests };
  }

  async #see(
    ask: (method: string, params?: Params) => Promise<Record<string, unknown>>,
  ): Promise<Pick<Seen, 'html' | 'contentWidth' | 'progressWidths' | 'png'>> {
    const { root } = (await ask('DOM.getDocument')) as { root: { nodeId: number } };
    const { outerHTML } = await ask('DOM.getOuterHTML', { nodeId: root.nodeId });
    const bars = await ask('DOM.querySelectorAll', { nodeId: root.nodeId, selector: 'progress' });
    const boxes = (bars.nodeIds as number[]).map((nodeId) => ask('DOM.getBoxModel', { nodeId }));
    const widths = (await Promise.all(boxes)).map(({ model }) => (model as { width: number }).width);
    const { cssContentSize: size } = await ask('Page.getLayoutMetrics');
    const clip = { x: 0, y: 0, ...(size as { width: number; height: number }), scale: 1 };
    const { data } = await ask('Page.captureScreenshot', { format: 'png', captureBeyondViewport: true, clip });
    return {
      html: outerHTML as string,
      contentWidth: clip.width,
      progressWidths: widths,
      png: Buffer.from(data as string, 'base64'),
    };
  }

  async close(): Promise<void> {
    this.#socket.close();
    await endChild(this.#child);
    removeTree(this.#dir);
  }

  #ask(method: string, params: Params = {}, sessionId?: string): Promise<Record<string, unknown>> {
    const id = ++this.#lastId;
    return new Promise((resolve, reject) => {
      this.#answers.set(id, ({ result, error }) => {
        if (error === undefined) resolve(result ?? {});
        else reject(new Error(`${method}: ${error.message}`));
      });
      this.#socket.send(JSON.stringify({ id, method, params, ...(sessionId !== undefined && { sessionId }) }));
    });
  }

  #hear(message: Message): void {
    if (message.id === undefined) {
      for (const listener of this.#listeners) listener(message);
      return;
    }
    this.#answers.get(message.id)?.(message);
    this.#answers.delete(message.id);
  }
}
