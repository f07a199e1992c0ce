/** Whole SSH connections in memory: an honest client, then one for each way to misbehave. */

import { setImmediate as nextTurn } from 'node:timers/promises';
import * as fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { LimitError, PeerGone, TimeoutError } from '../../../../src/errors.ts';
import { DEFAULT_LIMITS } from '../../../../src/limits.ts';
import { CIPHER_NAMES } from '../../../../src/listener/ssh/ciphers.ts';
import { encodeString, encodeUint32 } from '../../../../src/listener/ssh/codec.ts';
import { MSG } from '../../../../src/listener/ssh/constants.ts';
import { KEX_NAMES } from '../../../../src/listener/ssh/kex.ts';
import { Penalties } from '../../../../src/listener/ssh/penalties.ts';
import { echo, serve } from './serve.ts';

describe('an honest client', () => {
  it.each(KEX_NAMES.flatMap((kex) => CIPHER_NAMES.map((cipher) => [kex, cipher] as const)))(
    'exchanges keys with %s and talks over %s',
    async (kex, cipher) => {
      const { client } = serve({ kex: [kex], ciphers: [cipher] });
      await client.startSession();
      client.sendData('@RSYNCD: 32.0\n');
      expect(String(await client.data())).toBe('@RSYNCD: 32.0\n');
    },
  );

  it('may give any user name and is told apart by nothing else', async () => {
    const users: string[] = [];
    const { client } = serve({}, { onLogin: (who) => users.push(`${who.user} ${who.modules} ${who.fingerprint}`) });
    await client.logIn();
    expect(users).toEqual(['somebody null null']);
  });

  it('gets our end of file, the exit status and a close, in this order', async () => {
    const { client, outcome } = serve({}, { onExec: async () => 3 });
    await client.startSession();
    await client.expect(MSG.CHANNEL_EOF);
    const request = await client.expect(MSG.CHANNEL_REQUEST);
    request.uint32('channel');
    expect([request.name('type'), request.boolean('reply'), request.uint32('status')]).toEqual([
      'exit-status',
      false,
      3,
    ]);
    await client.expect(MSG.CHANNEL_CLOSE);
    client.send(MSG.CHANNEL_CLOSE, encodeUint32(0));
    expect((await outcome).error).toBeNull();
  });

  it('leaves first: some take our end of file before the messages in front of it, and would call the connection broken', async () => {
    const { client, ends, outcome } = serve({}, { onExec: async () => 0, limits: { drainMs: 60_000 } });
    const order: string[] = [];
    ends[0].endWrite = () => order.push('server');
    await client.startSession();
    await client.expect(MSG.CHANNEL_EOF);
    await client.expect(MSG.CHANNEL_REQUEST);
    await client.expect(MSG.CHANNEL_CLOSE);
    client.send(MSG.CHANNEL_CLOSE, encodeUint32(0));
    await nextTurn();
    order.push('client');
    ends[1].endWrite();
    await outcome;
    expect(order).toEqual(['client', 'server']);
  });

  it('may guess the first packet of the exchange wrongly', async () => {
    const guess = Buffer.concat([Buffer.of(MSG.KEX_INIT), encodeString('of another method')]);
    const { client } = serve({ kex: ['sntrup761x25519-sha512', 'curve25519-sha256'], guess });
    await client.logIn();
    expect(client.sessionId).not.toBeNull();
  });

  it('may do without strict key exchange when it takes AES-GCM', async () => {
    const { client } = serve({ isStrict: false });
    await client.startSession();
    client.sendData('x');
    expect(String(await client.data())).toBe('x');
  });

  it('may send what means nothing', async () => {
    const { client } = serve();
    await client.logIn();
    client.send(MSG.IGNORE, encodeString('padding'));
    client.send(MSG.DEBUG, Buffer.of(0), encodeString('text'), encodeString(''));
    await client.open();
  });

  it('that closes the channel early ends the session', async () => {
    let status = -1;
    const { client, outcome } = serve(
      {},
      {
        onExec: async (transport) => {
          status = await echo(transport);
          return status;
        },
      },
    );
    await client.startSession();
    client.send(MSG.CHANNEL_CLOSE, encodeUint32(0));
    await client.expect(MSG.CHANNEL_CLOSE);
    expect((await outcome).error).toBeNull();
    expect(status).toBe(10);
  });
});

