import { describe, expect, it } from 'vitest';
import { endpointConfig, type CapabilitySet } from '../../../server/src/core/pci/index.ts';

const EXPRESS = { portType: 0, maxPayloadBytes: 128, maxReadRequestBytes: 512 };

function imageOf(capabilities: CapabilitySet): Uint8Array {
  return endpointConfig({ vendor: 1, device: 2, classCode: 0, bars: [], capabilities: { express: EXPRESS, ...capabilities } });
}

const SRIOV: NonNullable<CapabilitySet['sriov']> = {
  functions: 0x102,
  firstOffset: 0x80,
  stride: 2,
  dependency: 1,
  device: 0x11d6,
  bars: [
    { index: 0, bytes: 0x4000n, kind: 'memory64', prefetchable: true, address: 0x1_2340_0000n },
    { index: 5, bytes: 0x1000n, kind: 'memory32', address: 0x5000n },
  ],
  pageSizes: 0x553,
};

describe('an image of', () => {
  it.each<[string, CapabilitySet, readonly number[]]>([
    ['ACS', { acs: { offered: 0x1d, enabled: 0xff } }, [0xd, 0, 1, 0, 0x1d, 0, 0x1d, 0]],
    ['ARI', { ari: { nextFunction: 5 } }, [0xe, 0, 1, 0, 0, 5, 0, 0]],
    ['ATS, 32 of which are written as 0', { ats: { queueDepth: 32 } }, [0xf, 0, 1, 0, 0x20, 0, 0, 0]],
    ['ATS', { ats: { queueDepth: 31 } }, [0xf, 0, 1, 0, 0x3f, 0, 0, 0]],
    ['PRI', { pri: { capacity: 0x1234 } }, [0x13, 0, 1, 0, 0, 0, 0, 0x81, 0x34, 0x12, 0, 0, 0, 0, 0, 0]],
    ['PASID', { pasid: { width: 20 } }, [0x1b, 0, 1, 0, 6, 20, 0, 0]],
    ['PASID without privileges', { pasid: { width: 1, execute: false, privileged: false } }, [0x1b, 0, 1, 0, 0, 1, 0, 0]],
    ['LTR', { ltr: { maxSnoop: 0x1003, maxNoSnoop: 0x0801 } }, [0x18, 0, 1, 0, 3, 0x10, 1, 8]],
    [
      'DSN, whose first byte is the last',
      { serialNumber: { value: 0x0011_2233_4455_6677n } },
      [3, 0, 1, 0, 0x77, 0x66, 0x55, 0x44, 0x33, 0x22, 0x11, 0],
    ],
    ['PTM', { timeMeasurement: {} }, [0x1f, 0, 1, 0, 1, 4, 0, 0, 0, 0, 0, 0]],
    ['DPC', { dpc: { poisonedBlocking: true, softwareTrigger: true } }, [0x1d, 0, 1, 0, 0xc0, 0, 0, 0, 0, 0, 0, 0]],
    [
      'DVSEC',
      { designatedVendor: [{ vendor: 0x1e98, id: 8, revision: 1, bytes: Uint8Array.of(7, 9) }] },
      [0x23, 0, 1, 0, 0x98, 0x1e, 0xc1, 0, 8, 0, 7, 9],
    ],
    ['VSEC', { vendorExtended: [{ id: 0x102, revision: 15, bytes: Uint8Array.of(5) }] }, [0xb, 0, 1, 0, 2, 1, 0x9f, 0, 5]],
    [
      'Resizable BAR',
      {
        resizableBar: {
          bars: [
            { index: 0, sizesLg2: [20, 22], sizeLg2: 22 },
            { index: 2, sizesLg2: [20, 47, 48, 63], sizeLg2: 48 },
          ],
        },
      },
      [0x15, 0, 1, 0, 0x50, 0, 0, 0, 0x40, 2, 0, 0, 0x10, 0, 0, 0x80, 2, 0x1c, 1, 0x80],
    ],
    [
      'SR-IOV',
      { sriov: SRIOV },
      [
        0x10, 0, 1, 0, 2, 0, 0, 0, 0, 0, 0, 0, 2, 1, 2, 1, 0, 0, 1, 0, 0x80, 0, 2, 0, 0, 0, 0xd6, 0x11, 0x53, 5, 0, 0, 1, 0, 0, 0, 0xc, 0,
        0x40, 0x23, 1, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0x50, 0, 0, 0, 0, 0, 0,
      ],
    ],
  ])('%s', (_, capabilities, expected) => {
    expect([...imageOf(capabilities).subarray(0x100, 0x100 + expected.length)]).toEqual(expected);
  });

  it('AER of a root port, which has registers of a root', () => {
    const image = imageOf({ express: { ...EXPRESS, portType: 4 }, aer: {}, acs: { offered: 0, enabled: 0 } });
    expect(new DataView(image.buffer).getUint32(0x100, true)).toBe(0x1382_0001);
  });

  it('DPC of a root port, with a log of RP PIO', () => {
    const dpc = { poisonedBlocking: false, softwareTrigger: false, rootPortLog: 6 };
    const image = imageOf({ dpc, acs: { offered: 0, enabled: 0, at: 0x138 } });
    const view = new DataView(image.buffer);
    expect([view.getUint32(0x100, true), view.getUint16(0x104, true), view.getUint32(0x110, true)]).toEqual([
      0x1381_001d, 0x1620, 0x0007_0707,
    ]);
  });
});

