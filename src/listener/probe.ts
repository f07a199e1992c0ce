/** A client that asks a daemon of ours for its module list: the --healthcheck of containers. */

import { connect, type Socket } from 'node:net';
import { PeerGone, TimeoutError } from '../errors.ts';

/** A daemon that needs longer than this for its module list is not healthy. Container runtimes wait 5 s or more. */
const PROBE_MS = 4000;

/** More than any module list that we send. */
const MAX_ANSWER_BYTES = 1024 * 1024;

/** Any greeting does: what matters is that ours comes and that the list ends properly. */
const GREETING = /^@RSYNCD: \d{2}\.\d/;
const REQUEST = '@RSYNCD: 31.0 sha512 sha256 sha1 md5 md4\n#list\n';
const END = /(^|\n)@RSYNCD: EXIT\n$/;

/**
 * Speaks the text phase (1-session.md 2) with the daemon at `host` and `port` up to the end of its module list.
 * @throws PeerGone, TimeoutError saying what was missing.
 */
export function probeDaemon(host: string, port: number): Promise<void> {
  const socket = connect({ host, port, timeout: PROBE_MS });
  return new Promise<void>((resolve, reject) => {
    const deadline = setTimeout(() => reject(new TimeoutError(`no module list within ${PROBE_MS} ms`)), PROBE_MS);
    deadline.unref();
    socket.on('error', (error) => reject(new PeerGone(error.message, { cause: error })));
    socket.on('connect', () => socket.write(REQUEST));
    collect(socket, (answer) => {
      if (GREETING.test(answer) && END.test(answer)) resolve();
      else reject(new PeerGone('the answer is not a module list'));
    });
  }).finally(() => socket.destroy());
}

function collect(socket: Socket, done: (answer: string) => void): void {
  let answer = '';
  socket.setEncoding('latin1');
  socket.on('data', (text: string) => {
    answer += text;
    if (END.test(answer) || answer.length > MAX_ANSWER_BYTES) done(answer);
  });
  socket.on('end', () => done(answer));
}

/** Addresses of this machine behind which a listener on `host` answers: an address for all means loopback. */
export function probeHosts(host: string): readonly string[] {
  if (host === '::') return ['127.0.0.1', '::1'];
  return host === '0.0.0.0' ? ['127.0.0.1'] : [host];
}