describe('change of keys', () => {
  it('by the client keeps the data in order', async () => {
    const { client } = serve();
    await client.startSession();
    client.sendData('before');
    await client.data();
    await client.exchangeKeys();
    client.sendData('after');
    expect(String(await client.data())).toBe('after');
  });

  it('by us comes after the agreed number of bytes and holds our data back', async () => {
    const { client } = serve({}, { limits: { sshRekeyBytes: 8000 } });
    await client.startSession();
    client.sendData(Buffer.alloc(5000, 1));
    expect(await client.data()).toHaveLength(5000);
    client.sendData(Buffer.alloc(4000, 2));
    client.serverInit = await client.receive();
    expect(client.serverInit[0]).toBe(MSG.KEXINIT);
    await client.exchangeKeys();
    expect(await client.data()).toEqual(Buffer.alloc(4000, 2));
  });

  it('ends the connection when the client does not answer ours', async () => {
    const { client, outcome } = serve({}, { limits: { sshRekeyBytes: 4096, outputStallMs: 20 } });
    await client.startSession();
    client.sendData(Buffer.alloc(5000, 1));
    expect(await client.disconnectText()).toBe('timeout: the change of keys');
    expect((await outcome).error).toBeInstanceOf(TimeoutError);
  });

  it('is refused to a client that wants a third one within the minute', async () => {
    const { client, outcome } = serve();
    await client.startSession();
    await client.exchangeKeys();
    client.writer.write(client.kexInit());
    expect(await client.disconnectText()).toContain('too many SSH key exchanges');
    expect(((await outcome).error as LimitError).limit).toBe('sshPeerRekeyMs');
  });

  it('is free for a client that has moved enough data', async () => {
    const { client } = serve({}, { limits: { sshPeerRekeyBytes: 1000 } });
    await client.startSession();
    for (let round = 0; round < 5; round++) {
      client.sendData(Buffer.alloc(1000, round));
      await client.data();
      await client.exchangeKeys();
    }
    client.sendData('still here');
    expect(String(await client.data())).toBe('still here');
  });

  it('lets no data pass between the KEXINIT and the new keys', async () => {
    const { client } = serve();
    await client.startSession();
    client.writer.write(client.kexInit());
    client.sendData('too late');
    expect(await client.disconnectText()).toContain('unexpected message during the key exchange');
  });
});

