import type { StateKind } from '../base/index.ts';
import { ConfigSpace } from './config-space.ts';
import { MsixVectors } from './msix-vectors.ts';

/** Classes of this room of which machines make instances as they run. */
export const PCI_KINDS: readonly StateKind[] = [
  { name: 'msix-vectors', type: MsixVectors, make: (field) => new MsixVectors(field('count') as number) },
  {
    name: 'config-space',
    type: ConfigSpace,
    make: (field) => {
      const name = field('name') as string | undefined;
      const barBytes = field('barBytes') as readonly bigint[] | undefined;
      const physical = field('physical') as ConfigSpace | undefined;
      return new ConfigSpace(field('image') as Uint8Array, {
        ...(name === undefined ? {} : { name }),
        ...(barBytes === undefined ? {} : { barBytes }),
        ...(physical === undefined ? {} : { virtual: { physical, index: field('virtualIndex') as number } }),
      });
    },
  },
];
