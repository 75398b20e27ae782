/** Requester IDs that a function uses in place of its own. */
import { bdf, busOf, formatBdf, parseBdf, segmentOf, type Bdf } from '../../core/base/index.ts';
import type { PlacedFunction } from './bus-numbers.ts';
import { refuse, type Source } from './place.ts';

/**
 * Linux can name other device and function numbers on the function's own bus (pci_add_dma_alias). One that two functions name is `EINVAL` unless it is
 * a third's own: whose requests come under it, no IOMMU could tell.
 */
export function readAliases(source: Source, fn: PlacedFunction, all: readonly PlacedFunction[]): readonly Bdf[] {
  const aliases: Bdf[] = [];
  for (const [i, text] of (fn.node.dmaAliases ?? []).entries()) {
    const path = [...fn.path, 'dmaAliases', i];
    const alias = aliasOf(fn, text);
    if (alias === undefined) refuse(source, path, `"${text}" is not an address; write it as "00.1"`);
    if (alias >>> 8 !== fn.bdf >>> 8) {
      refuse(source, path, `${formatBdf(alias)} is not on the bus of ${formatBdf(fn.bdf)}; only what is there can be its alias`);
    }
    if (alias === fn.bdf) refuse(source, path, `${formatBdf(alias)} is the function's own address`);
    if (aliases.includes(alias)) refuse(source, path, `${formatBdf(alias)} is named twice`);
    const other = all.find((one) => one !== fn && one.node.dmaAliases?.some((also) => aliasOf(one, also) === alias));
    if (other !== undefined && !all.some((one) => one.bdf === alias)) {
      refuse(
        source,
        path,
        `${formatBdf(alias)} is an alias of both ${formatBdf(fn.bdf)} and ${formatBdf(other.bdf)} (${source.locate(other.path)}); an IOMMU could not tell them apart`,
      );
    }
    aliases.push(alias);
  }
  return aliases;
}

function aliasOf(fn: PlacedFunction, text: string): Bdf | undefined {
  if (text.includes(':')) return parseBdf(text);
  const onBus = parseBdf(`00:${text}`);
  return onBus === undefined ? undefined : bdf(segmentOf(fn.bdf), busOf(fn.bdf), (onBus >>> 3) & 0x1f, onBus & 7);
}
