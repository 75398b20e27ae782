/** Invariant 26: what a window of a physical function, and its reset, do to its virtual functions. */
import { describe, expect, it } from 'vitest';
import type { Behaviour } from '../../server/src/core/machine/index.ts';
import { BELOW, PORT } from '../kit/core-machine.ts';
import { FIRST, IOVA, SECOND, SriovMachine } from '../kit/sriov-machine.ts';

/** Two virtual functions; the first is on a domain of a host and has written through its ATC. */
function working(behaviour: Behaviour): { readonly m: SriovMachine; readonly domain: number } {
  const m = new SriovMachine({ behaviour, clock: 'manual' });
  m.enable(2);
  m.advance(100);
  const domain = m.allocDomain();
  m.half(FIRST, 4, 4);
  m.call('ok', m.attach(FIRST, domain));
  m.map({ domain }, IOVA, m.allocPage());
  expect(m.outcome(FIRST, IOVA, 'x', { translated: true })).toBe('performed');
  return { m, domain };
}

describe('a window of a physical function', () => {
  it('26 in linux-7.1 leaves the domains of its virtual functions and fences none of their groups', () => {
    const { m, domain } = working('linux-7.1');
    m.prepare(BELOW);
    expect(m.info(FIRST)).toMatchObject({ blocked: false, resetDepth: 0, physicalDomain: { id: domain } });
    expect(m.group(FIRST).recoveryCount).toBe(0);
    expect(m.outcome(FIRST, IOVA, 'y', { translated: true })).toBe('performed');
    m.call('ok', m.attach(FIRST, m.allocDomain()));
    m.done(BELOW);
  });

  it('26 in strict blocks them too, each in its own group, until it closes; their logical domains stay', () => {
    const { m, domain } = working('strict');
    m.prepare(BELOW, 'outer');
    m.prepare(BELOW, 'inner');
    for (const at of [FIRST, SECOND]) {
      expect(m.info(at)).toMatchObject({ blocked: true, physicalDomain: { type: 'blocked' } });
      expect(m.group(at).recoveryCount).toBe(1);
    }
    expect(m.info(FIRST).logicalDomain?.id).toBe(domain);
    expect(m.outcome(FIRST, IOVA)).toBe('gate-closed');
    expect(m.refusal(m.attach(FIRST, m.allocDomain()))).toBe('EBUSY');
    m.done(BELOW, 'inner');
    expect(m.info(FIRST).blocked).toBe(true);
    m.done(BELOW, 'outer');
    expect(m.info(FIRST)).toMatchObject({ blocked: false, resetDepth: 0, physicalDomain: { id: domain } });
    expect(m.outcome(FIRST, IOVA, 'y', { translated: true })).toBe('performed');
  });

  it('26 in strict is refused where one of theirs is, and then none is open', () => {
    const { m } = working('strict');
    m.write(FIRST, IOVA, 'held', { hold: 'issued' });
    const prepare = m.startPrepare(BELOW, 'w', { deadlineMs: 5, onDeadline: 'fail' });
    m.advance(5);
    expect(prepare.reply).toMatchObject({ kind: 'refused', code: 'ETIMEDOUT' });
    for (const at of [BELOW, FIRST, SECOND]) expect(m.info(at)).toMatchObject({ blocked: false, resetDepth: 0, gate: 'open' });
    m.release(FIRST);
    expect(m.outcome(FIRST, IOVA)).toBe('performed');
  });
});

describe.each(['strict', 'linux-7.1'] as const)('%s: a reset of a physical function', (behaviour) => {
  it('26 clears VF Enable: they answer nothing until its state is restored, and then are in the domains in which they were', () => {
    const { m, domain } = working(behaviour);
    const reset = m.reset(BELOW);
    m.advance(50);
    expect(reset.reply).toBeUndefined();
    expect(m.dword(FIRST, 4)).toBe(0xffff_ffff);
    expect(m.outcome(FIRST, IOVA)).toBe('gate-closed');
    expect(m.group(FIRST)).toMatchObject({ domain: { id: domain }, members: [FIRST], recoveryCount: behaviour === 'strict' ? 1 : 0 });
    m.advance(200);
    expect(reset.reply).toMatchObject({ kind: 'reset' });
    expect(m.functions()).toEqual([PORT, BELOW, FIRST, SECOND]);
    expect(m.info(FIRST)).toMatchObject({ blocked: false, logicalDomain: { id: domain }, physicalDomain: { id: domain } });
    // Linux restores the physical function alone: the driver of a virtual one finds it as at power-up.
    const restored = behaviour === 'strict';
    expect(m.info(FIRST)).toMatchObject({ busMaster: restored, atsEnabled: restored });
    expect(m.outcome(FIRST, IOVA, 'z', { translated: true })).toBe(restored ? 'performed' : 'gate-closed');
  });
});
