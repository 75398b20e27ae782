/** Ports that interrupt for errors and containment: who is told, by which message, and when not. Offsets and bits are restated here. */
import { describe, expect, it } from 'vitest';
import { bdf, type Bdf } from '../../../../server/src/core/base/index.ts';
import type { FunctionSpec } from '../../../../server/src/core/machine/index.ts';
import { bridgeConfig } from '../../../../server/src/core/pci/index.ts';
import { CoreMachine, probe, type Options } from '../../../kit/core-machine.ts';
import { PortRegisters } from '../../../kit/port-registers.ts';

const PORT = bdf(0, 0, 3, 0);
const DEV = bdf(0, 1, 0, 0);
const IOVA = 0x1_0000;
const NOWHERE = 1n << 40n;
const DPC = { poisonedBlocking: false, softwareTrigger: true };

function rootPort(pin = 0): FunctionSpec {
  const config = bridgeConfig({ kind: 'root-port', primary: 0, secondary: 1, subordinate: 1, capabilities: { dpc: DPC } });
  config[0x3d] = pin;
  return { bdf: PORT, model: 'bridge', config, label: '', latencyNs: 0 };
}

class Bench extends CoreMachine {
  readonly port: PortRegisters;

  constructor(options: Options = {}, pin = 0) {
    super({ functions: [rootPort(pin), probe(DEV)], clock: 'manual', ...options });
    this.port = new PortRegisters(this, PORT);
  }
  /** A write that no memory takes: an Unsupported Request of the root port itself. */
  lose(): void {
    this.outcome(DEV, IOVA, 'lost');
  }
  begin(): this {
    this.call('ok', { kind: 'error-reporting' });
    this.map(DEV, IOVA, NOWHERE);
    return this;
  }
  intx(): boolean[] {
    return this.events.filter((event) => event.kind === 'intx').map((event) => event.asserted);
  }
  at(fn: Bdf): number[] {
    return this.events.filter((event) => event.kind === 'interrupt' && event.bdf === fn).map((event) => (event as { data: number }).data);
  }
}

