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

describe('virtual functions that are enabled while their physical one', () => {
  function coming(behaviour: Behaviour): SriovMachine {
    return new SriovMachine({ behaviour, clock: 'manual' });
  }
  const fenced = { blocked: true, resetDepth: 1, gate: 'closed', physicalDomain: { type: 'blocked' }, atsEnabled: false } as const;

  it('26 is in a window are in it too, in strict, until it closes', () => {
    const m = coming('strict');
    m.prepare(BELOW);
    m.enable(2);
    m.advance(100);
    for (const at of [FIRST, SECOND]) {
      expect(m.info(at)).toMatchObject(fenced);
      expect(m.group(at).recoveryCount).toBe(1);
      m.half(at, 4, 4);
      expect(m.outcome(at, IOVA)).toBe('gate-closed');
      expect(m.refusal(m.attach(at, m.allocDomain()))).toBe('EBUSY');
    }
    m.map(FIRST, IOVA, m.allocPage());
    m.done(BELOW);
    expect(m.info(FIRST)).toMatchObject({ blocked: false, resetDepth: 0, gate: 'open', atsEnabled: true });
    expect(m.group(FIRST).recoveryCount).toBe(0);
    expect(m.outcome(FIRST, IOVA, 'x', { translated: true })).toBe('performed');
  });

  it('26 is in two windows stay in the outer one when the inner one closes', () => {
    const m = coming('strict');
    m.prepare(BELOW, 'outer');
    m.prepare(BELOW, 'inner');
    m.enable(1);
    m.advance(100);
    expect(m.info(FIRST)).toMatchObject({ blocked: true, resetDepth: 2 });
    m.done(BELOW, 'inner');
    expect(m.info(FIRST)).toMatchObject(fenced);
    m.done(BELOW, 'outer');
    expect(m.info(FIRST)).toMatchObject({ blocked: false, resetDepth: 0 });
  });

  it.each(['test', 'lock', 'check', 'gate', 'count', 'unlock'] as const)('26 is being prepared, at %s, are in that window', (step) => {
    const m = coming('strict');
    const { hold } = m.call('call-hold', { kind: 'call-hold', call: 'prepare', step, bdf: BELOW, count: 1 });
    const prepare = m.startPrepare(BELOW);
    m.enable(1);
    m.advance(100);
    m.call('ok', { kind: 'call-release', hold, stopped: 0, keep: false });
    expect(prepare.reply).toMatchObject({ kind: 'reset-prepare' });
    expect(m.info(FIRST)).toMatchObject(fenced);
    m.done(BELOW);
    expect(m.info(FIRST)).toMatchObject({ blocked: false, resetDepth: 0, gate: 'open' });
  });

  it('26 is being prepared in vain are in no window then', () => {
    const m = coming('strict');
    m.map(BELOW, IOVA, m.allocPage());
    m.half(BELOW, 4, 6);
    m.write(BELOW, IOVA, 'held', { hold: 'issued' });
    const prepare = m.startPrepare(BELOW, 'w', { deadlineMs: 5, onDeadline: 'fail' });
    m.enable(1);
    expect(m.info(FIRST)).toMatchObject(fenced);
    m.advance(5);
    expect(prepare.reply).toMatchObject({ kind: 'refused', code: 'ETIMEDOUT' });
    expect(m.info(FIRST)).toMatchObject({ blocked: false, resetDepth: 0, gate: 'open' });
  });

  it.each(['check', 'count', 'unlock'] as const)('26 gets its domain back, at %s, have theirs when it has it', (step) => {
    const m = coming('strict');
    m.prepare(BELOW);
    const { hold } = m.call('call-hold', { kind: 'call-hold', call: 'done', step, bdf: BELOW, count: 1 });
    m.start({ kind: 'reset-done', bdf: BELOW, token: 'w', all: false });
    m.enable(1);
    m.advance(100);
    expect(m.info(FIRST)).toMatchObject({ blocked: true });
    m.call('ok', { kind: 'call-release', hold, stopped: 0, keep: false });
    expect(m.info(FIRST)).toMatchObject({ blocked: false, resetDepth: 0, gate: 'open' });
  });

  it('26 is in a window are in none in linux-7.1', () => {
    const m = coming('linux-7.1');
    m.prepare(BELOW);
    m.enable(1);
    m.advance(100);
    expect(m.info(FIRST)).toMatchObject({ blocked: false, resetDepth: 0, gate: 'open' });
    expect(m.group(FIRST).recoveryCount).toBe(0);
    m.done(BELOW);
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
