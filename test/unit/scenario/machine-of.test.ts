import { describe, expect, it } from 'vitest';
import { machineOf, parseScenario } from '../../../server/src/scenario/index.ts';

const NO_FILES = (): string => expect.unreachable();

function spec(...lines: readonly string[]): ReturnType<typeof machineOf> {
  return machineOf(parseScenario(['iommud.scenario/v1', ...lines].join('\n')), {}, NO_FILES);
}

describe('declarations of a scenario', () => {
  it('say what the IOMMU and the reserved regions of functions are, with keys of a topology document', () => {
    const { iommu, functions } = spec(
      'function 00:02.0 dma-probe defaultDomain=none',
      'region 00:02.0 direct 0x50000000 64KiB',
      'function 00:03.0 dma-probe',
      'region 00:02.0 msi 0x8000000 4KiB',
      'iommu isolation=direct-regions blockedDomain=no pageRequestQueue=64',
    );
    expect(iommu).toMatchObject({ isolation: 'direct-regions', blockedDomain: false, pageRequestQueue: 64 });
    expect(functions[0]).toMatchObject({
      defaultDomain: 'none',
      reservedRegions: [
        { address: 0x5000_0000n, bytes: 0x1_0000n, type: 'direct' },
        { address: 0x800_0000n, bytes: 0x1000n, type: 'msi' },
      ],
    });
    expect(functions[1]).not.toHaveProperty('reservedRegions');
  });

  it('may leave the IOMMU out', () => {
    expect(spec('function 00:02.0 dma-probe', 'iommu none').iommu).toBeUndefined();
  });

  it.each([
    ['an IOMMU of a machine by name', ['machine siblings', 'iommu isolation=direct-regions'], 'line 3: "iommu" is of a scenario that has'],
    ['a region of no function', ['function 00:02.0 dma-probe', 'region 00:03.0 direct 0 4KiB'], 'line 3: there is no function 00:03.0'],
    ['a region without a size', ['function 00:02.0 dma-probe', 'region 00:02.0 direct 0'], 'line 3: write "region FUNCTION TYPE'],
    ['an isolation that there is not', ['function 00:02.0 dma-probe', 'iommu isolation=none'], 'isolation is "none"; it is one of'],
    ['an IOMMU that is some', ['function 00:02.0 dma-probe', 'iommu some'], 'line 3: write "iommu none" or "iommu key=value…"'],
  ])('are refused with %s', (_name, lines, message) => {
    expect(() => spec(...lines)).toThrow(message);
  });
});
