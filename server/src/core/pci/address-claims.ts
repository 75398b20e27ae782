import { formatBdf, hex, type Bdf } from '../base/index.ts';
import type { Bar } from './bars.ts';
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
  const claims: AddressClaim[] = [];
  for (const bar of config.bars()) {
    const claim = barClaim(at, config, bar, space);
    if (claim !== undefined) claims.push(claim);
  }
  if (config.isBridge && isEnabled(config, space))
    for (const window of bridgeWindows(config, space)) claims.push({ bdf: at, bar: -1, ...window });
  return claims;
}

/** What a BAR takes now. Software takes one at 0 for one that has no address yet, and expects nothing there. */
export function barClaim(at: Bdf, config: ConfigSpace, bar: Bar, space: AddressSpaceName): AddressClaim | undefined {
  if (bar.sizeLg2 < 0 || (bar.kind === 'io') !== (space === 'io') || !config.decodes(bar)) return undefined;
  const first = config.barAddress(bar);
  return first === 0n ? undefined : { bdf: at, bar: bar.index, first, last: first + (1n << BigInt(bar.sizeLg2)) - 1n };
}

/** A bridge in D0 whose Command register lets it pass requests to this space. */
export function isEnabled(config: ConfigSpace, space: AddressSpaceName): boolean {
  return config.powerState === 0 && (config.read(HEADER.command, 2) & (space === 'io' ? COMMAND.io : COMMAND.memory)) !== 0;
}

/** `00:02.0 BAR 0 (0xe0000000 to 0xe0000fff)` */
export function claimText({ bdf: at, bar, first, last }: AddressClaim): string {
  const what = bar < 0 ? 'window' : bar === 6 ? 'ROM' : `BAR ${bar}`;
  return `${formatBdf(at)} ${what} (${hex(first)} to ${hex(last)})`;
}
