/** The connection to whoever started us as a service, if anybody did; serve.ts opens it when it can serve. */

import {
  descriptorSink,
  type NotifySink,
  packageSink,
  ServiceNotifier,
  watchdogIntervalMs,
} from '../observe/notify.ts';
import { sizeText } from '../observe/units.ts';
import { connectDatagram } from '../sandbox/syscalls.ts';

type Environment = Readonly<Record<string, string | undefined>>;

/**
 * Without NOTIFY_SOCKET, messages go nowhere and FFI is never loaded.
 * @param connected the descriptor that an earlier stage of this process has connected.
 * @throws SandboxError when it cannot be reached.
 */
export async function connectServiceManager(
  environment: Environment,
  pid: number,
  connected: number | null = null,
): Promise<ServiceNotifier> {
  const address = environment.NOTIFY_SOCKET;
  if (address === undefined || address === '') return new ServiceNotifier(() => {}, null);
  const sink = connected === null ? await sinkTo(address) : descriptorSink(connected);
  return new ServiceNotifier(sink, watchdogIntervalMs(environment, pid));
}

async function sinkTo(address: string): Promise<NotifySink> {
  return (await packageSink()) ?? descriptorSink(await connectDatagram(address));
}

/** `serving 3 sessions, 1.2 GiB sent`. */
export function statusText(sessions: number, bytes: number): string {
  return `serving ${sessions} ${sessions === 1 ? 'session' : 'sessions'}, ${sizeText(bytes)} sent`;
}
