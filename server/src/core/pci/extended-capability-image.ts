/** Bytes of the extended capabilities. Offsets and bits are those of the sections that `extended-capability-table.ts` names. */
import { ModelError, hex } from '../base/index.ts';
import { PORT_TYPE } from './capability-body.ts';
import { extended, inRange, type CapabilityImage } from './capability-image.ts';
import type { CapabilitySet, DpcSpec, ResizableSpec, SriovSpec, VendorSpec, VfBarSpec } from './capability-spec.ts';
import { AER_RESET } from './extended-capability-registers.ts';
import { EXTENDED_CAPABILITY } from './extended-capability-table.ts';

/** Sizes of a Resizable BAR, as log2 of bytes: 1 MiB to 8 EiB. */
const RESIZABLE_LG2 = { min: 20, max: 63 } as const;

// long: one capability after the other
export function extendedImages(set: CapabilitySet): CapabilityImage[] {
  const root = set.express?.portType === PORT_TYPE.rootPort || set.express?.portType === PORT_TYPE.eventCollector;
  return [
    ...one(set.aer, (spec) =>
      extended('AER', EXTENDED_CAPABILITY.aer, 2, spec, root ? 0x38 : 0x2c, (view) => {
        view.setUint32(8, AER_RESET.uncorrectableMask, true);
        view.setUint32(0xc, AER_RESET.severity, true);
        view.setUint32(0x14, AER_RESET.correctableMask, true);
      }),
    ),
    ...one(set.acs, (spec) =>
      extended('ACS', EXTENDED_CAPABILITY.acs, 1, spec, 8, (view) => {
        view.setUint16(4, inRange(spec.offered, 0, 0xff, 'services that ACS offers'), true);
        view.setUint16(6, spec.enabled & spec.offered, true);
      }),
    ),
    ...one(set.ari, (spec) =>
      extended('ARI', EXTENDED_CAPABILITY.ari, 1, spec, 8, (view) => {
        view.setUint8(5, inRange(spec.nextFunction, 0, 0xff, 'next function of ARI'));
      }),
    ),
    ...one(set.ats, (spec) =>
      extended('ATS', EXTENDED_CAPABILITY.ats, 1, spec, 8, (view) => {
        // Page Aligned Request (bit 5) set; depth 32 is written as 0.
        view.setUint16(4, 0x20 | (inRange(spec.queueDepth, 1, 32, 'queue depth of ATS') & 0x1f), true);
      }),
    ),
    ...one(set.pri, (spec) =>
      extended('PRI', EXTENDED_CAPABILITY.pri, 1, spec, 0x10, (view) => {
        // PRG Response PASID Required (bit 15) and Stopped (bit 8).
        view.setUint16(6, 0x8100, true);
        view.setUint32(8, inRange(spec.capacity, 1, 0xffff_ffff, 'capacity of PRI'), true);
      }),
    ),
    ...one(set.pasid, (spec) =>
      extended('PASID', EXTENDED_CAPABILITY.pasid, 1, spec, 8, (view) => {
        const { execute = true, privileged = true } = spec;
        view.setUint16(4, (inRange(spec.width, 1, 20, 'width of PASID') << 8) | (execute ? 2 : 0) | (privileged ? 4 : 0), true);
      }),
    ),
    ...one(set.sriov, sriov),
    ...one(set.resizableBar, resizable),
    ...one(set.ltr, (spec) =>
      extended('LTR', EXTENDED_CAPABILITY.ltr, 1, spec, 8, (view) => {
        view.setUint16(4, inRange(spec.maxSnoop, 0, 0x1fff, 'snoop latency of LTR'), true);
        view.setUint16(6, inRange(spec.maxNoSnoop, 0, 0x1fff, 'no-snoop latency of LTR'), true);
      }),
    ),
    ...one(set.serialNumber, (spec) =>
      extended('DSN', EXTENDED_CAPABILITY.serialNumber, 1, spec, 0xc, (view) => view.setBigUint64(4, spec.value, true)),
    ),
    ...one(set.dpc, dpc),
    ...one(set.timeMeasurement, (spec) =>
      extended('PTM', EXTENDED_CAPABILITY.ptm, 1, spec, 0xc, (view) => {
        // A root port can be root and responder, any other function a requester; a granularity of 4 ns.
        view.setUint32(4, (root ? 6 : 1) | (4 << 8), true);
      }),
    ),
    ...(set.designatedVendor ?? []).map((spec) =>
      vendorOwn('DVSEC', EXTENDED_CAPABILITY.dvsec, spec, 0xa, (view, bytes) => {
        view.setUint32(4, inRange(spec.vendor, 0, 0xffff, 'vendor of DVSEC') | (spec.revision << 16) | (bytes << 20), true);
        view.setUint16(8, spec.id, true);
      }),
    ),
    ...(set.vendorExtended ?? []).map((spec) =>
      vendorOwn('VSEC', EXTENDED_CAPABILITY.vendor, spec, 8, (view, bytes) => {
        view.setUint32(4, spec.id | (spec.revision << 16) | (bytes << 20), true);
      }),
    ),
  ];
}

function one<T>(spec: T | undefined, make: (spec: T) => CapabilityImage): CapabilityImage[] {
  return spec === undefined ? [] : [make(spec)];
}

