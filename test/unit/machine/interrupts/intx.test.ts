/** PCIe §6.1.2 and §7.5.1.1: when a function's pin is asserted. */
import { describe, expect, it } from 'vitest';
import { CoreMachine, PROBE, probe } from '../../../kit/core-machine.ts';
import { Interrupts, withMsi } from '../../../kit/interrupts.ts';

const DOORBELL = 0xfee0_0000;
const IOVA = 0x1_0000;
const D3_HOT = 3;

describe('INTx of one function', () => {
  const machine = (): { m: CoreMachine; irq: Interrupts } => {
    const m = new CoreMachine({ clock: 'manual', functions: [withMsi(probe(PROBE, { interruptPin: 1 }))] });
    return { m, irq: new Interrupts(m, PROBE) };
  };
  const INTERRUPT_STATUS = 8;
  const status = (irq: Interrupts): number => irq.config(6, 2) & INTERRUPT_STATUS;

  it('is asserted until its cause is gone, with Interrupt Status', () => {
    const { irq } = machine();
    expect([irq.raise(0), status(irq)]).toEqual(['asserted', INTERRUPT_STATUS]);
    expect([irq.raise(0), irq.line(true)]).toEqual(['asserted', 'asserted']);
    expect([irq.line(false), irq.line(false), status(irq)]).toEqual(['idle', 'idle', 0]);
    expect(irq.intx()).toMatchObject([
      { pin: 1, asserted: true, sources: 1, line: { device: PROBE, pin: 1 } },
      { asserted: false, sources: 0 },
    ]);
  });

  it('is taken back by Interrupt Disable and comes again with it, while Interrupt Status stays', () => {
    const { irq } = machine();
    irq.raise(0);
    irq.command(0x406);
    expect([irq.intx().at(-1)?.asserted, status(irq), irq.line(true)]).toEqual([false, INTERRUPT_STATUS, 'pending']);
    irq.command(6);
    expect(irq.intx().map((event) => event.asserted)).toEqual([true, false, true]);
  });

  it.each(['msi', 'msix'] as const)('is taken back where %s is enabled', (which) => {
    const { irq } = machine();
    irq.raise(0);
    if (which === 'msi') irq.enableMsi(DOORBELL, 0x40);
    else irq.enableMsix();
    expect(irq.intx().map((event) => event.asserted)).toEqual([true, false]);
    expect(irq.data()).toEqual([]);
  });

  it('needs no Bus Master Enable, and is behind earlier writes all the same', () => {
    const { m, irq } = machine();
    m.map(PROBE, IOVA, m.allocPage());
    m.write(PROBE, IOVA, 'data', { hold: 'issued' });
    irq.busMaster(false);
    expect([irq.raise(0), irq.intx()]).toEqual(['asserted', []]);
    m.release(PROBE);
    expect(irq.intx()).toMatchObject([{ asserted: true }]);
  });

  it('ends with a reset, and in D3', () => {
    const { m, irq } = machine();
    irq.raise(0);
    m.start({ kind: 'reset-trigger', bdf: PROBE, method: 'flr' });
    expect([irq.raise(0), irq.intx().map((event) => event.asserted)]).toEqual(['dropped', [true, false]]);
    m.advance(100);
    expect(status(irq)).toBe(0);
    irq.raise(0);
    const power = capabilityAt(irq, 1) + 4;
    irq.write(7, power, 2, D3_HOT);
    expect(irq.intx().at(-1)?.asserted).toBe(false);
  });

  it('of a function without a pin is dropped', () => {
    const irq = new Interrupts(new CoreMachine(), PROBE);
    expect([irq.raise(0), irq.line(true), irq.line(false), irq.intx()]).toEqual(['dropped', 'dropped', 'idle', []]);
  });
});

function capabilityAt(irq: Interrupts, id: number): number {
  let at = irq.config(0x34, 1);
  while (irq.config(at, 1) !== id) at = irq.config(at + 1, 1);
  return at;
}