describe('errors that a root port is told of', () => {
  it('are a message of MSI: one as long as software leaves the status, and the next after it has cleared it', () => {
    const m = new Bench().begin();
    m.port.enableMsi(0xfee0_0000, 0x40, 2);
    m.lose();
    m.lose();
    // Of four messages errors have the second.
    expect([m.at(PORT), m.port.errorNumber()]).toEqual([[0x41], 1]);
    m.port.clearErrors();
    m.lose();
    expect(m.at(PORT)).toEqual([0x41, 0x41]);
  });

  it('without a grant of more than one message come by that one, and the register says so', () => {
    const m = new Bench().begin();
    m.port.enableMsi(0xfee0_0000, 0x40, 2);
    m.port.enableMsi(0xfee0_0000, 0x40, 0);
    m.lose();
    expect([m.at(PORT), m.port.errorNumber()]).toEqual([[0x40], 0]);
  });

  it('interrupt nobody whom Root Error Command does not name, and everybody at once when it does', () => {
    const m = new Bench().begin();
    m.port.enableMsi(0xfee0_0000, 0x40);
    m.port.errorCommand(0b101);
    m.lose();
    expect(m.at(PORT)).toEqual([]);
    m.port.errorCommand(0b111);
    expect(m.at(PORT)).toEqual([0x40]);
  });

  it('wait while their vector is masked, and are forgotten when software has dealt with them meanwhile', () => {
    const m = new Bench().begin();
    m.port.enableMsi(0xfee0_0000, 0x40, 2);
    m.port.maskMsi(0b10);
    m.lose();
    expect([m.at(PORT), m.port.pendingMsi()]).toEqual([[], 0b10]);
    m.port.maskMsi(0);
    expect([m.at(PORT), m.port.pendingMsi()]).toEqual([[0x41], 0]);
    m.port.clearErrors();
    m.port.maskMsi(0b10);
    m.lose();
    m.port.clearErrors();
    expect(m.port.pendingMsi()).toBe(0);
    m.port.maskMsi(0);
    expect(m.at(PORT)).toEqual([0x41]);
  });

  it('are lost where the port is no bus master', () => {
    const m = new Bench().begin();
    m.port.enableMsi(0xfee0_0000, 0x40);
    m.port.set(4, 2, 2);
    // Below it nobody can send then, but for messages: the function tells of an access that it does not decode.
    new PortRegisters(m, DEV).set(4, 2, 0);
    m.call('region-read', { kind: 'region-read', bdf: DEV, region: 0, offset: 0, bytes: 4 });
    expect([m.events.filter(({ kind }) => kind === 'error').length, m.at(PORT)]).toEqual([1, []]);
    m.port.set(4, 2, 6);
    expect(m.at(PORT)).toEqual([]);
  });

  it('assert INTx until the status is clear, and not with Interrupt Disable', () => {
    const m = new Bench({}, 1).begin();
    m.lose();
    expect([m.intx(), m.port.get(6, 2) & 8]).toEqual([[true], 8]);
    m.port.clearErrors();
    expect([m.intx(), m.port.get(6, 2) & 8]).toEqual([[true, false], 0]);
    m.port.set(4, 2, 0x406);
    m.lose();
    expect([m.intx().length, m.port.get(6, 2) & 8]).toEqual([2, 8]);
  });

  it('are asserted no more after a reset of the port', () => {
    const m = new Bench({}, 1).begin();
    m.lose();
    m.call('ok', { kind: 'cold-reset', bdf: undefined });
    expect(m.intx()).toEqual([true, false]);
  });

  it('come through the remapping of interrupts as the port’s own: an entry for another function refuses them', () => {
    const m = new Bench({ interrupts: { at: 'x86', remapping: 'on' } }).begin();
    const remappable = 0xfee0_0010;
    const entry = { vector: 0x61, destination: 2, source: DEV, deliveryMode: 0 };
    m.call('ok', { kind: 'irq-remap-set', index: 0, entry });
    m.port.enableMsi(remappable, 0);
    m.lose();
    expect(m.at(PORT)).toEqual([]);
    m.call('ok', { kind: 'irq-remap-set', index: 0, entry: { ...entry, source: PORT } });
    m.port.clearErrors();
    m.lose();
    expect(m.at(PORT)).toEqual([0]);
  });
});

describe('containment', () => {
  const contain = 0b1010;

  it('interrupts by its own message, and not without its enable', () => {
    const m = new Bench().begin();
    m.port.enableMsi(0xfee0_0000, 0x40, 2);
    m.port.containment(contain & ~8);
    m.lose();
    expect([m.at(PORT), m.port.containmentStatus() & 9]).toEqual([[], 9]);
    m.port.containment(contain);
    expect([m.at(PORT), m.port.containmentNumber()]).toEqual([[0x42], 2]);
    // What a status is left for interrupts once.
    m.port.containment(contain);
    expect(m.at(PORT)).toEqual([0x42]);
  });

  it('by its software trigger says so, cuts off what is below and interrupts; a second one does nothing', () => {
    const m = new Bench().begin();
    m.port.enableMsi(0xfee0_0000, 0x40, 2);
    m.port.containment(contain | 0x40);
    expect([m.at(PORT), m.port.containmentStatus() & 0x6f]).toEqual([[0x42], 0b010_1111]);
    expect([m.port.containment() & 0x40, m.vendor(DEV)]).toEqual([0, 0xffff]);
    m.port.containment(contain | 0x40);
    expect(m.at(PORT)).toEqual([0x42]);
    m.port.endContainment();
    expect(m.vendor(DEV)).toBe(0x1234);
    m.port.containment(contain | 0x40);
    expect(m.at(PORT)).toEqual([0x42, 0x42]);
  });

  it('by INTx is asserted until Interrupt Status is clear, whatever the trigger is', () => {
    const m = new Bench({}, 2).begin();
    m.port.containment(contain | 0x40);
    expect(m.intx()).toEqual([true]);
    m.port.endContainment(8);
    expect([m.intx(), m.port.containmentStatus() & 1]).toEqual([[true, false], 1]);
  });
});
