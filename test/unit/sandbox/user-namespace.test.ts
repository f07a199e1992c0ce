import { describe, expect, it } from 'vitest';
import { ownerWarning } from '../../../src/sandbox/user-namespace.ts';

describe('ownerWarning', () => {
  it('is silent where every id stands for itself, and where there are no maps', () => {
    expect(ownerWarning(() => '         0          0 4294967295\n')).toBeNull();
    expect(ownerWarning(() => '')).toBeNull();
  });

  it.each(['0 0 1\n61234 61234 1\n', '0 100000 65536\n', '0 0 65536\n'])('warns of the map %j', (map) => {
    expect(ownerWarning((path) => (path.endsWith('gid_map') ? map : '0 0 4294967295\n'))).toContain('65534');
  });
});
