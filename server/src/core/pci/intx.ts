/** Where an INTx comes out: which pin of which device on a root bus. */
import { bdfFromNumber, deviceOf, type Bdf } from '../base/index.ts';

export interface IntxLine {
  /** The device on the root bus, as its function 0. */
  readonly device: Bdf;
  /** 1 to 4: INTA to INTD. */
  readonly pin: number;
}

/**
 * A bridge moves a pin on by the number of the device below it (PCI-to-PCI Bridge r1.2 §9.1, PCIe Base r6.0 §2.2.8.1; pci_swizzle_interrupt_pin).
 * `bridges`: those above the function, nearest first.
 */
export function intxLineOf(at: Bdf, pin: number, bridges: readonly Bdf[]): IntxLine {
  let from = at;
  let out = pin;
  for (const bridge of bridges) {
    out = ((out - 1 + deviceOf(from)) & 3) + 1;
    from = bridge;
  }
  return { device: bdfFromNumber(from & ~7), pin: out };
}
