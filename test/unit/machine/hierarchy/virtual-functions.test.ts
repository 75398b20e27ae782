/** Virtual functions: where they come, what they share with their physical function, and what its reset does to them. */
import { describe, expect, it } from 'vitest';
import { bdf, type Bdf } from '../../../../server/src/core/base/index.ts';
import type { FunctionSpec } from '../../../../server/src/core/machine/index.ts';
import { BELOW, CoreMachine, PORT, port } from '../../../kit/core-machine.ts';
import { Interrupts } from '../../../kit/interrupts.ts';
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

describe.each(['strict', 'linux-7.1'] as const)('%s: a link that goes down and comes up', (behaviour) => {
  it('clears VF Enable: virtual functions answer nothing until it is set again', () => {
    const m = new SriovMachine({ behaviour });
    m.enable(2);
    m.arm(BELOW, 'surprise-down', { count: 0 });
    m.call('ok', { kind: 'fault-disarm', bdf: BELOW, fault: 'surprise-down' });
    expect([m.vendor(BELOW), m.dword(FIRST, 4)]).toEqual([0x1234, 0xffff_ffff]);
    m.enable(2);
    expect(m.functions()).toEqual([PORT, BELOW, FIRST, SECOND]);
    expect(m.dword(FIRST, 4)).not.toBe(0xffff_ffff);
    m.half(FIRST, 4, 4);
    m.map(FIRST, IOVA, m.allocPage());
    expect(m.outcome(FIRST, IOVA)).toBe('performed');
  });

  it('and a recovery has them back', () => {
    const m = new SriovMachine({ behaviour });
    m.enable(2);
    m.arm(BELOW, 'surprise-down', { count: 0 });
    m.call('ok', { kind: 'fault-disarm', bdf: BELOW, fault: 'surprise-down' });
    expect(m.start({ kind: 'error-recover', bdf: BELOW, frozen: true }).reply).toMatchObject({ recovered: true });
    expect(m.functions()).toEqual([PORT, BELOW, FIRST, SECOND]);
    expect(m.dword(FIRST, 4)).not.toBe(0xffff_ffff);
    expect(m.info(FIRST)).toMatchObject({ blocked: false, resetDepth: 0, linkDown: false });
  });
});

describe('MSI-X of virtual functions', () => {
  function interrupting(options: ConstructorParameters<typeof SriovMachine>[0] = {}): SriovMachine {
    const m = new SriovMachine(options, physical(1, 0x80, true));
    m.enable(2);
    for (const at of [FIRST, SECOND]) m.half(at, 4, 4);
    return m;
  }

  it('is each one’s own: its table in its slice of the VF BAR, its enable, its masks, its pending bits', () => {
    const m = interrupting();
    const [first, second] = [new Interrupts(m, FIRST), new Interrupts(m, SECOND)];
    for (const [fn, data] of [
      [first, 0x51],
      [second, 0x61],
    ] as const)
      fn.program(1, 0xfee0_0000, data);
    expect(first.raise(1)).toBe('dropped');
    first.enableMsix();
    second.enableMsix();
    expect([first.raise(1), second.raise(1)]).toEqual(['sent', 'sent']);
    expect([first.data(), second.data(), new Interrupts(m, BELOW).data()]).toEqual([[0x51], [0x61], []]);
    second.mask(1);
    expect([second.raise(1), second.pending(), first.pending()]).toEqual(['pending', 2, 0]);
    expect(m.call('function-regions', { kind: 'function-regions', bdf: SECOND }).regions).toMatchObject([
      { region: 0 },
      { region: 2, address: 0xe031_0000n, bytes: 0x1_0000n },
    ]);
    const irqs = m.call('irq-info', { kind: 'irq-info', bdf: SECOND }).irqs;
    expect(irqs).toMatchObject([{ index: 'msix', count: 4, enabled: true, pending: [1] }]);
  });

  it('goes through remapping by the routing ID of the virtual function', () => {
    const m = interrupting({ interrupts: { at: 'x86', remapping: 'on' } });
    m.call('ok', { kind: 'irq-remap-set', index: 0, entry: { vector: 0x71, destination: 1, source: SECOND } });
    for (const at of [FIRST, SECOND]) {
      const fn = new Interrupts(m, at);
      fn.program(0, 0xfee0_0010, 0);
      fn.enableMsix();
      fn.raise(0);
    }
    expect(new Interrupts(m, FIRST).messages()).toEqual([]);
    expect(new Interrupts(m, SECOND).messages()).toMatchObject([{ remapped: { index: 0, vector: 0x71, destination: 1 } }]);
    expect(m.call('fault-records', { kind: 'fault-records' }).records).toMatchObject([{ bdf: FIRST, cause: 'interrupt-source' }]);
  });

  it.each(['strict', 'linux-7.1'] as const)(
    'is as it was after a reset of the physical function in %s where that restores it',
    (behaviour) => {
      const m = interrupting({ behaviour });
      const fn = new Interrupts(m, FIRST);
      fn.program(2, 0xfee0_0000, 0x33);
      fn.enableMsix();
      m.reset(BELOW);
      const restored = behaviour === 'strict';
      expect([fn.raise(2) === 'sent', fn.table(2, 2)]).toEqual([restored, restored ? 0x33 : 0]);
    },
  );

  it('is not there where nothing says so', () => {
    const m = new SriovMachine();
    m.enable(1);
    expect(m.call('irq-info', { kind: 'irq-info', bdf: FIRST }).irqs).toEqual([]);
  });
});

