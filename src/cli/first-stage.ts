/** What the first of two stages does once the configuration is read: sockets, and locking itself in; stages.ts calls it. */

import { resolve } from 'node:path';
import type { Config, LoadContext } from '../config/config.ts';
import { isSocketFd } from '../config/descriptors.ts';
import type { FileRecord } from '../config/file-record.ts';
import { directoriesOf, isThroughLinks } from '../config/files.ts';
import type { ListenAddress } from '../config/listen-address.ts';
import { inheritedSockets } from '../listener/activation.ts';
import { listenRefusal } from '../listener/tcp.ts';
import { bindSocket } from '../sandbox/bind-socket.ts';
import { type Confinement, confine, kernelForConfinement } from '../sandbox/confine.ts';
import { type Outcome, unconfined } from '../sandbox/outcome.ts';
import { connectDatagram, duplicateDescriptor, type Kernel } from '../sandbox/syscalls.ts';
import { NAME_TABLES } from '../vfs/id-names.ts';
import { openModuleRoot } from '../vfs/open-root.ts';
import type { BoundSockets, Message, Start, StartRequest } from './stages.ts';
import { spareDescriptors } from './worker-count.ts';

type FirstStage = Pick<Start, 'config' | 'environment'> & {
  readonly context: LoadContext & { readonly record: FileRecord };
};

/** Does not return when it succeeds. @returns what is missing else. @throws ConfigError, SandboxError */
export async function runFirstStage(request: StartRequest, first: FirstStage): Promise<Outcome> {
  const kernel = await kernelForConfinement();
  if (typeof kernel === 'string') return unconfined(kernel);
  const { config, context, environment } = first;
  const passed = inheritedSockets(environment, process.pid, isSocketFd);
  const inherited = passed.map(({ fd }) => fd);
  const sockets = !request.serves || inherited.length > 0 ? null : await bindSockets(kernel, config);
  const serving = sockets?.listeners ?? passed.filter(({ name }) => name !== 'metrics').map(({ fd }) => fd);
  const spares = request.serves ? serving.map((fd) => duplicates(kernel, fd, spareDescriptors(config))) : [];
  const { NOTIFY_SOCKET } = environment;
  const notifyFd = request.serves && NOTIFY_SOCKET ? await connectDatagram(NOTIFY_SOCKET) : null;
  const message: Message = {
    flags: { ...request.flags(), file: config.file === null ? null : resolve(config.file) },
    context: { ...request.context, directory: resolve('.') },
    record: context.record.toJSON(),
    sockets,
    spares,
    notifyFd,
  };
  const opened = [
    ...spares.flat(),
    ...(sockets?.listeners ?? []),
    ...(sockets?.monitoring ?? []),
    ...(notifyFd === null ? [] : [notifyFd]),
  ];
  const descriptors = [...inherited, ...opened];
  const outcome = confine(kernel, { ...confinementOf(config, context.record), descriptors, environment, message });
  for (const fd of opened) kernel.attempt('close', fd);
  return outcome;
}

function duplicates(kernel: Kernel, fd: number, count: number): number[] {
  return Array.from({ length: count }, () => duplicateDescriptor(kernel, fd));
}

async function bindSockets(kernel: Kernel, { listeners, monitoring }: Config): Promise<BoundSockets> {
  const addresses = listeners.map(({ address }) => address);
  return { listeners: await bindAll(kernel, addresses), monitoring: await bindAll(kernel, monitoring) };
}

async function bindAll(kernel: Kernel, addresses: readonly ListenAddress[]): Promise<number[]> {
  const sockets: number[] = [];
  for (const address of addresses) {
    const fd = await bindSocket(kernel, address.host, address.port);
    if (typeof fd === 'string') throw listenRefusal(address, fd);
    sockets.push(fd);
  }
  return sockets;
}

/** What a daemon with this configuration is left with. */
function confinementOf(
  config: Config,
  record: FileRecord,
): Omit<Confinement, 'descriptors' | 'environment' | 'message'> {
  const { modules } = config;
  // What SIGHUP reads again, as far as nobody may.
  const files = [...record.files, ...(needsNames(config) ? NAME_TABLES : [])];
  const places = [...new Set(modules.flatMap(({ path }) => directoriesOf(path)))];
  return {
    readable: [...places, ...files],
    root: config.dontNamespace
      ? null
      : {
          modules: places.map((path) => ({ path, open: () => openRoot(config, path) })),
          linked: modules.map(({ path }) => path).filter(isThroughLinks),
          files,
        },
    keepsIdentity: false,
    sockets: false,
    ffi: modules.some(({ xattrs }) => xattrs),
  };
}

function needsNames({ file, modules }: Config): boolean {
  return file?.endsWith('.conf') === true || modules.some(({ numericIds }) => !numericIds);
}

function openRoot({ limits }: Config, path: string): number {
  return openModuleRoot(Buffer.from(path), limits);
}
