/** What the sandbox of this start is worth: serve.ts logs it before it serves, --check prints it. */

import type { Config } from '../config/config.ts';
import { SandboxError } from '../errors.ts';
import type { Guarantee } from '../observe/daemon-state.ts';
import type { Logger } from '../observe/log.ts';
import { dropToNobody, identityText } from '../sandbox/identity.ts';
import { assertGuarantees, guaranteeLines, runSelfTest } from '../sandbox/self-test.ts';
import { assertReadOnly, type VerifySummary } from '../sandbox/verify.ts';
import type { Start } from './stages.ts';

/**
 * Gives up root where the first stage has not, proves that no module can be written, and tries out what else is claimed; one log
 * line for each.
 * @returns the table.
 * @throws SandboxError when root is kept, a module is writable or, with --require-sandbox=strict, a guarantee does not hold.
 */
export async function settleSandbox(start: Start, logger: Logger): Promise<Guarantee[]> {
  logger.info(settleIdentity(start));
  for (const gap of start.outcome.gaps) logger.warn({ gap }, 'sandbox: not all of it is possible here');
  const summaries = searchModules(start);
  for (const summary of summaries) logger.info({ ...summary }, 'module is read-only for us');
  const guarantees = await tryOut(start, summaries);
  for (const { name, holds, detail } of guarantees) {
    if (holds) logger.info({ guarantee: name, detail }, 'sandbox: holds');
    else logger.warn({ guarantee: name, detail }, 'sandbox: does not hold');
  }
  if (start.strict) assertGuarantees(guarantees);
  return guarantees;
}

/**
 * The same for --check.
 * @returns a paragraph, and what a start would be refused with.
 * @throws SandboxError when root cannot be given up.
 */
export async function sandboxReport(start: Start): Promise<{ text: string; refusal: SandboxError | null }> {
  settleIdentity(start);
  const found = refusalOf(() => searchModules(start));
  const guarantees = await tryOut(start, found instanceof SandboxError ? found.message : found);
  const lines = [...guaranteeLines(guarantees), ...start.outcome.gaps.map((gap) => `note: ${gap}`)];
  const text = ['', 'sandbox', ...lines.map((line) => `  ${line}`), ''].join('\n');
  if (found instanceof SandboxError) return { text, refusal: found };
  const broken = start.strict ? refusalOf(() => assertGuarantees(guarantees)) : undefined;
  return { text, refusal: broken ?? null };
}

function refusalOf<T>(action: () => T): T | SandboxError {
  try {
    return action();
  } catch (thrown) {
    if (thrown instanceof SandboxError) return thrown;
    throw thrown;
  }
}

function settleIdentity({ confinedBy }: Start): string {
  return confinedBy === 'ourselves' ? `runs as ${identityText()}` : dropToNobody();
}

/** What counts is what can still be written once the sandbox stands. */
function searchModules({ config, outcome }: Start): VerifySummary[] {
  return assertReadOnly(config.modules, { onlyProven: outcome.landlockAbi > 0 || outcome.seccomp });
}

function tryOut(start: Start, modules: readonly VerifySummary[] | string): Promise<Guarantee[]> {
  const { confinedBy, outcome, config } = start;
  const served = config.modules.map(({ path }: Config['modules'][number]) => path);
  return runSelfTest({
    modules,
    served,
    landlockAbi: confinedBy === 'somebody else' ? null : outcome.landlockAbi,
    noSockets: outcome.seccomp || confinedBy === 'somebody else',
  });
}
