import { readFileSync } from 'node:fs';
import { describe, expect, it } from 'vitest';
import { describeTopology, fromLspci } from '../../../../server/src/app/topology/index.ts';
import { formatBdf, type Bdf } from '../../../../server/src/core/base/index.ts';
import { formatLspci } from '../../../../server/src/core/pci/index.ts';
import { BELOW, PORT } from '../../../kit/core-machine.ts';
import { SECOND, SriovMachine } from '../../../kit/sriov-machine.ts';

const FIXTURES = new URL('../../../fixtures/lspci/', import.meta.url);

function fixture(name: string): string {
  return readFileSync(new URL(name, FIXTURES), 'utf8');
}

/** A 64-byte function whose BAR 0 (64-bit) is at an address, of a size that the text tells. */
function withBar(high: string, low: string, size: string): string {
  const row = (offset: string, bytes: string): string => `${offset}: ${bytes}${' 00'.repeat(16 - bytes.split(' ').length)}\n`;
  return `00:02.0 A\n\tRegion 0: Memory at x (64-bit, non-prefetchable) [size=${size}]\n${row('00', '34 12')}${row('10', `${low} ${high}`)}${row('20', '00')}${row('30', '00')}`;
}

describe('fromLspci', () => {
  it('replays every function, bridges too, behind an IOMMU', () => {
    const spec = fromLspci(fixture('root-port-and-endpoint.lspci'));
    expect(spec.functions.map((fn) => [formatBdf(fn.bdf), fn.model, fn.config.length, fn.latencyNs])).toEqual([
      ['00:00.0', 'replay', 256, 0],
      ['00:01.0', 'replay', 4096, 0],
      ['01:00.0', 'replay', 4096, 0],
    ]);
    expect(spec.functions[2]?.barBytes).toEqual([0x1000n, 0n, 0x10000n, 0n, 0n, 0n, 0n]);
    expect(spec.iommu).toEqual({ invalidationTimeoutNs: 60_000_000_000 });
    expect(spec.memory).toEqual([{ address: 0x4000_0000n, bytes: 0x4000_0000n }]);
    expect(spec.warnings).toEqual([]);
  });

  it('draws the hierarchy of the bridges', () => {
    expect(
      describeTopology(fromLspci(fixture('root-port-and-endpoint.lspci')))
        .split('\n')
        .slice(2),
    ).toEqual([
      '00:00.0  replay of 1234:11d1 "Host bridge: Example host bridge", group 0',
      '00:01.0  replay of 1234:11d2 "PCI bridge: Example root port (prog-if 00 [Normal decode])", buses 01-01, group 1',
      '  01:00.0  replay of 1234:11d0 "Unassigned class [ff00]: Example endpoint (rev 01)", group 2, ATS, PASID 20 bits, reset flr bus',
      '',
    ]);
  });

  it('warns of broken chains, naming function and offset', () => {
    expect(fromLspci(fixture('capability-loop.lspci')).warnings).toEqual([
      '02:00.0: the capability chain loops: the pointer at 0x49 leads back to 0x40',
    ]);
  });

  it.each([
    ['at 1 GiB', withBar('00 00 00 00', '04 00 00 40', '256M'), 0x8000_0000n],
    ['from 1 to 3 GiB', withBar('00 00 00 00', '04 00 00 40', '2G'), 0x1_0000_0000n],
    ['from 0 to 8 GiB', withBar('00 00 00 00', '04 00 00 00', '8G'), 0x2_0000_0000n],
    ['that claims everything', withBar('00 00 00 80', '04 00 00 00', '8388608T'), 0x4000_0000n],
  ])('puts memory clear of a BAR %s', (_, text, address) => {
    expect(fromLspci(text).memory).toEqual([{ address, bytes: 0x4000_0000n }]);
  });
});

describe('virtual functions in a dump', () => {
  /** 01:00.0 with VF Enable and two virtual functions, the second of them in the dump, and one that is neither. */
  function dump(enabled = true): string {
    const m = new SriovMachine();
    m.enable(2);
    const image = (at: Bdf): Uint8Array =>
      new Uint8Array(m.call('config-read', { kind: 'config-read', bdf: at, offset: 0, bytes: 4096 }).data);
    const all = [PORT, BELOW, SECOND].map((at) => ({ bdf: at, label: 'x', config: image(at), barBytes: [], line: 0 }));
    if (!enabled) all[1]!.config[m.at + 8] = 0;
    return formatLspci(all, { hex: 'xxxx' });
  }

  it('are their physical one’s', () => {
    const { functions, warnings } = fromLspci(dump());
    expect(functions.map(({ bdf: at, virtual }) => [at, virtual])).toEqual([
      [PORT, undefined],
      [BELOW, undefined],
      [SECOND, { physical: BELOW, index: 1 }],
    ]);
    expect(warnings).toEqual([]);
  });

  it('are functions like others where VF Enable is clear', () => {
    expect(fromLspci(dump(false)).functions.every(({ virtual }) => virtual === undefined)).toBe(true);
  });
});
