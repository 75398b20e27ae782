/** Bytes of the capabilities of the first 256 bytes. Offsets and bits are those of the sections that `capability-table.ts` names. */
import { ModelError, hex } from '../base/index.ts';
import { PORT_TYPE } from './capability-body.ts';
import { inRange, oneOf, standard, type CapabilityImage } from './capability-image.ts';
import type { AllocationSpec, BytesSpec, CapabilitySet, ExpressSpec, MsiSpec, MsixSpec, PowerSpec, SlotSpec } from './capability-spec.ts';
import { CAPABILITY } from './capability-table.ts';

const SPEED_16GT = 4;
const WIDTH = 16;
const U32 = 0xffff_ffffn;

export function standardImages(set: CapabilitySet): CapabilityImage[] {
  const images: CapabilityImage[] = [];
  if (set.power !== undefined) images.push(power(set.power));
  if (set.express !== undefined) images.push(express(set.express));
  if (set.msi !== undefined) images.push(msi(set.msi));
  if (set.msix !== undefined) images.push(msix(set.msix));
  if (set.pcix !== undefined) images.push(pcix(set.pcix));
  if (set.advancedFeatures !== undefined) {
    images.push(
      standard('AF', CAPABILITY.advancedFeatures, set.advancedFeatures, 6, (view) => {
        view.setUint8(2, 6);
        // Transactions Pending and FLR.
        view.setUint8(3, 3);
      }),
    );
  }
  const { subsystem } = set;
  if (subsystem !== undefined) {
    images.push(
      standard('SSVID', CAPABILITY.subsystem, subsystem, 8, (view) => {
        view.setUint16(4, inRange(subsystem.vendor, 0, 0xffff, 'vendor of SSVID'), true);
        view.setUint16(6, inRange(subsystem.device, 0, 0xffff, 'device of SSVID'), true);
      }),
    );
  }
  if (set.vitalProductData !== undefined) images.push(standard('VPD', CAPABILITY.vpd, set.vitalProductData, 8, () => {}));
  if (set.enhancedAllocation !== undefined) images.push(enhancedAllocation(set.enhancedAllocation));
  for (const one of set.vendorSpecific ?? []) images.push(vendorSpecific(one));
  return images;
}

function power(spec: PowerSpec): CapabilityImage {
  const { d1 = false, d2 = false, pme = false, immediateReadiness = false } = spec;
  return standard('PM', CAPABILITY.powerManagement, spec, 8, (view) => {
    // Version 3 of the interface.
    const wakes = pme ? 0x4800 | (d1 ? 0x1000 : 0) | (d2 ? 0x2000 : 0) : 0;
    view.setUint16(2, 3 | (immediateReadiness ? 0x10 : 0) | (d1 ? 0x200 : 0) | (d2 ? 0x400 : 0) | wakes, true);
    view.setUint16(4, spec.noSoftReset ? 8 : 0, true);
  });
}

function msi(spec: MsiSpec): CapabilityImage {
  const vectors = oneOf(spec.vectors, [1, 2, 4, 8, 16, 32], 'vectors of MSI');
  const bytes = (spec.wide ? 14 : 10) + (spec.perVectorMask ? 10 : spec.extendedData === true ? 2 : 0);
  return standard('MSI', CAPABILITY.msi, spec, bytes, (view) => {
    const masks = spec.perVectorMask ? 0x100 : 0;
    view.setUint16(2, (Math.log2(vectors) << 1) | (spec.wide ? 0x80 : 0) | masks | (spec.extendedData === true ? 0x200 : 0), true);
  });
}

function msix(spec: MsixSpec): CapabilityImage {
  return standard('MSI-X', CAPABILITY.msix, spec, 12, (view) => {
    view.setUint16(2, inRange(spec.vectors, 1, 2048, 'vectors of MSI-X') - 1, true);
    view.setUint32(4, (spec.tableOffset | spec.bar) >>> 0, true);
    view.setUint32(8, (spec.pendingOffset | spec.bar) >>> 0, true);
  });
}

