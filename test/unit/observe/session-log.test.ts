import { describe, expect, it } from 'vitest';
import { DEFAULT_LIMITS } from '../../../src/limits.ts';
import type { LogFields, Logger, LogLevel } from '../../../src/observe/log.ts';
import { createSessionLogger, LogBudget, logSessionEnd, type SessionRecord } from '../../../src/observe/session-log.ts';

type Line = LogFields & { level: LogLevel; msg: string };

/** A Logger that keeps its lines; debug and trace are switched off. */
function collector(lines: Line[], bound: LogFields = {}): Logger {
  const method = (level: LogLevel) => (fields: LogFields | string, message?: string) => {
    const facts = typeof fields === 'string' ? { msg: fields } : { ...fields, msg: message ?? '' };
    if (level !== 'debug' && level !== 'trace') lines.push({ level, ...bound, ...facts });
  };
  return {
    trace: method('trace'),
    debug: method('debug'),
    info: method('info'),
    warn: method('warn'),
    error: method('error'),
    fatal: method('fatal'),
    isLevelEnabled: (level) => level !== 'debug' && level !== 'trace',
    child: (fields) => collector(lines, { ...bound, ...fields }),
  };
}

const RECORD: SessionRecord = {
  peer: '192.0.2.1',
  port: 40_000,
  module: 'pub',
  user: null,
  protocol: 32,
  files: 3,
  bytesSent: 1000,
  bytesReceived: 200,
  totalSize: null,
  seconds: 1.23456,
  queueSeconds: null,
  outcome: 'ok',
  exit: 0,
  detail: null,
};

function setUp(perSession: number, perSecond: number) {
  const lines: Line[] = [];
  const clock = { ms: 0 };
  const root = collector(lines);
  const budget = new LogBudget({ logLinesPerSecond: perSecond }, () => clock.ms);
  const session = (id = 1) => createSessionLogger(root, budget, { logLinesPerSession: perSession }, { id });
  return { lines, clock, budget, session, root };
}

describe('logSessionEnd', () => {
  it('writes one line with what is known', () => {
    const { lines, root } = setUp(1, 1);
    logSessionEnd(root, RECORD);
    expect(lines).toEqual([
      {
        level: 'info',
        peer: '192.0.2.1',
        port: 40_000,
        module: 'pub',
        protocol: 32,
        files: 3,
        bytesSent: 1000,
        bytesReceived: 200,
        seconds: 1.235,
        outcome: 'ok',
        exit: 0,
        msg: 'session ended',
      },
    ]);
  });
});

describe('a session logger', () => {
  it('writes N lines, holds back N + 1, and says so at the end', () => {
    const { lines, session } = setUp(3, 100);
    const logger = session();
    for (let index = 0; index < 5; index++) logger.info(`line ${index}`);
    logger.end(RECORD);
    expect(lines.map(({ msg }) => msg)).toEqual(['line 0', 'line 1', 'line 2', 'session ended']);
    expect(lines.at(-1)).toMatchObject({ id: 1, suppressedLines: 2 });
  });

  it('counts the lines of its children', () => {
    const { lines, session } = setUp(2, 100);
    const logger = session();
    logger.child({ file: 'a' }).info('one');
    logger.child({ file: 'b' }).info('two');
    logger.info('three');
    expect(lines).toMatchObject([
      { id: 1, file: 'a' },
      { id: 1, file: 'b' },
    ]);
  });

  it('spends nothing on levels that are switched off', () => {
    const { lines, session } = setUp(1, 1);
    const logger = session();
    for (let index = 0; index < 9; index++) logger.debug('noise');
    logger.info('signal');
    expect(lines.map(({ msg }) => msg)).toEqual(['signal']);
  });

  it('says nothing about suppressed lines when there were none', () => {
    const { lines, session } = setUp(1, 100);
    session().end(RECORD);
    expect(lines[0]).not.toHaveProperty('suppressedLines');
  });
});

describe('the shared budget', () => {
  it('holds back N + 1 lines of a second, whichever session writes them', () => {
    const { lines, session, budget } = setUp(50, 3);
    for (let id = 0; id < 4; id++) session(id).info('hello');
    expect(lines.map(({ id }) => id)).toEqual([0, 1, 2]);
    expect(budget.suppressedTotal).toBe(1);
  });

  it('opens again after a second and reports what it held back, once', () => {
    const { lines, session, clock } = setUp(50, 1);
    const logger = session();
    for (let index = 0; index < 4; index++) logger.info('hello');
    clock.ms = 1000;
    logger.info('again');
    clock.ms = 2000;
    logger.info('and again');
    expect(lines).toMatchObject([
      { msg: 'hello' },
      { level: 'warn', lines: 3, msg: expect.stringContaining('suppressed') },
      { msg: 'again' },
      { msg: 'and again' },
    ]);
  });

  it('holds back last lines too', () => {
    const { lines, session } = setUp(50, 1);
    session(1).end(RECORD);
    session(2).end(RECORD);
    expect(lines.length).toBe(1);
  });

  it('is 50 lines a session and 200 a second by default', () => {
    expect(DEFAULT_LIMITS).toMatchObject({ logLinesPerSession: 50, logLinesPerSecond: 200 });
  });
});
