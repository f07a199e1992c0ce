import { cpSync, mkdirSync, readdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { convertConfig } from '../../../src/cli/convert.ts';
import type { Config } from '../../../src/config/config.ts';
import { loadConfig, readConfig } from '../../../src/config/load.ts';
import { makeDirectory, NO_FLAGS, refusal, UID } from './fixture.ts';
import { FILE, loadText } from './rsyncd-fixture.ts';

const GOLDEN = join(import.meta.dirname, '../../golden/rsyncd-conf');
const SAMPLES = ['debian', 'arch-mirror', 'manual-simple', 'manual', 'parts'];
const CONTEXT = { credentialsDirectory: null, uid: UID };

let place: ReturnType<typeof makeDirectory>;
beforeEach(() => {
  place = makeDirectory();
});
afterEach(() => place.remove());

/** Copies the samples with their paths below the temporary directory. */
function installSamples(): void {
  cpSync(GOLDEN, place.dir, { recursive: true });
  place.file('motd', 'hello\n');
  mkdirSync(join(place.dir, 'pub/iso'));
  place.file('secrets', 'tridge:mypass\nsusan:herpass\n');
  const names = readdirSync(place.dir, { recursive: true, encoding: 'utf8' });
  for (const name of names.filter((one) => /\.(conf|inc|toml)$/.test(one))) {
    const path = join(place.dir, name);
    writeFileSync(path, readFileSync(path, 'utf8').replaceAll('@DIR@', place.dir));
  }
}

/** What two configurations must share to serve the same: all but file, remarks and the functions inside. */
function comparable({ file, warnings, modules, ...rest }: Config) {
  const plain = modules.map(({ access, auth, outgoingChmod, ...module }) => ({
    ...module,
    access: access.table,
    auth: auth === null ? null : { ...auth, passwords: auth.users.map((user) => auth.passwordOf(Buffer.from(user))) },
    outgoingChmod: outgoingChmod?.text ?? null,
  }));
  return JSON.parse(JSON.stringify({ ...rest, modules: plain }));
}

describe.each(SAMPLES)('the sample %s.conf', (name) => {
  it('converts to the TOML of the repository', () => {
    installSamples();
    const { toml, exit } = convertConfig(join(place.dir, `${name}.conf`), CONTEXT);
    expect(exit).toBe(0);
    expect(toml).toBe(readFileSync(join(place.dir, `${name}.toml`), 'utf8'));
  });

  it('serves the same as its TOML', () => {
    installSamples();
    const file = join(place.dir, `${name}.conf`);
    const served = readConfig({ ...NO_FLAGS, file }, null, CONTEXT);
    const { toml } = convertConfig(file, CONTEXT);
    expect(comparable(served)).toEqual(comparable(loadConfig(toml, 'x.toml', NO_FLAGS, CONTEXT)));
  });
});

describe('an rsyncd.conf that is served', () => {
  it('gives the TOML back for every key that modules have', () => {
    place.file('secrets', 'alice:pw\n');
    place.file('rules', '*.o\n- *.c\n');
    const text = [
      'address = ::1\nport = 8730\ntimeout = 50',
      `[m]\npath = ${place.pub}\ncomment = "quoted" \\ back\u00e9\nlist = no`,
      `hosts allow = 10.1.2.3/255.0.0.0, ::1\nhosts deny = *\nauth users = alice\nsecrets file = ${place.dir}/secrets`,
      `auth digest = md5\nmax connections = 3\nexclude = *.o + x - y\ninclude = z\nfilter = - *.bak -! *.q`,
      `exclude from = ${place.dir}/rules\ninclude from = ${place.dir}/rules\nnumeric ids = no\nmunge symlinks = yes`,
      'outgoing chmod = D755,F644\nrefuse options = c !delete-*\ndont compress = *.gz\nignore nonreadable = yes',
      'open noatime = yes\n',
    ].join('\n');
    place.file('x.conf', text);
    const { toml, exit } = convertConfig(join(place.dir, 'x.conf'), CONTEXT);
    const fromToml = comparable(loadConfig(toml, 'x.toml', NO_FLAGS, CONTEXT));
    expect(exit).toBe(0);
    expect(comparable(loadText(text, {}, UID))).toEqual(fromToml);
    expect(fromToml.modules[0]).toMatchObject({ timeoutSec: 50, maxConnections: 3, list: false, openNoatime: true });
  });

  it('has one warning for each line that is ignored, by file, line and name', () => {
    const { warnings } = loadText('pid file = /run/x\n[a]\npath = /usr\n&include /d.conf', {
      '/d.conf': '\n[b]\npath = /usr\ntimeout = 0\n',
    });
    expect(warnings).toEqual([
      `${FILE}:1: pid file: ignored: we write no files; systemd or the container knows the process`,
      '/d.conf:4: timeout: a timeout cannot be switched off: the default of 600 seconds holds',
    ]);
  });

  it('listens where rsync would, and where flags say', () => {
    const text = 'port = 8730\n[a]\npath = /usr';
    expect(loadText(text).listeners).toEqual([{ kind: 'rsyncd', address: { host: '::', port: 8730 } }]);
    place.file('x.conf', text);
    const flags = { ...NO_FLAGS, file: join(place.dir, 'x.conf'), listen: '127.0.0.1:0' };
    expect(readConfig(flags, null, CONTEXT).listeners).toEqual([
      { kind: 'rsyncd', address: { host: '127.0.0.1', port: 0 } },
    ]);
  });

  it('reports all refused lines at once, with file, line, name and what to do', () => {
    const text = 'charset = x\n[a]\npath = /usr\nread only = no\nhosts allow = localhost\n[b]';
    expect(refusal(() => loadText(text)).split('\n')).toEqual([
      `${FILE}:1: charset: is not supported: names are sent as they are stored; --iconv is refused`,
      `${FILE}:4: read only: "no" is not supported: this daemon only sends; delete the line, or keep C rsync for uploads`,
      expect.stringContaining(`${FILE}:5: hosts allow: "localhost" is not an address`),
      `${FILE}:6: [b]: has no path`,
    ]);
  });

  it.each([
    ['[a b]\npath = /usr', ':1: [a b]: "a b" is not a module name'],
    ['[a]\npath = /nowhere', ':2: [a] path: "/nowhere": no such file'],
    ['[a]\npath = /usr/../etc', ':2: [a] path: "/usr/../etc" is not allowed'],
    ['[a]\npath = /usr\nfilter = merge /etc/x', ':3: [a] filter: merge rules are not allowed'],
    ['[a]\npath = /usr\nfilter = *.o', ':3: [a] filter: '],
    ['[a]\npath = /usr\nexclude = -  x', ':3: [a] exclude: unexpected end of filter rule'],
    ['[a]\npath = /usr\noutgoing chmod = D999', ':3: [a] outgoing chmod: "D999" is not a mode change'],
    ['[a]\npath = /usr\nrefuse options = a,b', ':3: [a] refuse options: "a,b" is not an option name'],
    ['[a]\npath = /usr\ntimeout = 99999', ':3: [a] timeout: 99999 is not allowed'],
    ['comment = \u001b[2J\n[a]\npath = /usr', ':1: [a] comment: "\\u001b[2J" is not allowed'],
    ['[a]\npath = /usr\n[c]\nname = a\npath = /usr', ':4: [c] name: "a" is the name of an earlier module'],
    ['motd file = /nowhere\n[a]\npath = /usr', ':1: motd file: "/nowhere": no such file'],
    ['proxy protocol = yes\n[a]\npath = /usr', ':1: proxy protocol: proxy_protocol; needs proxy protocol hosts'],
    ['[a]\npath = /usr\nmax connections = -1', 'no module'],
  ])('is checked as TOML is: %j', (text, message) => {
    expect(refusal(() => loadText(text))).toContain(message);
  });
});
