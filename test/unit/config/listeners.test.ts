import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { loadConfig } from '../../../src/config/load.ts';
import { load, makeDirectory, moduleText, NO_FLAGS, refusal, UID } from './fixture.ts';

const listener = (...lines: string[]) => `[[listener]]\n${lines.join('\n')}\n`;

const ANON = listener('anon_ssh = "[::]:22873"', 'host_key_path = "anon_key"');
const AUTHORIZED = listener(
  'authorized_ssh = { address = "[::]:22874", authorized_keys = "users" }',
  'host_key_path = "/k/host"',
);
const TLS = listener('tls = "[::]:874"', 'tls_certificate = "cert.pem"', 'tls_key = "key.pem"');

const listenersOf = (text: string, anonSshListen: string | null = null) =>
  load(text + moduleText(), '/usr', { anonSshListen }).listeners;

describe('encrypted listeners', () => {
  it('have the names of their files made absolute', () => {
    expect(listenersOf(ANON + AUTHORIZED + TLS)).toEqual([
      { kind: 'anon_ssh', address: { host: '::', port: 22873 }, hostKeyPath: '/usr/anon_key' },
      {
        kind: 'authorized_ssh',
        address: { host: '::', port: 22874 },
        hostKeyPath: '/k/host',
        authorizedKeysPath: '/usr/users',
      },
      {
        kind: 'tls',
        address: { host: '::', port: 874 },
        certificatePath: '/usr/cert.pem',
        keyPath: '/usr/key.pem',
      },
    ]);
  });

  it('look for the host key under its usual name when they name none', () => {
    expect(listenersOf(listener('anon_ssh = ":1"'))).toMatchObject([{ hostKeyPath: '/usr/ssh_host_ed25519_key' }]);
  });

  it('stand behind the plain ones, which alone --port and --address change', () => {
    const text = ANON + listener('rsyncd = "127.0.0.1:873"') + TLS + moduleText();
    const { listeners } = load(text, '/usr', { port: '9', address: '::1' });
    expect(listeners.map(({ kind, address }) => [kind, address.host, address.port])).toEqual([
      ['rsyncd', '::1', 9],
      ['anon_ssh', '::', 22873],
      ['tls', '::', 874],
    ]);
  });

  it.each([
    [
      listener('rsyncd = ":1"', 'host_key_path = "k"'),
      'listener[0].host_key_path: has no effect on a listener of kind rsyncd',
    ],
    [listener('rsyncd = ":1"', 'tls_key = "k"'), 'listener[0].tls_key: has no effect on a listener of kind rsyncd'],
    [listener('anon_ssh = ":1"', 'tls_certificate = "c"'), 'listener[0].tls_certificate: has no effect'],
    [`${TLS}host_key_path = "k"\n`, 'listener[0].host_key_path: has no effect on a listener of kind tls'],
    [listener('tls = ":1"', 'tls_key = "k"'), 'listener[0]: has tls without tls_certificate'],
    [listener('tls = ":1"', 'tls_certificate = "k"'), 'listener[0]: has tls without tls_key'],
    [listener('authorized_ssh = { address = ":1" }'), 'listener[0].authorized_ssh.authorized_keys: missing'],
    [
      ANON + listener('tls = "[::]:22873"', 'tls_certificate = "c"', 'tls_key = "k"'),
      'listener[1].tls: is the address of an',
    ],
    [AUTHORIZED + AUTHORIZED, 'listener[1].authorized_ssh.address: is the address of an earlier listener'],
  ])('are refused: %j', (text, reason) => {
    expect(refusal(() => listenersOf(text))).toContain(reason);
  });
});

