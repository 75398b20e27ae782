/** Invariant 27: functions that one requester ID stands for, and a window that closes while another of them is still blocked. */
import { describe, expect, it } from 'vitest';
import type { Bdf } from '../../server/src/core/base/index.ts';
import type { Behaviour } from '../../server/src/core/machine/index.ts';
import { CoreMachine, FIRST, SECOND, SIBLINGS, probe } from '../kit/core-machine.ts';

const IOVA = 0x1000;
/** More than a done has. */
const STEPS_MAX = 60;
const CLOSED = { blocked: true, gate: 'closed', physicalDomain: { type: 'blocked' }, atsEnabled: false } as const;
/** The second function's requests may have the first one's ID. */
const SHARING = [probe(FIRST, { multiFunction: true }), { ...probe(SECOND, { multiFunction: true }), dmaAliases: [FIRST] }];

function machine(behaviour: Behaviour, functions = SHARING): { readonly m: CoreMachine; readonly domain: number } {
  const m = new CoreMachine({ behaviour, functions });
  const domain = m.allocDomain();
  m.call('ok', m.attach(FIRST, domain));
  m.map({ domain }, IOVA, m.allocPage());
  return { m, domain };
}

/** What a done says, and has the machine's log say. */
function doneWarns(m: CoreMachine, at: Bdf): string {
  const before = m.events.length;
  const { warning } = m.done(at);
  const logged = m.events.slice(before).flatMap((event) => (event.kind === 'log' ? [event.text] : []));
  expect(logged).toEqual(warning === '' ? [] : [warning]);
  return warning;
}

