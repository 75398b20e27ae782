/** Calls that stand before a step: which, for how long, and who lets them go. */
import { describe, expect, it } from 'vitest';
import type { Bdf } from '../../../../server/src/core/base/index.ts';
import { CALL_STEPS, type CallHold } from '../../../../server/src/core/machine/index.ts';
import { FIRST, PROBE, SECOND, SIBLINGS, type CoreMachine, type Options } from '../../../kit/core-machine.ts';
import { HoldMachine } from '../../../kit/hold-machine.ts';

function machine(options: Options = {}): HoldMachine {
  return new HoldMachine({ clock: 'manual', ...options });
}
function mapped(m: CoreMachine, at: Bdf, iova = 0x10000): bigint {
  const page = m.allocPage();
  m.map(at, iova, page);
  return page;
}

describe('the steps that a call comes to', () => {
  it('of a prepare in strict: drain, fence, commit', () => {
    const m = machine();
    m.call('ok', m.attachPasid(PROBE, 5, m.allocDomain()));
    const { steps, reply } = m.stepsOf((on) => on.startPrepare(PROBE));
    const fence = ['rid', 'iotlb', 'atc-sent', 'atc-completed', 'invalidate deliver', 'ats-enable'];
    const all = ['test', 'lock', 'check', 'gate', 'drained', ...fence, 'blocked', 'pasid', 'iotlb', 'count', 'unlock'];
    expect(steps).toEqual(all.map((step) => (step.includes(' ') ? step : `prepare ${step}`)));
    expect(reply).toMatchObject({ kind: 'reset-prepare', depth: 1, completed: 1 });
  });

  it('of a prepare in linux-7.1: ATS Enable before the RID', () => {
    const { steps } = machine({ behaviour: 'linux-7.1' }).stepsOf((m) => m.startPrepare(PROBE));
    expect(steps.indexOf('prepare ats-enable')).toBe(steps.indexOf('prepare rid') - 1);
  });

  it('of a done: the RID before blocked, the PASIDs after it', () => {
    const m = machine();
    m.call('ok', m.attachPasid(PROBE, 5, m.allocDomain()));
    m.prepare(PROBE);
    const { steps, reply } = m.stepsOf((on) => on.start({ kind: 'reset-done', bdf: PROBE, token: 'w', all: false }));
    expect(steps.map((step) => step.slice('done '.length))).toEqual([
      'lock',
      'check',
      'rid',
      'ats-enable',
      'blocked',
      'pasid',
      'count',
      'unlock',
    ]);
    expect(reply).toMatchObject({ kind: 'reset-done', depth: 0, warning: '' });
  });

  it('of an attach: every member, then the logical domain', () => {
    const m = machine({ functions: SIBLINGS });
    const domain = m.allocDomain();
    const { steps, reply } = m.stepsOf((on) => on.start(on.attach(FIRST, domain)));
    expect(steps.filter((step) => step === 'attach rid')).toHaveLength(2);
    expect(steps.indexOf('attach group-domain')).toBeGreaterThan(steps.lastIndexOf('attach atc-sent'));
    expect(reply).toMatchObject({ kind: 'ok' });
  });

  it('of an unmap, and it has none but those that the page lists', () => {
    const m = machine();
    mapped(m, PROBE);
    const { steps } = m.stepsOf((on) => on.startUnmap(PROBE, 0x10000));
    expect(steps).toEqual(['unmap tables', 'unmap iotlb', 'unmap atc-sent', 'unmap atc-completed', 'invalidate deliver']);
    const listed = Object.entries(CALL_STEPS).flatMap(([call, names]) => names.map((name) => `${call} ${name}`));
    expect(listed).toEqual(expect.arrayContaining([...steps]));
  });
});