function pcix(spec: NonNullable<CapabilitySet['pcix']>): CapabilityImage {
  if (spec.bridge === true) {
    return standard('PCI-X', CAPABILITY.pcix, spec, 0x10, (view) => {
      // 64 bits and 133 MHz on the secondary side, 64 bits on the primary; each split buffer has room for 16 ADQs.
      view.setUint16(2, 3, true);
      view.setUint32(4, 0x1_0000, true);
      for (const offset of [8, 0xc]) view.setUint32(offset, 0x0010_0010, true);
    });
  }
  return standard('PCI-X', CAPABILITY.pcix, spec, 8, (view) => {
    // Data parity recovery off, relaxed ordering on, 1024 bytes and 4 split transactions at most; a 64-bit device of 133 MHz.
    view.setUint16(2, 0x002a, true);
    view.setUint32(4, 0x0143_0000, true);
  });
}

function vendorSpecific(spec: BytesSpec): CapabilityImage {
  const bytes = 3 + inRange(spec.bytes.length, 0, 0xbd, 'bytes of a vendor-specific capability');
  return standard('vendor-specific', CAPABILITY.vendor, spec, bytes, (view) => {
    view.setUint8(2, bytes);
    spec.bytes.forEach((byte, i) => view.setUint8(3 + i, byte));
  });
}

function enhancedAllocation(spec: NonNullable<CapabilitySet['enhancedAllocation']>): CapabilityImage {
  inRange(spec.entries.length, 1, 15, 'entries of EA');
  const start = spec.buses === undefined ? 4 : 8;
  const bytes = spec.entries.reduce((sum, entry) => sum + 12 + (isWide(entry) ? 8 : 0), start);
  return standard('EA', CAPABILITY.enhancedAllocation, spec, bytes, (view) => {
    view.setUint8(2, spec.entries.length);
    // Of a bridge: its fixed secondary and subordinate bus numbers.
    spec.buses?.forEach((bus, i) => view.setUint8(4 + i, bus));
    let at = start;
    for (const entry of spec.entries) at = writeAllocation(view, at, entry);
  });
}

function isWide(entry: AllocationSpec): boolean {
  return entry.address + entry.bytes - 1n > U32;
}

/** An entry of EA (PCIe Base r6.0 §7.8.5.3), enabled; the two low bits of MaxOffset count as ones. Returns where the next one begins. */
function writeAllocation(view: DataView, at: number, entry: AllocationSpec): number {
  inRange(entry.indicator, 0, 15, 'indicator of an EA entry');
  inRange(entry.properties, 0, 0xff, 'properties of an EA entry');
  const last = entry.bytes - 1n;
  if (entry.bytes <= 0n || ((entry.address | entry.bytes) & 3n) !== 0n || (entry.address + last) >> 64n !== 0n) {
    const what = `an EA entry of ${hex(entry.bytes)} bytes at ${hex(entry.address)}`;
    throw new ModelError('EINVAL', `${what}: both are multiples of 4, and its end is below 2^64`, 'capabilities');
  }
  const wide = isWide(entry);
  view.setUint32(at, ((wide ? 4 : 2) | (entry.indicator << 4) | (entry.properties << 8) | 0x00ff_0000 | (1 << 31)) >>> 0, true);
  const wideBit = wide ? 2 : 0;
  view.setUint32(at + 4, Number(entry.address & U32 & ~3n) + wideBit, true);
  view.setUint32(at + 8, Number(last & U32 & ~3n) + wideBit, true);
  if (!wide) return at + 12;
  view.setUint32(at + 12, Number(entry.address >> 32n), true);
  view.setUint32(at + 16, Number(last >> 32n), true);
  return at + 20;
}

