/** The order of a fence, read from the trace, and what of it holds while it waits (linux-reset.md §1.2, design §7). */
import { describe, expect, it } from 'vitest';
import { CoreMachine, FIRST, PROBE, SIBLINGS, type Options } from '../kit/core-machine.ts';

const IOVA = 0x1_0000;
const BLOCKED = 4;

function using(options: Options, pasid?: number): CoreMachine {
  const m = new CoreMachine({ clock: 'manual', ...options });
  const at = pasid === undefined ? PROBE : { domain: m.allocDomain() };
  if (typeof at === 'object') m.call('ok', m.attachPasid(PROBE, pasid!, at.domain));
  for (const iova of [IOVA, IOVA + 0x1000]) {
    m.map(at, iova, m.allocPage());
    expect(m.outcome(PROBE, iova, 'x', { translated: true, ...(pasid === undefined ? {} : { pasid }) })).toBe('performed');
  }
  return m;
}

/** What happened to the function since `from`, in order: of the kinds that make a fence. */
function order(m: CoreMachine, from: number): string[] {
  return m.trace.slice(from).flatMap((record) => {
    if (record.a !== PROBE) return [];
    if (record.kind === 'gate') return [record.b === 0 ? 'gate closed' : 'gate open'];
    if (record.kind === 'context-set') return record.d === 1 ? ['context blocked'] : ['context restored'];
    if (record.kind === 'invalidation-sent') return [record.d === 0 ? 'whole ATC asked for' : 'range asked for'];
    if (record.kind === 'invalidation-completed') return ['answered'];
    if (record.kind === 'ats-enable') return [record.b === 0 ? 'ATS off' : 'ATS on'];
    if (record.kind === 'prepare' && record.b === BLOCKED) return ['blocked'];
    return [];
  });
}

describe('the order of a fence', () => {
  it('strict: gate, context, whole ATC, its answer, ATS Enable, blocked', () => {
    const m = using({});
    const from = m.trace.length;
    m.prepare(PROBE);
    expect(order(m, from)).toEqual(['gate closed', 'context blocked', 'whole ATC asked for', 'answered', 'ATS off', 'blocked']);
  });

  it('linux-7.1: ATS Enable before the context, as in the driver of SMMUv3, and no gate', () => {
    const m = using({ behaviour: 'linux-7.1' });
    const from = m.trace.length;
    m.prepare(PROBE);
    expect(order(m, from)).toEqual(['ATS off', 'context blocked', 'whole ATC asked for', 'answered', 'blocked']);
  });

  it('done: context and ATS Enable before the gate', () => {
    const m = using({});
    m.prepare(PROBE);
    const from = m.trace.length;
    m.done(PROBE);
    expect(order(m, from)).toEqual(['context restored', 'ATS on', 'gate open']);
  });
});

describe('while the fence waits', () => {
  it('a translated request of a PASID is refused by the translation agent', () => {
    const m = using({ behaviour: 'linux-7.1' }, 5);
    const held = m.write(PROBE, IOVA, 'inside', { translated: true, hold: 'issued', pasid: 5 });
    const prepare = m.startPrepare(PROBE);
    expect(prepare.reply).toBeUndefined();
    m.release(PROBE);
    expect(held.reply).toMatchObject({ outcome: 'ats-forbidden' });
    expect(prepare.reply).toMatchObject({ kind: 'reset-prepare' });
  });

  it('what was translated before is awaited, of the RID and of every PASID', () => {
    for (const pasid of [undefined, 5]) {
      const m = using({ behaviour: 'linux-7.1' }, pasid);
      m.write(PROBE, IOVA, 'early', { hold: 'translated', ...(pasid === undefined ? {} : { pasid }) });
      const prepare = m.startPrepare(PROBE);
      m.advance(5000);
      expect(prepare.reply).toBeUndefined();
      m.release(PROBE);
      expect(prepare.reply).toMatchObject({ kind: 'reset-prepare' });
    }
  });
});

describe('outside of windows', () => {
  it('an attach is answered when what was translated in the old domain has been performed', () => {
    const m = using({});
    m.write(PROBE, IOVA, 'early', { hold: 'translated' });
    const attach = m.start(m.attach(PROBE, m.allocDomain()));
    m.advance(5000);
    expect(attach.reply).toBeUndefined();
    m.release(PROBE);
    expect(attach.reply).toMatchObject({ kind: 'ok' });
  });

  it('an attach holds the group until its invalidation is answered', () => {
    const m = using({});
    m.arm(PROBE, 'late-invalidations', { delayMs: 10 });
    const [first, second] = [m.allocDomain(), m.allocDomain()];
    const one = m.start(m.attach(PROBE, first));
    const two = m.start(m.attach(PROBE, second));
    expect([one.reply, two.reply, m.group(PROBE).domain?.id]).toEqual([undefined, undefined, first]);
    m.advance(10);
    expect([one.reply?.kind, two.reply?.kind, m.group(PROBE).domain?.id]).toEqual(['ok', 'ok', second]);
  });

  it('after a timeout in strict no context of the function lets a translated request pass', () => {
    const m = using({}, 5);
    const held = m.write(PROBE, IOVA + 0x1000, 'late', { translated: true, hold: 'issued', pasid: 5 });
    m.arm(PROBE, 'ignore-invalidations');
    const unmap = m.start({ kind: 'unmap', target: { bdf: PROBE, pasid: 5 as never }, iova: BigInt(IOVA), bytes: 4096n });
    m.advance(1000);
    expect(unmap.reply).toMatchObject({ timedOut: 1 });
    m.release(PROBE);
    expect(held.reply).toMatchObject({ outcome: 'ats-forbidden' });
  });

  it('an attach of the group leaves a quarantined member where it is', () => {
    const m = new CoreMachine({ functions: SIBLINGS });
    m.arm(FIRST, 'never-ready');
    expect(m.reset(FIRST).reply).toMatchObject({ kind: 'refused' });
    m.call('ok', m.attach(FIRST, m.allocDomain()));
    expect(m.info(FIRST).physicalDomain).toMatchObject({ type: 'blocked' });
  });
});
