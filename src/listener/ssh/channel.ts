/** The connection protocol (RFC 4254), cut down to one session channel with one exec; everything else is refused. server.ts calls it. */

import { Bug, PeerGone, ProtocolError, RsyncError, UsageError } from '../../errors.ts';
import type { Limits } from '../../limits.ts';
import type { PeerAddress, Transport } from '../../wire/transport.ts';
import { encodeBoolean, encodeMessage, encodeString, encodeUint32, PayloadReader } from './codec.ts';
import { MSG, OPEN_FAILURE } from './constants.ts';
import { requireDaemonCommand } from './exec-command.ts';
import { SshTransport } from './ssh-transport.ts';
import type { SshConnection } from './transport.ts';

/** SECURITY: with packets of a few bytes a client would make us send forty times what it receives. */
const MIN_PACKET_BYTES = 1024;

const OUR_CHANNEL = 0;

/** Exit status of a refused command. */
const REFUSED_STATUS = 1;

/** What a client may have wanted, for the log. */
export interface ChannelReport {
  /** The client asked for something that is refused: a command, a shell, a forwarding. Called at most as often as messageRate allows. */
  onRefused(what: string): void;
}

export interface ChannelOptions extends ChannelReport {
  readonly peer: PeerAddress;
  readonly limits: Readonly<Limits>;
  /** Runs the rsync session over the channel and returns the exit status for the client, 0 to 255. */
  readonly onExec: (transport: Transport) => Promise<number>;
}

/**
 * Serves the connection's one channel until it is closed.
 * @throws PeerGone when the connection broke, LimitError, ProtocolError, TimeoutError.
 */
export async function serveChannel(connection: SshConnection, options: ChannelOptions): Promise<void> {
  await new ChannelService(connection, options).run();
}

class ChannelService {
  readonly #connection: SshConnection;
  readonly #options: ChannelOptions;
  #transport: SshTransport | null = null;
  /** The client's number of the channel. */
  #channel = 0;
  /** The one exec: also a refused one. */
  #execution: Promise<void> | null = null;
  #sentClose = false;
  #gotClose = false;

  constructor(connection: SshConnection, options: ChannelOptions) {
    this.#connection = connection;
    this.#options = options;
  }

  async run(): Promise<void> {
    try {
      while (!(this.#sentClose && this.#gotClose)) {
        this.#dispatch(await this.#connection.receive());
        // SECURITY: replies must not pile up for a client that only sends.
        await this.#connection.drained(2 * this.#options.limits.outputBytes);
      }
    } catch (thrown) {
      this.#transport?.fail(thrown instanceof RsyncError ? thrown : new PeerGone('SSH connection failed'));
      throw thrown;
    } finally {
      await this.#execution;
    }
  }

  #dispatch(payload: Buffer): void {
    const reader = new PayloadReader(payload);
    switch (reader.byte('message number')) {
      case MSG.CHANNEL_DATA:
        this.#toChannel(reader).receiveData(reader.string('data'));
        return;
      case MSG.CHANNEL_WINDOW_ADJUST:
        this.#toChannel(reader).widenWindow(reader.uint32('window'));
        return;
      case MSG.CHANNEL_EOF:
        this.#toChannel(reader).receiveEof();
        return;
      case MSG.CHANNEL_CLOSE:
        this.#toChannel(reader);
        this.#close();
        return;
      case MSG.CHANNEL_REQUEST:
        this.#toChannel(reader);
        this.#channelRequest(reader);
        return;
      case MSG.CHANNEL_OPEN:
        this.#open(reader);
        return;
      case MSG.GLOBAL_REQUEST:
        this.#globalRequest(reader);
        return;
      case MSG.USERAUTH_REQUEST:
        // After success further requests are ignored (RFC 4252 5.1).
        this.#connection.countIdle();
        return;
      default:
        this.#connection.refuseUnknown();
    }
  }

