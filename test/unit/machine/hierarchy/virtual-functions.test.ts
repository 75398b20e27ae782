/** Virtual functions: where they come, what they share with their physical function, and what its reset does to them. */
import { describe, expect, it } from 'vitest';
import { bdf, type Bdf } from '../../../../server/src/core/base/index.ts';
import { BELOW, PORT } from '../../../kit/core-machine.ts';
import { CONTROL, ENABLE, FIRST, IOVA, MEMORY, SECOND, SriovMachine, VF_BYTES, physical } from '../../../kit/sriov-machine.ts';

describe('VF Enable', () => {
  it('brings NumVFs functions at First VF Offset and Stride, which answer 100 ms later, and clearing it takes them away', () => {
    const m = new SriovMachine({ clock: 'manual' });
    m.enable(2);
    expect(m.functions()).toEqual([PORT, BELOW, FIRST, SECOND]);
    m.advance(99);
    expect(m.dword(FIRST, 4)).toBe(0xffff_ffff);
    m.advance(1);
    expect(m.dword(FIRST, 0)).toBe(0xffff_ffff);
    expect(m.dword(FIRST, 4)).not.toBe(0xffff_ffff);
    expect(m.info(SECOND)).toMatchObject({ physicalFunction: BELOW, vendor: 0x1234, device: 0x11d6, model: 'dma-probe' });
    m.enable(2, 0);
    expect(m.functions()).toEqual([PORT, BELOW]);
    const changes = m.events.filter((event) => event.kind === 'hotplug').map(({ bdf: at, present, reason }) => [at, present, reason]);
    expect(changes).toEqual([
      [FIRST, true, 'vf-enabled'],
      [SECOND, true, 'vf-enabled'],
      [SECOND, false, 'vf-disabled'],
      [FIRST, false, 'vf-disabled'],
    ]);
  });

  it('has what is beyond the buses of the port above refused, naming both', () => {
    const m = new SriovMachine({}, physical(0x100, 0x80));
    m.enable(3);
    expect(m.functions()).toEqual([PORT, BELOW]);
    expect(m.logs().at(-1)).toMatch(
      /01:00\.0: its 3 virtual functions cannot be enabled: 03:10\.0 is beyond buses 01 to 02 below 00:1c\.0/,
    );
    m.enable(0, 0);
    m.enable(2);
    expect(m.functions()).toEqual([PORT, BELOW, bdf(0, 1, 0x10, 0), bdf(0, 2, 0x10, 0)]);
  });

  it('gives each its own group and translation: DMA of one does not reach what is mapped for another', () => {
    const m = new SriovMachine();
    m.enable(2);
    const page = m.drive(FIRST);
    m.half(SECOND, 4, 4);
    expect(m.outcome(FIRST, IOVA, 'first', { translated: true })).toBe('performed');
    expect(m.outcome(SECOND, IOVA, 'second')).toBe('not-present');
    expect(m.text(page, 5)).toBe('first');
    expect(new Set([BELOW, FIRST, SECOND].map((at) => m.group(at).group)).size).toBe(3);
  });

  it("VF MSE gates the BARs, which follow each other from the physical function's VF BAR on", () => {
    const m = new SriovMachine();
    m.enable(2, ENABLE);
    const read = (at: Bdf): number =>
      m.call('region-read', { kind: 'region-read', bdf: at, region: 0, offset: 0, bytes: 4 }).valueLow >>> 0;
    expect(read(SECOND)).toBe(0xffff_ffff);
    m.half(BELOW, m.at + CONTROL, ENABLE | MEMORY);
    expect(read(SECOND)).toBe(0x4252_5044);
    const regions = m.call('function-regions', { kind: 'function-regions', bdf: SECOND }).regions;
    expect(regions).toMatchObject([{ region: 0, address: 0xe020_0000n + VF_BYTES, bytes: VF_BYTES }]);
    expect(m.dword(SECOND, 0x10)).toBe(0);
  });

  it('shares PASIDs and page requests with the physical function', () => {
    const m = new SriovMachine();
    m.enable(1);
    m.drive(FIRST);
    const domain = m.allocDomain();
    m.call('ok', m.attachPasid(FIRST, 7, domain));
    const page = m.allocPage();
    m.map({ domain }, IOVA, page);
    expect(m.outcome(FIRST, IOVA, 'pasid', { pasid: 7 })).toBe('performed');
    m.call('ok', m.attach(FIRST, m.allocFaultDomain()));
    // pci_enable_pri() of a virtual function takes what its physical one has.
    m.requestPages(FIRST, { iova: 0x9000 });
    expect(m.pageFaults()).toEqual([]);
    m.call('ok', m.attach(BELOW, m.allocFaultDomain()));
    m.requestPages(FIRST, { iova: 0x9000 });
    expect(m.pageFaults()).toHaveLength(1);
  });
});

describe.each(['strict', 'linux-7.1'] as const)('%s: the end of a virtual function', (behaviour) => {
  it('with VF Enable cleared in the middle of its window: the window closes, nothing waits', () => {
    const m = new SriovMachine({ behaviour });
    m.enable(2);
    m.drive(FIRST);
    m.prepare(FIRST);
    m.enable(2, 0);
    expect(m.functions()).toEqual([PORT, BELOW]);
    expect(m.events.filter((event) => event.kind === 'window').at(-1)).toMatchObject({ bdf: FIRST, open: false });
  });

  it('the trigger of a reset alone takes them away for good', () => {
    const m = new SriovMachine({ behaviour });
    m.enable(2);
    m.half(BELOW, m.at, 0);
    m.call('ok', { kind: 'reset-trigger', bdf: BELOW, method: 'flr' });
    expect(m.functions()).toEqual([PORT, BELOW]);
  });
});
