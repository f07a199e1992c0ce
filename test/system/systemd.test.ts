/** The shipped units under a systemd that really booted. */

import {
  chmodSync,
  chownSync,
  cpSync,
  lchownSync,
  linkSync,
  mkdirSync,
  rmSync,
  statSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { randomBytesOf } from '../helpers/content.ts';
import { HOSTILE_PROBE, notDenied, PROBE_ATTEMPTS, probeOutcomes } from '../helpers/hostile-probe.ts';
import { PROJECT } from './build.ts';
import { bootMachine, type Machine } from './machine.ts';
import { configure, exposure, install, journal, mounts, processStatus, properties } from './service.ts';

const ODD = '/srv/a b:c%d"e\'f';
const PUB = '[[module]]\nname = "pub"\npath = "/srv/pub"\n';
const BOTH = `${PUB}[[module]]\nname = "odd"\npath = ${JSON.stringify(ODD)}\n`;

let machine: Machine;

beforeAll(async () => {
  machine = await bootMachine('bookworm');
  await install(machine);
  mkdirSync(machine.at('/srv/pub/sub'), { recursive: true });
  mkdirSync(machine.at(ODD));
  writeFileSync(machine.at('/srv/pub/owned'), 'hello\n');
  chownSync(machine.at('/srv/pub/owned'), 1000, 1000);
  linkSync(machine.at('/srv/pub/owned'), machine.at('/srv/pub/linked'));
  writeFileSync(machine.at('/srv/pub/sub/big'), randomBytesOf('big', 5_000_000));
  writeFileSync(machine.at(`${ODD}/file`), 'odd\n');
});
afterAll(() => machine?.stop());

/** Pulls a module inside the machine and compares it with its source. */
async function pullsEqual(source: string, url: string, ...options: string[]): Promise<void> {
  await machine.output('rm', '-rf', '/root/pulled');
  await machine.output('rsync', '-a', ...options, url, '/root/pulled/');
  await machine.output('diff', '-r', source, '/root/pulled');
}

/** A session runs when the process dies; ten clients connect as soon as it is gone. Prints the wait of the first and what each hears. */
const KILL_AND_CONNECT = `
exec {before}<>/dev/tcp/127.0.0.1/873; head -c 8 <&$before >/dev/null
kill -KILL "$1"; while test -e "/proc/$1"; do :; done
killed=\${EPOCHREALTIME/./}
for i in {1..10}; do exec {client}<>/dev/tcp/127.0.0.1/873 || exit; clients+=($client); done
heard=$(head -c 8 <&\${clients[0]})
echo $(((\${EPOCHREALTIME/./} - killed) / 1000)); echo "$heard"
for client in "\${clients[@]:1}"; do head -c 8 <&$client; echo; done`;

const PUB_URL = 'rsync://127.0.0.1/pub/';

describe('gokr-rsyncd.service', () => {
  it('is started by the first connection and serves it', async () => {
    await configure(machine, { toml: BOTH });
    expect((await properties(machine)).ActiveState).toBe('inactive');
    const start = performance.now();
    const greeting = await machine.output('bash', '-c', 'exec 3<>/dev/tcp/127.0.0.1/873; head -c 8 <&3');
    console.log(
      `cold activation to the first byte: ${(performance.now() - start).toFixed(0)} ms, nsenter and bash included`,
    );
    expect(greeting).toBe('@RSYNCD:');
    await pullsEqual('/srv/pub', PUB_URL);
    await pullsEqual(ODD, 'rsync://127.0.0.1/odd/');
    console.log(`resident: ${(await processStatus(machine)).VmRSS}`);
  });

  it('serves what every kind of pull needs under its list of system calls', async () => {
    const kinds = [
      ['-z', '--zc=lz4'],
      ['-z', '--zc=zstd'],
      ['-z', '--zc=zlib'],
      ['-c', '--cc=xxh128'],
      ['--cc=md4'],
      ['-H'],
    ];
    for (const options of kinds) {
      await machine.output('bash', '-c', 'mkdir -p /root/pulled/sub; echo changed >> /root/pulled/sub/big');
      await machine.output('rsync', '-a', '--delete', ...options, PUB_URL, '/root/pulled/');
      await machine.output('diff', '-r', '/srv/pub', '/root/pulled');
    }
  });

  it('tells systemd that it is ready and how much it has sent', async () => {
    await sleep(2500);
    const { ActiveState, StatusText, NRestarts } = await properties(machine);
    expect([ActiveState, NRestarts]).toEqual(['active', '0']);
    expect(StatusText).toMatch(/^serving 0 sessions, \d+\.\d MiB sent$/);
  });

  it('has nothing writable mounted but /proc, and its modules noexec', async () => {
    const all = await mounts(machine);
    const writable = [...all].filter(([, options]) => options.includes('rw')).map(([place]) => place);
    expect(writable).toEqual(['/proc']);
    expect(all.get('/srv/pub')).toEqual(expect.arrayContaining(['ro', 'nosuid', 'noexec']));
    const escaped = ODD.replace(/ /g, '\\040');
    expect(all.get(escaped)).toEqual(expect.arrayContaining(['ro', 'nosuid', 'noexec']));
  });

  it('sees its minimal root, configuration and modules only', async () => {
    const { MainPID } = await properties(machine);
    const listing = (await machine.output('ls', '-A', `/proc/${MainPID}/root`, `/proc/${MainPID}/root/etc`)).split(
      '\n',
    );
    expect(listing).toContain('gokr-rsyncd.toml');
    expect(
      listing.filter((name) => ['boot', 'home', 'media', 'mnt', 'opt', 'passwd', 'sbin', 'shadow'].includes(name)),
    ).toEqual([]);
  });

  it('has no identity of the host, no capability, no way to new privileges, and a filter', async () => {
    const status = await processStatus(machine);
    expect(Number(status.Uid?.split('\t')[0])).toBeGreaterThan(60_000);
    expect(['CapInh', 'CapPrm', 'CapEff', 'CapBnd', 'CapAmb'].map((name) => status[name])).toEqual(
      Array(5).fill('0'.repeat(16)),
    );
    expect([status.NoNewPrivs, status.Seccomp]).toEqual(['1', '2']);
  });

  it('scores 0.2 or better', async () => {
    expect(await exposure(machine)).toBeLessThanOrEqual(2);
  });

  it('says that owners are not the true ones', async () => {
    expect(await journal(machine)).toContain('user namespace: owners');
  });

  it('is started again when it is killed, and whoever connects meanwhile is served', async () => {
    const before = await properties(machine);
    // The socket is systemd's: connections wait in it, none is refused.
    const [waitMs, ...greetings] = (await machine.output('bash', '-c', KILL_AND_CONNECT, 'kill', before.MainPID!))
      .trim()
      .split('\n');
    console.log(`from kill -9 to the first byte for who connects next: ${waitMs} ms, systemd's pause included`);
    expect(greetings).toEqual(Array(10).fill('@RSYNCD:'));
    await pullsEqual('/srv/pub', PUB_URL);
    await expect.poll(async () => (await properties(machine)).ActiveState, { timeout: 30_000 }).toBe('active');
    const after = await properties(machine);
    expect(after.RestartUSec).toBe('100ms');
    expect(after.MainPID).not.toBe(before.MainPID);
  });

  it('is started again also when that happens time and again', async () => {
    for (let time = 0; time < 5; time++) {
      const { MainPID } = await properties(machine);
      const output = await machine.output('bash', '-c', KILL_AND_CONNECT, 'kill', MainPID!);
      expect(output.trim().split('\n').slice(1)).toEqual(Array(10).fill('@RSYNCD:'));
      await expect.poll(async () => (await properties(machine)).ActiveState, { timeout: 30_000 }).toBe('active');
    }
    expect((await machine.output('systemctl', 'is-active', 'gokr-rsyncd.socket')).trim()).toBe('active');
  });

  it('ends cleanly when it is stopped', async () => {
    await machine.output('systemctl', 'stop', 'gokr-rsyncd.service');
    const { ActiveState, Result } = await properties(machine);
    expect([ActiveState, Result]).toEqual(['inactive', 'success']);
  });
});

describe('the sandbox of the unit', () => {
  const exec = (...flags: string[]): string[] => [
    'ExecStart=',
    `ExecStart=/bin/node --disable-warning=ExperimentalWarning /usr/lib/gokr-rsyncd/gokr-rsyncd.mjs --daemon --config /etc/gokr-rsyncd.toml ${flags.join(' ')}`,
  ];

  it('holds every guarantee', async () => {
    const before = (await journal(machine)).length;
    await configure(machine, { toml: PUB, lines: exec('--require-sandbox=strict') });
    await pullsEqual('/srv/pub', PUB_URL);
    const log = (await journal(machine)).slice(before);
    expect(log).toContain('sandbox: holds');
    expect(log).not.toContain('sandbox: does not hold');
  });

  it('gives a hostile program in the place of the daemon nothing: each attempt is denied', async () => {
    cpSync(HOSTILE_PROBE, machine.at('/srv/pub/probe.mjs'));
    const probe = { MODULE: '/srv/pub', PORT: '9', VICTIM: '1', FIRST_STAGE: '1' };
    const env = Object.entries(probe).map(([name, value]) => `Environment=PROBE_${name}=${value}`);
    const load = 'Environment=NODE_OPTIONS=--import=/srv/pub/probe.mjs';
    const before = (await journal(machine)).length;
    await configure(machine, { toml: `workers = 1\n${PUB}xattrs = true\n`, lines: [...env, load] });
    await pullsEqual('/srv/pub', PUB_URL);
    rmSync(machine.at('/srv/pub/probe.mjs'));
    const seen = probeOutcomes((await journal(machine)).slice(before));
    // All of its root is what the tests above list, and the one program in it is its own.
    expect(notDenied(seen, ['list /', 'run itself'])).toEqual([]);
    expect(seen.size).toBeGreaterThanOrEqual(PROBE_ATTEMPTS);
  });
});

describe('gokr-rsyncd-metrics.socket', () => {
  const SOCKET = 'gokr-rsyncd-metrics.socket';
  const PATH = '/run/gokr-rsyncd-metrics.sock';
  const REQUEST = 'GET /metrics HTTP/1.0\\r\\nHost: localhost\\r\\n\\r\\n';
  const OVER_TCP: [string, ...string[]] = [
    'bash',
    '-c',
    `exec 3<>/dev/tcp/127.0.0.1/8738; printf '${REQUEST}' >&3; cat <&3`,
  ];
  const UNIX = `$s = IO::Socket::UNIX->new("${PATH}") or die; print $s "${REQUEST}"; $s->flush; print <$s>;`;
  const OVER_UNIX: [string, ...string[]] = ['perl', '-MIO::Socket::UNIX', '-e', UNIX];

  it('answers on its address and on a unix socket, and starts the service', async () => {
    await configure(machine, { toml: PUB });
    cpSync(join(PROJECT, 'deploy', SOCKET), machine.at(`/etc/systemd/system/${SOCKET}`));
    mkdirSync(machine.at(`/etc/systemd/system/${SOCKET}.d`), { recursive: true });
    writeFileSync(machine.at(`/etc/systemd/system/${SOCKET}.d/unix.conf`), `[Socket]\nListenStream=${PATH}\n`);
    await machine.output('systemctl', 'daemon-reload');
    await machine.output('systemctl', 'start', SOCKET);
    for (const command of [OVER_TCP, OVER_UNIX]) {
      // The request that starts the service is answered while it starts.
      const answer = () => machine.output(...command);
      await expect.poll(answer, { timeout: 60_000, interval: 200 }).toContain('gokr_rsyncd_ready 1\n');
      expect(await answer()).toContain('gokr_rsyncd_sandbox_guarantee{guarantee="no new privileges"} 1\n');
    }
    await machine.output('systemctl', 'stop', SOCKET);
  });

  it('stands beside a journal that knows how important each line is', async () => {
    const text = await machine.output('journalctl', '--no-pager', '--output=json', '--unit=gokr-rsyncd.service');
    const rows = text
      .trim()
      .split('\n')
      .map((row) => JSON.parse(row) as { MESSAGE: string; PRIORITY: string })
      .filter(({ MESSAGE }) => MESSAGE.includes('"level":'));
    const seen = new Set(rows.map(({ MESSAGE, PRIORITY }) => `${/^\{"level":"(\w+)"/.exec(MESSAGE)?.[1]} ${PRIORITY}`));
    expect(seen).toContain('info 6');
    expect([...seen].filter((one) => !['info 6', 'warn 4', 'error 3', 'fatal 2', 'debug 7'].includes(one))).toEqual([]);
  });
});

describe('systemctl reload', () => {
  const NEW = '/srv/new';

  /** Sends the signal and waits for what the daemon says about its configuration. */
  async function reload(on: Machine): Promise<string> {
    const before = (await journal(on)).length;
    await on.output('systemctl', 'reload', 'gokr-rsyncd.service');
    for (let attempt = 0; attempt < 300; attempt++) {
      const log = (await journal(on)).slice(before);
      if (/configuration (not )?read again/.test(log)) return log;
      await sleep(200);
    }
    throw new Error('the daemon has said nothing of its configuration');
  }

  it('serves a new configuration to new sessions while one that runs finishes on the old', async () => {
    mkdirSync(machine.at(NEW), { recursive: true });
    writeFileSync(machine.at(`${NEW}/file`), 'new\n');
    await configure(machine, { toml: PUB, lines: [`BindReadOnlyPaths=${NEW}`, `NoExecPaths=+${NEW}`] });
    await pullsEqual('/srv/pub', PUB_URL);
    const { MainPID } = await properties(machine);
    // The password is asked for within the session: it stands still there, over the reload.
    const greeting = 'exec 3<>/dev/tcp/127.0.0.1/873; read -r hello <&3; echo "$hello" >&3';
    const script = `${greeting}; touch /root/begun; until [ -e /root/reloaded ]; do sleep 0.1; done; printf 'pub\\n' >&3; head -c 12 <&3`;
    const session = machine.run('bash', '-c', script);
    await machine.output('bash', '-c', 'until [ -e /root/begun ]; do sleep 0.1; done');
    writeFileSync(machine.at('/etc/gokr-rsyncd.toml'), `[[module]]\nname = "new"\npath = "${NEW}"\n`);
    expect(await reload(machine)).toContain('"modules":["new"]');
    expect(await machine.output('rsync', 'rsync://127.0.0.1/')).toMatch(/^new\s/);
    writeFileSync(machine.at('/root/reloaded'), '');
    expect((await session).stdout.toString()).toBe('@RSYNCD: OK\n');
    expect(await properties(machine)).toMatchObject({ MainPID, ActiveState: 'active', SubState: 'running' });
  });

  it('keeps serving the old configuration when the new one is wrong', async () => {
    writeFileSync(machine.at('/etc/gokr-rsyncd.toml'), `${PUB}pth = "x"\n`);
    const log = await reload(machine);
    expect(log).toContain('/etc/gokr-rsyncd.toml:4');
    expect(log).toContain('pth');
    expect(await machine.output('rsync', 'rsync://127.0.0.1/')).toMatch(/^new\s/);
    expect((await properties(machine)).ActiveState).toBe('active');
  });
});

describe('drop-ins', () => {
  it('jitless.conf scores 0.1 or better and serves', async () => {
    await configure(machine, { toml: PUB, dropins: ['jitless.conf'] });
    await pullsEqual('/srv/pub', PUB_URL);
    await pullsEqual('/srv/pub', PUB_URL, '-zc');
    expect(await exposure(machine)).toBeLessThanOrEqual(1);
  });

  it('owners.conf sends true owners', async () => {
    await configure(machine, { toml: PUB, dropins: ['owners.conf'] });
    await pullsEqual('/srv/pub', PUB_URL);
    expect(statSync(machine.at('/root/pulled/owned')).uid).toBe(1000);
  });

  it('nobody.conf serves as nobody', async () => {
    await configure(machine, { toml: PUB, dropins: ['nobody.conf'] });
    await pullsEqual('/srv/pub', PUB_URL);
    expect((await processStatus(machine)).Uid).toMatch(/^65534\t/);
  });

  it('the printed one brings the files that the configuration names, secret ones among them', async () => {
    writeFileSync(machine.at('/etc/mirror.motd'), 'Welcome.\n');
    writeFileSync(machine.at('/etc/mirror.secrets'), 'alice:secret\n', { mode: 0o600 });
    const login = 'auth_users = ["alice"]\nsecrets_file = "/etc/mirror.secrets"\n';
    await configure(machine, { toml: `motd_file = "/etc/mirror.motd"\n${PUB}${login}` });
    const url = 'rsync://alice@127.0.0.1/pub/owned';
    expect(await machine.output('env', 'RSYNC_PASSWORD=secret', 'rsync', url)).toMatch(/^Welcome\.\n\n.*owned\n$/s);
  });

  it('backup.conf reads what only root may, after a login with a credential', async () => {
    writeFileSync(machine.at('/etc/gokr-rsyncd.secrets'), 'backup:secret\n');
    chmodSync(machine.at('/etc/gokr-rsyncd.secrets'), 0o600);
    const login = 'auth_users = ["backup"]\nsecrets_file = "secrets"\n';
    await configure(machine, {
      toml: `[[module]]\nname = "host"\npath = "/modules/host"\n${login}`,
      dropins: ['backup.conf'],
      lines: ['LoadCredential=secrets:/etc/gokr-rsyncd.secrets'],
      withoutModules: true,
    });
    const shadow = 'rsync://backup@127.0.0.1/host/etc/shadow';
    await machine.output('env', 'RSYNC_PASSWORD=secret', 'rsync', '-a', shadow, '/root/copy');
    await machine.output('cmp', '/etc/shadow', '/root/copy');
    expect((await machine.run('env', 'RSYNC_PASSWORD=wrong', 'rsync', '-a', shadow, '/root/copy')).exitCode).toBe(5);
    expect((await processStatus(machine)).CapBnd).toBe('0000000000000004');
  });
});

describe('a set-up that is refused', () => {
  /** Connects to the socket and waits until systemd has given up. */
  async function refused(): Promise<{ restarts: string | undefined; result: string | undefined; log: string }> {
    const before = (await journal(machine)).length;
    await machine.run('timeout', '20', 'rsync', 'rsync://127.0.0.1/');
    const { ActiveState, NRestarts, Result } = await properties(machine);
    expect(ActiveState).toBe('failed');
    return { restarts: NRestarts, result: Result, log: (await journal(machine)).slice(before) };
  }

  it('names key and line of a wrong configuration', async () => {
    await configure(machine, { toml: PUB });
    writeFileSync(machine.at('/etc/gokr-rsyncd.toml'), `${PUB}pth = "x"\n`);
    const { restarts, log } = await refused();
    expect(restarts).toBe('0');
    expect(log).toContain('/etc/gokr-rsyncd.toml:4');
    expect(log).toContain('pth');
  });

  it('names a module that no drop-in binds', async () => {
    await configure(machine, { toml: PUB, withoutModules: true });
    // Mount points of earlier tests would stand in for it.
    rmSync(machine.at('/usr/lib/gokr-rsyncd/root/srv'), { recursive: true, force: true });
    const { restarts, log } = await refused();
    expect(restarts).toBe('0');
    expect(log).toContain('/srv/pub');
  });

  it('ends with a missing credential', async () => {
    await configure(machine, { toml: PUB, lines: ['LoadCredential=secrets:/etc/nowhere'] });
    const { restarts, log } = await refused();
    expect(restarts).toBe('0');
    expect(log).toContain('Failed to start gokr-rsyncd.service');
  });

  it('ends with a drop-in that binds a path that is not there', async () => {
    await configure(machine, { toml: PUB, lines: ['BindReadOnlyPaths=/srv/nowhere'] });
    const { restarts, log } = await refused();
    expect(restarts).toBe('0');
    expect(log).toContain('/srv/nowhere');
  });

  it('names the owner of a link on the way to a module', async () => {
    await configure(machine, {
      toml: PUB.replace('/srv/pub', '/srv/links/pub'),
      withoutModules: true,
      lines: ['BindReadOnlyPaths=/srv'],
    });
    mkdirSync(machine.at('/srv/links'), { recursive: true });
    symlinkSync('../pub', machine.at('/srv/links/pub'));
    lchownSync(machine.at('/srv/links/pub'), 1000, 1000);
    const { restarts, log } = await refused();
    rmSync(machine.at('/srv/links'), { recursive: true });
    expect(restarts).toBe('0');
    expect(log).toContain('/srv/links/pub: the link pub on the way belongs to uid');
  });

  it('names a file of secrets that is neither a credential nor there', async () => {
    const login = 'auth_users = ["a"]\nsecrets_file = "secrets"\n';
    await configure(machine, { toml: `${PUB}${login}`, withoutModules: true, lines: ['BindReadOnlyPaths=/srv/pub'] });
    const { restarts, log } = await refused();
    expect(restarts).toBe('0');
    expect(log).toMatch(/secrets_file.*secrets.*no such file/s);
  });

  it('is refused when a drop-in makes a module writable', async () => {
    await configure(machine, {
      toml: PUB,
      withoutModules: true,
      lines: ['BindPaths=/srv/pub', 'ReadWritePaths=+/srv/pub'],
    });
    chmodSync(machine.at('/srv/pub'), 0o777);
    const { restarts, log } = await refused();
    chmodSync(machine.at('/srv/pub'), 0o755);
    expect(restarts).toBe('0');
    expect(log).toMatch(/module "pub": .* is writable/);
  });
});
