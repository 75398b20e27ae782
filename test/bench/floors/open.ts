import type { Floor, Sizes } from './floor.ts';
import { openGrpcBidi, openGrpcUnary } from './grpc.ts';
import { openTcpEcho } from './tcp-echo.ts';
import { openWsEcho } from './ws-echo.ts';
import { openWsRelay } from './ws-relay.ts';

/** What every call over a socket may be held against. */
export const FLOOR_NAMES = ['tcp-echo', 'ws-echo', 'grpc-unary', 'grpc-bidi'] as const;
/** Those, and the one for calls that another program answers. */
export type FloorName = (typeof FLOOR_NAMES)[number] | 'ws-relay';

const OPENERS: Readonly<Record<FloorName, (sizes: Sizes) => Promise<Floor>>> = {
  'tcp-echo': openTcpEcho,
  'ws-echo': openWsEcho,
  'grpc-unary': openGrpcUnary,
  'grpc-bidi': openGrpcBidi,
  'ws-relay': openWsRelay,
};

/** Starts the floor's server in a process of its own and connects to it. */
export function openFloor(name: FloorName, sizes: Sizes): Promise<Floor> {
  return OPENERS[name](sizes);
}
