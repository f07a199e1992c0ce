/** The log on real files, pipes and processes. */

import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { closeSync, mkdtempSync, openSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, describe, expect, it } from 'vitest';
import { createLineLogger, createLogger, type LogOptions, type RootLogger } from '../../../src/observe/log.ts';

const directory = mkdtempSync(join(tmpdir(), 'log-'));
const cleanups: (() => void)[] = [];

afterEach(() => {
  for (const cleanup of cleanups.splice(0)) cleanup();
});

/** What `use` logs, as text. */
async function logged(options: Partial<LogOptions>, use: (logger: RootLogger) => void): Promise<string> {
  const path = join(directory, 'log');
  rmSync(path, { force: true });
  const fd = openSync(path, 'w');
  const logger = createLogger({ level: 'info', ...options, fd });
  use(logger);
  expect(await logger.flushed(10_000)).toBe(true);
  cleanups.push(() => closeSync(fd));
  return readFileSync(path, 'utf8');
}

describe('JSON lines', () => {
  it('hold level as a word, ISO time, fields and message', async () => {
    const line = JSON.parse(await logged({}, (logger) => logger.info({ peer: '192.0.2.1' }, 'hello')));
    expect(line).toEqual({
      level: 'info',
      time: expect.stringMatching(/^\d{4}-.*Z$/),
      peer: '192.0.2.1',
      msg: 'hello',
    });
  });

  it('leave out what is below the level', async () => {
    expect(await logged({ level: 'warn' }, (logger) => logger.info('quiet'))).toBe('');
  });

  it('carry the fields of a child logger', async () => {
    const text = await logged({}, (logger) => logger.child({ session: 7 }).warn('odd'));
    expect(JSON.parse(text)).toMatchObject({ level: 'warn', session: 7, msg: 'odd' });
  });

  it('hold no control character, whatever a field holds', async () => {
    const name = '\u001b[2J\u009b1m\u202e\n\u007f';
    const text = await logged({}, (logger) => logger.info({ name }, name));
    expect(text.trimEnd()).toMatch(/^[\x20-\x7e]+$/);
    expect(JSON.parse(text)).toMatchObject({ name, msg: name });
  });

  it('hold the stack of an error on one line', async () => {
    const text = await logged({}, (logger) => logger.error({ err: new Error('boom') }, 'bug'));
    expect(text.split('\n').length).toBe(2);
    expect(JSON.parse(text).err.stack).toContain('log.test.ts');
  });

  it('begin with a syslog level for the journal', async () => {
    const text = await logged({ level: 'trace', journald: true }, (logger) => {
      for (const level of ['trace', 'debug', 'info', 'warn', 'error', 'fatal'] as const) logger[level]('x');
    });
    expect(text.match(/^<\d>\{/gm)).toEqual(['<7>{', '<7>{', '<6>{', '<4>{', '<3>{', '<2>{']);
  });
});

describe('lines on a terminal', () => {
  it('are readable and single', async () => {
    const text = await logged({ isTerminal: true }, (logger) =>
      logger.warn({ peer: '192.0.2.1', note: 'two words', count: 3 }, 'slow client'),
    );
    expect(text).toMatch(/^\d\d:\d\d:\d\d\.\d{3} WARN {2}slow client peer=192\.0\.2\.1 note="two words" count=3\n$/);
  });

  it('escape control characters in messages, names and values', async () => {
    const text = await logged({ isTerminal: true }, (logger) =>
      logger.info({ 'a\u001bb': '\u001b[31m', deep: { inner: '\u009b' } }, 'new\nline'),
    );
    expect(text.trimEnd().slice(13)).toMatch(/^[\x20-\x7e]+$/);
    expect(text).toContain('new\\nline a\\x1bb=\\x1b[31m deep={"inner":"\\u009b"}');
  });

  it('do not let a value forge another field', async () => {
    const text = await logged({ isTerminal: true }, (logger) => logger.info({ user: 'x exit=0' }, 'm'));
    expect(text).toContain('user="x exit=0"');
  });
});

describe('lines of a worker', () => {
  it('go out together, and at once when asked for', async () => {
    const sent: (readonly string[])[] = [];
    const first = Promise.withResolvers<void>();
    const logger = createLineLogger('info', (lines) => {
      sent.push(lines);
      first.resolve();
    });
    logger.info('one');
    logger.info('two');
    await first.promise;
    logger.info('three');
    logger.flush();
    const words = sent.map((lines) => lines.map((line) => (JSON.parse(line) as { msg: string }).msg));
    expect(words).toEqual([['one', 'two'], ['three']]);
  });
});

/** A process that runs `body` with `logger` on its standard error, which is a pipe. */
function startLogging(body: string): ChildProcess {
  const log = join(import.meta.dirname, '../../../src/observe/log.ts');
  const script = `import { createLogger } from ${JSON.stringify(log)};
    const logger = createLogger({ level: 'info', fd: 2 });
    ${body}`;
  const child = spawn(process.execPath, ['--input-type=module', '-e', script], { stdio: ['pipe', 'pipe', 'pipe'] });
  cleanups.push(() => child.kill('SIGKILL'));
  return child;
}

async function textOf(stream: NodeJS.ReadableStream): Promise<string> {
  let text = '';
  for await (const chunk of stream) text += String(chunk);
  return text;
}

describe('a process', () => {
  it('loses no line when it exits right after logging', async () => {
    const child = startLogging(`for (let i = 0; i < 1000; i++) logger.info({ i }, 'line'); process.exit(0);`);
    const text = await textOf(child.stderr!);
    expect(text.trimEnd().split('\n').length).toBe(1000);
  });

  it('goes on while nobody reads its log, drops lines and says how many afterwards', async () => {
    const child = startLogging(`
      const line = 'x'.repeat(1000);
      for (let i = 0; i < 3000; i++) logger.info(line);
      console.log('alive', logger.droppedLines > 0, await logger.flushed(50));
      process.stdin.once('data', async () => {
        await logger.flushed(20_000);
        await new Promise((resolve) => setImmediate(resolve));
        await logger.flushed(20_000);
        process.exit();
      });`);
    const [answer] = await once(child.stdout!, 'data');
    expect(String(answer).trim()).toBe('alive true false');
    child.stdin!.write('go on\n');
    const last = (await textOf(child.stderr!)).trimEnd().split('\n').at(-1)!;
    expect(JSON.parse(last)).toMatchObject({ level: 'warn', msg: expect.stringContaining('log lines dropped') });
  });

  it('survives a reader that goes away', async () => {
    const child = startLogging(`
      process.stdin.once('data', async () => {
        for (let i = 0; i < 10; i++) {
          logger.info('into the void');
          await new Promise((resolve) => setTimeout(resolve, 5));
        }
        console.log('alive', await logger.flushed(1000), logger.droppedLines > 0);
        process.exit();
      });`);
    child.stderr!.destroy();
    child.stdin!.write('go on\n');
    expect((await textOf(child.stdout!)).trim()).toBe('alive true true');
  });
});
