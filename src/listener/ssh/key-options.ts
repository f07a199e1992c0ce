/**
 * The option field of an authorized_keys line (sshd(8)); authorized-keys.ts calls it.
 *
 * Honoured: from="…", environment="GOKR_MODULES=a,b" (the modules that the key may see; without it all). Always in force here, so
 * accepted: restrict, the no-… options, and options that widen or narrow what is never granted (pty, forwarding, permitopen).
 * command="…" must be the daemon command, the only one that there is. Everything else gives no access.
 */

import { tokenizeCommand, wantsDaemon } from './exec-command.ts';
import { parseFrom } from './from-patterns.ts';

/** What a key may do. */
export interface KeyRights {
  /** Names of the modules that the key may see; null is all. */
  readonly modules: readonly string[] | null;
  /** True when a client at this address may use the key; '' (unix socket) fits no from= list. */
  allowsFrom(address: string): boolean;
  /** Things that the administrator should know. */
  readonly notes: readonly string[];
}

/** Options without effect: nothing of the kind exists on our listener. */
const WITHOUT_EFFECT = new Set([
  ...['restrict', 'no-pty', 'no-user-rc', 'no-agent-forwarding', 'no-port-forwarding', 'no-x11-forwarding'],
  ...[
    'pty',
    'user-rc',
    'agent-forwarding',
    'port-forwarding',
    'x11-forwarding',
    'permitopen',
    'permitlisten',
    'tunnel',
  ],
]);

const MODULES_VARIABLE = 'GOKR_MODULES=';

/** name, or name="value" with \" for a quote; then a comma or the end. */
const OPTION = /([A-Za-z0-9-]+)(?:="((?:\\"|[^"])*)")?(?:,|$)/y;

interface Draft {
  modules: string[] | null;
  from: ((address: string) => boolean) | null;
  notes: string[];
}

/** @throws Error saying which option cannot be honoured. */
export function parseKeyOptions(text: string): KeyRights {
  const draft: Draft = { modules: null, from: null, notes: [] };
  const seen = new Set<string>();
  for (let at = 0; at < text.length; at = OPTION.lastIndex) {
    OPTION.lastIndex = at;
    const match = OPTION.exec(text);
    if (match === null) throw new Error('the options cannot be read');
    const name = match[1]!.toLowerCase();
    const isRepeatable = name === 'environment' || WITHOUT_EFFECT.has(name);
    if (seen.has(name) && !isRepeatable) throw new Error(`option ${name} stands twice`);
    seen.add(name);
    applyOption(draft, name, match[2]?.replaceAll('\\"', '"'));
  }
  const { modules, from, notes } = draft;
  return { modules, notes, allowsFrom: (address) => from === null || from(address) };
}

function applyOption(draft: Draft, name: string, value: string | undefined): void {
  if (WITHOUT_EFFECT.has(name)) return;
  switch (name) {
    case 'from': {
      const { allows, notes } = parseFrom(needed(name, value));
      draft.from = allows;
      draft.notes.push(...notes);
      return;
    }
    case 'environment':
      applyEnvironment(draft, needed(name, value));
      return;
    case 'command':
      // SECURITY: the key was meant for one command; opening all modules to it instead would widen it.
      if (!isDaemonCommand(needed(name, value))) {
        throw new Error('command= is not "rsync --server --daemon .", the only command that this listener runs');
      }
      return;
    default:
      throw new Error(`option ${name} is not supported`);
  }
}

function applyEnvironment(draft: Draft, value: string): void {
  if (!value.startsWith(MODULES_VARIABLE)) {
    draft.notes.push('environment= has no effect other than for GOKR_MODULES');
    return;
  }
  if (draft.modules !== null) throw new Error('GOKR_MODULES stands twice');
  draft.modules = value
    .slice(MODULES_VARIABLE.length)
    .split(',')
    .map((name) => name.trim())
    .filter((name) => name !== '');
}

function isDaemonCommand(command: string): boolean {
  try {
    return wantsDaemon(tokenizeCommand(Buffer.from(command, 'latin1'), { args: 100 }));
  } catch {
    return false;
  }
}

function needed(name: string, value: string | undefined): string {
  if (value === undefined) throw new Error(`option ${name} needs a value in quotes`);
  return value;
}
