import type { Descriptor, Segment } from './descriptor.ts';

/** Moves the data of a descriptor, segment by segment. */
export interface MoveJob {
  readonly doing: 'move';
  readonly descriptor: Descriptor;
  readonly segments: readonly Segment[];
  readonly index: number;
  /** What a write writes; undefined for a read. */
  readonly data: Uint8Array | undefined;
  readonly bytesDone: number;
  readonly checksum: number;
}

/** What it does with the descriptor at its head. Each is replaced whole, so that a copy of one is one of its own. */
export type Job =
  | { readonly doing: 'nothing' }
  | { readonly doing: 'fetch' }
  | { readonly doing: 'list'; readonly descriptor: Descriptor }
  | MoveJob
  | { readonly doing: 'status'; readonly failed: boolean };
