/** Whole sessions in memory over a small module on disk, for the fuzzer: what runs is the daemon's own code, sockets apart. */

import { mkdirSync } from 'node:fs';
import { join } from 'node:path';
import { loadHostTables, servedModules } from '../../src/cli/served-modules.ts';
import { toolsOnDemand } from '../../src/cli/session-tools.ts';
import { Limiter } from '../../src/compress/limiter.ts';
import { loadConfig } from '../../src/config/load.ts';
import type { Logger } from '../../src/observe/log.ts';
import { LogBudget, type SessionRecord } from '../../src/observe/session-log.ts';
import { SessionRegistry } from '../../src/observe/session-registry.ts';
import { TransferLog } from '../../src/observe/transfer-log.ts';
import type { AdmissionTicket } from '../../src/session/admission-ticket.ts';
import { type Daemon, runSession } from '../../src/session/session.ts';
import { toToml } from '../helpers/module-spec.ts';
import { makeTree } from '../helpers/tree.ts';
import { NO_FLAGS } from '../unit/config/fixture.ts';
import { FakeTransport } from '../unit/support/fake-transport.ts';

/** Plays the bytes of one client; says how the session ended. */
export type PlaySession = (bytes: Buffer) => Promise<Readonly<SessionRecord>>;

/** Makes the module below `dir`. */
export async function sessionPlayer(dir: string): Promise<PlaySession> {
  const path = join(dir, 'pub');
  mkdirSync(path);
  await makeTree(path, [
    { name: 'big', size: 40_000 },
    { name: 'dir/nested', content: 'nested\n' },
    { name: 'empty', content: '' },
    { name: 'file', content: 'content of file\n' },
    { name: 'link', symlink: 'file' },
    { name: 'rules', content: '- *.o\n+ file\n' },
    { name: 'names', content: 'file\ndir/nested\n' },
  ]);
  const config = loadConfig(toToml([{ name: 'pub', path }]), null, NO_FLAGS, {
    credentialsDirectory: null,
    uid: 0,
    gid: 0,
  });
  const modules = servedModules(config, await loadHostTables(config));
  const tools = toolsOnDemand(new Limiter(config.limits.compressionJobs));
  await tools();
  return async (bytes) => {
    let ended: Readonly<SessionRecord> | null = null;
    let bug: unknown = null;
    const logger = quietLogger((thrown) => {
      bug = thrown;
    });
    const daemon: Daemon = {
      ...{ modules, tools, logger, limits: config.limits, motd: null },
      logBudget: new LogBudget(config.limits),
      registry: new SessionRegistry(),
      transferLog: new TransferLog(config.limits),
      onEnd: (record) => {
        ended = record;
      },
    };
    const ticket: AdmissionTicket = {
      ...{ client: '', argumentsComplete: () => true, enterModule: () => true, leave: () => {}, release: () => {} },
      ...{ queueUp: () => null, queueMoved: async () => {}, leaveQueue: () => {} },
      readInTurn: (read) => read(),
    };
    await runSession(new FakeTransport([bytes]), daemon, ticket);
    if (bug !== null) throw bug;
    if (ended === null) throw new Error('a session without an end');
    return ended;
  };
}

/** Says nothing; hands errors over, which are bugs of ours. */
function quietLogger(onError: (thrown: unknown) => void): Logger {
  const silent = (): void => {};
  const report = (fields: unknown): void => onError((fields as { err?: unknown }).err ?? fields);
  const logger: Logger = {
    ...{ trace: silent, debug: silent, info: silent, warn: silent, error: report, fatal: report },
    isLevelEnabled: () => true,
    child: () => logger,
  };
  return logger;
}
