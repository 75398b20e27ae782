import type { StateKind } from '../base/index.ts';
import { Ioas } from './ioas.ts';
import { IovaSpace } from './iova.ts';

/** Classes of this room of which machines make instances as they run. */
export const IOMMU_KINDS: readonly StateKind[] = [
  { name: 'ioas', type: Ioas, make: (field) => new Ioas(field('id') as number) },
  { name: 'iova-space', type: IovaSpace, make: (field) => new IovaSpace(field('end') as number) },
];