function express(spec: ExpressSpec): CapabilityImage {
  const version = inRange(spec.version ?? 2, 1, 2, 'version of PCI Express');
  const root = spec.portType === PORT_TYPE.rootPort || spec.portType === PORT_TYPE.eventCollector;
  const port = spec.portType === PORT_TYPE.rootPort || spec.portType === PORT_TYPE.downstreamPort;
  const bytes = version === 2 ? 0x3c : root ? 0x24 : spec.slot === undefined ? 0x14 : 0x1c;
  const speed = spec.speed ?? SPEED_16GT;
  const payload = payloadCode(spec.maxPayloadBytes, 'maximum payload');
  const readRequest = payloadCode(spec.maxReadRequestBytes, 'maximum read request');
  return standard('PCI Express', CAPABILITY.express, spec, bytes, (view) => {
    view.setUint16(2, version | (spec.portType << 4) | (spec.slot === undefined ? 0 : 0x100), true);
    // Extended tags (bit 5), role-based error reporting (bit 15).
    view.setUint32(4, payload | 0x20 | 0x8000 | (spec.flr === true ? 1 << 28 : 0), true);
    // Relaxed ordering, extended tags and no snoop enabled, as after reset.
    view.setUint16(8, 0x0910 | (payload << 5) | (readRequest << 12), true);
    if (spec.portType !== PORT_TYPE.integratedEndpoint) {
      const number = inRange(spec.portNumber ?? 0, 0, 0xff, 'port number of PCI Express');
      view.setUint32(0xc, speed | (WIDTH << 4) | (port ? 3 << 19 : 0) | (number << 24), true);
      view.setUint16(0x12, spec.empty === true ? 0 : speed | (WIDTH << 4) | (port ? 1 << 13 : 0), true);
    }
    if (spec.slot !== undefined) slot(view, spec.slot, spec.empty === true);
    if (root && spec.rrsVisibility === true) view.setUint16(0x1e, 1, true);
    if (version < 2) return;
    // Completion timeout ranges A to D and their disable; one end-end prefix, for a PASID; ARI forwarding in ports.
    view.setUint32(0x24, 0x1f | (port ? 0x20 : 0) | (spec.ltr === true ? 0x800 : 0) | (1 << 21) | (1 << 22), true);
    if (spec.ltr === true) view.setUint16(0x28, 0x400, true);
    if (spec.portType === PORT_TYPE.integratedEndpoint) return;
    view.setUint32(0x2c, (1 << (speed + 1)) - 2, true);
    view.setUint16(0x30, speed, true);
  });
}

function payloadCode(bytes: number, what: string): number {
  return Math.log2(oneOf(bytes, [128, 256, 512, 1024, 2048, 4096], `${what} of PCI Express`) / 128);
}

/** Slot Capabilities, Control and Status: an occupied slot has power, and an empty one has none where software can turn it on. */
function slot(view: DataView, spec: SlotSpec, empty: boolean): void {
  const number = inRange(spec.number, 0, 0x1fff, 'number of a slot');
  const bits = [
    spec.attentionButton,
    spec.powerController,
    spec.mrlSensor,
    spec.attentionIndicator,
    spec.powerIndicator,
    spec.surprise,
    spec.hotPlug,
  ].reduce((all, on, bit) => all | (on ? 1 << bit : 0), 0);
  // 25 W: value 25 at scale 1.
  const limit = 25 << 7;
  view.setUint32(
    0x14,
    (bits | limit | (spec.interlock ? 1 << 17 : 0) | (spec.commandCompleted ? 0 : 1 << 18) | (number << 19)) >>> 0,
    true,
  );
  // Attention indicator off; power indicator on, or off.
  const supply = empty ? (spec.powerIndicator ? 0x300 : 0) | (spec.powerController ? 0x400 : 0) : spec.powerIndicator ? 0x100 : 0;
  view.setUint16(0x18, (spec.attentionIndicator ? 0xc0 : 0) | supply, true);
  // Presence Detect State.
  view.setUint16(0x1a, empty ? 0 : 0x40, true);
}
