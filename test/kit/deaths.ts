/**
 * The table of deaths: who plays a function, who owns the memory that its DMA is in, and who resets it are each killed (SIGKILL) at each step of a reset window.
 */
import { CALL_STEPS } from '../../server/src/core/machine/index.ts';

export const VICTIMS = ['emulator', 'emulator, back at once', 'owner', 'host'] as const;
export type Victim = (typeof VICTIMS)[number];

/** Where in a reset window: before a step of one of its calls, or while nothing stops it. */
export interface Point {
  readonly call: 'prepare' | 'window' | 'done';
  readonly step: string;
}

/** The prepare has aborted a write that its owner has, and waits for the owner's fence; the window is open, and no call runs. */
const FENCE: Point = { call: 'prepare', step: 'fence' };
const OPEN: Point = { call: 'window', step: 'open' };

/** From a blocking domain nothing is in the IOTLB: done never comes to that step. */
export const POINTS: readonly Point[] = [
  ...[...new Set(CALL_STEPS.prepare)].flatMap((step): Point[] => [...(step === 'drained' ? [FENCE] : []), { call: 'prepare', step }]),
  OPEN,
  ...CALL_STEPS.done.filter((step) => step !== 'iotlb').map((step): Point => ({ call: 'done', step })),
];

/** What was seen of a cell, in words. */
export interface Seen {
  /** What came of the write that its owner had. */
  readonly inFlight: string;
  /** The host's call in which it happened: the depth that it answered, or its error. */
  readonly answer: string;
  /** A whole reset on another machine meanwhile. */
  readonly beside: string;
  /** DMA of whoever played the function while the call still stood, its gate being closed; empty: nobody tried. */
  readonly standing: string;
  /** In the open window, when the victim is gone: how the function is, and what came of DMA. Empty in `done`, where it closes. */
  readonly shut: string;
  readonly shutDma: readonly string[];
  /** Resets that a restarted emulator was told. */
  readonly resets: readonly string[];
  /** When another host has ended what was open. */
  readonly ended: string;
  /** DMA then, to memory of the machine and to the owner's; where the owner is gone, before and behind another's claim. */
  readonly after: readonly string[];
  /** What is in the page that the IOVA had when the window was opened, and in the one that it got in the window. */
  readonly pages: readonly string[];
  /** Entries of the in-flight ledger at the end. */
  readonly left: number;
}

export interface Played {
  readonly victim: Victim;
  readonly point: Point;
  readonly seen: Seen;
}
