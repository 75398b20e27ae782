import type { PeerId, PeerRoles } from '../core/machine/index.ts';

/** One who takes part, as {@link MachineHost.status} shows it. */
export interface SessionStatus {
  readonly peer: PeerId;
  /** Product and version. */
  readonly client: string;
  readonly roles: PeerRoles;
  /** Of its calls, that have no reply. */
  readonly calls: number;
  /** Of the server's calls: for how long each has not been answered; undefined where it waits for the peer's credit. */
  readonly owes: readonly { readonly call: string; readonly forMs: number | undefined }[];
  /** Wrong answers so far. */
  readonly mistakes: number;
}
