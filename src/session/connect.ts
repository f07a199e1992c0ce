import { AccessError } from '../errors.ts';
import type { Limits } from '../limits.ts';
import type { SessionRecord } from '../observe/session-log.ts';
import { parseServerArgs } from '../options/parse.ts';
import type { ServerOptions } from '../options/server-options.ts';
import { openModuleRoot } from '../vfs/module-root.ts';
import type { ByteReader } from '../wire/reader.ts';
import type { PeerAddress } from '../wire/transport.ts';
import type { Watchdog } from '../wire/watchdog.ts';
import type { FrameWriter } from '../wire/writer.ts';
import type { AdmissionTicket } from './admission-ticket.ts';
import type { ServedModule } from './served-module.ts';
import type { Daemon } from './session.ts';
export interface Text { module: ServedModule; protocol: number; rootFd: number }
export async function requestModule(reader: ByteReader, writer: FrameWriter, o: {daemon: Daemon, peer: PeerAddress, ticket: AdmissionTicket, watchdog: Watchdog, record: SessionRecord}): Promise<Text | null> {
  writer.putBytes(Buffer.from('@RSYNCD: 32.0 sha512 sha256 sha1 md5 md4\n'));
  const line = (await reader.readUntil(10, 1022, 'greeting')).toString('latin1');
  const protocol = Math.min(32, Number(/(\d+)/.exec(line)![1]));
  const name = (await reader.readUntil(10, 1022, 'module')).toString('latin1');
  o.record.protocol = protocol;
  const module = o.daemon.modules.find((m) => m.name === name);
  if (!module) throw new AccessError('unknown', `@ERROR: Unknown module '${name}'`);
  o.record.module = name;
  const rootFd = openModuleRoot(module.path, o.daemon.limits);
  writer.putBytes(Buffer.from('@RSYNCD: OK\n'));
  return { module, protocol, rootFd };
}
export async function receiveOptions(reader: ByteReader, protocol: number, module: ServedModule, limits: Limits): Promise<ServerOptions> {
  const args: Buffer[] = [];
  for (;;) {
    const a = await reader.readUntil(protocol >= 30 ? 0 : 10, 5119, 'arg');
    if (a.length === 0) break;
    args.push(a);
  }
  return parseServerArgs(args, { protocol, daemon: true, secondBatch: null, features: { compression: false, xattrs: false }, refusePatterns: module.refusePatterns, limits });
}
