/**
 * --restrict DIR, the forced command of a key in authorized_keys: judges what the client wanted to run, SSH_ORIGINAL_COMMAND, and
 * serves it below DIR when it is a pull; main.ts calls it. No shell ever sees the command, and Landlock, where the kernel has it, shows
 * this process nothing but DIR.
 */

import { EXIT, RsyncError, SandboxError, UsageError } from '../errors.ts';
import type { Limits } from '../limits.ts';
import { type CommandWord, tokenizeCommand } from '../listener/ssh/exec-command.ts';
import { quotePattern } from '../session/shell-globs.ts';
import { SHELL_LIMITS } from '../session/shell-session.ts';
import { serveShell } from './command-mode.ts';

const TILDE = 0x7e;
const SLASH = 0x2f;

/**
 * Serves the client of a restricted key.
 * @param directory absolute; it becomes the client's `/`.
 * @param original SSH_ORIGINAL_COMMAND; null when the client asked for a shell.
 * @returns the exit code.
 * @throws UsageError (exit 1) with the reason for the client.
 */
export async function runRestricted(directory: string, original: Buffer | null): Promise<number> {
  if (!directory.startsWith('/')) throw refusal('--restrict needs an absolute path in authorized_keys');
  if (original === null) throw refusal('this key only serves rsync; there is no shell');
  const args = pullArguments(original, SHELL_LIMITS);
  try {
    // SECURITY: whoever holds the key reads standard error, and must not learn where DIR lies or what our stacks hold.
    return await serveShell(Buffer.from(directory), { args, paths: { kind: 'confined' }, reportBug: () => {} });
  } catch (thrown) {
    if (thrown instanceof SandboxError) throw refusal('the directory of this key cannot be opened', thrown);
    throw thrown;
  }
}

/**
 * The arguments of a command that may run with a restricted key: `rsync --server --sender …` and nothing else.
 * @returns what stands behind the program's name; paths in the form of session/shell-globs.ts.
 * @throws UsageError (exit 1) with the reason.
 */
export function pullArguments(command: Buffer, limits: Pick<Limits, 'args'>): Buffer[] {
  const [program, ...words] = tokenize(command, limits);
  const [first, second] = words.map(({ bytes }) => bytes.toString('latin1'));
  if (program === undefined || !/^(?:.*\/)?(?:rsync|gokr-rsyncd)$/s.test(program.bytes.toString('latin1'))) {
    throw refusal('this key only serves rsync');
  }
  if (first !== '--server') throw refusal('this key only serves the rsync of a remote client (rsync --server)');
  if (second === '--daemon') throw refusal('this key has no modules: ask for HOST:PATH');
  // SECURITY: by its place, not by search: `--sender` as the value of another option would let an upload pass for a pull.
  if (second !== '--sender') throw refusal('this key may only pull: uploads are refused');
  const dot = words.findIndex(({ bytes }) => bytes.length === 1 && bytes[0] === 0x2e);
  return words.map((word, at) => (dot >= 0 && at > dot ? pathPattern(word) : word.bytes));
}

function tokenize(command: Buffer, limits: Pick<Limits, 'args'>): CommandWord[] {
  try {
    return tokenizeCommand(command, limits);
  } catch (thrown) {
    if (!(thrown instanceof RsyncError)) throw thrown;
    throw new UsageError(thrown.tell ?? thrown.message, { exit: EXIT.SYNTAX, cause: thrown });
  }
}

/** An unquoted tilde is the home directory, and the only home that this key has is DIR. */
function pathPattern({ bytes, quoted }: CommandWord): Buffer {
  const isHome = bytes[0] === TILDE && quoted[0] === 0 && (bytes.length === 1 || bytes[1] === SLASH);
  return isHome ? quotePattern(bytes.subarray(1), quoted.subarray(1)) : quotePattern(bytes, quoted);
}

function refusal(reason: string, cause?: unknown): UsageError {
  return new UsageError(`gokr-rsyncd: ${reason}\n`, { exit: EXIT.SYNTAX, cause });
}