describe('the first exchange', () => {
  it('CVE-2023-48795: with strict key exchange refuses a message before it', async () => {
    const { client } = serve();
    await client.exchangeVersions();
    client.send(MSG.IGNORE, encodeString('slipped in'));
    client.writer.write(client.kexInit());
    expect(await client.disconnectText()).toContain('KEXINIT is not the first message');
  });

  it('CVE-2023-48795: with strict key exchange refuses a message inside it', async () => {
    const { client } = serve();
    await client.exchangeVersions();
    client.writer.write(client.kexInit());
    client.send(MSG.IGNORE, encodeString('slipped in'));
    expect(await client.disconnectText()).toContain('unexpected message during the key exchange');
  });

  it('CVE-2023-48795: without strict key exchange does not offer chacha20-poly1305', async () => {
    const { client, outcome } = serve({ isStrict: false, ciphers: ['chacha20-poly1305@openssh.com'] });
    await expect(client.connect()).rejects.toThrow('disconnected');
    expect((await outcome).error?.message).toBe('SSH: no common cipher algorithm');
  });

  it.each([
    [{ kex: ['diffie-hellman-group14-sha256'] }, 'key exchange'],
    [{ hostKeys: ['ssh-rsa'] }, 'host key'],
    [{ ciphers: ['aes128-cbc'] }, 'cipher'],
  ])('fails for %j', async (choices, what) => {
    const { client, outcome } = serve(choices);
    await expect(client.connect()).rejects.toThrow('disconnected');
    expect((await outcome).error?.message).toBe(`SSH: no common ${what} algorithm`);
  });

  it.each([
    ['of small order', Buffer.alloc(32)],
    ['too short', Buffer.alloc(31, 9)],
    ['too long', Buffer.alloc(33, 9)],
    ['empty', Buffer.alloc(0)],
  ])('refuses a share that is %s', async (_, share) => {
    const { client } = serve();
    await client.exchangeVersions();
    client.writer.write(client.kexInit());
    client.send(MSG.KEX_INIT, encodeString(share));
    expect(await client.disconnectText()).toContain('unusable key exchange value');
  });

  it.each(['GET / HTTP/1.1\r\n', 'SSH-1.5-old\r\n', 'SSH-2.0-\x1b[2J\r\n', `SSH-2.0-${'x'.repeat(300)}\r\n`, '\r\n'])(
    'refuses the version line %j',
    async (line) => {
      const { client, outcome } = serve();
      client.transport.write(Buffer.from(line, 'latin1'));
      expect((await outcome).error?.code).toMatch(/ssh-version|protocol/);
    },
  );

  it.each([254, 255])('takes or refuses a version line of %i bytes with its CR', async (length) => {
    const { client, outcome } = serve();
    client.transport.write(Buffer.from(`SSH-2.0-${'x'.repeat(length - 9)}\r\n`));
    client.transport.endWrite();
    expect((await outcome).error).toBeInstanceOf(length === 254 ? PeerGone : Error);
    expect((await outcome).error?.message.includes('too long')).toBe(length === 255);
  });

  it('CVE-2024-6387: ends when the client says nothing in time', async () => {
    const penalties = new Penalties(DEFAULT_LIMITS);
    const { outcome } = serve({}, { limits: { sshLoginMs: 20 }, penalties });
    expect((await outcome).error).toMatchObject({ message: 'timeout: the SSH key exchange', limit: 'sshLoginMs' });
  });

  it('CVE-2024-6387: waits longer for the login, when a person looks at the fingerprint, but not forever', async () => {
    const { client, outcome } = serve({}, { limits: { authMs: 20 } });
    await client.connect();
    expect((await outcome).error).toMatchObject({ message: 'timeout: the SSH login', limit: 'authMs' });
  });

  it('costs an address that misbehaves its next connections', async () => {
    const penalties = new Penalties(DEFAULT_LIMITS);
    const first = serve({}, { penalties });
    first.client.transport.write(Buffer.from('nonsense\r\n'));
    await first.outcome;
    const second = serve({}, { penalties });
    expect(((await second.outcome).error as LimitError).limit).toBe('sshPenaltyMs');
    expect(
      (await serve({}, { penalties, address: '198.51.100.1', limits: { sshLoginMs: 5 } }).outcome).error,
    ).toBeInstanceOf(TimeoutError);
  });
});

describe('the login', () => {
  it('on the anonymous listener refuses every method but none', async () => {
    const { client } = serve();
    await client.connect();
    await client.requestAuth();
    client.sendAuth('password', Buffer.of(0), encodeString('secret'));
    expect((await client.expect(MSG.USERAUTH_FAILURE)).nameList('methods')).toEqual([]);
    client.sendAuth('none');
    await client.expect(MSG.USERAUTH_SUCCESS);
  });

  it('ends after six failures', async () => {
    const { client, outcome } = serve();
    await client.connect();
    await client.requestAuth();
    for (let i = 0; i < 6; i++) {
      client.sendAuth('password', Buffer.of(0), encodeString('guess'));
      await client.expect(MSG.USERAUTH_FAILURE);
    }
    expect(await client.disconnectText()).toBe('Too many authentication failures');
    expect((await outcome).error).toMatchObject({ code: 'ssh-auth', limit: 'sshAuthTries' });
  });

  it.each([MSG.CHANNEL_OPEN, MSG.GLOBAL_REQUEST, MSG.CHANNEL_DATA])(
    'lets message %i not pass before it',
    async (type) => {
      const { client } = serve();
      await client.connect();
      await client.requestAuth();
      client.send(type, encodeString('session'));
      expect(await client.disconnectText()).toContain('message before the login');
    },
  );

  it('must be followed by a command in time', async () => {
    const { client } = serve({}, { limits: { sshLoginMs: 50 } });
    await client.logIn();
    expect(await client.disconnectText()).toBe('timeout: the SSH command');
  });
});