describe('an image is refused for', () => {
  const bar = (changes: object): CapabilitySet => ({
    sriov: { ...SRIOV, bars: [{ index: 0, bytes: 0x1000n, kind: 'memory64', ...changes }] },
  });
  it.each<[CapabilitySet, string]>([
    [{ ats: { queueDepth: 33 } }, 'queue depth of ATS: 33 is no integer from 1 to 32'],
    [{ pasid: { width: 21 } }, 'width of PASID: 21'],
    [{ pri: { capacity: 0 } }, 'capacity of PRI: 0'],
    [{ sriov: { ...SRIOV, functions: 0 } }, 'virtual functions of SR-IOV: 0'],
    [bar({ bytes: 0x800n }), 'the size 0x800 of VF BAR 0 is not a power of two from 4 KiB'],
    [bar({ index: 5 }), 'index of a memory64 VF BAR: 5'],
    [bar({ address: 0x800n }), 'VF BAR 0 of 0x1000 bytes cannot be at 0x800'],
    [bar({ kind: 'memory32', address: 1n << 32n }), 'cannot be at 0x100000000'],
    [{ sriov: { ...SRIOV, bars: [SRIOV.bars[0]!, { index: 1, bytes: 0x1000n, kind: 'memory32' }] } }, 'VF BAR 1 overlaps VF BAR 0'],
    [{ resizableBar: { bars: [{ index: 0, sizesLg2: [20], sizeLg2: 21 }] } }, 'Resizable BAR 0 has 2^21 bytes, which is none of 2^20'],
    [{ resizableBar: { bars: [{ index: 0, sizesLg2: [19], sizeLg2: 19 }] } }, 'log2 of a size of a Resizable BAR: 19'],
    [{ dpc: { poisonedBlocking: true, softwareTrigger: true, rootPortLog: 10 } }, 'RP PIO log of DPC: 10'],
    [{ designatedVendor: [{ vendor: 1, id: 0, revision: 16, bytes: new Uint8Array() }] }, 'revision of DVSEC: 16'],
    [{ vendorExtended: [{ id: 0x10000, revision: 0, bytes: new Uint8Array() }] }, 'id of VSEC: 65536'],
  ])('%o', (capabilities, text) => {
    expect(() => imageOf(capabilities)).toThrow(expect.objectContaining({ code: 'EINVAL', message: expect.stringContaining(text) }));
  });
});
