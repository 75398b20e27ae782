/** Functions as `lspci` prints them, for who has their addresses as text. */
import { formatLspci, type LspciHex } from '../core/pci/index.ts';
import { place } from './submit.ts';

export interface DumpedFunction {
  /** `00:02.0`. */
  readonly function: string;
  readonly label: string;
  readonly config: Uint8Array;
}

/** Text that `lspci -F` reads. With `domains` the segment is printed always, else where one is not 0. */
export function lspciText(functions: readonly DumpedFunction[], options: { readonly hex: LspciHex; readonly domains: boolean }): string {
  return formatLspci(
    functions.map((each) => ({ bdf: place(each.function), label: each.label, config: each.config })),
    options,
  );
}
