import { OUTCOMES } from '../base/index.ts';
import type { Outcome } from '../base/index.ts';

/** How a translation ended, as the hot path returns it: the index of each outcome in base's `OUTCOMES`; `performed` is 0. */
export const STATUS = Object.fromEntries(OUTCOMES.map((name, index) => [name, index])) as { readonly [K in Outcome]: number };

/** Instead of a status: the walk lacks an entry of which a peer has to be asked, and nothing has come of it yet. */
export const WAITING = OUTCOMES.length;
