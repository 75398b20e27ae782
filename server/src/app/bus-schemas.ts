/** Bodies of the routes by which a script makes a processor's accesses. */
import { Type, type Static } from 'typebox';
import { FunctionAddress, closed } from './schemas.ts';

const Number64 = { pattern: '^0x[0-9a-fA-F]{1,16}$' };
const WHERE = {
  space: Type.Optional(Type.Enum(['memory', 'io'], { description: 'Default memory' })),
  config: Type.Optional({
    ...FunctionAddress,
    description:
      'In place of space: the address is of a register in the configuration space of what is there by the bus numbers that bridges have now',
  }),
  address: Type.String({ ...Number64, description: 'A multiple of bytes', examples: ['0x40000000'] }),
  bytes: Type.Optional(Type.Enum([1, 2, 4, 8], { description: '8 in memory only. Default 4' })),
};

export const ReadBus = Type.Object(WHERE, closed);
export const BusValue = Type.Object({
  value: Type.String({ description: 'Little-endian; all ones where nobody answers', examples: ['0x11d01234'] }),
});
export type BusValue = Static<typeof BusValue>;
export const WriteBus = Type.Object(
  { ...WHERE, value: Type.String({ ...Number64, description: 'Bits beyond the width are ignored' }) },
  closed,
);
export type WriteBus = Static<typeof WriteBus>;
export const BusWritten = Type.Object({ elapsedNs: Type.Integer() });
export type BusWritten = Static<typeof BusWritten>;
