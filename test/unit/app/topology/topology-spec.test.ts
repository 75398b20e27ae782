import { readFileSync } from 'node:fs';
import { describe, expect, it } from 'vitest';
import { parseTopology, topologyFromValue } from '../../../../server/src/app/topology/index.ts';
import { formatBdf } from '../../../../server/src/core/base/index.ts';
import { ConfigSpace, Topology } from '../../../../server/src/core/pci/index.ts';

const FIXTURES = new URL('../../../fixtures/topology/', import.meta.url);

function fixture(name: string): string {
  return readFileSync(new URL(name, FIXTURES), 'utf8');
}

const HEAD = 'schema: iommud.topology/v1\n';

/** One function on line 3 and on. */
function functions(...lines: readonly string[]): string {
  return `${HEAD}functions:\n${lines.map((line) => `  ${line}\n`).join('')}`;
}

describe('a document with everything', () => {
  const spec = parseTopology(fixture('everything.yaml'));
  const spaces = new Map(spec.functions.map((fn) => [formatBdf(fn.bdf), new ConfigSpace(fn.config)]));
  const topology = new Topology(spec.functions.map((fn) => ({ bdf: fn.bdf, config: new ConfigSpace(fn.config) })));

  it('gives memory, IOMMU and name', () => {
    expect(spec.name).toBe('everything');
    expect(spec.memory).toEqual([
      { address: 0x4000_0000n, bytes: 0x2000_0000n },
      { address: 0x1_0000_0000n, bytes: 0x1000n },
    ]);
    expect(spec.iommu).toEqual({ invalidationTimeoutNs: 1_500_000_000, pageRequestQueue: 64 });
  });

  it('places functions, numbering buses depth first by address whatever the order of the text', () => {
    expect(spec.functions.map((fn) => `${formatBdf(fn.bdf)} ${fn.model}`)).toEqual([
      '00:00.0 bridge',
      '00:01.0 bridge',
      '01:00.0 bridge',
      '02:01.0 bridge',
      '03:00.0 remote',
      '00:03.0 bridge',
      '10:00.0 dma-probe',
      '00:05.0 dma-probe',
      '00:05.1 dma-probe',
      '00:1f.0 replay',
      '0001:00:00.0 bridge',
    ]);
    expect(spaces.get('00:01.0')).toMatchObject({ secondaryBus: 1, subordinateBus: 3 });
    expect(spaces.get('02:01.0')).toMatchObject({ secondaryBus: 3, subordinateBus: 3 });
    expect(spaces.get('00:03.0')).toMatchObject({ secondaryBus: 0x10, subordinateBus: 0x10 });
    expect(topology.pathUp(spec.functions[4]!.bdf).map(formatBdf)).toEqual(['02:01.0', '01:00.0', '00:01.0']);
  });

  it('does for each function what its keys say', () => {
    expect(spec.functions.find((fn) => formatBdf(fn.bdf) === '10:00.0')).toMatchObject({
      label: 'Ethernet controller: below port 3',
      latencyNs: 250,
    });
    expect(spaces.get('10:00.0')).toMatchObject({ atsSupported: false, multiFunction: false, portType: 0 });
    expect(spaces.get('00:03.0')).toMatchObject({ acsCapable: false, busMaster: true });
    expect(spaces.get('02:01.0')).toMatchObject({ acsEnabledRedirect: true });
    expect(spaces.get('00:05.1')).toMatchObject({ multiFunction: true, acsEnabledRedirect: true, atsSupported: true, portType: 9 });
    expect(spaces.get('0001:00:00.0')).toMatchObject({ multiFunction: true });
    expect(spaces.get('00:1f.0')).toMatchObject({ bytes: 64, vendor: 0x1af4, device: 0x1000 });
  });

  it('gives BARs addresses inside the windows above them, and none twice', () => {
    const taken: [bigint, bigint][] = [];
    for (const fn of spec.functions) {
      if (fn.barBytes === undefined) continue;
      const space = new ConfigSpace(fn.config, { barBytes: fn.barBytes });
      expect(space.bars().map((bar) => [bar.index, bar.sizeLg2])).toEqual([
        [0, 12],
        [2, 16],
      ]);
      for (const bar of space.bars()) {
        const start = space.barAddress(bar);
        const end = start + (1n << BigInt(bar.sizeLg2));
        expect(start).toBeGreaterThanOrEqual(0xe000_0000n);
        for (const bridge of topology.pathUp(fn.bdf)) {
          const above = spaces.get(formatBdf(bridge))!;
          expect(start).toBeGreaterThanOrEqual(BigInt((above.read(0x20, 2) << 16) >>> 0));
          expect(end).toBeLessThanOrEqual(BigInt(((above.read(0x22, 2) << 16) >>> 0) + 0x10_0000));
        }
        for (const [name, other] of spaces) {
          const from = BigInt((other.read(0x20, 2) << 16) >>> 0);
          const to = BigInt(((other.read(0x22, 2) << 16) >>> 0) + 0x10_0000);
          const above = topology.pathUp(fn.bdf).map(formatBdf).includes(name);
          expect(other.isBridge && !above && start < to && from < end).toBe(false);
        }
        expect(taken.some(([from, to]) => start < to && from < end)).toBe(false);
        taken.push([start, end]);
      }
    }
    expect(taken).toHaveLength(8);
  });
});

