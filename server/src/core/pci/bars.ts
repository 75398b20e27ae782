/**
 * Base address registers (PCIe Base r6.0 §7.5.1.2.1). A dump does not tell a BAR's size: where nobody says it, it is taken to
 * be the alignment of the address, the largest that it can be.
 */
import { ModelError, hex } from '../base/index.ts';
import { HEADER, HEADER_TYPE } from './header.ts';
import { CONFIG_EFFECT, type Masks } from './register-table.ts';

export type BarKind = 'io' | 'memory32' | 'memory64' | 'rom';

export interface Bar {
  /** 0 to 5; 6 for the expansion ROM (base/bus.ts REGION); from 7 on those of virtual functions, see {@link findVfBars}. */
  readonly index: number;
  readonly offset: number;
  readonly kind: BarKind;
  readonly prefetchable: boolean;
  /** log2 of the size in bytes; -1 when nothing tells it, and then the register is read-only. */
  readonly sizeLg2: number;
}

/** The largest BAR takes half of the address space. */
export const SIZE_LG2_MAX = 63;
const ROM_INDEX = 6;
/** Index of the first VF BAR, as Linux numbers resources (PCI_IOV_RESOURCES in `include/linux/pci.h`). */
export const VF_BAR_INDEX = 7;
const VF_BARS = 6;
/** From the SR-IOV capability (PCIe Base r6.0 §9.3.3.14). */
const VF_BARS_AT = 0x24;
export const ROM_ENABLE = 1;

/**
 * The BARs that the header in `image` has. `barBytes`: sizes in bytes by index (6 is the ROM), 0 or absent for unknown; one that is
 * no power of two is `EINVAL`. `resized`: sizes that Resizable BAR tells, as log2 by index.
 */
export function findBars(image: Uint8Array, barBytes: readonly bigint[], resized: ReadonlyMap<number, number>): Bar[] {
  const type = image[HEADER.headerType]! & 0x7f;
  const count = type === HEADER_TYPE.endpoint ? 6 : type === HEADER_TYPE.bridge ? 2 : 1;
  const bars = barsAt(image, HEADER.bar0, count, (index) => resized.get(index) ?? toldLg2(barBytes, index));
  const rom = type === HEADER_TYPE.endpoint ? HEADER.rom : HEADER.bridgeRom;
  const romLow = dword(image, rom);
  const romTold = toldLg2(barBytes, ROM_INDEX);
  if (type !== HEADER_TYPE.cardbus && (romLow !== 0 || romTold >= 0)) {
    const sizeLg2 = romTold >= 0 ? romTold : alignmentLg2(romLow & ~0x7ff, 0);
    bars.push({ index: ROM_INDEX, offset: rom, kind: 'rom', prefetchable: false, sizeLg2 });
  }
  return bars;
}

/** The VF BARs of the SR-IOV capability at `offset`, by {@link VF_BAR_INDEX} and on; their sizes are in `barBytes` by the same index. */
export function findVfBars(image: Uint8Array, offset: number, barBytes: readonly bigint[]): Bar[] {
  const bars = barsAt(image, offset + VF_BARS_AT, VF_BARS, (index) => toldLg2(barBytes, VF_BAR_INDEX + index));
  return bars.map((bar) => ({ ...bar, index: bar.index + VF_BAR_INDEX }));
}

function barsAt(image: Uint8Array, first: number, count: number, told: (index: number) => number): Bar[] {
  const bars: Bar[] = [];
  for (let index = 0; index < count; index++) {
    const offset = first + 4 * index;
    const low = dword(image, offset);
    const toldSize = told(index);
    if (low === 0 && toldSize < 0) continue;
    const io = (low & 1) === 1;
    const wide = !io && (low & 6) === 4 && index + 1 < count;
    // The bits below are the type, which no size makes writable.
    const sizeLg2 =
      toldSize >= 0 ? Math.max(toldSize, io ? 2 : 4) : alignmentLg2(low & (io ? ~3 : ~0xf), wide ? dword(image, offset + 4) : 0);
    bars.push({ index, offset, kind: io ? 'io' : wide ? 'memory64' : 'memory32', prefetchable: !io && (low & 8) !== 0, sizeLg2 });
    if (wide) index++;
  }
  return bars;
}

/** Makes the address bits of each BAR writable down to its size, so that writing all ones and reading back tells the size. */
export function applyBars(masks: Masks, bars: readonly Bar[], effect: number = CONFIG_EFFECT.bars): void {
  for (const bar of bars) {
    const wide = bar.kind === 'memory64';
    writableDword(masks, bar.offset, bar.sizeLg2 < 0 ? 0 : bar.sizeLg2 >= 32 ? 0 : -1 << bar.sizeLg2, effect);
    if (wide) writableDword(masks, bar.offset + 4, bar.sizeLg2 < 0 ? 0 : bar.sizeLg2 <= 32 ? -1 : -1 << (bar.sizeLg2 - 32), effect);
    if (bar.kind === 'rom') masks.writable[bar.offset]! |= ROM_ENABLE;
  }
}

/** Clears the address bits that a BAR no longer has after it has grown. */
export function alignBar(data: Uint8Array, masks: Masks, bar: Bar): void {
  data[bar.offset]! &= masks.writable[bar.offset]! | 0xf;
  const end = bar.offset + (bar.kind === 'memory64' ? 8 : 4);
  for (let at = bar.offset + 1; at < end; at++) data[at]! &= masks.writable[at]!;
}

/** The address in a BAR, without its type bits. */
export function barAddress(image: Uint8Array, bar: Bar): bigint {
  const typeBits = bar.kind === 'io' ? 3 : bar.kind === 'rom' ? 0x7ff : 0xf;
  const low = BigInt((dword(image, bar.offset) & ~typeBits) >>> 0);
  return bar.kind === 'memory64' ? low | (BigInt(dword(image, bar.offset + 4) >>> 0) << 32n) : low;
}

function writableDword(masks: Masks, offset: number, mask: number, effect: number): void {
  for (let i = 0; i < 4; i++) {
    masks.writable[offset + i] = (mask >>> (8 * i)) & 0xff;
    masks.effect[offset + i] = effect;
  }
}

function dword(image: Uint8Array, offset: number): number {
  return image[offset]! | (image[offset + 1]! << 8) | (image[offset + 2]! << 16) | (image[offset + 3]! << 24);
}

function toldLg2(barBytes: readonly bigint[], index: number): number {
  const bytes = barBytes[index] ?? 0n;
  if (bytes === 0n) return -1;
  if (bytes < 4n || bytes >> BigInt(SIZE_LG2_MAX + 1) !== 0n || (bytes & (bytes - 1n)) !== 0n) {
    throw new ModelError(
      'EINVAL',
      `the size ${hex(bytes)} of BAR ${index} is not a power of two from 4 to 2^${SIZE_LG2_MAX}`,
      `bars[${index}]`,
    );
  }
  return bytes.toString(2).length - 1;
}

/** Number of the lowest set bit of a 64-bit address; -1 for address 0. */
function alignmentLg2(low: number, high: number): number {
  if (low !== 0) return 31 - Math.clz32(low & -low);
  return high === 0 ? -1 : 63 - Math.clz32(high & -high);
}
