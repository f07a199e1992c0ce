/** ACLs and extended attributes: the same pulls from C rsync's daemon and from ours, judged by getfattr and getfacl. */

import { mkdirSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { startDaemon } from '../helpers/daemon.ts';
import type { ModuleSpec } from '../helpers/module-spec.ts';
import { startReferenceDaemon } from '../helpers/reference-daemon.ts';
import { moduleUrl, rsync } from '../helpers/rsync.ts';
import { mustRun } from '../helpers/run.ts';
import type { RunningDaemon } from '../helpers/running-daemon.ts';
import { removeTree } from '../helpers/scratch.ts';
import { hasRoot, otherClients, type RsyncClient, systemClient } from '../setup/clients.ts';
import {
  type AttributeFixtures,
  type DestinationState,
  hasAttributeTools,
  makeAttributeFixtures,
} from './attribute-tree.ts';

const STATES: readonly DestinationState[] = ['empty', 'identical', 'stale'];
const PROTOCOLS = [30, 31, 32];

interface Asked {
  readonly args: string;
  readonly sources?: readonly string[];
  readonly module?: string;
}

const CASES: readonly Asked[] = [
  { args: '-aAX' },
  { args: '-aX' },
  { args: '-aA' },
  { args: '-aHAX' },
  { args: '-aAXX' },
  { args: '-aAX --numeric-ids' },
  { args: '-aAX', module: 'numeric' },
  { args: '-aHAX --no-inc-recursive' },
  { args: '-rAX --no-inc-recursive' },
  { args: '-naAX' },
  { args: '-aAX --delete' },
  { args: '-aAXc' },
  { args: '-rtAX' },
  { args: '-aAXL --ignore-errors' },
  { args: '-aAXk' },
  { args: '-dAX' },
  { args: '-aAXR', sources: ['acl-dir-link/./sub', 'dir-link/sub/deep'] },
  { args: '-aAXR', sources: ['dir/./sub/deep', 'acl-dir/sub', 'over32'] },
  { args: '-aAX', sources: ['dir', 'acl-both', 'over32', 'same/'] },
  { args: '-aX --filter=-x_user.s* --filter=-x_*mine' },
  { args: '-aX --filter=+x_user.*', module: 'ruled' },
  { args: '-aX', module: 'ruled' },
  { args: '-aAX', module: 'moded' },
  { args: '-aAX --delete-missing-args', sources: ['plain', 'acl-user', 'gone'] },
];

/** What the clients of other releases are asked, in their newest protocol. */
const OTHERS_CASES: readonly string[] = ['-aAX', '-aHAX', '-aAXX', '-aAXc'];

/** Everything that a user sees of one pull. */
interface Outcome {
  readonly exitCode: number | null;
  readonly items: readonly string[];
  readonly errors: readonly string[];
  readonly xattrs: readonly string[];
  readonly acls: readonly string[];
}

describe.skipIf(!hasRoot() || !hasAttributeTools())('ACLs and extended attributes', () => {
  let fixtures: AttributeFixtures;
  let reference: RunningDaemon;
  let ours: RunningDaemon;
  let pulls = 0;

  beforeAll(async () => {
    fixtures = await makeAttributeFixtures();
    const path = fixtures.module;
    const module = (name: string, keys: ModuleSpec['keys'] = {}): ModuleSpec => ({
      name,
      path,
      keys: { numeric_ids: false, ...keys },
    });
    const modules = [
      module('m'),
      module('numeric', { numeric_ids: true }),
      module('ruled', { filter: ['-x_user.zz', '-x_security.*'] }),
      module('moded', { outgoing_chmod: 'Fg-w,o-r' }),
    ];
    reference = await startReferenceDaemon(modules);
    ours = await startDaemon({ modules: modules.map((one) => ({ ...one, keys: { ...one.keys, xattrs: true } })) });
  });

  afterAll(async () => {
    await ours?.stop();
    await reference?.stop();
    fixtures?.remove();
  });

  /** In the newest protocol of another client, else in `how` with the system's. */
  async function pull(
    daemon: RunningDaemon,
    asked: Asked,
    how: number | RsyncClient,
    state: DestinationState,
  ): Promise<Outcome> {
    const dir = join(fixtures.scratch, `pull${pulls++}`);
    const destination = join(dir, 'dst');
    const template = fixtures.template(state);
    mkdirSync(dir);
    if (template === null) mkdirSync(destination);
    // Without -H a change of one name shows in another or not, as the client's processes happen to run.
    else
      await mustRun('cp', ['-a', ...(/-\w*H/.test(asked.args) ? [] : ['--no-preserve=links']), template, destination]);
    const urls = (asked.sources ?? ['']).map((source) => moduleUrl(daemon.port, asked.module ?? 'm', source));
    const protocol = typeof how === 'number' ? [`--protocol=${how}`] : [];
    const args = [...asked.args.split(' '), '-ii', ...protocol, ...urls, 'dst/'];
    const client = typeof how === 'number' ? systemClient() : how;
    const result = await rsync(args, { cwd: dir, deadlineMs: 30_000 }, client);
    const outcome = {
      exitCode: result.exitCode,
      items: sortedLines(result.stdout),
      errors: sortedLines(result.stderr).map(normalise),
      xattrs: await blocks(destination, 'getfattr -h -d -e base64 -m -'),
      acls: await blocks(destination, 'getfacl -n -P'),
    };
    removeTree(dir);
    return outcome;
  }

  const title = ({ args, module = 'm', sources = [] }: Asked): string => [args, module, ...sources].join(' ');

  describe.concurrent.each(CASES.map((asked) => [title(asked), asked] as const))('%s', (_title, asked) => {
    it.each(PROTOCOLS.flatMap((protocol) => STATES.map((state) => [protocol, state] as const)))(
      'protocol %i gives what C rsync gives at a destination that is %s',
      async (protocol, state) => {
        const expected = await pull(reference, asked, protocol, state);
        expect(await pull(ours, asked, protocol, state)).toEqual(expected);
      },
    );
  });

  const others = otherClients().filter(({ family }) => family === 'rsync');
  describe.concurrent.each(others.map((client) => [client.name, client] as const))('client %s', (_name, client) => {
    it.each(OTHERS_CASES.flatMap((args) => STATES.map((state) => [args, state] as const)))(
      '%s gives what C rsync gives at a destination that is %s',
      async (args, state) => {
        const expected = await pull(reference, { args }, client, state);
        expect(await pull(ours, { args }, client, state)).toEqual(expected);
      },
    );
  });
});

function sortedLines(output: Buffer): string[] {
  const lines = output.toString('latin1').split('\n');
  return lines.filter((line) => line !== '').sort();
}

/** The reference writes a path from its current directory; which process of the client complains is a matter of timing. */
function normalise(line: string): string {
  return line
    .replace(/"\/(?:[^"]*\/)?\.\/([^"]*" \(in )/, '"/$1')
    .replace(/ at \w+\.c\(\d+\) \[(generator|receiver|Receiver)=/, ' at [client=');
}

/** What a tool prints of every entry of a tree, one string each. */
async function blocks(root: string, tool: string): Promise<string[]> {
  const script = `find . -print0 | LC_ALL=C sort -z | xargs -0 ${tool}`;
  const { stdout } = await mustRun('sh', ['-c', script], { cwd: root });
  return stdout
    .toString('latin1')
    .split('\n\n')
    .filter((block) => block !== '');
}
