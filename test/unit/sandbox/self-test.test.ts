import { describe, expect, it } from 'vitest';
import { SandboxError } from '../../../src/errors.ts';
import { assertGuarantees, guaranteeLines, runSelfTest } from '../../../src/sandbox/self-test.ts';

const HOLDS = { name: 'identity', holds: true, detail: 'uid 1' };
const FAILS = { name: 'seccomp', holds: false, detail: 'Seccomp 0' };

describe('runSelfTest', () => {
  it('finds what does not hold in a process that nobody has locked in, and leaves it alive', async () => {
    const rows = await runSelfTest({ modules: 'not looked at', served: [], landlockAbi: 0, noSockets: true });
    const held = Object.fromEntries(rows.map(({ name, holds }) => [name, holds]));
    expect(held).toMatchObject({
      landlock: false,
      'modules read-only': false,
      'no programs': false,
      'no sockets': false,
    });
  });

  it('leaves out what nobody has promised', async () => {
    const rows = await runSelfTest({ modules: [], served: [], landlockAbi: null, noSockets: false });
    expect(rows.map(({ name }) => name)).not.toEqual(expect.arrayContaining(['landlock']));
    expect(rows.map(({ name }) => name)).not.toEqual(expect.arrayContaining(['no sockets']));
  });
});

describe('the table', () => {
  it('is refused with each row that does not hold', () => {
    expect(() => assertGuarantees([HOLDS])).not.toThrow();
    expect(() => assertGuarantees([HOLDS, FAILS])).toThrow(SandboxError);
    expect(() => assertGuarantees([HOLDS, FAILS])).toThrow('do not hold\n  seccomp: Seccomp 0');
  });

  it('is printed in columns', () => {
    expect(guaranteeLines([HOLDS, FAILS])).toEqual(['holds  identity  uid 1', 'FAILS  seccomp   Seccomp 0']);
  });
});
