import type { Atc } from './atc.ts';
import type { PageRequester } from './page-requester.ts';
import type { DmaEnd } from './ports.ts';

/** What a model keeps in itself: plain data, which JSON with byte arrays can hold. */
export type ModelState = Readonly<Record<string, unknown>>;

/**
 * A function as the machine drives it. Configuration space is the machine's (pci room); a model has BAR registers, and an ATC if
 * it caches translations.
 */
export interface FunctionModel {
  readonly name: string;
  /** Undefined: the function caches no translations, and answers an Invalidate Request as unsupported. */
  readonly atc: Atc | undefined;
  /** Undefined: the function makes no page requests. */
  readonly pageRequester: PageRequester | undefined;
  /** True when a `model-dma` command may drive it. */
  readonly initiatesDma: boolean;
  /** Naturally aligned access of 1, 2, 4 or 8 bytes: its low 32 bits, unsigned. All ones where nothing is. */
  barRead(bar: number, offset: number, bytes: number): number;
  /** The upper half of the access of 8 bytes at `offset`, whose low half has just been read. */
  barReadHigh(bar: number, offset: number): number;
  /** `high`: of an access of 8 bytes. */
  barWrite(bar: number, offset: number, bytes: number, low: number, high?: number): void;
  /** Counts for the model's registers. */
  operationStarted(): void;
  operationEnded(): void;
  /** A DMA that the model has started through its port is over. */
  dmaEnded(tag: number, end: DmaEnd): void;
  /** An alarm that it has set through its port rings. */
  alarmRang(id: number): void;
  /** Back to power-up, as an FLR does. Its alarms are cancelled, and its DMA ends without it. */
  reset(): void;
  /** Its state, in copies; and back again. Its ATC and its page requests are not in it. */
  save(): ModelState;
  load(state: ModelState): void;
}