describe('requests', () => {
  it.each(['shell', 'pty-req', 'x11-req', 'auth-agent-req@openssh.com', 'subsystem', 'signal', 'env', 'window-change'])(
    'of type %s fail',
    async (type) => {
      const { client } = serve();
      await client.logIn();
      await client.open();
      client.sendRequest(type, encodeString('sftp'));
      await client.expect(MSG.CHANNEL_FAILURE);
      client.sendExec();
      await client.expect(MSG.CHANNEL_SUCCESS);
    },
  );

  it('run one command only', async () => {
    const { client } = serve();
    await client.startSession();
    client.sendExec();
    await client.expect(MSG.CHANNEL_FAILURE);
  });

  it('for another command are answered with the right form and status 1', async () => {
    const { client, refused } = serve();
    await client.logIn();
    await client.open();
    client.sendExec('rsync --server --sender -vlogDtpr . /etc/passwd');
    await client.expect(MSG.CHANNEL_SUCCESS);
    const message = await client.expect(MSG.CHANNEL_EXTENDED_DATA);
    message.bytes(8, 'channel and type');
    expect(String(message.string('text'))).toContain('rsync://HOST/MODULE/');
    await client.expect(MSG.CHANNEL_EOF);
    const status = await client.expect(MSG.CHANNEL_REQUEST);
    status.bytes(4 + 4 + 'exit-status'.length + 1, 'fields before');
    expect(status.uint32('status')).toBe(1);
    await client.expect(MSG.CHANNEL_CLOSE);
    expect(refused).toEqual(['exec rsync --server --sender -vlogDtpr . /etc/passwd']);
  });

  it.each(['tcpip-forward', 'streamlocal-forward@openssh.com', 'keepalive@openssh.com'])(
    'for the connection, as %s, fail',
    async (type) => {
      const { client } = serve();
      await client.startSession();
      client.send(MSG.GLOBAL_REQUEST, encodeString(type), Buffer.of(1));
      await client.expect(MSG.REQUEST_FAILURE);
    },
  );

  it('are bounded to 100 in a minute', async () => {
    const { client, outcome } = serve();
    await client.logIn();
    for (let i = 0; i < 101; i++) client.send(MSG.GLOBAL_REQUEST, encodeString('keepalive@openssh.com'), Buffer.of(1));
    for (let i = 0; i < 100; i++) await client.expect(MSG.REQUEST_FAILURE);
    expect(await client.disconnectText()).toContain('too many SSH messages without data');
    expect(((await outcome).error as LimitError).limit).toBe('sshMessagesPerMinute');
  });

  it.each([MSG.IGNORE, MSG.DEBUG, MSG.UNIMPLEMENTED])(
    'that mean nothing, as message %i, are bounded too',
    async (type) => {
      const { client } = serve();
      await client.logIn();
      for (let i = 0; i < 101; i++) client.send(type, Buffer.alloc(16));
      expect(await client.disconnectText()).toContain('too many SSH messages without data');
    },
  );

  it('that nobody knows are said to be unimplemented', async () => {
    const { client } = serve();
    await client.logIn();
    const { sequence } = client.writer;
    client.send(192, encodeString('ping'));
    expect((await client.expect(MSG.UNIMPLEMENTED)).uint32('sequence')).toBe(sequence);
  });
});

