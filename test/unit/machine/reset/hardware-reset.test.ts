/** Resets that nobody prepared for: configuration writes, and the loss of power. */
import { describe, expect, it } from 'vitest';
import { bdf } from '../../../../server/src/core/base/index.ts';
import { PROBE } from '../../../kit/core-machine.ts';
import { CHILD, CXL, FORGETS, PORT, ResetMachine, below, port, resettable } from '../../../kit/reset-machine.ts';

const BRIDGE_CONTROL = 0x3e;
const BUS_RESET = 0x40;
const PMCSR = 0x44;
const ROOT_CONTROL = 0x48 + 0x1c;
const AER_MASK = 0x108;
const BAR0 = 0x10;
const SWITCH = bdf(0, 1, 0, 0);
const DEEP = bdf(0, 2, 0, 0);

describe('Secondary Bus Reset by a configuration write', () => {
  it('holds what is below until it is cleared, with no window; then it gets ready', () => {
    const m = new ResetMachine(below({}, {}, { capabilities: { rrsVisibility: true } }), { clock: 'manual' });
    m.writeConfig(PORT, ROOT_CONTROL, 2, 0x10);
    m.writeConfig(PORT, BRIDGE_CONTROL, 2, BUS_RESET);
    m.advance(10_000);
    expect([m.config(CHILD, 0), m.resets(CHILD), m.traced('function-ready')]).toEqual([0xffff, 1, []]);
    m.writeConfig(PORT, BRIDGE_CONTROL, 2, 0);
    expect(m.config(CHILD, 0)).toBe(0x0001);
    m.advance(100);
    expect([m.config(CHILD, 0), m.config(CHILD, 4), m.windows(CHILD)]).toEqual([0x1234, 0, []]);
    expect(m.config(PORT, 0)).toBe(0x1234);
  });

  it('another write while it is set, or clear, changes nothing', () => {
    const m = new ResetMachine(below());
    m.writeConfig(PORT, BRIDGE_CONTROL, 2, 1);
    expect(m.resets(CHILD)).toBe(0);
    m.writeConfig(PORT, BRIDGE_CONTROL, 2, BUS_RESET | 1);
    m.writeConfig(PORT, BRIDGE_CONTROL, 2, BUS_RESET);
    expect(m.resets(CHILD)).toBe(1);
  });

  it('reaches through bridges, which lose their bus numbers', () => {
    const m = new ResetMachine([port(PORT, 1, { subordinate: 2 }), port(SWITCH, 2, { kind: 'upstream-port' }), resettable(DEEP)]);
    m.writeConfig(PORT, BRIDGE_CONTROL, 2, BUS_RESET);
    m.writeConfig(PORT, BRIDGE_CONTROL, 2, 0);
    expect([m.resets(SWITCH), m.resets(DEEP), m.config(SWITCH, 0x18, 4)]).toEqual([1, 1, 0]);
  });

  it('below a CXL port that masks it nothing happens', () => {
    const m = new ResetMachine(below({}, {}, { capabilities: CXL }));
    m.writeConfig(PORT, BRIDGE_CONTROL, 2, BUS_RESET);
    expect(m.resets(CHILD)).toBe(0);
  });
});

describe('D3hot to D0 by a configuration write', () => {
  it('resets where No_Soft_Reset is clear, and answers after 10 ms', () => {
    const m = new ResetMachine([resettable(PROBE, {}, { ...FORGETS, flr: false })], { clock: 'manual' });
    m.writeConfig(PROBE, BAR0, 4, 0xe000_0000);
    m.writeConfig(PROBE, PMCSR, 2, 3);
    expect(m.resets(PROBE)).toBe(0);
    m.writeConfig(PROBE, PMCSR, 2, 0);
    expect([m.resets(PROBE), m.config(PROBE, 0)]).toEqual([1, 0xffff]);
    m.advance(10);
    expect([m.config(PROBE, 0), m.config(PROBE, BAR0, 4), m.config(PROBE, 4)]).toEqual([0x1234, 0, 0]);
  });

  it('leaves everything where it is set', () => {
    const m = new ResetMachine([resettable(PROBE)]);
    const before = m.config(PROBE, 4);
    m.writeConfig(PROBE, PMCSR, 2, 3);
    m.writeConfig(PROBE, PMCSR, 2, 0);
    expect([m.resets(PROBE), m.config(PROBE, 4)]).toEqual([0, before]);
  });
});

describe('the loss of power', () => {
  it('takes sticky bits too, which a bus reset leaves', () => {
    const m = new ResetMachine(below());
    m.writeConfig(CHILD, AER_MASK, 4, 0x0010_0000);
    m.writeConfig(PORT, BRIDGE_CONTROL, 2, BUS_RESET);
    m.writeConfig(PORT, BRIDGE_CONTROL, 2, 0);
    expect(m.config(CHILD, AER_MASK, 4) & 0x0010_0000).not.toBe(0);
    m.call('ok', { kind: 'cold-reset', bdf: PORT });
    expect([m.config(CHILD, AER_MASK, 4) & 0x0010_0000, m.resets(PORT)]).toEqual([0, 0]);
    m.call('ok', { kind: 'cold-reset', bdf: undefined });
    expect(m.resets(PORT)).toBe(1);
  });

  it('is of what is below a port', () => {
    const m = new ResetMachine(below());
    expect(() => m.start({ kind: 'cold-reset', bdf: CHILD })).toThrow(/is no bridge/);
    expect(() => m.start({ kind: 'cold-reset', bdf: bdf(0, 9, 0, 0) })).toThrow(/no function at/);
  });
});
