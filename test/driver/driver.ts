/** One scenario, several drivers (see test/kit/scenario.ts): the same handles over three ways to a machine. */
import type { Connection, Role } from '../../client/src/index.ts';
import type { Behaviour, Fix } from '../../server/src/core/machine/index.ts';
import type { Wire } from '../../server/src/rpc/index.ts';

/** What a machine is made from; as `POST /v1/machines` takes it. */
export interface MachineRequest {
  readonly preset?: string;
  readonly topology?: object | string;
  readonly lspci?: string;
  readonly seed?: number;
  readonly clock?: 'auto' | 'manual' | 'real';
  readonly behaviour?: Behaviour;
  readonly withoutFixes?: readonly Fix[];
  readonly peerGraceMs?: number;
}

export interface DrivenMachine {
  /** A new connection to it. `tokenPrefix`: what the tokens of its reset windows begin with. */
  connect(roles: readonly Role[], tokenPrefix: string): Promise<Connection>;
  /** Where programs of their own connect to it; only over sockets. */
  readonly socketUrl?: string;
  /** A connection of which nobody has said anything yet, for a peer that does what the client does not. In process there is none. */
  wire?(): Promise<Wire>;
  /** Ends the machine; its connections are closed. */
  close(): Promise<void>;
}

export interface Driver {
  readonly name: string;
  createMachine(request: MachineRequest): Promise<DrivenMachine>;
  close(): Promise<void>;
}
