/** Peers that owe answers, have no more credit, or leave. */
import { describe, expect, it } from 'vitest';
import { CoreMachine, FIRST, PROBE, SECOND, SIBLINGS, type TestPeer } from '../../kit/core-machine.ts';

const IOVA = 0x4_0000;
const OWNED = 0x4000_0000n;

function owned(depth: number): { m: CoreMachine; owner: TestPeer } {
  const m = new CoreMachine({ clock: 'manual', functions: SIBLINGS });
  const owner = m.attachPeer({ memory: true });
  expect(m.start({ kind: 'memory-claim', address: OWNED, bytes: 0x1_0000n, depth }, owner.id).reply).toMatchObject({ kind: 'ok' });
  m.map(FIRST, IOVA, OWNED);
  return { m, owner };
}

describe('an owner of memory', () => {
  it('is asked no more than it takes, and a place that gets free serves the other functions too', () => {
    const { m, owner } = owned(1);
    const [one, two] = [m.write(FIRST, IOVA, 'one'), m.write(SECOND, IOVA + 8, 'two')];
    expect(owner.calls).toHaveLength(1);
    m.answer(owner, owner.calls[0]!.token, { kind: 'ok' });
    expect(one.reply).toMatchObject({ outcome: 'performed' });
    expect(owner.calls).toHaveLength(2);
    m.answer(owner, owner.calls[1]!.token, { kind: 'ok' });
    expect(two.reply).toMatchObject({ outcome: 'performed' });
  });

  it('cannot give its range up while it owes answers', () => {
    const { m, owner } = owned(4);
    m.write(FIRST, IOVA, 'one');
    const release = (): unknown => m.start({ kind: 'memory-release', address: OWNED }, owner.id).reply;
    expect(release()).toMatchObject({ kind: 'refused', code: 'EBUSY' });
    m.answer(owner, owner.calls[0]!.token, { kind: 'ok' });
    expect(release()).toMatchObject({ kind: 'ok' });
  });

  it('leaves a range that is no memory, and that another may own', () => {
    const { m, owner } = owned(4);
    m.detachPeer(owner);
    expect(m.refusal({ kind: 'memory-read', address: OWNED, bytes: 4 })).toBe('EFAULT');
    const next = m.attachPeer({ memory: true });
    expect(m.start({ kind: 'memory-claim', address: OWNED, bytes: 0x1000n, depth: 1 }, next.id).reply).toMatchObject({ kind: 'ok' });
  });

  it('holds the clock while it owes an answer, unless a host forces it', () => {
    const { m, owner } = owned(4);
    m.write(FIRST, IOVA, 'one');
    const advance = m.start({ kind: 'clock-advance', ns: 5, force: false });
    expect(advance.reply).toBeUndefined();
    expect(m.start({ kind: 'clock-advance', ns: 2, force: true }).reply).toMatchObject({ nowNs: 2 });
    m.answer(owner, owner.calls[0]!.token, { kind: 'ok' });
    expect(advance.reply).toMatchObject({ nowNs: 5 });
  });
});

it('a function in D3hot issues nothing and answers no invalidation', () => {
  const m = new CoreMachine({ clock: 'manual' });
  m.map(PROBE, IOVA, m.allocPage());
  expect(m.outcome(PROBE, IOVA, 'x', { translated: true })).toBe('performed');
  m.call('ok', { kind: 'region-write', bdf: PROBE, region: 7, offset: powerControl(m), bytes: 2, valueLow: 3, valueHigh: 0 });
  expect(m.outcome(PROBE, IOVA)).toBe('gate-closed');
  const unmap = m.startUnmap(PROBE, IOVA);
  m.advance(999);
  expect(unmap.reply).toBeUndefined();
  m.advance(1);
  expect(unmap.reply).toMatchObject({ timedOut: 1 });
});

/** Offset of Power Management Control/Status. */
function powerControl(m: CoreMachine): number {
  const byte = (offset: number): number => m.call('region-read', { kind: 'region-read', bdf: PROBE, region: 7, offset, bytes: 1 }).valueLow;
  for (let at = byte(0x34); at !== 0; at = byte(at + 1)) if (byte(at) === 1) return at + 4;
  throw new Error('no Power Management capability');
}