describe('what blocks a function', () => {
  it('is said of the IOMMU, and of a group that has no default domain', () => {
    const iommu = 'iommu: { isolation: direct-regions, blockedDomain: false }\n';
    const spec = parseTopology(functions('- { address: "00:02.0", model: dma-probe, defaultDomain: none }') + iommu);
    expect(spec.iommu).toEqual({ invalidationTimeoutNs: 60_000_000_000, isolation: 'direct-regions', blockedDomain: false });
    expect(spec.functions[0]).toMatchObject({ defaultDomain: 'none' });
  });
});

describe('what a document leaves out', () => {
  const spec = parseTopology(functions('- { address: "00:02.0", model: dma-probe }'));

  it('is 1 GiB of memory clear of page 0, and an IOMMU that waits 60 s', () => {
    expect(spec.memory).toEqual([{ address: 0x4000_0000n, bytes: 0x4000_0000n }]);
    expect(spec.iommu).toEqual({ invalidationTimeoutNs: 60_000_000_000 });
    expect(spec.name).toBeUndefined();
  });

  it('is no latency, ATS, and no ACS', () => {
    expect(spec.functions[0]).toMatchObject({ latencyNs: 0, label: 'Unassigned class [ff00]: iommud dma-probe (rev 01)' });
    expect(new ConfigSpace(spec.functions[0]!.config)).toMatchObject({
      atsSupported: true,
      acsCapable: false,
      busMaster: true,
      atsEnabled: false,
    });
  });

  it('may be all functions', () => {
    expect(parseTopology(`${HEAD}functions: []\n`).functions).toEqual([]);
  });
});

describe('JSON', () => {
  it('is read by its brace or by name', () => {
    const text = fixture('two-functions.json');
    for (const format of ['auto', 'json', 'yaml'] as const) {
      const spec = parseTopology(text, format);
      expect(spec.iommu).toBeUndefined();
      expect(spec.functions.map((fn) => [formatBdf(fn.bdf), fn.model, fn.latencyNs])).toEqual([
        ['00:02.0', 'dma-probe', 0],
        ['00:03.0', 'remote', 2000],
      ]);
    }
  });

  it('as a value names the key instead of the line', () => {
    const value = {
      schema: 'iommud.topology/v1',
      functions: [
        { address: '00:02.0', model: 'dma-probe' },
        { address: 2, model: 'dma-probe' },
      ],
    };
    expect(() => topologyFromValue(value)).toThrow('functions[1].address: address is the number 2; write "00:02.0"');
    expect(topologyFromValue({ ...value, functions: value.functions.slice(0, 1) }).functions).toHaveLength(1);
  });

  it('as a value nested without end is refused', () => {
    let deep: unknown = [];
    for (let i = 0; i < 100_000; i++) deep = [{ address: '00.0', model: 'root-port', children: deep }];
    expect(() => topologyFromValue({ schema: 'iommud.topology/v1', functions: deep })).toThrow(expect.objectContaining({ code: 'EINVAL' }));
  });
});
