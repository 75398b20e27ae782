import { describe, expect, it } from 'vitest';
import { endpointConfig, type CapabilitySet } from '../../../server/src/core/pci/index.ts';

/** The bytes of the only capability, which is at 0x40 of a conventional function. */
function bytesOf(capabilities: CapabilitySet, count: number): number[] {
  const image = endpointConfig({ vendor: 1, device: 2, classCode: 0, bars: [], capabilities });
  expect(image[0x34]).toBe(0x40);
  expect(image.subarray(0x40 + count).every((byte) => byte === 0)).toBe(true);
  return [...image.subarray(0x40, 0x40 + count)];
}

describe('an image of', () => {
  it.each<[string, CapabilitySet, readonly number[]]>([
    ['PM', { power: { noSoftReset: true } }, [1, 0, 3, 0, 8, 0, 0, 0]],
    [
      'PM with D1, D2, PME and Immediate Readiness',
      { power: { noSoftReset: false, d1: true, d2: true, pme: true, immediateReadiness: true } },
      [1, 0, 0x13, 0x7e, 0, 0, 0, 0],
    ],
    ['MSI', { msi: { vectors: 1, wide: false, perVectorMask: false } }, [5, 0, 0, 0, 0, 0, 0, 0, 0, 0]],
    [
      'MSI with 64 bits and masks',
      { msi: { vectors: 32, wide: true, perVectorMask: true } },
      [5, 0, 0x8a, 1, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0],
    ],
    [
      'MSI with extended data',
      { msi: { vectors: 2, wide: false, perVectorMask: false, extendedData: true } },
      [5, 0, 2, 2, 0, 0, 0, 0, 0, 0, 0, 0],
    ],
    [
      'MSI-X',
      { msix: { vectors: 2048, bar: 2, tableOffset: 0x1000, pendingOffset: 0x9000 } },
      [0x11, 0, 0xff, 7, 2, 0x10, 0, 0, 2, 0x90, 0, 0],
    ],
    ['PCI-X', { pcix: {} }, [7, 0, 0x2a, 0, 0, 0, 0x43, 1]],
    ['PCI-X of a bridge', { pcix: { bridge: true } }, [7, 0, 3, 0, 0, 0, 1, 0, 0x10, 0, 0x10, 0, 0x10, 0, 0x10, 0]],
    ['AF', { advancedFeatures: {} }, [0x13, 0, 6, 3, 0, 0]],
    ['SSVID', { subsystem: { vendor: 0x1af4, device: 0x1100 } }, [0xd, 0, 0, 0, 0xf4, 0x1a, 0, 0x11]],
    ['VPD', { vitalProductData: {} }, [3, 0, 0, 0, 0, 0, 0, 0]],
    ['a vendor-specific one', { vendorSpecific: [{ bytes: Uint8Array.of(0xaa, 0xbb) }] }, [9, 0, 5, 0xaa, 0xbb]],
    [
      'EA below 4 GiB',
      { enhancedAllocation: { entries: [{ indicator: 1, properties: 2, address: 0xc000n, bytes: 0x100n }] } },
      [0x14, 0, 1, 0, 0x12, 2, 0xff, 0x80, 0, 0xc0, 0, 0, 0xfc, 0, 0, 0],
    ],
    [
      'EA that ends above 4 GiB',
      { enhancedAllocation: { entries: [{ indicator: 7, properties: 1, address: 0xffff_f000n, bytes: 0x2000n }] } },
      [0x14, 0, 1, 0, 0x74, 1, 0xff, 0x80, 2, 0xf0, 0xff, 0xff, 0xfe, 0x1f, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0],
    ],
    [
      'EA of a bridge, with its buses',
      { enhancedAllocation: { buses: [1, 2], entries: [{ indicator: 0, properties: 0, address: 4n, bytes: 4n }] } },
      [0x14, 0, 1, 0, 1, 2, 0, 0, 2, 0, 0xff, 0x80, 4, 0, 0, 0, 0, 0, 0, 0],
    ],
  ])('%s', (_, capabilities, expected) => {
    expect(bytesOf(capabilities, expected.length)).toEqual(expected);
  });
});

describe('an image is refused for', () => {
  it.each<[CapabilitySet, string]>([
    [{ msi: { vectors: 3, wide: true, perVectorMask: false } }, 'vectors of MSI: 3 is none of 1, 2, 4, 8, 16, 32'],
    [{ msix: { vectors: 0, bar: 2, tableOffset: 0, pendingOffset: 0 } }, 'vectors of MSI-X: 0 is no integer from 1 to 2048'],
    [{ msix: { vectors: 2049, bar: 2, tableOffset: 0, pendingOffset: 0 } }, 'vectors of MSI-X: 2049'],
    [{ subsystem: { vendor: 0x10000, device: 0 } }, 'vendor of SSVID: 65536'],
    [{ vendorSpecific: [{ bytes: new Uint8Array(0xbe) }] }, 'bytes of a vendor-specific capability: 190'],
    [{ enhancedAllocation: { entries: [] } }, 'entries of EA: 0 is no integer from 1 to 15'],
    [
      { enhancedAllocation: { entries: [{ indicator: 0, properties: 0, address: 2n, bytes: 4n }] } },
      'an EA entry of 0x4 bytes at 0x2: both are multiples of 4',
    ],
    [{ enhancedAllocation: { entries: [{ indicator: 0, properties: 0, address: (1n << 64n) - 4n, bytes: 8n }] } }, 'its end is below 2^64'],
    [{ express: { portType: 0, maxPayloadBytes: 100, maxReadRequestBytes: 512 } }, 'maximum payload of PCI Express: 100 is none of 128'],
    [{ express: { portType: 0, version: 3, maxPayloadBytes: 128, maxReadRequestBytes: 512 } }, 'version of PCI Express: 3'],
  ])('%o', (capabilities, text) => {
    const make = () => endpointConfig({ vendor: 1, device: 2, classCode: 0, bars: [], capabilities });
    expect(make).toThrow(expect.objectContaining({ code: 'EINVAL', message: expect.stringContaining(text) }));
  });
});
