/** What a bridge passes down: the windows of type 1 and type 2 headers. */
import type { ConfigSpace } from './config-space.ts';
import { HEADER_TYPE } from './header.ts';

/** Both ends inclusive. */
export interface BridgeWindow {
  readonly first: bigint;
  readonly last: bigint;
}

/** Open ones, as the registers stand; the enable bits are not looked at. A window whose base is above its limit is closed. */
export function bridgeWindows(config: ConfigSpace, space: 'memory' | 'io'): readonly BridgeWindow[] {
  const all =
    config.headerType === HEADER_TYPE.cardbus ? cardbusWindows(config, space) : space === 'io' ? [ioWindow(config)] : memoryWindows(config);
  return all.filter((window) => window !== undefined).filter(({ first, last }) => first <= last);
}

/** PCIe Base r6.0 §7.5.1.3.8 and §7.5.1.3.9: 1 MiB granules. */
function memoryWindows(config: ConfigSpace): (BridgeWindow | undefined)[] {
  const memory = range(config.read(0x20, 2) & 0xfff0, config.read(0x22, 2) & 0xfff0, 16, 0xf_ffff);
  const base = config.read(0x24, 2);
  const limit = config.read(0x26, 2);
  // Both hard-wired to zero: there is no prefetchable window.
  if (base === 0 && limit === 0) return [memory];
  const low = range(base & 0xfff0, limit & 0xfff0, 16, 0xf_ffff);
  if ((base & 0xf) !== 1) return [memory, low];
  const upper = (offset: number): bigint => BigInt(config.read(offset, 4) >>> 0) << 32n;
  return [memory, { first: low.first | upper(0x28), last: low.last | upper(0x2c) }];
}

/** PCIe Base r6.0 §7.5.1.3.6 and §7.5.1.3.11: 4 KiB granules, 16 or 32 address bits. */
function ioWindow(config: ConfigSpace): BridgeWindow | undefined {
  const base = config.read(0x1c, 1);
  const limit = config.read(0x1d, 1);
  const wide = (base & 0xf) === 1;
  const upper = (offset: number): number => (wide ? config.read(offset, 2) << 4 : 0);
  return range(((base & 0xf0) >> 4) | upper(0x30), ((limit & 0xf0) >> 4) | upper(0x32), 12, 0xfff);
}

/** PC Card Standard 8.0 vol. 2 §5.4.2: two windows for each space; one at zero is unset. */
function cardbusWindows(config: ConfigSpace, space: 'memory' | 'io'): (BridgeWindow | undefined)[] {
  const [start, low] = space === 'io' ? [0x2c, 0x3] : [0x1c, 0xfff];
  return [start, start + 8].map((at) => {
    const base = config.read(at, 4);
    const limit = config.read(at + 4, 4);
    return base === 0 && limit === 0 ? undefined : range((base & ~low) >>> 0, (limit & ~low) >>> 0, 0, low);
  });
}

function range(base: number, limit: number, shift: number, granule: number): BridgeWindow {
  return { first: BigInt(base) << BigInt(shift), last: (BigInt(limit) << BigInt(shift)) | BigInt(granule) };
}
