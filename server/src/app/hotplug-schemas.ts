/** Bodies and queries of the routes by which functions come and go. */
import { Type, type Static } from 'typebox';
import { FunctionAddress, closed } from './schemas.ts';

export const PlugFunctions = Type.Object(
  {
    port: Type.Optional(FunctionAddress),
    functions: Type.Array(Type.Unknown(), { description: 'As `functions` of a topology; below a port addresses may leave out the bus' }),
  },
  closed,
);
export const Plugged = Type.Object({ functions: Type.Array(FunctionAddress), elapsedNs: Type.Integer() });
export type Plugged = Static<typeof Plugged>;
export const UnplugQuery = Type.Object(
  {
    // A query is text: nothing is made a boolean or a number on the way.
    surprise: Type.Optional(Type.Enum(['true', 'false'], { description: 'true: pulled out, its link is down at once. Default false' })),
    deadlineMs: Type.Optional(
      Type.String({
        pattern: '^\\d{1,7}(\\.\\d{1,6})?$',
        description: 'How long what is in flight may take to end, milliseconds. Default 0',
      }),
    ),
  },
  closed,
);
export const Unplugged = Type.Object({
  functions: Type.Array(FunctionAddress),
  drained: Type.Integer(),
  aborted: Type.Integer(),
  completed: Type.Integer({ description: 'Invalidate Requests that were answered' }),
  timedOut: Type.Integer(),
  elapsedNs: Type.Integer(),
});
