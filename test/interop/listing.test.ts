/** Module lists, the message of the day and modules that do not exist, as a real client shows them. */

import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { openStage, type Stage } from '../session/support/stage.ts';
import { greeting } from '../session/support/wire.ts';
import { hasRoot } from '../setup/clients.ts';

const MOTD = 'Welcome to the mirror\nsecond line: äöü\n';

const LIST = [
  'pub            \tpublic files: äöü',
  'b.second       \t',
  'a-name-of-more-than-15-bytes\tlong',
  'locked         \tneeds a login',
  'denied         \tfor nobody',
];

describe.skipIf(!hasRoot())('the module list', { timeout: 20_000 }, () => {
  let stage: Stage;

  beforeAll(async () => {
    stage = await openStage({
      globals: (dir) => ({ motd_file: join(dir, 'motd') }),
      keys: { comment: 'public files: äöü' },
      prepare: (dir) => {
        writeFileSync(join(dir, 'secrets'), 'alice:x\n', { mode: 0o600 });
        writeFileSync(join(dir, 'motd'), MOTD);
      },
      modules: (dir) => {
        const path = join(dir, 'pub');
        return [
          { name: 'b.second', path },
          { name: 'a-name-of-more-than-15-bytes', path, keys: { comment: 'long' } },
          { name: 'hidden', path, keys: { list: false, comment: 'not shown' } },
          {
            name: 'locked',
            path,
            keys: { comment: 'needs a login', auth_users: ['alice'], secrets_file: join(dir, 'secrets') },
          },
          { name: 'denied', path, keys: { comment: 'for nobody', hosts_deny: ['all'] } },
        ];
      },
    });
  });
  afterAll(() => stage.close());

  it('comes in the order of the configuration, with the message of the day before it', async () => {
    const result = await stage.rsync(['-8', 'URL/']);
    expect({ exit: result.exitCode, stderr: result.stderr.toString() }).toEqual({ exit: 0, stderr: '' });
    expect(result.stdout.toString()).toBe(`${MOTD}\n${LIST.join('\n')}\n`);
  });

  it('stays away with --no-motd, as the client takes everything before EXIT for the message of the day', async () => {
    const result = await stage.rsync(['--no-motd', 'URL/']);
    expect({ exit: result.exitCode, stdout: result.stdout.toString() }).toEqual({ exit: 0, stdout: '' });
  });

  it.each(['\n', '#list\n', '#list\r\n'])('answers the line %j and ends with EXIT', async (line) => {
    const { answer, line: logged } = await stage.play({ send: Buffer.concat([greeting(), Buffer.from(line)]) });
    expect(answer.text).toBe(
      Buffer.from(`@RSYNCD: 32.0 sha512 sha256 sha1 md5 md4\n${MOTD}\n${LIST.join('\n')}\n@RSYNCD: EXIT\n`).toString(
        'latin1',
      ),
    );
    expect(logged).toMatchObject({ outcome: 'ok', exit: 0 });
    expect(logged.module).toBeUndefined();
  });

  it('does not show a hidden module, which can be pulled from all the same', async () => {
    expect((await stage.rsync(['-8', 'URL/'])).stdout.toString()).not.toContain('hidden');
    expect((await stage.rsync(['-r', '--no-motd', 'URL/hidden/', 'hidden/'])).exitCode).toBe(0);
  });

  it('is not asked for by a module that does not exist: exit code 5 and the words of C rsync', async () => {
    const result = await stage.rsync(['-r', '--no-motd', 'URL/nothing/', 'nothing/']);
    expect(result.exitCode).toBe(5);
    expect(result.stderr.toString()).toMatch(/^@ERROR: Unknown module 'nothing'$/m);
  });

  it('shows the message of the day before a pull and before a refusal too', async () => {
    expect((await stage.rsync(['-8', 'URL/pub/file', 'got'])).stdout.toString()).toBe(`${MOTD}\n`);
    expect((await stage.rsync(['-8', 'URL/nothing/', 'got'])).stdout.toString()).toBe(`${MOTD}\n`);
  });
});
