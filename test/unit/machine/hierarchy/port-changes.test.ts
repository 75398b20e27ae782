/** Slots: what their registers show of what comes and goes, whom they interrupt, and the power of what is in them. */
import { describe, expect, it } from 'vitest';
import { bdf } from '../../../../server/src/core/base/index.ts';
import type { FunctionSpec } from '../../../../server/src/core/machine/index.ts';
import { bridgeConfig, type SlotSpec } from '../../../../server/src/core/pci/index.ts';
import { BELOW, CoreMachine, PORT, probe, type Options } from '../../../kit/core-machine.ts';
import { PortRegisters } from '../../../kit/port-registers.ts';
import { FIRST, SriovMachine, physical } from '../../../kit/sriov-machine.ts';

const IOVA = 0x4000;
const SLOT: SlotSpec = {
  number: 5,
  hotPlug: true,
  surprise: true,
  attentionButton: true,
  powerController: true,
  attentionIndicator: true,
  powerIndicator: true,
  mrlSensor: true,
  interlock: true,
  commandCompleted: true,
};
/** Slot Status. */
const PRESENCE_CHANGED = 8;
const COMPLETED = 0x10;
const PRESENT = 0x40;
const INTERLOCKED = 0x80;
const LINK_CHANGED = 0x100;
/** Slot Control: every event, with the interrupt. */
const ALL_EVENTS = 0x103f;
const POWER_OFF = 0x400;

function port(empty: boolean, slot: SlotSpec | undefined = SLOT): FunctionSpec {
  const capabilities = { ...(slot === undefined ? {} : { slot }), dpc: { poisonedBlocking: false, softwareTrigger: true } };
  const config = bridgeConfig({ kind: 'root-port', primary: 0, secondary: 1, subordinate: 2, empty, capabilities });
  return { bdf: PORT, model: 'bridge', config, label: '', latencyNs: 0 };
}

class Bench extends CoreMachine {
  readonly port: PortRegisters;

  constructor(options: Options & { empty?: boolean; slot?: SlotSpec } = {}) {
    const { empty = false, slot = SLOT, ...rest } = options;
    super({ functions: [port(empty, slot), ...(empty ? [] : [probe(BELOW)])], ...rest });
    this.port = new PortRegisters(this, PORT);
  }
  /** Interrupts of the slot, each told by the data of its message. */
  listen(): this {
    // The write itself is a command, whose completion is an event.
    this.port.slotControl(this.port.slotControl() | ALL_EVENTS);
    this.port.clearSlotStatus();
    this.port.enableMsi(0xfee0_0000, 0x40, 2);
    return this;
  }
  told(): number {
    return this.events.filter((event) => event.kind === 'interrupt' && event.bdf === PORT && event.data === 0x40).length;
  }
}

