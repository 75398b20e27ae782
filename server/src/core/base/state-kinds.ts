import { PageRanges } from './page-ranges.ts';
import { Ring } from './ring.ts';
import type { StateKind } from './saved-state.ts';

/** Classes of this room of which machines make instances as they run. */
export const BASE_KINDS: readonly StateKind[] = [
  { name: 'page-ranges', type: PageRanges, make: () => new PageRanges() },
  { name: 'ring', type: Ring, make: (field) => new Ring(field('capacity') as number) },
];
