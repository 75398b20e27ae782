import { OUTCOMES } from '../base/index.ts';
import type { Outcome } from '../base/index.ts';

/** How a translation ended, as the hot path returns it: the index of each outcome in base's `OUTCOMES`; `performed` is 0. */
export const STATUS = Object.fromEntries(OUTCOMES.map((name, index) => [name, index])) as { readonly [K in Outcome]: number };