/** A structure whose body, from `start` on, is the vendor's. */
function vendorOwn(
  name: string,
  id: number,
  spec: VendorSpec,
  start: number,
  fill: (view: DataView, bytes: number) => void,
): CapabilityImage {
  inRange(spec.id, 0, 0xffff, `id of ${name}`);
  inRange(spec.revision, 0, 15, `revision of ${name}`);
  const bytes = start + inRange(spec.bytes.length, 0, 0xf00 - start, `bytes of ${name}`);
  return extended(name, id, 1, spec, bytes, (view) => {
    fill(view, bytes);
    spec.bytes.forEach((byte, i) => view.setUint8(start + i, byte));
  });
}

function sriov(spec: SriovSpec): CapabilityImage {
  return extended('SR-IOV', EXTENDED_CAPABILITY.sriov, 1, spec, 0x40, (view) => {
    const functions = inRange(spec.functions, 1, 0xffff, 'virtual functions of SR-IOV');
    // ARI Capable Hierarchy Preserved.
    view.setUint32(4, 2, true);
    view.setUint16(0xc, functions, true);
    view.setUint16(0xe, functions, true);
    view.setUint8(0x12, inRange(spec.dependency, 0, 0xff, 'function dependency link of SR-IOV'));
    view.setUint16(0x14, inRange(spec.firstOffset, 1, 0xffff, 'first offset of SR-IOV'), true);
    view.setUint16(0x16, inRange(spec.stride, 1, 0xffff, 'stride of SR-IOV'), true);
    view.setUint16(0x1a, inRange(spec.device, 0, 0xffff, 'device of SR-IOV'), true);
    view.setUint32(0x1c, inRange(spec.pageSizes, 1, 0xffff_ffff, 'page sizes of SR-IOV'), true);
    view.setUint32(0x20, 1, true);
    const owners: (number | undefined)[] = [];
    for (const bar of spec.bars) vfBar(view, bar, owners);
  });
}

function vfBar(view: DataView, bar: VfBarSpec, owners: (number | undefined)[]): void {
  const wide = bar.kind === 'memory64';
  inRange(bar.index, 0, wide ? 4 : 5, `index of a ${bar.kind} VF BAR`);
  const address = bar.address ?? 0n;
  if (bar.bytes < 0x1000n || (bar.bytes & (bar.bytes - 1n)) !== 0n || bar.bytes >> 63n !== 0n) {
    throw new ModelError('EINVAL', `the size ${hex(bar.bytes)} of VF BAR ${bar.index} is not a power of two from 4 KiB`, 'capabilities');
  }
  if ((address & (bar.bytes - 1n)) !== 0n || (!wide && address >> 32n !== 0n)) {
    throw new ModelError('EINVAL', `VF BAR ${bar.index} of ${hex(bar.bytes)} bytes cannot be at ${hex(address)}`, 'capabilities');
  }
  for (const index of wide ? [bar.index, bar.index + 1] : [bar.index]) {
    if (owners[index] !== undefined) throw new ModelError('EINVAL', `VF BAR ${bar.index} overlaps VF BAR ${owners[index]}`, 'capabilities');
    owners[index] = bar.index;
  }
  const at = 0x24 + 4 * bar.index;
  view.setUint32(at, Number(address & 0xffff_ffffn) | (wide ? 4 : 0) | (bar.prefetchable === true ? 8 : 0), true);
  if (wide) view.setUint32(at + 4, Number(address >> 32n), true);
}

function resizable(spec: ResizableSpec): CapabilityImage {
  inRange(spec.bars.length, 1, 6, 'BARs of Resizable BAR');
  return extended('Resizable BAR', EXTENDED_CAPABILITY.resizableBar, 1, spec, 4 + 8 * spec.bars.length, (view) => {
    for (const [i, bar] of spec.bars.entries()) {
      inRange(bar.index, 0, 5, 'index of a Resizable BAR');
      if (!bar.sizesLg2.includes(bar.sizeLg2)) {
        const sizes = bar.sizesLg2.map((lg2) => `2^${lg2}`).join(', ');
        throw new ModelError('EINVAL', `Resizable BAR ${bar.index} has 2^${bar.sizeLg2} bytes, which is none of ${sizes}`, 'capabilities');
      }
      let offered = 0n;
      for (const lg2 of bar.sizesLg2) {
        offered |=
          1n << BigInt(inRange(lg2, RESIZABLE_LG2.min, RESIZABLE_LG2.max, 'log2 of a size of a Resizable BAR') - RESIZABLE_LG2.min);
      }
      const at = 4 + 8 * i;
      // 28 sizes in the capability register, the larger ones in the upper half of the control register.
      view.setUint32(at, Number((offered & 0xfff_ffffn) << 4n), true);
      const count = i === 0 ? spec.bars.length << 5 : 0;
      const larger = Number(offered >> 28n);
      view.setUint32(at + 4, (bar.index | count | ((bar.sizeLg2 - RESIZABLE_LG2.min) << 8) | (larger << 16)) >>> 0, true);
    }
  });
}

function dpc(spec: DpcSpec): CapabilityImage {
  const log = spec.rootPortLog;
  const bytes = log === undefined ? 0xc : 0x20 + 4 * inRange(log, 4, 9, 'RP PIO log of DPC');
  return extended('DPC', EXTENDED_CAPABILITY.dpc, 1, spec, bytes, (view) => {
    const offered = (spec.poisonedBlocking ? 0x40 : 0) | (spec.softwareTrigger ? 0x80 : 0);
    // DL_Active ERR_COR Signaling is part of root port extensions.
    view.setUint16(4, offered | (log === undefined ? 0 : 0x1020 | (log << 8)), true);
    if (log === undefined) return;
    // RP PIO First Error Pointer: none. Every RP PIO error is masked at first.
    view.setUint16(8, 0x1f00, true);
    view.setUint32(0x10, 0x0007_0707, true);
  });
}
