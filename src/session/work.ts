/** What a session needs when its client was let in; session.ts loads it then, so that no start and no list of modules waits for it. */

import { requireLibrary } from '../compress/choose.ts';
import { receiveOptions } from './arguments.ts';
import { exchangePreamble } from './preamble.ts';
import { runTransfer, transferExit } from './transfer-phase.ts';

/** The steps behind `OK`, in their order. */
export const work = { receiveOptions, exchangePreamble, requireLibrary, runTransfer, transferExit } as const;

export type SessionWork = typeof work;
