import { describe, expect, it } from 'vitest';
import { leftOut, planListeners } from '../../../src/cli/listeners.ts';
import type { InheritedSocket, ListenerName } from '../../../src/listener/activation.ts';
import { load, moduleText, refusal } from '../config/fixture.ts';

const RSYNCD = '[[listener]]\nrsyncd = ":1"\n';
const SSH = (port: number, key: string) => `[[listener]]\nanon_ssh = ":${port}"\nhost_key_path = "/k/${key}"\n`;

const configOf = (text: string) => load(text + moduleText());
const sockets = (...names: ListenerName[]): InheritedSocket[] => names.map((name, index) => ({ fd: 3 + index, name }));

describe('planListeners', () => {
  it('opens every configured address when no socket is inherited', () => {
    const plans = planListeners(configOf(RSYNCD + SSH(2, 'a')), []);
    expect(plans.map(({ place, settings }) => [place, settings.kind])).toEqual([
      [{ host: '::', port: 1 }, 'rsyncd'],
      [{ host: '::', port: 2 }, 'anon_ssh'],
    ]);
  });

  it('is refused when there is nothing to listen on', () => {
    expect(refusal(() => planListeners(configOf(''), []))).toContain('nothing to listen on');
  });

  it('opens inherited sockets alone, each with the key of its kind, the last one for those that are too many', () => {
    const plans = planListeners(
      configOf(RSYNCD + SSH(2, 'a') + SSH(3, 'b')),
      sockets('anon_ssh', 'anon_ssh', 'anon_ssh'),
    );
    expect(plans).toMatchObject([
      { place: { fd: 3 }, settings: { hostKeyPath: '/k/a' } },
      { place: { fd: 4 }, settings: { hostKeyPath: '/k/b' } },
      { place: { fd: 5 }, settings: { hostKeyPath: '/k/b' } },
    ]);
  });

  it('needs no configuration for an inherited rsyncd socket', () => {
    expect(planListeners(configOf(''), sockets('rsyncd'))).toEqual([
      { place: { fd: 3 }, settings: { kind: 'rsyncd' } },
    ]);
  });

  it('keeps inherited rsyncd sockets behind the proxy that the configuration says', () => {
    const text = '[[listener]]\nrsyncd = ":1"\nproxy_protocol = true\nproxy_trusted = ["10.0.0.5"]\n';
    const plans = planListeners(configOf(text), sockets('rsyncd', 'rsyncd'));
    expect(plans.map(({ settings }) => settings.proxyTrusted)).toEqual([['10.0.0.5'], ['10.0.0.5']]);
  });

  it.each(['anon_ssh', 'authorized_ssh', 'tls'] as const)(
    'refuses a socket named %s that nothing configures',
    (name) => {
      expect(refusal(() => planListeners(configOf(RSYNCD), sockets('rsyncd', name)))).toContain(
        `inherited descriptor 4 (${name}): the configuration has no [[listener]] with ${name}`,
      );
    },
  );
});

describe('leftOut', () => {
  it('names the configured kinds for which no socket came', () => {
    const config = configOf(RSYNCD + SSH(2, 'a'));
    const plans = planListeners(config, sockets('rsyncd'));
    expect(leftOut(config, plans).map(({ kind }) => kind)).toEqual(['anon_ssh']);
    expect(leftOut(config, planListeners(config, []))).toEqual([]);
  });
});
