/** The connection to whoever started us as a service, if anybody did; serve.ts opens it before anything is served. */

import {
  descriptorSink,
  type NotifySink,
  packageSink,
  ServiceNotifier,
  watchdogIntervalMs,
} from '../observe/notify.ts';
import { connectDatagram } from '../sandbox/syscalls.ts';

type Environment = Readonly<Record<string, string | undefined>>;

/** Steps of 1024. */
const UNITS = ['B', 'KiB', 'MiB', 'GiB', 'TiB', 'PiB'];

/** Without NOTIFY_SOCKET, messages go nowhere and FFI is never loaded. @throws SandboxError when it cannot be reached. */
export async function connectServiceManager(environment: Environment, pid: number): Promise<ServiceNotifier> {
  const address = environment.NOTIFY_SOCKET;
  if (address === undefined || address === '') return new ServiceNotifier(() => {}, null);
  return new ServiceNotifier(await sinkTo(address), watchdogIntervalMs(environment, pid));
}

async function sinkTo(address: string): Promise<NotifySink> {
  return (await packageSink()) ?? descriptorSink(await connectDatagram(address));
}

/** `serving 3 sessions, 1.2 GiB sent`. */
export function statusText(sessions: number, bytes: number): string {
  return `serving ${sessions} ${sessions === 1 ? 'session' : 'sessions'}, ${sizeText(bytes)} sent`;
}

function sizeText(bytes: number): string {
  const power = bytes < 1024 ? 0 : Math.min(UNITS.length - 1, Math.floor(Math.log2(bytes) / 10));
  const value = bytes / 1024 ** power;
  return `${power === 0 ? value : value.toFixed(1)} ${UNITS[power]}`;
}
