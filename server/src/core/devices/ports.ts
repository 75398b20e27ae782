/**
 * What a model may ask of the machine, and all that it sees of it. A port is no state: what a model has under way is in its own state by number (a tag, an
 * alarm's id), and the machine's part of it is in the machine's.
 *
 * A model uses no port before it is made whole: the machine calls it first.
 */
import type { DmaOperation, Outcome, Pasid } from '../base/index.ts';

/** A DMA that a model starts. As every DMA, it passes the gate, waits where something holds it, and is in the ledger then. */
export interface DmaRequest {
  /** The model's own number for it: it comes back with the end. */
  readonly tag: number;
  readonly operation: DmaOperation;
  /** First byte, as int32 halves. The last one is within 64 bits. */
  readonly iovaLow: number;
  readonly iovaHigh: number;
  /** 1 to `DMA_BYTES_MAX`. */
  readonly bytes: number;
  /** Of a write: the bytes, which stay as they are until the end. Of an atomic operation: its operands. */
  readonly data?: Uint8Array;
  readonly pasid: Pasid;
  /** By way of the function's own ATC, which makes translation requests for what it lacks. */
  readonly translated: boolean;
  /** With `translated`: page requests for what the translation requests are not granted. */
  readonly pageRequests: boolean;
}

/** How it ended. */
export interface DmaEnd {
  readonly outcome: Outcome;
  /** From the first byte on, without a gap. */
  readonly bytesDone: number;
  /** Of a read: those bytes. */
  readonly data: Uint8Array | undefined;
}

/** The function as a requester. */
export interface DmaPort {
  /** Ends in the model's `dmaEnded`, never before this returns; not at all when a reset of the model comes first. */
  start(dma: DmaRequest): void;
}

/** Alarms that one model has, at most: ids are 0 to this, exclusive. */
export const MODEL_ALARMS = 16;

/** The machine's clock. A reset of the model cancels what it has set. */
export interface AlarmPort {
  readonly nowNs: number;
  /** `alarmRang(id)` comes in so many nanoseconds. One of this id that is set already is no more. */
  set(id: number, delayNs: number): void;
  cancel(id: number): void;
}

/** Interrupts of the function, by the mechanism that its configuration space has enabled. */
export interface InterruptPort {
  /**
   * Interrupt `vector` (from 0) has happened. MSI-X or MSI enabled: one message, or its pending bit where the vector is masked. Neither: the function
   * has a cause for INTx, until {@link line} takes it back.
   */
  raise(vector: number): void;
  /** Whether the function has a cause for INTx. It shows on its pin while neither MSI nor MSI-X is enabled and Interrupt Disable is clear. */
  line(asserted: boolean): void;
}

export interface ModelPorts {
  readonly dma: DmaPort;
  readonly alarms: AlarmPort;
  readonly interrupts: InterruptPort;
}
