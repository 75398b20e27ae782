import { describe, expect, it } from 'vitest';
import { PRESETS, describeTopology, preset, presetText } from '../../../../server/src/app/topology/index.ts';
import { formatBdf } from '../../../../server/src/core/base/index.ts';
import { ConfigSpace, Topology } from '../../../../server/src/core/pci/index.ts';

function groupsOf(name: string): string[][] {
  const functions = preset(name).functions.map((fn) => ({ bdf: fn.bdf, config: new ConfigSpace(fn.config) }));
  return new Topology(functions).isolationGroups().map((group) => group.map(formatBdf));
}

describe('presets', () => {
  it.each(Object.keys(PRESETS))('%s is a document without warnings, under its own name', (name) => {
    const spec = preset(name);
    expect(spec.name).toBe(name);
    for (const fn of spec.functions) expect(new ConfigSpace(fn.config).warnings).toEqual([]);
    expect(spec.memory.every((range) => range.address > 0n)).toBe(true);
  });

  it('basic has a dma-probe at 00:02.0, an edu at 00:03.0, and a slot for a device role', () => {
    expect(preset('basic').functions.map((fn) => [formatBdf(fn.bdf), fn.model])).toEqual([
      ['00:00.0', 'bridge'],
      ['00:02.0', 'dma-probe'],
      ['00:03.0', 'edu'],
      ['00:04.0', 'remote'],
    ]);
    expect(preset('basic').iommu).toEqual({ invalidationTimeoutNs: 60_000_000_000 });
  });

  it('switch has two dma-probes below a switch, each in a group of its own', () => {
    expect(preset('switch').functions.map((fn) => formatBdf(fn.bdf))).toEqual([
      '00:00.0',
      '00:01.0',
      '01:00.0',
      '02:00.0',
      '03:00.0',
      '02:01.0',
      '04:00.0',
    ]);
    expect(groupsOf('switch')).toContainEqual(['03:00.0']);
    expect(groupsOf('switch')).toContainEqual(['04:00.0']);
  });

  it('no-iommu has none', () => {
    expect(preset('no-iommu').iommu).toBeUndefined();
  });

  it('siblings has two functions in one group', () => {
    expect(groupsOf('siblings')).toEqual([['00:00.0'], ['00:05.0', '00:05.1']]);
  });

  it('of another name are refused with the names that there are', () => {
    expect(() => preset('bsic')).toThrow('there is no preset "bsic"; there are basic, switch, no-iommu, siblings');
    expect(() => presetText('toString')).toThrow(/there is no preset/);
  });
});

describe('describeTopology', () => {
  it('draws the tree with buses, groups and what each function can do', () => {
    expect(describeTopology(preset('switch'))).toBe(
      [
        'memory  0x40000000 to 0x7fffffff (1 GiB)',
        'iommu   invalidation timeout 60 s',
        '00:00.0  host bridge, group 0',
        '00:01.0  root port, buses 01-04, group 1',
        '  01:00.0  upstream port, buses 02-04, group 2',
        '    02:00.0  downstream port, buses 03-03, group 3',
        '      03:00.0  dma-probe, group 5, ATS, PASID 20 bits, reset flr bus',
        '    02:01.0  downstream port, buses 04-04, group 4',
        '      04:00.0  dma-probe, group 6, ATS, PASID 20 bits, reset flr bus',
        '',
      ].join('\n'),
    );
  });

  it('has no groups where there is no IOMMU', () => {
    expect(describeTopology(preset('no-iommu'))).toContain('iommu   none\n00:00.0  host bridge\n00:02.0  dma-probe, ATS');
  });
});
