/** What a function that goes leaves behind: invariants 7, 37, 34 and 49. */
import { describe, expect, it } from 'vitest';
import { CoreMachine, FIRST, INVALIDATION_TIMEOUT_MS, PROBE, SECOND, SIBLINGS } from '../kit/core-machine.ts';

const IOVA = 0x4000;

describe.each(['strict', 'linux-7.1'] as const)('%s: a function that goes', (behaviour) => {
  it('7 in a window is no longer counted by its group, which can be attached again', () => {
    const m = new CoreMachine({ behaviour, functions: SIBLINGS });
    m.prepare(FIRST);
    m.prepare(SECOND);
    m.unplug(FIRST, { surprise: true });
    expect(m.group(SECOND)).toMatchObject({ members: [SECOND], recoveryCount: 1 });
    m.done(SECOND);
    expect(m.group(SECOND).recoveryCount).toBe(0);
    m.call('ok', m.attach(SECOND, m.allocDomain()));
  });

  it('49 has all its pending page requests answered Invalid', () => {
    const m = new CoreMachine({ behaviour });
    m.call('ok', m.attach(PROBE, m.allocFaultDomain()));
    const asked = [1, 2].map((group) => m.requestPages(PROBE, { iova: 0x9000 * group, group }));
    expect(m.pageFaults()).toHaveLength(2);
    m.unplug(PROBE);
    for (const { reply } of asked) expect(reply).toMatchObject({ kind: 'page-request', answer: 'invalid' });
    expect(m.call('page-faults', { kind: 'page-faults' }).faults).toEqual([]);
  });

  it('34 ends a reset of it with ENOTTY at its next poll, not after 60 s', () => {
    const m = new CoreMachine({ behaviour, clock: 'manual' });
    const reset = m.reset(PROBE);
    m.advance(50);
    m.unplug(PROBE, { surprise: true });
    m.advance(100 + INVALIDATION_TIMEOUT_MS);
    expect(reset.reply).toMatchObject({ kind: 'refused', code: 'ENOTTY' });
  });

  it('37 without an answer to an invalidation: by timeout in Linux, as unsupported in strict, and never as if it had answered', () => {
    const m = new CoreMachine({ behaviour, clock: 'manual' });
    m.map(PROBE, IOVA, m.allocPage());
    expect(m.outcome(PROBE, IOVA, 'x', { translated: true })).toBe('performed');
    m.arm(PROBE, 'ignore-invalidations', { count: 10 });
    const unmap = m.startUnmap(PROBE, IOVA);
    m.unplug(PROBE, { surprise: true });
    m.advance(INVALIDATION_TIMEOUT_MS);
    expect(unmap.reply).toMatchObject({ kind: 'unmap', timedOut: behaviour === 'strict' ? 0 : 1 });
    expect(m.traced('invalidation-answered', PROBE)).toEqual([]);
  });
});
