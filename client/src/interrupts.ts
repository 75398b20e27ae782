/** Interrupts of functions: what they have, and the table that remaps their messages. */
import type { iommud } from '../../proto/index.ts';
import { packBdf } from './bdf.ts';
import { IRQ_INDEX, type IrqIndex } from './names.ts';
import { u32 } from './numbers.ts';
import { shown } from './shown.ts';

/** One of the ways in which a function interrupts. */
export interface Irq {
  readonly index: IrqIndex;
  /** `intx`: 1. `msi`: vectors that it can have. `msix`: entries of its table. */
  readonly count: number;
  /** Of `msi`: vectors that software has granted; of the others as `count`. */
  readonly granted: number;
  /** `intx`: neither of the others is enabled, and Interrupt Disable is clear. */
  readonly enabled: boolean;
  /** Its vectors can be masked one by one. */
  readonly maskable: boolean;
  /** Vectors that are pending; of `intx` 0: the function has a cause for it. */
  readonly pending: readonly number[];
}

/** An entry of the interrupt remapping table. */
export interface RemapEntry {
  /** What the processor gets, 0 to 255. */
  readonly vector: number;
  /** The processor. Default 0. */
  readonly destination?: number;
  /** The only function whose messages it serves: `00:02.0`. Default: any. */
  readonly source?: string;
}

export function irq(body: iommud.v1.Irq.$Properties): Irq {
  return shown({
    index: IRQ_INDEX.nameOf(body.index ?? 0),
    count: body.count ?? 0,
    granted: body.granted ?? 0,
    enabled: body.enabled ?? false,
    maskable: body.maskable ?? false,
    pending: body.pending ?? [],
  });
}

export function remapRequest(index: number, entry: RemapEntry | undefined): iommud.v1.IrqRemapSet.$Properties {
  const at = { index: u32(index, 'index') };
  if (entry === undefined) return at;
  const { vector, destination = 0, source } = entry;
  const present = { ...at, vector: u32(vector, 'vector'), destination: u32(destination, 'destination') };
  return source === undefined ? present : { ...present, source: packBdf(source) };
}
