import { spawnSync } from 'node:child_process';
import { realpathSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { argumentBytes, variableBytes, workingDirectory } from '../../../src/vfs/own-process.ts';

const MODULE = join(import.meta.dirname, '../../../src/vfs/own-process.ts');

/** What a process of its own prints that was started by a shell, which alone can pass bytes that are no text. */
function inProcess(expression: string, shellWords: string, assignments = ''): string {
  const code = `const own = await import('${MODULE}'); console.log(${expression})`;
  const command = `${assignments} exec "$NODE" --input-type=module -e "$CODE" -- ${shellWords}`;
  const env = { PATH: process.env.PATH, NODE: process.execPath, CODE: code };
  const { stdout, stderr } = spawnSync('bash', ['-c', command], { env, encoding: 'latin1' });
  if (stdout === '') throw new Error(stderr);
  return stdout.trim();
}

describe('this process', () => {
  it('knows its arguments as bytes', () => {
    const hex = "own.argumentBytes(process.argv.slice(1)).map((a) => a.toString('hex')).join()";
    expect(inProcess(hex, "a $'caf\\xe9' '' $'\\xff'")).toBe('61,636166e9,,ff');
  });

  it('keeps to what Node says where the bytes say something else', () => {
    expect(argumentBytes(['no argument of ours']).map(String)).toEqual(['no argument of ours']);
    expect(String(variableBytes('PATH', 'elsewhere'))).toBe('elsewhere');
  });

  it('knows its environment as bytes', () => {
    const hex = "own.variableBytes('COMMAND', process.env.COMMAND).toString('hex')";
    expect(inProcess(hex, '', "COMMAND=$'caf\\xe9'")).toBe('636166e9');
  });

  it('knows where it is', () => {
    expect(`/${workingDirectory()}`).toBe(realpathSync(process.cwd()));
  });
});