describe('virtual functions that are there at power-up', () => {
  function given(): { m: CoreMachine; at: number } {
    const before = new SriovMachine();
    before.enable(2);
    const image = (at: Bdf): Uint8Array => {
      const { data } = before.call('config-read', { kind: 'config-read', bdf: at, offset: 0, bytes: 4096 });
      return new Uint8Array(data);
    };
    const replay = (at: Bdf, more: Partial<FunctionSpec> = {}): FunctionSpec => ({
      bdf: at,
      model: 'replay',
      config: image(at),
      label: '',
      latencyNs: 0,
      ...more,
    });
    const barBytes = physical().barBytes ?? [];
    const functions = [
      replay(SECOND, { virtual: { physical: BELOW, index: 1 } }),
      replay(FIRST, { virtual: { physical: BELOW, index: 0 } }),
      replay(BELOW, { barBytes }),
      replay(PORT),
    ];
    return { m: new CoreMachine({ functions }), at: before.at };
  }

  it('are their physical one’s: what they are, where their BARs are, and that they go with VF Enable', () => {
    const { m, at } = given();
    expect(m.info(SECOND)).toMatchObject({ physicalFunction: BELOW, vendor: 0x1234, device: 0x11d6 });
    const { regions } = m.call('function-regions', { kind: 'function-regions', bdf: SECOND });
    expect(regions).toMatchObject([{ region: 0, address: 0xe020_0000n + VF_BYTES, bytes: VF_BYTES }]);
    m.call('ok', { kind: 'region-write', bdf: BELOW, region: 7, offset: at + CONTROL, bytes: 2, valueLow: 0, valueHigh: 0 });
    expect(m.call('function-list', { kind: 'function-list' }).functions.map((fn) => fn.bdf)).toEqual([PORT, BELOW]);
  });

  it('are fenced with it in strict', () => {
    const { m } = given();
    m.prepare(BELOW);
    expect(m.info(FIRST)).toMatchObject({ blocked: true, resetDepth: 1 });
    m.done(BELOW);
    expect(m.info(FIRST)).toMatchObject({ blocked: false, resetDepth: 0 });
  });

  it('of a function that is not there are refused, naming both', () => {
    const orphan = { ...physical(), bdf: FIRST, virtual: { physical: BELOW, index: 0 } };
    expect(() => new CoreMachine({ functions: [port(), orphan] })).toThrow('01:10.0 is a virtual function of 01:00.0, which is not there');
  });
});