describe('channels', () => {
  it.each([
    ['direct-tcpip', 1],
    ['direct-streamlocal@openssh.com', 1],
    ['x11', 3],
    ['tun@openssh.com', 3],
  ])('of type %s are refused with reason %i', async (type, reason) => {
    const { client, refused } = serve();
    await client.logIn();
    client.sendOpen(type);
    const failure = await client.expect(MSG.CHANNEL_OPEN_FAILURE);
    expect([failure.uint32('channel'), failure.uint32('reason')]).toEqual([7, reason]);
    expect(refused).toEqual([`channel ${type}`]);
  });

  it('besides the first are refused, also when there are a thousand', async () => {
    const { client, outcome } = serve();
    await client.logIn();
    await client.open();
    for (let i = 0; i < 1000; i++) client.sendOpen();
    for (let i = 0; i < 99; i++) await client.expect(MSG.CHANNEL_OPEN_FAILURE);
    expect(await client.disconnectText()).toContain('too many SSH messages without data');
    expect((await outcome).error).toBeInstanceOf(LimitError);
  });

  it.each([1023, 1024, 1025])('with packets of %i bytes open from 1024 on', async (size) => {
    const { client } = serve();
    await client.logIn();
    client.sendOpen('session', 1000, size);
    const answer = await client.receive();
    expect(answer[0]).toBe(size < 1024 ? MSG.CHANNEL_OPEN_FAILURE : MSG.CHANNEL_OPEN_CONFIRMATION);
  });

  it.each([
    ['data', MSG.CHANNEL_DATA, encodeString('x')],
    ['a window', MSG.CHANNEL_WINDOW_ADJUST, encodeUint32(1)],
    ['a request', MSG.CHANNEL_REQUEST, Buffer.concat([encodeString('exec'), Buffer.of(0), encodeString('x')])],
    ['an end', MSG.CHANNEL_EOF, Buffer.alloc(0)],
    ['a close', MSG.CHANNEL_CLOSE, Buffer.alloc(0)],
  ])('that are not open take no %s', async (_, type, field) => {
    const { client } = serve();
    await client.logIn();
    client.send(type, encodeUint32(0), field);
    expect(await client.disconnectText()).toContain('message for a channel that is not open');
  });
});

describe('bytes that are no messages', () => {
  it('after the login end only this connection', async () => {
    const { client, outcome } = serve();
    await client.startSession();
    client.transport.write(Buffer.alloc(64, 0x11));
    expect((await outcome).error).not.toBeNull();
  });

  it('forged at the end of a packet are reported as such', async () => {
    const { client, ends, outcome } = serve();
    await client.startSession();
    const before = ends[0].deliver.bind(ends[0]);
    ends[0].deliver = (chunk) => before(Buffer.concat([chunk.subarray(0, -1), Buffer.of(chunk.at(-1)! ^ 1)]));
    client.sendData('x');
    expect((await outcome).error?.code).toBe('ssh-mac');
  });
});

describe('a failing session', () => {
  it('ends the connection as our own fault', async () => {
    const { client, outcome } = serve({}, { onExec: () => Promise.reject(new Error('secret detail')) });
    await client.startSession();
    expect(await client.disconnectText()).toBe('internal error');
    expect((await outcome).error?.code).toBe('bug');
  });
});

describe('any messages at all', () => {
  const message = fc.tuple(
    fc.constantFrom(...Object.values(MSG), 0, 192, 255),
    fc.oneof(
      fc.uint8Array({ maxLength: 60 }),
      fc.constantFrom(encodeUint32(0), Buffer.concat([encodeUint32(0), encodeString('exec'), Buffer.of(1)])),
    ),
  );

  it.each(['connect', 'requestAuth', 'logIn', 'startSession'] as const)(
    'after %s end the connection in order or not at all',
    async (stage) => {
      await fc.assert(
        fc.asyncProperty(fc.array(message, { minLength: 1, maxLength: 8 }), async (messages) => {
          const { client, outcome } = serve({}, { limits: { drainMs: 5 } });
          if (stage === 'requestAuth') await client.connect();
          await client[stage]();
          for (const [type, fields] of messages) client.send(type, fields);
          client.transport.endWrite();
          const { error } = await outcome;
          expect(error?.code ?? 'none').not.toBe('bug');
        }),
        { numRuns: 60 },
      );
    },
  );
});
