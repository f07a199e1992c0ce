/** The keys that this build parses but cannot honour; load.ts refuses them. A feature's issue deletes its rows. */
import type { GLOBAL_KEYS, MODULE_KEYS } from './schema.ts';

interface NotYet<K> {
  readonly key: K;
  /** Only this value is refused; without it everything but the default is. */
  readonly value?: string;
}

/** Nothing is ignored in silence: a key of these tables that is set to something other than its default is an error. */
export const NOT_SUPPORTED_YET: {
  readonly global: readonly NotYet<keyof typeof GLOBAL_KEYS>[];
  readonly module: readonly NotYet<keyof typeof MODULE_KEYS>[];
} = {
  global: [],
  module: [{ key: 'queue' }],
};
