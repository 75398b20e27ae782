/** What leaves a machine: replies, calls to peers, events. */
import type { Bdf, ErrorName, Pasid, ResetMethod } from '../base/index.ts';
import type { BusError, ErrorMessage, IntxLine } from '../pci/index.ts';
import type { RegionWriteItem } from './command.ts';
import type { FaultRecord, PageFault, Reply } from './reply.ts';

/** Who submits: a number given by `peerAttach`; 0 is the embedding program itself (REST, tests). */
export type PeerId = number;

/** What the machine asks of a peer. Each gets exactly one {@link PeerAnswer}, but one that is posted (token 0), which gets none. */
export type PeerCall =
  | { readonly kind: 'memory-read'; readonly address: bigint; readonly bytes: number; readonly epoch: number }
  | { readonly kind: 'memory-write'; readonly address: bigint; readonly data: Uint8Array; readonly epoch: number }
  /** Answered when every write sent before it has been applied or will never be. */
  | { readonly kind: 'memory-fence'; readonly address: bigint; readonly bytes: bigint; readonly epoch: number }
  | { readonly kind: 'region-read'; readonly bdf: Bdf; readonly region: number; readonly offset: number; readonly bytes: number }
  | {
      readonly kind: 'region-write';
      readonly bdf: Bdf;
      readonly region: number;
      readonly offset: number;
      readonly bytes: number;
      readonly valueLow: number;
      readonly valueHigh: number;
    }
  | { readonly kind: 'region-write-multi'; readonly bdf: Bdf; readonly writes: readonly RegionWriteItem[] }
  /** An Invalidate Request for an ATC that the peer keeps. `bytes` undefined: everything. */
  | {
      readonly kind: 'device-invalidate';
      readonly bdf: Bdf;
      readonly itag: number;
      readonly pasid: Pasid;
      readonly iova: bigint;
      readonly bytes: bigint | undefined;
    }
  /** The clock stands until it is answered. */
  | { readonly kind: 'device-alarm'; readonly bdf: Bdf; readonly alarm: number; readonly nowNs: number }
  /** `cold`: its power was off. */
  | {
      readonly kind: 'device-reset';
      readonly bdf: Bdf;
      readonly method: ResetMethod;
      readonly cold?: boolean;
      readonly deadlineMs?: number;
    };

export type PeerAnswer =
  | { readonly kind: 'ok' }
  /** Of an Invalidate Request: the peer sends its completion by itself. */
  | { readonly kind: 'later' }
  | { readonly kind: 'data'; readonly data: Uint8Array }
  | { readonly kind: 'value'; readonly valueLow: number; readonly valueHigh: number }
  | { readonly kind: 'error'; readonly code: ErrorName; readonly message: string };

/**
 * `owned`: a peer owns a range; `absent`: it has vanished, and the range is there for a grace time; `back`: a peer owns it again; `gone`: nobody came in
 * time; `released`: its owner has given it up.
 */
export const MEMORY_CHANGES = ['owned', 'absent', 'back', 'gone', 'released'] as const;
export type MemoryChange = (typeof MEMORY_CHANGES)[number];

export const DRIVER_CALLBACKS = ['reset-prepare', 'reset-done'] as const;
export type DriverCallback = (typeof DRIVER_CALLBACKS)[number];
/** An error on the bus, as the function that detected it logged it. */
export interface BusErrorReport {
  readonly bdf: Bdf;
  readonly error: BusError;
  readonly severity: ErrorMessage;
  readonly masked: boolean;
  /** Which message it sent; undefined where reporting is not enabled. */
  readonly message: ErrorMessage | undefined;
  /** The root port or event collector that the message reached, whether that interrupts, and whether it asks for a system error. */
  readonly root: Bdf | undefined;
  readonly interrupt: boolean;
  readonly systemError: boolean;
  /** The port that contains what is below it. */
  readonly contained: Bdf | undefined;
  /** Of the TLP that it is about: four words; empty where there is none. */
  readonly header: readonly number[];
  /** `00:1c.0 unsupported-request, nonfatal: ERR_NONFATAL reaches 00:1c.0, which interrupts`. */
  readonly text: string;
  readonly timeNs: number;
}

/** To every host and observer of the machine. */
export type MachineEvent =
  | ({ readonly kind: 'fault' } & FaultRecord)
  | ({ readonly kind: 'page-fault' } & PageFault)
  | ({ readonly kind: 'error' } & BusErrorReport)
  | {
      readonly kind: 'interrupt';
      readonly bdf: Bdf;
      readonly address: bigint;
      readonly data: number;
      readonly count: number;
      readonly timeNs: number;
      /** The vector of the function that it raised; absent: it wrote the message as any other DMA. */
      readonly source?: number;
      /** What interrupt remapping made of it. */
      readonly remapped?: { readonly index: number; readonly vector: number; readonly destination: number };
    }
  | {
      readonly kind: 'intx';
      readonly bdf: Bdf;
      /** 1 to 4: INTA to INTD, of the function. */
      readonly pin: number;
      readonly asserted: boolean;
      /** At the root, and how many functions assert it now. */
      readonly line: IntxLine;
      readonly sources: number;
      readonly timeNs: number;
    }
  /** A function has come, or is gone. `port`: the bridge above it. */
  | {
      readonly kind: 'hotplug';
      readonly port: Bdf | undefined;
      readonly bdf: Bdf;
      readonly present: boolean;
      readonly reason: 'plugged' | 'unplugged' | 'surprise' | 'vf-enabled' | 'vf-disabled';
      readonly timeNs: number;
    }
  /** A range of memory has an owner, or no longer; {@link MEMORY_CHANGES}. */
  | {
      readonly kind: 'memory';
      readonly address: bigint;
      readonly bytes: bigint;
      readonly change: MemoryChange;
      readonly peer: PeerId;
      readonly timeNs: number;
    }
  | { readonly kind: 'window'; readonly bdf: Bdf; readonly open: boolean; readonly depth: number; readonly timeNs: number }
  /** What Linux calls in the function's driver, round a reset of it (struct pci_error_handlers). */
  | { readonly kind: 'driver-callback'; readonly bdf: Bdf; readonly callback: DriverCallback; readonly timeNs: number }
  | {
      readonly kind: 'log';
      readonly level: 'info' | 'warn';
      readonly bdf: Bdf | undefined;
      readonly text: string;
      readonly timeNs: number;
    };

/** One item of the outbox, in wire order. */
export type Outgoing =
  | { readonly to: PeerId; readonly type: 'reply'; readonly token: number; readonly reply: Reply }
  | { readonly to: PeerId; readonly type: 'call'; readonly token: number; readonly call: PeerCall }
  | { readonly to: 'hosts'; readonly type: 'event'; readonly event: MachineEvent };
