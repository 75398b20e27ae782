/** Design §6, unmap: its pages may be reused when it replies. Each test frees the page then, and looks for what lands in it afterwards. */
import { describe, expect, it } from 'vitest';
import { CoreMachine, PROBE, type Options, type Pending } from '../kit/core-machine.ts';

const IOVA = 0x4_0000;
const TIMEOUT_MS = 1000;

interface Left {
  readonly m: CoreMachine;
  readonly domain: number;
  readonly page: bigint;
  readonly held: Pending;
}

/** A write with a translated address is in flight from a function whose RID (or PASID 5) is attached to a domain. */
function writing(options: Options, hold: 'issued' | 'translated', pasid?: number): Left {
  const m = new CoreMachine({ clock: 'manual', ...options });
  const domain = m.allocDomain();
  const page = m.allocPage();
  m.map({ domain }, IOVA, page);
  m.call('ok', pasid === undefined ? m.attach(PROBE, domain) : m.attachPasid(PROBE, pasid, domain));
  const held = m.write(PROBE, IOVA, 'STALE', { translated: true, hold, ...(pasid === undefined ? {} : { pasid }) });
  return { m, domain, page, held };
}

/** The page goes to somebody else, as soon as it may. */
function reuse(m: CoreMachine, page: bigint): void {
  m.call('ok', { kind: 'memory-free', address: page });
  expect(m.allocPage()).toBe(page);
  m.call('ok', { kind: 'memory-write', address: page, data: new TextEncoder().encode('MINE!') });
}

describe('unmap of a domain that a function is leaving', () => {
  it.each(['strict', 'linux-7.1'] as const)('%s: attach to another domain: it awaits the invalidation of the attach', (behaviour) => {
    const { m, domain, page, held } = writing({ behaviour }, 'issued');
    const attach = m.start(m.attach(PROBE, m.allocDomain()));
    const unmap = m.startUnmap({ domain }, IOVA);
    expect([attach.reply, unmap.reply]).toEqual([undefined, undefined]);
    m.release(PROBE);
    // The write was in front of the Invalidate Completion, and landed while the page was still its owner's.
    expect(held.reply).toMatchObject({ outcome: 'performed' });
    expect(m.text(page, 5)).toBe('STALE');
    expect(attach.reply).toMatchObject({ kind: 'ok' });
    expect(unmap.reply).toMatchObject({ kind: 'unmap', timedOut: 0 });
    reuse(m, page);
  });

  it.each(['strict', 'linux-7.1'] as const)('%s: detach of a PASID: it awaits the invalidation of the detach', (behaviour) => {
    const { m, domain, page } = writing({ behaviour }, 'issued', 5);
    const detach = m.start(m.detachPasid(PROBE, 5));
    const unmap = m.startUnmap({ domain }, IOVA);
    expect([detach.reply, unmap.reply]).toEqual([undefined, undefined]);
    m.release(PROBE);
    expect(unmap.reply).toMatchObject({ kind: 'unmap', timedOut: 0 });
    const landed = m.text(page, 5);
    reuse(m, page);
    expect(['STALE', '\0\0\0\0\0']).toContain(landed);
    expect(m.text(page, 5)).toBe('MINE!');
  });

  it('linux-7.1: prepare: it awaits the whole-ATC invalidation of the fence', () => {
    const { m, domain, page } = writing({ behaviour: 'linux-7.1' }, 'translated');
    const prepare = m.startPrepare(PROBE);
    const unmap = m.startUnmap({ domain }, IOVA);
    expect([prepare.reply, unmap.reply]).toEqual([undefined, undefined]);
    m.release(PROBE);
    expect(m.text(page, 5)).toBe('STALE');
    expect(unmap.reply).toMatchObject({ kind: 'unmap', timedOut: 0 });
    expect(prepare.reply).toMatchObject({ kind: 'reset-prepare', timedOut: 0 });
    reuse(m, page);
  });

  it('an unmap of another domain is answered meanwhile', () => {
    const { m } = writing({}, 'issued');
    const other = m.allocDomain();
    m.map({ domain: other }, IOVA, m.allocPage());
    m.start(m.attach(PROBE, m.allocDomain()));
    expect(m.startUnmap({ domain: other }, IOVA).reply).toMatchObject({ kind: 'unmap' });
  });
});

describe('unmap in strict while a translated request has passed the translation agent', () => {
  it('replies when it has been performed, also where its invalidation has timed out', () => {
    const { m, domain, page, held } = writing({}, 'translated');
    const unmap = m.startUnmap({ domain }, IOVA);
    m.advance(TIMEOUT_MS);
    expect(unmap.reply).toBeUndefined();
    expect(m.refusal({ kind: 'memory-free', address: page })).toBe('EBUSY');
    m.release(PROBE);
    expect(held.reply).toMatchObject({ outcome: 'performed' });
    expect(unmap.reply).toMatchObject({ kind: 'unmap', timedOut: 1 });
    reuse(m, page);
    expect(m.text(page, 5)).toBe('MINE!');
  });

  it('18 and when one has that passed it while the invalidation that times out was on its way', () => {
    const { m, domain, page } = writing({}, 'issued');
    m.release(PROBE);
    m.arm(PROBE, 'ignore-invalidations');
    const unmap = m.startUnmap({ domain }, IOVA);
    const late = m.write(PROBE, IOVA, 'STALE', { translated: true, hold: 'translated' });
    m.advance(TIMEOUT_MS);
    expect([late.reply, unmap.reply]).toEqual([undefined, undefined]);
    m.release(PROBE);
    expect(late.reply).toMatchObject({ outcome: 'performed' });
    expect(unmap.reply).toMatchObject({ kind: 'unmap', timedOut: 1 });
    reuse(m, page);
  });

  it('18 and when one has that passed it while its function was leaving the domain', () => {
    const { m, domain, page } = writing({}, 'issued');
    m.release(PROBE);
    m.arm(PROBE, 'ignore-invalidations');
    const attach = m.start(m.attach(PROBE, m.allocDomain()));
    const late = m.write(PROBE, IOVA, 'STALE', { translated: true, hold: 'translated' });
    m.advance(TIMEOUT_MS);
    expect([late.reply, attach.reply]).toEqual([undefined, undefined]);
    m.release(PROBE);
    expect(attach.reply).toMatchObject({ kind: 'ok' });
    expect(m.startUnmap({ domain }, IOVA).reply).toMatchObject({ kind: 'unmap' });
    reuse(m, page);
  });

  it('linux-7.1 does not await it: the timeout ends the unmap', () => {
    const { m, domain } = writing({ behaviour: 'linux-7.1' }, 'translated');
    const unmap = m.startUnmap({ domain }, IOVA);
    m.advance(TIMEOUT_MS);
    expect(unmap.reply).toMatchObject({ kind: 'unmap', timedOut: 1 });
  });
});
