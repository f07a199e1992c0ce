/** A scriptable SSH client over a transport: the honest steps as methods, everything else as raw messages. */

import {
  createHash,
  createPublicKey,
  decapsulate,
  diffieHellman,
  generateKeyPairSync,
  randomBytes,
  verify,
} from 'node:crypto';
import { DEFAULT_LIMITS } from '../../../../src/limits.ts';
import {
  CIPHER_SIZES,
  type CipherName,
  createPacketCipher,
  type PacketCipher,
} from '../../../../src/listener/ssh/ciphers.ts';
import {
  encodeMessage,
  encodeMpint,
  encodeNameList,
  encodeString,
  encodeUint32,
  PayloadReader,
} from '../../../../src/listener/ssh/codec.ts';
import { MSG } from '../../../../src/listener/ssh/constants.ts';
import { deriveKey, exchangeHash, type KeyMaterial } from '../../../../src/listener/ssh/kex.ts';
import { PacketReader, PacketWriter } from '../../../../src/listener/ssh/packet.ts';
import { ByteReader } from '../../../../src/wire/reader.ts';
import type { Transport } from '../../../../src/wire/transport.ts';

export interface ClientChoices {
  kex?: readonly string[];
  hostKeys?: readonly string[];
  ciphers?: readonly string[];
  isStrict?: boolean;
  /** Says that a guessed packet follows, and sends this one. */
  guess?: Buffer;
}

const VERSION = Buffer.from('SSH-2.0-test_client');

export class TestClient {
  readonly transport: Transport;
  readonly source: ByteReader;
  readonly reader: PacketReader;
  readonly writer: PacketWriter;
  sessionId: Buffer | null = null;
  serverVersion: Buffer = Buffer.alloc(0);
  /** The server's KEXINIT that nobody has answered. */
  serverInit: Buffer | null = null;
  #choices: ClientChoices;

  constructor(transport: Transport, choices: ClientChoices = {}) {
    this.transport = transport;
    this.source = new ByteReader(transport);
    this.reader = new PacketReader(this.source, { ...DEFAULT_LIMITS, sshPacketBytes: 300_000 });
    this.writer = new PacketWriter(transport);
    this.#choices = choices;
  }

  send(type: number, ...fields: readonly Uint8Array[]): void {
    this.writer.write(encodeMessage(type, ...fields));
  }

  /** The next message that is no EXT_INFO. */
  async receive(): Promise<Buffer> {
    for (;;) {
      const payload = await this.reader.read();
      if (payload[0] !== MSG.EXT_INFO) return payload;
    }
  }

  /** The next message, which must be of this type; a reader behind its number. */
  async expect(type: number): Promise<PayloadReader> {
    const payload = await this.receive();
    if (payload[0] === MSG.DISCONNECT && type !== MSG.DISCONNECT) {
      const reader = new PayloadReader(payload);
      reader.bytes(5, 'reason');
      throw new Error(`disconnected: ${reader.string('text')}`);
    }
    if (payload[0] !== type) throw new Error(`message ${payload[0]} instead of ${type}`);
    return new PayloadReader(payload.subarray(1));
  }

  /** Text of the disconnect that must come next, other messages skipped. */
  async disconnectText(): Promise<string> {
    for (;;) {
      const payload = await this.receive();
      if (payload[0] !== MSG.DISCONNECT) continue;
      const reader = new PayloadReader(payload);
      reader.bytes(5, 'reason');
      return reader.string('text').toString();
    }
  }

  async exchangeVersions(): Promise<void> {
    this.transport.write(Buffer.concat([VERSION, Buffer.from('\r\n')]));
    this.serverVersion = (await this.source.readUntil(10, 255, 'version')).subarray(0, -1);
  }

  kexInit(): Buffer {
    const { kex = ['curve25519-sha256'], hostKeys = ['ssh-ed25519'], isStrict = true, guess } = this.#choices;
    const { ciphers = ['aes128-gcm@openssh.com'] } = this.#choices;
    const lists = [
      [...kex, 'ext-info-c', ...(isStrict ? ['kex-strict-c-v00@openssh.com'] : [])],
      hostKeys,
      ciphers,
      ciphers,
      ['hmac-sha2-256'],
      ['hmac-sha2-256'],
      ['none'],
      ['none'],
      [],
      [],
    ];
    const follows = Buffer.of(guess === undefined ? 0 : 1);
    return encodeMessage(MSG.KEXINIT, randomBytes(16), ...lists.map(encodeNameList), follows, encodeUint32(0));
  }

