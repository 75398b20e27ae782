import { describe, expect, it } from 'vitest';
import { ConfigSpace, endpointConfig, type EndpointSpec } from '../../../server/src/core/pci/index.ts';

const PLAIN: EndpointSpec = { vendor: 0x1af4, device: 0x1000, classCode: 0x020000, bars: [], capabilities: {} };
const EXPRESS = { portType: 0, maxPayloadBytes: 128, maxReadRequestBytes: 512 };

function with_(part: Partial<EndpointSpec>): () => Uint8Array {
  return () => endpointConfig({ ...PLAIN, ...part });
}

describe('endpointConfig', () => {
  it('writes the identity', () => {
    const space = new ConfigSpace(
      endpointConfig({ ...PLAIN, revision: 3, subsystem: { vendor: 0xaaaa, device: 0xbbbb }, multiFunction: true }),
    );
    expect(space).toMatchObject({ bytes: 256, vendor: 0x1af4, device: 0x1000, classCode: 0x020000, multiFunction: true, headerType: 0 });
    expect([space.read(8, 1), space.read(0x2c, 4)]).toEqual([3, 0xbbbb_aaaa]);
  });

  it('is 4096 bytes with a PCI Express capability', () => {
    expect(endpointConfig({ ...PLAIN, capabilities: { express: EXPRESS } })).toHaveLength(4096);
  });

  it('puts a capability where it is asked to, and the others around it', () => {
    const space = new ConfigSpace(
      endpointConfig({
        ...PLAIN,
        capabilities: {
          power: { noSoftReset: false, at: 0x60 },
          advancedFeatures: {},
          express: EXPRESS,
          ats: { queueDepth: 5, at: 0x200 },
        },
      }),
    );
    expect(space.warnings).toEqual([]);
    expect(space.capabilities.map((c) => [c.id, c.offset])).toEqual([
      [0x13, 0x40],
      [0x01, 0x60],
      [0x10, 0x68],
      [0x0f, 0x200],
    ]);
    expect(space.atsQueueDepth).toBe(5);
  });

  it.each([
    [
      'capabilities that overlap',
      with_({ capabilities: { power: { noSoftReset: true, at: 0x50 }, express: { ...EXPRESS, at: 0x54 } } }),
      'the PM capability at 0x50 to 0x57 overlaps the PCI Express capability at 0x54',
    ],
    [
      'extended ones that overlap',
      with_({ capabilities: { express: EXPRESS, aer: { at: 0x100 }, pasid: { width: 20, at: 0x128 } } }),
      'the AER capability at 0x100 to 0x12b overlaps the PASID capability at 0x128',
    ],
    [
      'one that does not fit',
      with_({ capabilities: { express: { ...EXPRESS, at: 0xf0 } } }),
      'PCI Express capability at 0xf0 is misaligned or outside',
    ],
    ['one in the header', with_({ capabilities: { power: { noSoftReset: true, at: 0x20 } } }), 'outside of 0x40 to 0xff'],
    ['one that is misaligned', with_({ capabilities: { power: { noSoftReset: true, at: 0x42 } } }), 'misaligned'],
    ['extended ones without room for them', with_({ capabilities: { ats: { queueDepth: 1 } } }), 'ATS capability at 0x100'],
    ['a BAR that is no power of two', with_({ bars: [{ index: 0, bytes: 0x3000n, kind: 'memory32' }] }), 'size 0x3000 of BAR 0'],
    ['a BAR that is too small', with_({ bars: [{ index: 0, bytes: 8n, kind: 'memory32' }] }), 'size 0x8 of BAR 0'],
    ['a 64-bit BAR at the end', with_({ bars: [{ index: 5, bytes: 0x1000n, kind: 'memory64' }] }), 'no place for a memory64 BAR 5'],
    [
      'a BAR out of place',
      with_({ bars: [{ index: 0, bytes: 0x1000n, kind: 'memory32', address: 0x800n }] }),
      'BAR 0 of 0x1000 bytes cannot be at 0x800',
    ],
    [
      'a 32-bit BAR above 4 GiB',
      with_({ bars: [{ index: 0, bytes: 0x1000n, kind: 'memory32', address: 1n << 32n }] }),
      'cannot be at 0x100000000',
    ],
    [
      'BARs that overlap',
      with_({
        bars: [
          { index: 0, bytes: 0x1000n, kind: 'memory64' },
          { index: 1, bytes: 0x1000n, kind: 'memory32' },
        ],
      }),
      'BAR 1 overlaps BAR 0',
    ],
  ])('refuses %s', (_, make, text) => {
    expect(make).toThrow(expect.objectContaining({ code: 'EINVAL', message: expect.stringContaining(text) }));
  });
});
