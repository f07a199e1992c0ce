/** Start and end of the daemon as a process: what it refuses, what it prints, sockets it inherits, signals. */

import { once } from 'node:events';
import {
  chmodSync,
  chownSync,
  lchownSync,
  mkdirSync,
  readFileSync,
  symlinkSync,
  truncateSync,
  writeFileSync,
} from 'node:fs';
import { createServer, type Server as NetServer } from 'node:net';
import { join } from 'node:path';
import { afterAll, afterEach, beforeAll, describe, expect, it } from 'vitest';
import { readConfig } from '../../src/config/load.ts';
import { moduleUrl, rsync } from '../helpers/rsync.ts';
import { mustRun, run } from '../helpers/run.ts';
import { removeTree, scratchDir } from '../helpers/scratch.ts';
import { Peer } from '../session/support/peer.ts';
import {
  type ListeningServer,
  type ProcessEnd,
  runToEnd,
  type ServerOptions,
  startServer,
} from '../session/support/server.ts';
import { enter } from '../session/support/wire.ts';
import { hasRoot, missing } from '../setup/clients.ts';

const USER = 1000;
const LISTEN = '[[listener]]\nrsyncd = "127.0.0.1:0"\n';

let dir: string;
const running: ListeningServer[] = [];

function tree(name: string): string {
  const path = join(dir, name);
  mkdirSync(join(path, 'one/two'), { recursive: true });
  writeFileSync(join(path, 'one/two/file'), 'content\n');
  return path;
}

const moduleOf = (path: string, name = 'pub', keys = ''): string =>
  `[[module]]\nname = "${name}"\npath = "${path}"\n${keys}`;
const configOf = (path: string, keys = ''): string => LISTEN + moduleOf(path, 'pub', keys);

/** What a start with this configuration is refused with; read in this process, which is the same and much quicker. */
function configError(toml: string): string {
  const file = join(dir, 'rsyncd.toml');
  writeFileSync(file, toml);
  const flags = {
    file,
    listen: null,
    anonSshListen: null,
    monitoringListen: null,
    port: null,
    address: null,
    modules: [],
  };
  try {
    readConfig(flags, null, { credentialsDirectory: null, uid: 0 });
    return 'nothing';
  } catch (error) {
    return (error as Error).message;
  }
}

async function start(options: ServerOptions): Promise<ListeningServer> {
  const started = await startServer(options);
  running.push(started);
  return started;
}

const pulls = async (port: number, path = 'one/two/file'): Promise<number | null> =>
  (await rsync([moduleUrl(port, 'pub', path), 'got'], { cwd: dir })).exitCode;

const asUser = { uid: USER, gid: USER };

/** A daemon that cannot lock itself in: what it can write is a matter of owners, modes and mounts alone. */
const WITHOUT_SANDBOX = ['--no-experimental-ffi'];

