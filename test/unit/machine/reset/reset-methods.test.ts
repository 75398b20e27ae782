/** The waits of a bus reset by what the bus is. */
import { describe, expect, it } from 'vitest';
import { bdf } from '../../../../server/src/core/base/index.ts';
import type { FunctionSpec } from '../../../../server/src/core/machine/index.ts';
import { pciBridgeConfig } from '../../../../server/src/core/pci/index.ts';
import { MS } from '../../../kit/core-machine.ts';
import { CHILD, PORT, ResetMachine, port, resettable } from '../../../kit/reset-machine.ts';

const IOVA = 0x1_0000;
const DEEP = bdf(0, 2, 0, 0);
/** Trst as Linux has it, and Trhfa + 100 ms. */
const CONVENTIONAL_MS = 2 + 1100;
const BOTH = ['strict', 'linux-7.1'] as const;

function bridge(kind: Parameters<typeof pciBridgeConfig>[0]['kind'], at: FunctionSpec['bdf'], secondary: number): FunctionSpec {
  const config = pciBridgeConfig({ kind, primary: (at >>> 8) & 0xff, secondary, subordinate: secondary });
  return { bdf: at, model: 'bridge', config, label: '', latencyNs: 0 };
}

/** A function of conventional PCI: it has no PCI Express capability, and FLR by the AF capability only. */
const conventional = (at: FunctionSpec['bdf']): FunctionSpec => resettable(at, {}, { express: false, advancedFeatures: {} });
const onRootBus = (behaviour: (typeof BOTH)[number], clock: 'auto' | 'manual' = 'auto'): ResetMachine =>
  new ResetMachine([bridge('pci-bridge', PORT, 1), conventional(CHILD)], { behaviour, clock });
const behindExpress = (behaviour: (typeof BOTH)[number]): ResetMachine =>
  new ResetMachine([port(PORT, 1, { subordinate: 2 }), bridge('pcie-to-pci-bridge', CHILD, 2), conventional(DEEP)], { behaviour });

describe('a bus reset on conventional PCI', () => {
  it.each(BOTH)('%s: below a bridge on the root bus 1000 + 100 ms pass after the 2 ms of the reset', (behaviour) => {
    const m = onRootBus(behaviour);
    expect(m.methods(CHILD)).toEqual(['af_flr', 'bus']);
    expect(m.resetBy(CHILD, 'bus').reply).toMatchObject({ kind: 'reset', method: 'bus', elapsedNs: CONVENTIONAL_MS * MS });
    expect(m.busReset(PORT).reply).toMatchObject({ kind: 'bus-reset', functions: [CHILD], elapsedNs: CONVENTIONAL_MS * MS });
    m.map(CHILD, IOVA, m.allocPage());
    expect(m.outcome(CHILD, IOVA)).toBe('performed');
  });

  it.each(BOTH)('%s: in that time nothing is a bus master, and the window is open until it is over', (behaviour) => {
    const m = onRootBus(behaviour, 'manual');
    m.map(CHILD, IOVA, m.allocPage());
    const reset = m.resetBy(CHILD, 'bus');
    m.advance(CONVENTIONAL_MS - 1);
    expect([reset.reply, m.outcome(CHILD, IOVA)]).toEqual([undefined, 'gate-closed']);
    m.advance(1);
    expect(reset.reply).toMatchObject({ kind: 'reset' });
    expect(m.outcome(CHILD, IOVA)).toBe('performed');
  });

  it.each([
    ['strict', CONVENTIONAL_MS],
    ['linux-7.1', 2],
  ] as const)('%s: behind a bridge from PCI Express, where Linux awaits nothing, it takes %i ms', (behaviour, ms) => {
    const m = behindExpress(behaviour);
    expect(m.resetBy(DEEP, 'bus').reply).toMatchObject({ kind: 'reset', elapsedNs: ms * MS });
    expect(m.busReset(CHILD).reply).toMatchObject({ kind: 'bus-reset', elapsedNs: ms * MS });
  });

  it.each(BOTH)('%s: of the port above such a bridge it is the link that is waited for', (behaviour) => {
    const m = behindExpress(behaviour);
    expect(m.busReset(PORT).reply).toMatchObject({ kind: 'bus-reset', functions: [CHILD, DEEP], elapsedNs: 122 * MS });
    expect(m.config(DEEP, 0)).toBe(0x1234);
  });

  it('AF FLR takes 100 ms there as everywhere, with Transactions Pending of AF Status awaited', () => {
    const m = onRootBus('strict', 'manual');
    m.map(CHILD, IOVA, m.allocPage());
    m.write(CHILD, IOVA, '', { operation: 'read', bytes: 8, data: undefined, hold: 'translated' });
    const reset = m.resetBy(CHILD, 'af_flr', { deadlineNs: 0 });
    m.advance(799);
    expect(reset.reply).toBeUndefined();
    m.advance(1);
    expect(reset.reply).toMatchObject({ kind: 'reset', method: 'af_flr', pendingTimedOut: true, aborted: 1 });
  });
});
