import type { Atc } from './atc.ts';
import type { PageRequester } from './page-requester.ts';

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
  /** Naturally aligned access of 1, 2, 4 or 8 bytes; unsigned low 32 bits (a model here has no wider register). All ones where nothing is. */
  barRead(bar: number, offset: number, bytes: number): number;
  barWrite(bar: number, offset: number, bytes: number, value: number): void;
  /** Counts for the model's registers. */
  operationStarted(): void;
  operationEnded(): void;
  /** Back to power-up, as an FLR does. */
  reset(): void;
}