describe('a window that closes while one that shares its requester ID is blocked', () => {
  it('27 linux-7.1 warns, and unblocks', () => {
    const { m, domain } = machine('linux-7.1');
    m.prepare(FIRST);
    m.prepare(SECOND);
    expect(doneWarns(m, FIRST)).toMatch(/^00:05\.0 shares a requester ID with 00:05\.1, which is still blocked/);
    expect(m.info(FIRST)).toMatchObject({ blocked: false, physicalDomain: { id: domain } });
    expect(m.info(SECOND)).toMatchObject({ blocked: true });
    expect(doneWarns(m, SECOND)).toBe('');
    expect(m.info(SECOND)).toMatchObject({ blocked: false, physicalDomain: { id: domain } });
  });

  it.each([
    [FIRST, SECOND],
    [SECOND, FIRST],
  ])('27 strict warns, and keeps it blocked until the last done (%i before %i)', (one, last) => {
    const { m, domain } = machine('strict');
    m.prepare(one);
    m.prepare(last);
    expect(doneWarns(m, one)).toMatch(/stays blocked as long as 00:05\.\d, with which it shares a requester ID$/);
    expect(m.info(one)).toMatchObject({ blocked: true, resetDepth: 0, gate: 'closed', physicalDomain: { type: 'blocked' } });
    expect(m.outcome(one, IOVA)).toBe('gate-closed');
    expect(m.group(one).recoveryCount).toBe(1);
    expect(doneWarns(m, last)).toBe('');
    for (const at of [one, last]) {
      expect(m.info(at)).toMatchObject({ blocked: false, gate: 'open', physicalDomain: { id: domain } });
      expect(m.outcome(at, IOVA)).toBe('performed');
    }
    expect(m.group(one).recoveryCount).toBe(0);
  });

  it('27 strict gives it the domain and the PASIDs that are current at the last done', () => {
    const { m } = machine('strict');
    const process = m.allocDomain();
    m.call('ok', m.attachPasid(FIRST, 5, process));
    m.prepare(FIRST);
    m.prepare(SECOND);
    m.done(FIRST);
    m.call('ok', { kind: 'domain-detach', bdf: FIRST });
    expect(m.info(FIRST).pasids).toMatchObject([{ pasid: 5, physicalDomain: { type: 'blocked' } }]);
    m.done(SECOND);
    const { defaultDomain } = m.group(FIRST);
    for (const at of [FIRST, SECOND]) {
      const { physicalDomain, pasids } = m.info(at);
      expect([physicalDomain?.id, pasids[0]?.physicalDomain?.id]).toEqual([defaultDomain?.id, process]);
    }
  });

  it('27 strict: one that waits may have a window again, and then the other waits for it', () => {
    const { m } = machine('strict');
    m.prepare(FIRST);
    m.prepare(SECOND);
    m.done(FIRST);
    m.prepare(FIRST, 'again');
    expect(m.group(FIRST).recoveryCount).toBe(2);
    m.done(SECOND);
    expect([m.info(FIRST).blocked, m.info(SECOND).blocked]).toEqual([true, true]);
    m.done(FIRST, 'again');
    expect([m.info(FIRST).blocked, m.info(SECOND).blocked]).toEqual([false, false]);
  });

  it('27 strict: it waits for one whose reset has failed, until one of that succeeds', () => {
    const { m } = machine('strict');
    m.arm(SECOND, 'never-ready', { count: 0 });
    m.reset(SECOND);
    m.prepare(FIRST);
    expect(doneWarns(m, FIRST)).toMatch(/stays blocked as long as 00:05\.1/);
    m.call('ok', { kind: 'fault-disarm', bdf: SECOND, fault: 'never-ready' });
    expect(m.reset(SECOND).reply).toMatchObject({ kind: 'reset' });
    expect([m.info(FIRST).blocked, m.info(SECOND).blocked]).toEqual([false, false]);
    expect(m.outcome(FIRST, IOVA)).toBe('performed');
  });

  it('27 strict: it waits for one that could not be given back its domain', () => {
    const { m } = machine('strict');
    m.prepare(FIRST);
    m.prepare(SECOND);
    m.done(FIRST);
    m.arm(SECOND, 'attach-fails');
    m.done(SECOND);
    for (const at of [FIRST, SECOND]) expect(m.info(at)).toMatchObject(CLOSED);
    expect(m.reset(SECOND).reply).toMatchObject({ kind: 'reset' });
    for (const at of [FIRST, SECOND]) expect(m.info(at)).toMatchObject({ blocked: false, gate: 'open' });
  });

  it.each([
    [FIRST, SECOND],
    [SECOND, FIRST],
  ])('27 strict: it waits for one that is reported broken before any step of its done (%i before %i)', (one, last) => {
    let reported = 0;
    for (let k = 0; k < STEPS_MAX; k++) {
      const { m } = machine('strict');
      m.call('ok', m.attachPasid(FIRST, 5, m.allocDomain()));
      m.prepare(one);
      m.prepare(last);
      m.done(one);
      const { hold } = m.call('call-hold', { kind: 'call-hold', call: 'done', step: '', bdf: undefined, count: 0 });
      const done = m.start({ kind: 'reset-done', bdf: last, token: 'w', all: false });
      for (let i = 0; i < k; i++) m.call('ok', { kind: 'call-release', hold, stopped: 0, keep: true });
      if (done.reply !== undefined) break;
      const { step } = m.call('calls-held', { kind: 'calls-held' }).calls[0] ?? {};
      m.call('ok', { kind: 'report-broken', bdf: last });
      reported++;
      m.call('ok', { kind: 'call-release', hold, stopped: 0, keep: false });
      expect(done.reply, `before ${step}`).toMatchObject({ kind: 'reset-done' });
      // Once both have their domains back the one that waited waits no more, and only the contexts that they share are closed.
      const told = step === 'unlock';
      for (const at of [one, last]) if (at === last || !told) expect(m.info(at), `${at} before ${step}`).toMatchObject(CLOSED);
      expect(m.reset(last).reply).toMatchObject({ kind: 'reset' });
      for (const at of [one, last]) {
        expect(m.info(at), `${at} before ${step}`).toMatchObject({ blocked: false, gate: 'open' });
        expect(m.outcome(at, IOVA), `${at} before ${step}`).toBe('performed');
      }
      const pasid = m.info(FIRST).pasids.map(({ physicalDomain }) => physicalDomain?.type);
      expect(pasid, step).toEqual(['paging']);
    }
    expect(reported).toBeGreaterThan(6);
  });

  it('27 strict: it waits no longer for one that has left', () => {
    const { m, domain } = machine('strict');
    m.prepare(FIRST);
    m.prepare(SECOND);
    m.done(FIRST);
    m.unplug(SECOND, { surprise: true });
    expect(m.info(FIRST)).toMatchObject({ blocked: false, gate: 'open', physicalDomain: { id: domain } });
  });

  it.each(['strict', 'linux-7.1'] as const)('27 %s: a sibling with a requester ID of its own is nothing to it', (behaviour) => {
    const { m } = machine(behaviour, [...SIBLINGS]);
    m.prepare(FIRST);
    m.prepare(SECOND);
    expect(doneWarns(m, FIRST)).toBe('');
    expect([m.info(FIRST).blocked, m.info(SECOND).blocked]).toEqual([false, true]);
    m.done(SECOND);
  });
});