// long: a suite
describe.each(['strict', 'linux-7.1'] as const)('a slot in %s', (behaviour) => {
  it('shows a card that comes and its link, and interrupts once for both', () => {
    const m = new Bench({ behaviour, empty: true, slot: { ...SLOT, powerController: false } }).listen();
    expect([m.port.slotStatus(), m.port.linkActive(), m.told()]).toEqual([0, false, 0]);
    m.plug([probe(BELOW)], PORT);
    expect([m.port.slotStatus(), m.port.linkActive(), m.told()]).toEqual([PRESENT | PRESENCE_CHANGED | LINK_CHANGED, true, 1]);
    // One of two events is cleared: there is still a reason, and no new one.
    m.port.clearSlotStatus(PRESENCE_CHANGED);
    expect([m.port.slotStatus(), m.told()]).toEqual([PRESENT | LINK_CHANGED, 1]);
    m.port.clearSlotStatus(LINK_CHANGED);
    m.unplug(BELOW);
    expect([m.port.slotStatus(), m.port.linkActive(), m.told()]).toEqual([PRESENCE_CHANGED | LINK_CHANGED, false, 2]);
  });

  it('shows a card that is pulled out at once, before its removal has ended', () => {
    const m = new Bench({ behaviour, clock: 'manual' }).listen();
    m.prepare(BELOW);
    const { hold } = m.call('call-hold', { kind: 'call-hold', call: 'leave', step: 'lock', bdf: undefined, count: 1 });
    const gone = m.unplug(BELOW, { surprise: true });
    expect([gone.reply, m.port.slotStatus(), m.port.linkActive(), m.told()]).toEqual([
      undefined,
      PRESENCE_CHANGED | LINK_CHANGED,
      false,
      1,
    ]);
    m.port.clearSlotStatus();
    m.call('ok', { kind: 'call-release', hold, stopped: 0, keep: false });
    expect([gone.reply?.kind, m.port.slotStatus(), m.told()]).toEqual(['function-unplug', 0, 1]);
  });

  it('shows that a link goes down and comes up while the card stays: by a fault, by containment, by Secondary Bus Reset', () => {
    const m = new Bench({ behaviour, clock: 'manual' }).listen();
    const passes = (): readonly [number, boolean] => {
      const seen = [m.port.slotStatus(), m.port.linkActive()] as const;
      m.port.clearSlotStatus();
      return seen;
    };
    m.arm(BELOW, 'surprise-down', { count: 0 });
    expect(passes()).toEqual([PRESENT | LINK_CHANGED, false]);
    m.call('ok', { kind: 'fault-disarm', bdf: BELOW, fault: 'surprise-down' });
    expect(passes()).toEqual([PRESENT | LINK_CHANGED, true]);
    m.port.containment(0x42);
    expect(passes()).toEqual([PRESENT | LINK_CHANGED, false]);
    m.port.endContainment();
    expect(passes()).toEqual([PRESENT | LINK_CHANGED, true]);
    m.port.set(0x3e, 2, 0x40);
    expect(passes()).toEqual([PRESENT | LINK_CHANGED, false]);
    m.port.set(0x3e, 2, 0);
    expect([passes(), m.told()]).toEqual([[PRESENT | LINK_CHANGED, true], 6]);
  });

  it('that is turned off takes the power: nothing answers, and when it is on again registers are as at power-up', () => {
    const m = new Bench({ behaviour, clock: 'manual' });
    const page = m.allocPage();
    m.map(BELOW, IOVA, page);
    const fn = new PortRegisters(m, BELOW);
    const aer = fn.extended(1);
    const before = { command: fn.get(4, 2), mask: fn.get(aer + 8) };
    // Sticky: a reset leaves it, and only power that is gone takes it.
    fn.set(aer + 8, 4, before.mask ^ 0x1000);
    const write = m.write(BELOW, IOVA, 'held', { hold: 'issued' });
    m.port.slotControl(m.port.slotControl() | POWER_OFF);
    expect(write.reply).toMatchObject({ outcome: 'aborted' });
    expect([m.vendor(BELOW), m.port.linkActive(), m.port.slotStatus() & PRESENT]).toEqual([0xffff, false, PRESENT]);
    expect(m.outcome(BELOW, IOVA)).toBe('gate-closed');
    m.port.slotControl(m.port.slotControl() & ~POWER_OFF);
    expect([m.vendor(BELOW), m.port.linkActive()]).toEqual([0xffff, true]);
    m.advance(100);
    expect([m.vendor(BELOW), fn.get(aer + 8), fn.get(4, 2) & 7]).toEqual([0x1234, before.mask, 0]);
    fn.set(4, 2, before.command);
    expect(m.outcome(BELOW, IOVA, 'back')).toBe('performed');
  });

  it('that is off takes a card, which answers once the power is on', () => {
    const m = new Bench({ behaviour, empty: true }).listen();
    expect(m.port.slotControl() & POWER_OFF).toBe(POWER_OFF);
    expect(m.plug([probe(BELOW)], PORT).reply).toMatchObject({ kind: 'function-plug', functions: [BELOW] });
    expect([m.vendor(BELOW), m.port.slotStatus(), m.port.linkActive()]).toEqual([0xffff, PRESENT | PRESENCE_CHANGED, false]);
    m.port.slotControl(ALL_EVENTS);
    expect(m.vendor(BELOW)).toBe(0x1234);
    expect(m.unplug(BELOW).reply).toMatchObject({ kind: 'function-unplug' });
  });

  it('that is off when what is in it is taken out is off for the next card too', () => {
    const m = new Bench({ behaviour });
    m.port.slotControl(m.port.slotControl() | POWER_OFF);
    m.unplug(BELOW);
    m.plug([probe(BELOW)], PORT);
    expect(m.vendor(BELOW)).toBe(0xffff);
    m.port.slotControl(0);
    expect(m.vendor(BELOW)).toBe(0x1234);
  });

  it('whose port is reset has the power that it has at power-up', () => {
    const m = new Bench({ behaviour });
    m.port.slotControl(m.port.slotControl() | POWER_OFF);
    m.call('ok', { kind: 'cold-reset', bdf: undefined });
    expect([m.port.slotControl() & POWER_OFF, m.vendor(BELOW)]).toEqual([0, 0x1234]);
  });
});

describe('Slot Control', () => {
  it('is a command, which completes: also one that changes nothing, in two writes of a byte, and not where the slot tells nothing', () => {
    const m = new Bench({ empty: true });
    const at = m.port.standard(0x10) + 0x18;
    const completes = (write: () => void): boolean => {
      m.port.clearSlotStatus();
      write();
      return (m.port.slotStatus() & COMPLETED) !== 0;
    };
    expect(completes(() => m.port.slotControl(m.port.slotControl()))).toBe(true);
    expect(completes(() => m.port.set(at + 1, 1, 4))).toBe(true);
    expect(completes(() => m.port.set(at + 2, 2, 0))).toBe(false);
    const silent = new Bench({ empty: true, slot: { ...SLOT, commandCompleted: false } });
    silent.port.slotControl(0);
    expect(silent.port.slotStatus()).toBe(0);
  });

  it('toggles the interlock by each write of its bit, which reads as zero', () => {
    const m = new Bench();
    m.port.slotControl(0x800);
    expect([m.port.slotStatus() & INTERLOCKED, m.port.slotControl() & 0x800]).toEqual([INTERLOCKED, 0]);
    m.port.slotControl(0);
    expect(m.port.slotStatus() & INTERLOCKED).toBe(INTERLOCKED);
    m.port.slotControl(0x800);
    expect(m.port.slotStatus() & INTERLOCKED).toBe(0);
  });

  it('without the enable of an event, or of the interrupt, tells nobody; both late tell at once', () => {
    const m = new Bench({ empty: true, slot: { ...SLOT, powerController: false, commandCompleted: false } });
    m.port.enableMsi(0xfee0_0000, 0x40, 2);
    m.port.slotControl(ALL_EVENTS & ~8 & ~0x1000);
    m.plug([probe(BELOW)], PORT);
    expect(m.told()).toBe(0);
    m.port.slotControl(ALL_EVENTS & ~0x20);
    expect(m.told()).toBe(0);
    m.port.slotControl(ALL_EVENTS);
    expect(m.told()).toBe(1);
  });
});

