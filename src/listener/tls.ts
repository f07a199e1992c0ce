/** TLS 1.2 and 1.3 over accepted sockets (rsync-ssl, stunnel, openssl s_client); cli/services.ts runs rsync sessions over it. */

import { constants, createPrivateKey, type KeyObject, X509Certificate } from 'node:crypto';
import type { Socket } from 'node:net';
import { createSecureContext, type SecureContext, TLSSocket } from 'node:tls';
import { ConfigError, PeerGone, TimeoutError } from '../errors.ts';
import type { PeerAddress } from '../wire/transport.ts';
import { peerOf, SocketTransport } from './socket-transport.ts';
import { READ_HIGH_WATER_MARK } from './stream-input.ts';

/** Forward secrecy and authenticated encryption, nothing else; the fast one on machines with AES instructions first. */
const CIPHERS = [
  'TLS_AES_128_GCM_SHA256',
  'TLS_AES_256_GCM_SHA384',
  'TLS_CHACHA20_POLY1305_SHA256',
  'ECDHE-ECDSA-AES128-GCM-SHA256',
  'ECDHE-RSA-AES128-GCM-SHA256',
  'ECDHE-ECDSA-AES256-GCM-SHA384',
  'ECDHE-RSA-AES256-GCM-SHA384',
  'ECDHE-ECDSA-CHACHA20-POLY1305',
  'ECDHE-RSA-CHACHA20-POLY1305',
].join(':');

/**
 * SECURITY: a ticket's key would open recorded sessions long after they ended, and a client that renegotiates makes us sign
 * again and again for free.
 */
const optionBits = (): number =>
  constants.SSL_OP_NO_TICKET | constants.SSL_OP_NO_RENEGOTIATION | constants.SSL_OP_CIPHER_SERVER_PREFERENCE;

/** A certificate chain with its key, ready for connections. Immutable: a reload makes a new one and leaves sessions alone. */
export interface TlsIdentity {
  readonly context: SecureContext;
  /** Of our own certificate, the first of the chain: `CN=host`; may hold line feeds. */
  readonly subject: string;
  /** SHA-256, as openssl prints it. */
  readonly fingerprint: string;
  readonly validTo: Date;
  /** What it was made of. */
  readonly files: PemFiles;
}

/** Texts with the names for messages. */
export interface PemFiles {
  readonly certificate: string;
  readonly certificatePath: string;
  readonly key: string;
  readonly keyPath: string;
}

/**
 * Checks that a chain and a key are readable and belong together.
 * @throws ConfigError naming the file.
 */
export function loadTlsIdentity(files: PemFiles): TlsIdentity {
  const { certificate, certificatePath, key, keyPath } = files;
  const own = inFile(certificatePath, 'no PEM certificate', () => new X509Certificate(certificate));
  const ownKey: KeyObject = inFile(keyPath, 'no PEM private key without passphrase', () => createPrivateKey(key));
  if (!own.checkPrivateKey(ownKey)) throw new ConfigError(`"${keyPath}" is not the key of "${certificatePath}"`);
  const context = inFile(certificatePath, 'cannot be used', () =>
    createSecureContext({
      cert: certificate,
      key,
      minVersion: 'TLSv1.2',
      maxVersion: 'TLSv1.3',
      ciphers: CIPHERS,
      secureOptions: optionBits(),
    }),
  );
  return { context, subject: own.subject, fingerprint: own.fingerprint256, validTo: own.validToDate, files };
}

/** Runs a parser of node:crypto; its messages name no file, and those about keys are best not shown. */
function inFile<T>(path: string, problem: string, parse: () => T): T {
  try {
    return parse();
  } catch (error) {
    const code = (error as NodeJS.ErrnoException).code ?? '';
    throw new ConfigError(`"${path}": ${problem}${code === '' ? '' : ` (${code})`}`, { cause: error });
  }
}

/** One accepted connection, before and behind the start of its TLS. */
export class TlsConnection {
  readonly peer: PeerAddress;
  readonly #socket: Socket;
  #transport: SocketTransport | null = null;

  /** @param peer the client, where a proxy is at the socket's other end. */
  constructor(socket: Socket, peer: PeerAddress = peerOf(socket)) {
    this.#socket = socket;
    this.peer = peer;
    // A connection that breaks while it waits for its turn ends there.
    socket.on('error', () => {});
  }

  /** Plain bytes sent. */
  get bytesSent(): number {
    return this.#transport?.bytesSent ?? 0;
  }

  /**
   * Makes the handshake; once per connection.
   * @param deadlineMs for all of it.
   * @throws PeerGone, TimeoutError; the connection is closed then.
   */
  async startTls({ context }: TlsIdentity, deadlineMs: number): Promise<SocketTransport> {
    const socket = this.#socket;
    if (socket.destroyed) throw new PeerGone();
    // SECURITY: Node hands over all records of one read, 64 KiB, before it stops: at most 2850 records of one byte, 1 MB.
    const highWaterMark = READ_HIGH_WATER_MARK;
    const options = { isServer: true, secureContext: context, highWaterMark };
    const secure = new TLSSocket(socket, options);
    // Node tells errors behind the handshake here and leaves the socket as it is.
    secure.on('_tlsError', (error: Error) => secure.destroy(error));
    const late = new TimeoutError('timeout in the TLS handshake', { limit: 'tlsHandshakeMs' });
    const timer = setTimeout(() => secure.destroy(late), deadlineMs);
    try {
      this.#transport = await handshake(secure, this.peer);
      return this.#transport;
    } catch (error) {
      this.destroy();
      throw error;
    } finally {
      clearTimeout(timer);
    }
  }

  /** Closes at once, whatever state it is in. */
  destroy(): void {
    this.#transport?.destroy();
    this.#socket.destroy();
  }
}

function handshake(secure: TLSSocket, peer: PeerAddress): Promise<SocketTransport> {
  return new Promise((resolve, reject) => {
    // The transport must exist before the socket says anything else.
    secure.once('secure', () => resolve(new SocketTransport(secure, peer)));
    secure.on('error', (error: NodeJS.ErrnoException) => {
      const reason = error.code ?? error.message;
      reject(error instanceof TimeoutError ? error : new PeerGone(`TLS handshake failed: ${reason}`, { cause: error }));
    });
    secure.on('close', () => reject(new PeerGone()));
  });
}
