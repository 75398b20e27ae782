import { formatBdf, hex, type Bdf } from '../base/index.ts';
import { bridgeWindows } from './bridge-windows.ts';
import type { ConfigSpace } from './config-space.ts';
import { COMMAND, HEADER } from './header.ts';

export type AddressSpaceName = 'memory' | 'io';

/** A range of addresses that a function takes on the bus where it is, both ends inclusive. */
export interface AddressClaim {
  readonly bdf: Bdf;
  /** 0 to 6, as regions are numbered; -1: a window of a bridge, behind which something may answer. */
  readonly bar: number;
  readonly first: bigint;
  readonly last: bigint;
}

/** Nothing without the enable bit of the space and outside of D0 (PCIe Base r6.0 §7.5.1.1.3, §5.3.1.4). BARs by number, then windows. */
export function claimsOf(at: Bdf, config: ConfigSpace, space: AddressSpaceName): AddressClaim[] {
  const enabled = (config.read(HEADER.command, 2) & (space === 'io' ? COMMAND.io : COMMAND.memory)) !== 0;
  if (!enabled || config.powerState !== 0) return [];
  const claims: AddressClaim[] = [];
  for (const bar of config.bars()) {
    if (bar.sizeLg2 < 0 || (bar.kind === 'io') !== (space === 'io')) continue;
    if (bar.kind === 'rom' && (config.read(bar.offset, 1) & 1) === 0) continue;
    const first = config.barAddress(bar);
    // Software takes a BAR at 0 for one that has no address yet, and expects nothing there.
    if (first === 0n) continue;
    claims.push({ bdf: at, bar: bar.index, first, last: first + (1n << BigInt(bar.sizeLg2)) - 1n });
  }
  if (config.isBridge) for (const window of bridgeWindows(config, space)) claims.push({ bdf: at, bar: -1, ...window });
  return claims;
}

/** `00:02.0 BAR 0 (0xe0000000 to 0xe0000fff)` */
export function claimText({ bdf: at, bar, first, last }: AddressClaim): string {
  const what = bar < 0 ? 'window' : bar === 6 ? 'ROM' : `BAR ${bar}`;
  return `${formatBdf(at)} ${what} (${hex(first)} to ${hex(last)})`;
}