  /** A whole key exchange; the first one also sets the session's id. */
  async exchangeKeys(): Promise<void> {
    const clientInit = this.kexInit();
    this.writer.write(clientInit);
    if (this.#choices.guess !== undefined) this.writer.write(this.#choices.guess);
    const serverInit = this.serverInit ?? (await this.#serverKexInit());
    this.serverInit = null;
    const isHybrid = this.#choices.kex?.[0] === 'mlkem768x25519-sha256';
    const curve = generateKeyPairSync('x25519');
    const lattice = isHybrid ? generateKeyPairSync('ml-kem-768') : null;
    const curveShare = curve.publicKey.export({ format: 'raw-public' });
    const latticeShare = lattice?.publicKey.export({ format: 'raw-public' }) ?? Buffer.alloc(0);
    const clientShare = Buffer.concat([latticeShare, curveShare]);
    this.send(MSG.KEX_INIT, encodeString(clientShare));
    const reply = await this.expect(MSG.KEX_REPLY);
    const [hostKey, serverShare, signature] = [reply.string('K_S'), reply.string('Q_S'), reply.string('signature')];
    const theirs = createPublicKey({
      key: serverShare.subarray(-32),
      format: 'raw-public',
      asymmetricKeyType: 'x25519',
    });
    const shared = diffieHellman({ privateKey: curve.privateKey, publicKey: theirs });
    const secret =
      lattice === null
        ? encodeMpint(shared)
        : encodeString(
            createHash('sha256')
              .update(decapsulate(lattice.privateKey, serverShare.subarray(0, 1088)))
              .update(shared)
              .digest(),
          );
    const hash = exchangeHash({
      ...{ clientVersion: VERSION, serverVersion: this.serverVersion, clientInit, serverInit, hostKey },
      ...{ clientShare, serverShare, secret },
    });
    checkSignature(hostKey, hash, signature);
    this.sessionId ??= hash;
    await this.#changeKeys({ secret, hash, sessionId: this.sessionId });
  }

  async #serverKexInit(): Promise<Buffer> {
    // What the server had sent before it saw ours comes first.
    for (;;) {
      const payload = await this.receive();
      if (payload[0] === MSG.KEXINIT) return payload;
      if (payload[0] === MSG.DISCONNECT) throw new Error('disconnected during the key exchange');
    }
  }

  async #changeKeys(material: KeyMaterial): Promise<void> {
    const { isStrict = true, ciphers = ['aes128-gcm@openssh.com'] } = this.#choices;
    const name = ciphers[0] as CipherName;
    this.send(MSG.NEWKEYS);
    this.writer.changeKey(cipherOf(name, material, 'A', 'C'), isStrict);
    await this.expect(MSG.NEWKEYS);
    this.reader.changeKey(cipherOf(name, material, 'B', 'D'), isStrict);
  }

  async connect(): Promise<void> {
    await this.exchangeVersions();
    await this.exchangeKeys();
  }

  async requestAuth(): Promise<void> {
    this.send(MSG.SERVICE_REQUEST, encodeString('ssh-userauth'));
    await this.expect(MSG.SERVICE_ACCEPT);
  }

  sendAuth(method: string, ...fields: readonly Uint8Array[]): void {
    const names = ['somebody', 'ssh-connection', method].map((name) => encodeString(name));
    this.send(MSG.USERAUTH_REQUEST, ...names, ...fields);
  }

  /** Connects and logs in with `none`. */
  async logIn(): Promise<void> {
    await this.connect();
    await this.requestAuth();
    this.sendAuth('none');
    await this.expect(MSG.USERAUTH_SUCCESS);
  }

  sendOpen(type = 'session', window = 2 ** 21, maxPacket = 32_768): void {
    this.send(MSG.CHANNEL_OPEN, encodeString(type), ...[7, window, maxPacket].map(encodeUint32));
  }

  /** Opens the session channel. */
  async open(window?: number, maxPacket?: number): Promise<void> {
    this.sendOpen('session', window, maxPacket);
    await this.expect(MSG.CHANNEL_OPEN_CONFIRMATION);
  }

  sendRequest(type: string, ...fields: readonly Uint8Array[]): void {
    this.send(MSG.CHANNEL_REQUEST, encodeUint32(0), encodeString(type), Buffer.of(1), ...fields);
  }

  sendExec(command = 'rsync --server --daemon .'): void {
    this.sendRequest('exec', encodeString(command));
  }

  sendData(data: Uint8Array | string): void {
    this.send(MSG.CHANNEL_DATA, encodeUint32(0), encodeString(data));
  }

  async data(): Promise<Buffer> {
    const reader = await this.expect(MSG.CHANNEL_DATA);
    reader.uint32('channel');
    return reader.string('data');
  }

  /** Logs in, opens the channel and starts the session. */
  async startSession(window?: number, maxPacket?: number): Promise<void> {
    await this.logIn();
    await this.open(window, maxPacket);
    this.sendExec();
    await this.expect(MSG.CHANNEL_SUCCESS);
  }
}

function cipherOf(name: CipherName, material: KeyMaterial, iv: 'A' | 'B', key: 'C' | 'D'): PacketCipher {
  const { keyBytes, ivBytes } = CIPHER_SIZES[name];
  return createPacketCipher(name, deriveKey(material, key, keyBytes), deriveKey(material, iv, ivBytes));
}

function checkSignature(hostKey: Buffer, hash: Buffer, signature: Buffer): void {
  const x = hostKey.subarray(-32).toString('base64url');
  const key = createPublicKey({ key: { kty: 'OKP', crv: 'Ed25519', x }, format: 'jwk' });
  if (!verify(null, hash, key, signature.subarray(-64))) throw new Error('bad host key signature');
}