  /** The channel that a message names. */
  #toChannel(reader: PayloadReader): SshTransport {
    const number = reader.uint32('channel');
    if (this.#transport === null || number !== OUR_CHANNEL || this.#gotClose) {
      throw new ProtocolError('SSH: message for a channel that is not open');
    }
    return this.#transport;
  }

  #open(reader: PayloadReader): void {
    this.#connection.countIdle();
    const type = reader.name('channel type');
    const channel = reader.uint32('channel');
    const window = reader.uint32('window');
    const maxPacketBytes = reader.uint32('packet size');
    const refuse = (reason: number, text: string): void => {
      this.#options.onRefused(`channel ${type}`);
      const fields = [encodeUint32(channel), encodeUint32(reason), encodeString(text), encodeString('')];
      this.#connection.send(encodeMessage(MSG.CHANNEL_OPEN_FAILURE, ...fields));
    };
    if (type !== 'session') {
      const isKnown = type === 'direct-tcpip' || type === 'direct-streamlocal@openssh.com';
      if (isKnown) refuse(OPEN_FAILURE.ADMINISTRATIVELY_PROHIBITED, 'open failed');
      else refuse(OPEN_FAILURE.UNKNOWN_CHANNEL_TYPE, 'unknown channel type');
    } else if (this.#transport !== null) {
      refuse(OPEN_FAILURE.RESOURCE_SHORTAGE, 'one session per connection');
    } else if (maxPacketBytes < MIN_PACKET_BYTES) {
      refuse(OPEN_FAILURE.RESOURCE_SHORTAGE, 'packet size too small');
    } else {
      this.#confirm({ channel, window, maxPacketBytes });
    }
  }

  #confirm(facts: { channel: number; window: number; maxPacketBytes: number }): void {
    const { peer, limits } = this.#options;
    this.#channel = facts.channel;
    this.#transport = new SshTransport(this.#connection, peer, facts, limits);
    // The size that we name is the data of one packet; the rest of the bound is for what is around it.
    const maxData = Math.min(32_768, limits.sshPacketBytes - 256);
    const numbers = [facts.channel, OUR_CHANNEL, limits.sshWindowBytes, maxData].map(encodeUint32);
    this.#connection.send(encodeMessage(MSG.CHANNEL_OPEN_CONFIRMATION, ...numbers));
  }

  #channelRequest(reader: PayloadReader): void {
    this.#connection.countIdle();
    const type = reader.name('request type');
    const wantsReply = reader.boolean('want reply');
    const isExec = type === 'exec' && this.#execution === null && !this.#sentClose;
    if (wantsReply) {
      const answer = isExec ? MSG.CHANNEL_SUCCESS : MSG.CHANNEL_FAILURE;
      this.#connection.send(encodeMessage(answer, encodeUint32(this.#channel)));
    }
    if (isExec) this.#exec(Buffer.from(reader.string('command')));
    else if (type !== 'env') this.#options.onRefused(type);
  }

  #exec(command: Buffer): void {
    this.#connection.clearDeadline();
    try {
      requireDaemonCommand(command, this.#options.limits);
    } catch (thrown) {
      if (!(thrown instanceof UsageError)) throw thrown;
      this.#options.onRefused(`exec ${command.toString('latin1')}`);
      this.#transport!.writeError(thrown.tell ?? '');
      this.#execution = this.#finish(REFUSED_STATUS);
      return;
    }
    this.#execution = this.#runSession();
  }

  async #runSession(): Promise<void> {
    try {
      await this.#finish(await this.#options.onExec(this.#transport!));
    } catch (thrown) {
      this.#connection.abort(new Bug('the session of an SSH channel failed', { cause: thrown }));
    }
  }

  /** What a process does when it ends: its output goes out, then its status, then the channel closes. */
  async #finish(status: number): Promise<void> {
    const transport = this.#transport!;
    // The client answers with its own close; one that does not is left behind.
    this.#connection.setDeadline('drainMs', 'the end of the channel');
    transport.endWrite();
    await transport.drained(0).catch(() => {});
    if (!this.#sentClose) {
      const fields = [encodeString('exit-status'), encodeBoolean(false), encodeUint32(status)];
      this.#connection.send(encodeMessage(MSG.CHANNEL_REQUEST, encodeUint32(this.#channel), ...fields));
    }
    this.#sendClose();
  }

  /** The client has closed the channel. */
  #close(): void {
    this.#gotClose = true;
    this.#transport!.fail(new PeerGone('channel closed by the SSH client'));
    this.#sendClose();
  }

  #sendClose(): void {
    if (this.#sentClose) return;
    this.#sentClose = true;
    this.#connection.send(encodeMessage(MSG.CHANNEL_CLOSE, encodeUint32(this.#channel)));
  }

  #globalRequest(reader: PayloadReader): void {
    this.#connection.countIdle();
    const type = reader.name('request type');
    if (reader.boolean('want reply')) this.#connection.send(encodeMessage(MSG.REQUEST_FAILURE));
    const isHarmless = type === 'keepalive@openssh.com' || type === 'no-more-sessions@openssh.com';
    if (!isHarmless) this.#options.onRefused(type);
  }
}