describe('listeners behind a proxy', () => {
  const PROXY = ['proxy_protocol = true', 'proxy_trusted = ["10.0.0.5", "fd00::/8"]'];
  const proxyTrusted = ['10.0.0.5', 'fd00::/8'];

  it('are plain or encrypted, and stay behind it with another port', () => {
    const text = [
      listener('rsyncd = ":1"', ...PROXY),
      ANON + PROXY.join('\n'),
      `\n${TLS}`,
      listener('rsyncd = ":2"'),
    ].join('');
    const { listeners } = load(text + moduleText(), '/usr', { address: '::1' });
    expect(listeners.map((one) => one.proxyTrusted)).toEqual([proxyTrusted, undefined, proxyTrusted, undefined]);
  });

  it.each([
    [listener('rsyncd = ":1"', PROXY[0]!), 'listener[0].proxy_protocol: needs proxy_trusted'],
    [listener('rsyncd = ":1"', PROXY[0]!, 'proxy_trusted = []'), 'listener[0].proxy_protocol: needs proxy_trusted'],
    [listener('rsyncd = ":1"', PROXY[1]!), 'listener[0].proxy_trusted: has no effect without proxy_protocol'],
    [listener('rsyncd = ":1"', PROXY[0]!, 'proxy_trusted = ["proxy.example"]'), 'host names are never looked up'],
    [listener('http_monitoring = ":1"', ...PROXY), 'has no effect on a listener of kind http_monitoring'],
  ])('are refused: %j', (text, reason) => {
    expect(refusal(() => listenersOf(text))).toContain(reason);
  });
});

describe('--gokr.anonssh_listen', () => {
  it.each([
    ['replaces the anonymous listeners and keeps their key', ANON + TLS, '/usr/anon_key', ['anon_ssh', 'tls']],
    ['adds one with the key of the authorized one', AUTHORIZED, '/k/host', ['anon_ssh', 'authorized_ssh']],
    ['adds one with the usual key', '', '/usr/ssh_host_ed25519_key', ['anon_ssh']],
  ])('%s', (_title, text, hostKeyPath, kinds) => {
    const listeners = listenersOf(text, '127.0.0.1:5');
    expect(listeners[0]).toEqual({ kind: 'anon_ssh', address: { host: '127.0.0.1', port: 5 }, hostKeyPath });
    expect(listeners.map(({ kind }) => kind)).toEqual(kinds);
  });

  it('looks for the key in the current directory when there is no file', () => {
    const flags = { ...NO_FLAGS, anonSshListen: ':0', modules: ['usr=/usr'] };
    const { listeners } = loadConfig('', null, flags, { credentialsDirectory: null, uid: UID });
    expect(listeners).toMatchObject([{ hostKeyPath: `${process.cwd()}/ssh_host_ed25519_key` }]);
  });

  it('is refused with its name', () => {
    expect(refusal(() => listenersOf('', 'x'))).toContain('--gokr.anonssh_listen: "x" is not an address and port');
  });
});

describe('a credential of the service manager', () => {
  let place: ReturnType<typeof makeDirectory>;
  beforeEach(() => {
    place = makeDirectory();
  });
  afterEach(() => place.remove());

  it.each(['anon_key', 'users', 'cert.pem', 'key.pem'])('stands for the file %s', (name) => {
    const credential = place.file(name, '');
    const context = { credentialsDirectory: place.dir, uid: UID };
    const text = `${ANON}${AUTHORIZED}${TLS}${moduleText()}`;
    const { listeners } = loadConfig(text, '/etc/test.toml', NO_FLAGS, context);
    const paths = listeners.flatMap((one) => Object.values(one)).filter((value) => typeof value === 'string');
    expect(paths).toContain(credential);
    expect(paths).not.toContain(`/etc/${name}`);
  });
});

describe('the monitoring listener', () => {
  const monitoringOf = (text: string, monitoringListen: string | null = null) =>
    load(text + moduleText(), '/usr', { monitoringListen });

  it('stands beside those that serve modules', () => {
    const { listeners, monitoring } = monitoringOf('[[listener]]\nhttp_monitoring = "127.0.0.1:8738"\n');
    expect([listeners, monitoring]).toEqual([[], [{ host: '127.0.0.1', port: 8738 }]]);
  });

  it('is where the command line says', () => {
    const text = '[[listener]]\nhttp_monitoring = "127.0.0.1:8738"\n';
    expect(monitoringOf(text, '[::1]:9').monitoring).toEqual([{ host: '::1', port: 9 }]);
    expect(monitoringOf('').monitoring).toEqual([]);
    expect(() => monitoringOf('', 'nonsense')).toThrow(
      '--gokr.monitoring_listen: "nonsense" is not an address and port',
    );
  });

  it('cannot have the address of another one', () => {
    const text = '[[listener]]\nrsyncd = "[::]:873"\n[[listener]]\nhttp_monitoring = "[::]:873"\n';
    expect(() => monitoringOf(text)).toThrow('listener[1].http_monitoring');
  });
});