it('a port without a slot shows the link and nothing else', () => {
  const spec = { ...port(true), config: bridgeConfig({ kind: 'root-port', primary: 0, secondary: 1, subordinate: 2, empty: true }) };
  const m = new CoreMachine({ functions: [spec] });
  const registers = new PortRegisters(m, PORT);
  expect(registers.linkActive()).toBe(false);
  m.plug([probe(BELOW)], PORT);
  expect([registers.linkActive(), registers.slotStatus()]).toEqual([true, 0]);
});

it('a switch’s downstream port interrupts for its own slot', () => {
  const [up, down, leaf] = [bdf(0, 1, 0, 0), bdf(0, 2, 1, 0), bdf(0, 3, 0, 0)];
  const bridge = (at: number, kind: 'root-port' | 'upstream-port' | 'downstream-port', primary: number, slot?: SlotSpec): FunctionSpec => ({
    bdf: at as FunctionSpec['bdf'],
    model: 'bridge',
    config: bridgeConfig({
      kind,
      primary,
      secondary: primary + 1,
      subordinate: 3,
      ...(slot ? { capabilities: { slot }, empty: true } : {}),
    }),
    label: '',
    latencyNs: 0,
  });
  const slot = { ...SLOT, powerController: false };
  const m = new CoreMachine({
    functions: [bridge(PORT, 'root-port', 0), bridge(up, 'upstream-port', 1), bridge(down, 'downstream-port', 2, slot)],
  });
  const registers = new PortRegisters(m, down);
  registers.slotControl(ALL_EVENTS);
  registers.clearSlotStatus();
  registers.enableMsi(0xfee0_0000, 0x70);
  m.plug([probe(leaf)], down);
  const told = m.events.filter((event) => event.kind === 'interrupt');
  expect(told).toMatchObject([{ bdf: down, data: 0x70 }]);
});

describe('virtual functions below a slot', () => {
  it('are not there any more when the power was off', () => {
    const m = new SriovMachine({ functions: [port(false), physical()] });
    m.enable(2);
    expect(m.vendor(FIRST)).toBe(0xffff);
    const slot = new PortRegisters(m, PORT);
    slot.slotControl(slot.slotControl() | POWER_OFF);
    slot.slotControl(0);
    expect([m.functions(), m.vendor(BELOW)]).toEqual([[PORT, BELOW].toSorted((a, b) => a - b), 0x1234]);
  });
});

describe('a hand at a slot', () => {
  const FULL = { empty: true, slot: { ...SLOT, powerController: true } };

  it.each([
    ['attention-button', 1, 0],
    ['power-fault', 2, 0],
    ['latch-opened', 4, 0x20],
  ] as const)('%s shows, and interrupts', (signal, bit, state) => {
    const m = new Bench(FULL).listen();
    m.call('ok', { kind: 'slot-signal', bdf: PORT, signal });
    expect([m.port.slotStatus(), m.told()]).toEqual([bit | state, 1]);
    m.port.clearSlotStatus();
    expect(m.port.slotStatus()).toBe(state);
  });

  it('that closes a latch which is closed changes nothing', () => {
    const m = new Bench(FULL).listen();
    m.call('ok', { kind: 'slot-signal', bdf: PORT, signal: 'latch-closed' });
    expect([m.port.slotStatus(), m.told()]).toEqual([0, 0]);
    m.call('ok', { kind: 'slot-signal', bdf: PORT, signal: 'latch-opened' });
    m.call('ok', { kind: 'slot-signal', bdf: PORT, signal: 'latch-closed' });
    expect([m.port.slotStatus(), m.told()]).toEqual([4, 1]);
  });

  it('is refused where the slot has no such thing, and where there is none', () => {
    const m = new Bench({ slot: { ...SLOT, attentionButton: false, powerController: false, mrlSensor: false } });
    for (const signal of ['attention-button', 'power-fault', 'latch-opened', 'latch-closed'] as const) {
      expect(m.refusal({ kind: 'slot-signal', bdf: PORT, signal })).toBe('EOPNOTSUPP');
      expect(m.refusal({ kind: 'slot-signal', bdf: BELOW, signal })).toBe('EOPNOTSUPP');
    }
  });
});