describe('a hold', () => {
  it('takes only calls of its name, on its function', () => {
    const m = machine({ functions: SIBLINGS });
    m.hold('prepare', 'rid', { bdf: FIRST });
    expect(m.startPrepare(SECOND).reply).toMatchObject({ kind: 'reset-prepare' });
    expect(m.startPrepare(FIRST).reply).toBeUndefined();
    expect(m.held()).toEqual(['prepare rid']);
  });

  it('stops as often as it says', () => {
    const m = machine();
    m.hold('unmap', 'tables', { count: 1 });
    mapped(m, PROBE);
    expect(m.startUnmap(PROBE, 0x10000).reply).toBeUndefined();
    expect(m.startUnmap(PROBE, 0x10000).reply).toMatchObject({ kind: 'unmap', bytes: 4096n });
  });

  it('keeps the mutex with the call, and others on the group wait in line', () => {
    const m = machine({ functions: SIBLINGS });
    const hold = m.hold('attach', 'rid', { count: 1 });
    const domain = m.allocDomain();
    const attach = m.start(m.attach(FIRST, domain));
    const prepare = m.startPrepare(SECOND);
    expect(m.group(FIRST)).toMatchObject({ busy: true, waiting: 1 });
    expect([attach.reply, prepare.reply]).toEqual([undefined, undefined]);
    expect(m.letGo(hold)).toMatchObject({ kind: 'ok' });
    expect(attach.reply).toMatchObject({ kind: 'ok' });
    expect(prepare.reply).toMatchObject({ kind: 'reset-prepare' });
    expect(m.info(FIRST).logicalDomain).toMatchObject({ id: domain });
  });

  it('lets one call go and keeps the other', () => {
    const m = machine();
    const domain = m.allocDomain();
    for (const iova of [0x1000, 0x2000]) m.map({ domain }, iova, m.allocPage());
    const hold = m.hold('unmap', 'tables');
    const [one, two] = [m.startUnmap({ domain }, 0x1000), m.startUnmap({ domain }, 0x2000)];
    const [, second] = m.call('calls-held', { kind: 'calls-held' }).calls;
    m.letGo(hold, { stopped: second!.id });
    expect([one.reply, two.reply?.kind]).toEqual([undefined, 'unmap']);
    m.letGo(hold);
    expect(one.reply).toMatchObject({ bytes: 4096n });
  });

  it('goes with the peer that set it', () => {
    const m = machine();
    const host = m.attachPeer({ host: true });
    m.hold('prepare', 'count', {}, host.id);
    const prepare = m.startPrepare(PROBE);
    expect(prepare.reply).toBeUndefined();
    m.detachPeer(host);
    expect(prepare.reply).toMatchObject({ kind: 'reset-prepare' });
    expect(m.startPrepare(PROBE, 'again').reply).toMatchObject({ kind: 'reset-prepare', depth: 2 });
  });

  it('keeps an Invalidate Request from the function, which then answers too late', () => {
    const m = machine({ clock: 'auto' });
    mapped(m, PROBE);
    const hold = m.hold('invalidate', 'deliver');
    expect(m.startUnmap(PROBE, 0x10000).reply).toMatchObject({ kind: 'unmap', timedOut: 1 });
    m.letGo(hold);
    expect(m.traced('invalidation-late')).toHaveLength(1);
  });

  it('does not keep a prepare from giving up at its deadline', () => {
    const m = machine();
    mapped(m, PROBE);
    m.write(PROBE, 0x10000, 'x', { hold: 'translated' });
    m.hold('prepare', 'drained');
    const prepare = m.startPrepare(PROBE, 'w', { onDeadline: 'fail' });
    m.advance(20);
    expect(prepare.reply).toMatchObject({ code: 'ETIMEDOUT' });
    expect(m.held()).toEqual([]);
  });

  it.each([
    [{ call: 'fly' }, 'call', 'no call "fly" has steps'],
    [{ call: 'constructor' }, 'call', 'no call "constructor" has steps'],
    [{ call: 'unmap', step: 'rid' }, 'step', 'unmap has no step "rid"'],
    [{ call: '', step: 'ridd' }, 'step', 'no call has no step "ridd"'],
    [{ count: -1 }, 'count', 'count -1'],
  ])('of %j is EINVAL', (fields, field, text) => {
    const m = machine();
    const command = { kind: 'call-hold', call: '', step: '', bdf: undefined, count: 0, ...fields } as CallHold;
    expect(() => m.start(command)).toThrow(
      expect.objectContaining({ code: 'EINVAL', field, message: expect.stringContaining(text) as unknown }),
    );
  });

  it('that is not there, or does not stop the call, is ENOENT', () => {
    const m = machine();
    expect(m.letGo(99)).toMatchObject({ code: 'ENOENT', about: 'hold' });
    expect(m.letGo(m.hold('unmap', ''), { stopped: 7 })).toMatchObject({ code: 'ENOENT', about: 'stopped' });
  });

  it('is one of 256 at the most', () => {
    const m = machine();
    for (let i = 0; i < 256; i++) m.hold('unmap', 'tables');
    expect(m.refusal({ kind: 'call-hold', call: '', step: '', bdf: undefined, count: 0 })).toBe('EAGAIN');
  });
});

describe('a domain that a call is at work on', () => {
  it('is not freed under an attach, and is after it was refused', () => {
    const m = machine();
    const domain = m.allocDomain();
    const hold = m.hold('attach', 'rid');
    m.arm(PROBE, 'attach-fails');
    const attach = m.start(m.attach(PROBE, domain));
    expect(m.refusal({ kind: 'domain-free', domain })).toBe('EBUSY');
    m.letGo(hold);
    expect(attach.reply).toMatchObject({ code: 'EIO' });
    m.call('ok', { kind: 'domain-free', domain });
  });

  it('is not freed under an unmap', () => {
    const m = machine();
    const domain = m.allocDomain();
    m.map({ domain }, 0x1000, m.allocPage());
    const hold = m.hold('unmap', 'iotlb');
    m.startUnmap({ domain }, 0x1000);
    expect(m.refusal({ kind: 'domain-free', domain })).toBe('EBUSY');
    m.letGo(hold);
    m.call('ok', { kind: 'domain-free', domain });
  });

  it('may go while an attach waits in line, which then says so', () => {
    const m = machine();
    const domain = m.allocDomain();
    const hold = m.hold('detach', 'unlock');
    m.start({ kind: 'domain-detach', bdf: PROBE });
    const attach = m.start(m.attach(PROBE, domain));
    m.call('ok', { kind: 'domain-free', domain });
    m.letGo(hold);
    expect(attach.reply).toMatchObject({ kind: 'refused', code: 'ENOENT', about: 'domain' });
    expect(m.group(PROBE)).toMatchObject({ busy: false, waiting: 0 });
  });
});
