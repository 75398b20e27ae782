/** What the host bridges pass down, as it stands at power-up: the addresses there are of functions, not of memory. */
import type { HostWindow } from '../../iommu/index.ts';
import type { ConfigSpace } from '../../pci/index.ts';

/** Memory and prefetchable windows of a bridge: base and limit, and where their upper halves are (PCI-to-PCI Bridge r1.2 §3.2.5.8, 3.2.5.9). */
const BRIDGE_WINDOWS = [
  { base: 0x20, limit: 0x22, baseUpper: 0, limitUpper: 0 },
  { base: 0x24, limit: 0x26, baseUpper: 0x28, limitUpper: 0x2c },
] as const;
const GRANULE_LG2 = 20n;
const GRANULE_LAST = (1n << GRANULE_LG2) - 1n;

export function hostWindows(configs: Iterable<ConfigSpace>): readonly HostWindow[] {
  const windows: HostWindow[] = [];
  for (const config of configs) {
    for (const bar of config.bars()) {
      const address = config.barAddress(bar);
      if (bar.kind !== 'io' && bar.sizeLg2 >= 0 && address !== 0n) windows.push({ address, bytes: 1n << BigInt(bar.sizeLg2) });
    }
    if (config.isBridge) windows.push(...bridgeWindows(config));
  }
  return windows;
}

function bridgeWindows(config: ConfigSpace): readonly HostWindow[] {
  return BRIDGE_WINDOWS.flatMap(({ base, limit, baseUpper, limitUpper }) => {
    const first = half(config, base, baseUpper);
    const last = half(config, limit, limitUpper) | GRANULE_LAST;
    // A window whose limit is below its base is closed, and so is one at 0, which nobody has set.
    return first === 0n || last < first ? [] : [{ address: first, bytes: last - first + 1n }];
  });
}

function half(config: ConfigSpace, offset: number, upper: number): bigint {
  const low = config.read(offset, 2);
  const wide = upper !== 0 && (low & 0xf) === 1;
  return (BigInt(low >> 4) << GRANULE_LG2) | (wide ? BigInt(config.read(upper, 4) >>> 0) << 32n : 0n);
}
