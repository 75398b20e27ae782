import type { DmaOperation, HoldPoint, Pasid } from '../base/index.ts';
import type { FunctionState } from './function-state.ts';
import type { DmaTask } from './operation.ts';
import type { PeerId } from './outgoing.ts';

export type RequestKind = 'memory' | 'translation' | 'msi' | 'invalidation-completion';

/**
 * One request on the bus: an entry of its function's in-flight ledger. It exists only while something holds it: an injected hold, a
 * latency, the order of posted writes, or memory that a peer owns.
 */
export interface Request {
  readonly id: number;
  readonly fn: FunctionState;
  readonly kind: RequestKind;
  /** Undefined for an Invalidate Completion. */
  readonly task: DmaTask | undefined;
  readonly operation: DmaOperation;
  readonly posted: boolean;
  /** First byte: int32 halves. */
  readonly iovaLow: number;
  readonly iovaHigh: number;
  readonly bytes: number;
  /** Where its bytes stand in the task's data. */
  readonly dataOffset: number;
  readonly pasid: Pasid;
  /** Carries a translated address (AT=10), in `page`. */
  readonly translated: boolean;
  /** Of an Invalidate Completion. */
  readonly itag: number;
  readonly epoch: number;
  readonly sinceNs: number;
  /** Where it stops; undefined once it was released or where nothing holds it. */
  holdAt: HoldPoint | undefined;
  readonly holdNs: number;
  holdAlarm: number;
  held: boolean;
  point: HoldPoint | 'sent' | 'indeterminate';
  /** Physical page, and the rights and space it was translated with. */
  page: number;
  access: number;
  spaceId: number;
  owner: PeerId;
  /** Dropped: an answer that still comes is late. */
  dead: boolean;
  /** An invalidation overtook this translation request: its completion is not cached. */
  overtaken: boolean;
  /** Operations to wake when it has been performed (or will never be), and when it has ended. */
  onPerformed: number[] | undefined;
  onEnded: number[] | undefined;
}

/** Posted, and not yet performed: later posted requests and reads of the function wait for it. */
export function holdsBackLater(request: Request): boolean {
  return request.posted && request.point !== 'performed' && request.point !== 'indeterminate';
}