describe.skipIf(!hasRoot())('the daemon', { timeout: 30_000 }, () => {
  beforeAll(() => {
    dir = scratchDir('startup');
  });
  afterEach(async () => {
    for (const { server } of running.splice(0)) await server.stop();
  });
  afterAll(() => removeTree(dir));

  describe('refuses to start', () => {
    const refused = (end: ProcessEnd, text: RegExp): void => {
      expect(end.stderr).toMatch(text);
      expect(end.exitCode).toBe(1);
      expect(end.stderr).not.toMatch(/"listening"|\n\s+at /);
    };

    it('as root, which becomes nobody, when nobody may write two levels down', async () => {
      const path = tree('everybody');
      chmodSync(join(path, 'one/two'), 0o1777);
      const end = await runToEnd({ toml: configOf(path), nodeArgs: WITHOUT_SANDBOX });
      refused(
        end,
        /module "pub": .*\/one\/two is writable: mode 1777 lets everybody write \(drwxrwxrwt root:root\); give the daemon a read-only view/,
      );
    });

    it('as root when a file two levels down belongs to nobody, whatever its mode', async () => {
      const path = tree('owned-by-nobody');
      chownSync(join(path, 'one/two/file'), 65534, 65534);
      chmodSync(join(path, 'one/two/file'), 0o444);
      refused(
        await runToEnd({ toml: configOf(path), nodeArgs: WITHOUT_SANDBOX }),
        /one\/two\/file is writable: this process owns it and could chmod it/,
      );
    });

    it('as an ordinary user who owns the tree, and names each such module', async () => {
      const [one, two] = [tree('mine'), tree('mine-too')];
      await mustRun('chown', ['-R', `${USER}:${USER}`, one, two]);
      const toml = configOf(one) + moduleOf(two, 'second');
      const end = await runToEnd({ toml, ...asUser, nodeArgs: WITHOUT_SANDBOX });
      refused(end, /module "pub": .*mine is writable: this process owns it \(mode 0755\)/);
      expect(end.stderr).toMatch(/module "second": .*mine-too is writable/);
    });

    it('CVE-2026-53784: when somebody else owns a link on the way to a module', async () => {
      const path = tree('real');
      symlinkSync(path, join(dir, 'foreign'));
      lchownSync(join(dir, 'foreign'), USER, USER);
      refused(
        await runToEnd({ toml: configOf(join(dir, 'foreign')) }),
        /foreign: the link foreign on the way belongs to uid 1000/,
      );
    });

    it.each([
      ['an unknown key', 'pathh = "/x"\n', /rsyncd\.toml:6: module\[0\]\.pathh: unknown key.*path/s],
      ['a key of another build', 'queue = 5\n', /rsyncd\.toml:6: module\[0\]\.queue: /],
      ['a wrong type', 'list = "yes"\n', /rsyncd\.toml:6: module\[0\]\.list: "yes" is not allowed/],
      ['a syntax error', 'comment = \n', /rsyncd\.toml:6: /],
      [
        'a module of the same name',
        '[[module]]\nname = "pub"\npath = "/usr"\n',
        /rsyncd\.toml:7: module\[1\]\.name: "pub" is the name of an earlier module/,
      ],
      [
        'a module name with blanks',
        '[[module]]\nname = "with blanks"\npath = "/usr"\n',
        /rsyncd\.toml:7: module\[1\]\.name: "with blanks" is not a module name/,
      ],
      [
        'a missing path',
        '[[module]]\nname = "gone"\npath = "/nonexistent/x"\n',
        /rsyncd\.toml:8: module\[1\]\.path: "\/nonexistent\/x": .*expected an existing directory/,
      ],
      [
        'a relative path',
        '[[module]]\nname = "rel"\npath = "srv"\n',
        /rsyncd\.toml:8: module\[1\]\.path: "srv" is not allowed: expected an absolute path/,
      ],
      ['an address that is none', '[[listener]]\nrsyncd = "localhost"\n', /rsyncd\.toml:7: listener\[1\]\.rsyncd: /],
      [
        'an access list with a host name',
        'hosts_allow = ["example.org"]\n',
        /rsyncd\.toml:6: module\[0\]\.hosts_allow\[0\]: "example.org" is not a network/,
      ],
    ])('over %s, with file, line and key', async (_title, text, message) => {
      expect(configError(configOf('/usr/share') + text)).toMatch(message);
    });

    it('over a configuration error, which it prints without a stack', async () => {
      refused(
        await runToEnd({ toml: configOf('/usr/share', 'pathh = "/x"\n') }),
        /rsyncd\.toml:6: module\[0\]\.pathh: /,
      );
    });

    it('without any module, without any listener and without any configuration', async () => {
      refused(await runToEnd({ toml: LISTEN }), /no module: add a \[\[module\]\]/);
      refused(await runToEnd({ toml: moduleOf('/usr/share') }), /nothing to listen on: add a \[\[listener\]\]/);
      refused(await runToEnd({ args: ['--config=/nonexistent.toml'] }), /nonexistent\.toml/);
    });

    it('when the port is in use, and says so', async () => {
      const server = createServer().listen(0, '127.0.0.1');
      await once(server, 'listening');
      const port = portOf(server);
      const end = await runToEnd({ args: [`--gokr.listen=127.0.0.1:${port}`, '--gokr.modulemap=pub=/usr/share'] });
      server.close();
      refused(
        end,
        new RegExp(
          `cannot listen on 127\\.0\\.0\\.1:${port}: EADDRINUSE \\(another process listens there, or a file has that name\\)`,
        ),
      );
    });

    it('over an unknown option, naming the nearest', async () => {
      refused(
        await runToEnd({ args: ['--confog=x'] }),
        /unknown option "--confog"; the nearest known option is --config/,
      );
    });

    it.each([
      ['a link', (path: string) => symlinkSync('/etc/passwd', path), /motd_file: .*ELOOP|motd_file: .*symbolic link/],
      [
        'too large',
        (path: string) => {
          writeFileSync(path, '');
          truncateSync(path, 5e9);
        },
        /motd_file: .*is larger than 65536 bytes/,
      ],
      ['a device', (path: string) => symlinkSync('/dev/zero', path), /motd_file: /],
      [
        'full of control bytes',
        (path: string) => writeFileSync(path, 'a\x1b[2J'),
        /motd_file: .*line 1 has a control character/,
      ],
      [
        'a forged refusal',
        (path: string) => writeFileSync(path, 'hello\n@ERROR: no\n'),
        /motd_file: .*line 2 begins like a line of the protocol/,
      ],
    ])('CVE-2026-53803: over a message of the day that is %s', async (title, make, message) => {
      const motd = join(dir, `motd ${title}`);
      make(motd);
      expect(configError(`motd_file = "${motd}"\n${configOf('/usr/share')}`)).toMatch(message);
    });

    it('CVE-2026-53803: over a message of the day that is a FIFO, without waiting for its writer', async () => {
      const motd = join(dir, 'motd-fifo');
      await mustRun('mkfifo', [motd]);
      expect(configError(`motd_file = "${motd}"\n${configOf('/usr/share')}`)).toMatch(/is not a regular file/);
    });

    it.each([
      [
        'readable by all',
        (path: string) => writeFileSync(path, 'alice:x\n', { mode: 0o644 }),
        /has mode 0644: expected 0640 or stricter/,
      ],
      ['a link', (path: string) => symlinkSync('/etc/shadow', path), /secrets_file: /],
      [
        'a stranger’s',
        (path: string) => {
          writeFileSync(path, 'alice:x\n', { mode: 0o600 });
          chownSync(path, USER, USER);
        },
        /belongs to uid 1000/,
      ],
    ])('CVE-2026-53802: over a secrets file that is %s', async (title, make, message) => {
      const secrets = join(dir, `secrets ${title}`);
      make(secrets);
      const keys = `auth_users = ["alice"]\nsecrets_file = "${secrets}"\n`;
      const error = configError(configOf('/usr/share', keys));
      expect(error).toMatch(message);
      expect(error).not.toMatch(/alice:|root:/);
    });
  });

  describe('starts', () => {
    it('CVE-2002-0080: as root on a tree of root, and keeps no id, group or capability of root', async () => {
      const { server, port } = await start({
        toml: configOf(tree('roots')),
        wrap: ['setpriv', '--groups=0,4,27', '--'],
      });
      const status = readFileSync(`/proc/${server.pid}/status`, 'latin1');
      expect(status).toMatch(/^Uid:\t65534\t65534\t65534\t65534$/m);
      expect(status).toMatch(/^Gid:\t65534\t65534\t65534\t65534$/m);
      // The group nobody itself may be listed; nothing else may.
      expect(/^Groups:\t(.*)$/m.exec(status)![1]!.trim()).toMatch(/^(65534)?$/);
      expect(status).toMatch(/^CapEff:\t0{16}$/m);
      expect(status).toMatch(/^CapPrm:\t0{16}$/m);
      expect(await pulls(port)).toBe(0);
    });

    it.each([
      ['root, when everybody may write', (path: string) => chmodSync(join(path, 'one/two'), 0o1777), {}],
      ['an ordinary user who owns the tree', (path: string) => void chownSync(path, USER, USER), asUser],
    ])('as %s, since the sandbox lets nothing be written', async (who, make, identity) => {
      const path = tree(`locked ${who}`.replaceAll(/\W/g, '-'));
      make(path);
      const { server, port } = await start({ toml: configOf(path), args: ['--require-sandbox=strict'], ...identity });
      expect(server.logged).toContainEqual(
        expect.objectContaining({ msg: 'sandbox: holds', guarantee: 'nothing writable' }),
      );
      expect(await pulls(port)).toBe(0);
    });

    it('as an ordinary user on a tree of root', async () => {
      const { port } = await start({ toml: configOf(tree('of-root')), ...asUser });
      expect(await pulls(port)).toBe(0);
    });

    /** Runs the daemon where `path` is mounted read-only; null when this machine does not let us mount. */
    async function readOnlyMount(path: string, identity: readonly string[]): Promise<ServerOptions['wrap'] | null> {
      const mount = `mount --bind '${path}' '${path}' && mount -o remount,ro,bind '${path}'`;
      const wrap = ['unshare', '-m', 'sh', '-c', `${mount} && exec ${[...identity, '"$@"'].join(' ')}`, 'sh'];
      const probe = await run(wrap[0]!, [...wrap.slice(1), 'true']);
      if (probe.exitCode === 0) return wrap;
      missing('the right to mount: a read-only view of a writable tree is not tested');
      return null;
    }

    it('on a read-only bind mount of a tree that is writable elsewhere', async (context) => {
      const path = tree('bound');
      chmodSync(join(path, 'one/two'), 0o777);
      const wrap = await readOnlyMount(path, []);
      if (!wrap) return context.skip();
      const { port } = await start({ toml: configOf(path), wrap });
      expect(await pulls(port)).toBe(0);
    });

    it('as the owner of a tree that is mounted read-only', async (context) => {
      const path = tree('bound-mine');
      await mustRun('chown', ['-R', `${USER}:${USER}`, path]);
      const wrap = await readOnlyMount(path, ['setpriv', `--reuid=${USER}`, `--regid=${USER}`, '--clear-groups']);
      if (!wrap) return context.skip();
      const { port } = await start({ toml: configOf(path), wrap });
      expect(await pulls(port)).toBe(0);
    });

    it('with modules of the command line alone, on a port that it prints', async () => {
      const { server, port } = await start({
        args: ['--gokr.listen=127.0.0.1:0', `--gokr.modulemap=pub=${tree('mapped')}`],
      });
      expect(port).toBeGreaterThan(0);
      expect(server.logged).toContainEqual(expect.objectContaining({ msg: 'listening', address: `127.0.0.1:${port}` }));
      expect(await pulls(port)).toBe(0);
    });

    it('on every configured address', async () => {
      const toml = `${LISTEN}[[listener]]\nrsyncd = "[::1]:0"\n${moduleOf(tree('two-addresses'))}`;
      const { server } = await start({ toml });
      const { address } = await server.waitFor((line) => /^\[::1\]:\d+$/.test(String(line.address)));
      const result = await rsync([`rsync://${String(address)}/pub/one/two/file`, 'got6'], { cwd: dir });
      expect(result.exitCode).toBe(0);
    });

    it('on a socket that a service manager has opened for it', async () => {
      const listener = createServer().listen(0, '127.0.0.1');
      await once(listener, 'listening');
      const { fd } = (listener as unknown as { _handle: { fd: number } })._handle;
      const wrap = ['sh', '-c', 'LISTEN_PID=$$ exec "$@"', 'sh'];
      const env = { LISTEN_FDS: '1', LISTEN_FDNAMES: 'rsyncd' };
      const { port } = await start({ toml: moduleOf(tree('activated')), wrap, env, descriptors: [fd] });
      expect(port).toBe(portOf(listener));
      // Our own copy accepts nothing any more; the daemon's does.
      listener.close();
      expect(await pulls(port)).toBe(0);
    });
  });

  describe('prints', () => {
    it('its options with --help', async () => {
      const { stdout, stderr, exitCode } = await runToEnd({ args: ['--help'] });
      expect({ stderr: stderr.trim(), exitCode }).toEqual({ stderr: '', exitCode: 0 });
      for (const option of ['--config=FILE', '--gokr.listen=ADDR', '--gokr.modulemap=NAME=PATH', '--check']) {
        expect(stdout).toContain(option);
      }
    });

    it('its version with --version', async () => {
      const { stdout, exitCode } = await runToEnd({ args: ['--version'] });
      expect(exitCode).toBe(0);
      expect(stdout).toMatch(/^gokr-rsyncd {2}version \d+\.\d+\.\d+ {2}protocol version 32/);
      expect(stdout).toMatch(/zlib \d/);
    });

    it('the effective configuration with --check, and serves nothing', async () => {
      const keys = 'hosts_allow = ["10.0.0.0/8"]\n';
      const { stdout, exitCode } = await runToEnd({ toml: configOf('/usr/share', keys), args: ['--check'] });
      expect(exitCode).toBe(0);
      expect(stdout).toMatch(/^module pub\n {2}path: \/usr\/share\n/m);
      expect(stdout).toMatch(/allow 10\.0\.0\.0\/8\n\s+otherwise deny/);
    });
  });

  describe('ends', () => {
    it.each(['SIGTERM', 'SIGINT'] as const)('with exit code 0 on %s when nobody is there', async (signal) => {
      const { server } = await start({ toml: configOf('/usr/share') });
      server.kill(signal);
      expect(await server.ended()).toMatchObject({ exitCode: 0, signal: null });
      expect(server.logged.at(-1)).toMatchObject({ msg: 'stopping', signal, sessions: 0 });
    });

    it('takes no new client after SIGTERM, and cuts a slow one after the grace period', async () => {
      const { server, port } = await start({ toml: configOf('/usr/share') });
      const peer = await Peer.connect(port);
      peer.send(enter('pub'));
      await peer.untilText('@RSYNCD: OK\n');
      server.kill('SIGTERM');
      await server.waitFor((line) => line.msg === 'stopping' && line.sessions === 1);
      // Each event loop closes its own copy of the socket.
      await expect.poll(() => Peer.connect(port).then(String, String), { timeout: 20_000 }).toMatch('ECONNREFUSED');
      await peer.ended();
      expect(await server.ended()).toMatchObject({ exitCode: 0 });
      expect(server.logged.at(-1)).toMatchObject({ msg: 'session ended', port: peer.port });
    });

    it('at once on a second signal', async () => {
      const { server, port } = await start({ toml: configOf('/usr/share') });
      const peer = await Peer.connect(port);
      await peer.untilText('\n');
      server.kill('SIGTERM');
      await server.waitFor((line) => line.msg === 'stopping');
      server.kill('SIGTERM');
      await peer.ended();
      expect(await server.ended()).toMatchObject({ exitCode: 0 });
    });
  });
});

function portOf(server: NetServer): number {
  return (server.address() as { port: number }).port;
}
