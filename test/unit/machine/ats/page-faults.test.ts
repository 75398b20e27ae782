import { describe, expect, it } from 'vitest';
import { CoreMachine, MS, PROBE } from '../../../kit/core-machine.ts';

const IOVA = 0x4_0000;
const DOMAIN_NO_FAULTS = { kind: 'domain-alloc', type: 'paging', sharedAddress: false } as const;

function faulting(options: ConstructorParameters<typeof CoreMachine>[0] = {}): { m: CoreMachine; domain: number } {
  const m = new CoreMachine(options);
  const domain = m.allocFaultDomain();
  m.call('ok', m.attach(PROBE, domain));
  return { m, domain };
}

describe('which domains have page faults', () => {
  it('those that were asked to, and a process’s own', () => {
    const m = new CoreMachine();
    const shared = m.call('domain-alloc', { kind: 'domain-alloc', type: 'paging', sharedAddress: true }).domain;
    m.call('ok', m.attachPasid(PROBE, 5, shared));
    m.requestPages(PROBE, { pasid: 5, iova: IOVA });
    expect(m.pageFaults()).toMatchObject([{ domain: shared, pasid: 5 }]);
    for (const type of ['identity', 'blocked'] as const) {
      const command = { kind: 'domain-alloc', type, sharedAddress: false, faults: true } as const;
      expect(() => m.start(command)).toThrow(expect.objectContaining({ code: 'EINVAL', field: 'faults' }));
    }
  });

  it('no other: a group there is answered Invalid Request at once, and its parts are dropped', () => {
    const { m } = faulting();
    m.call('ok', m.attachPasid(PROBE, 5, m.call('domain-alloc', DOMAIN_NO_FAULTS).domain));
    m.requestPages(PROBE, { pasid: 5, group: 3, last: false });
    expect(m.requestPages(PROBE, { pasid: 5, group: 3 }).reply).toMatchObject({ answer: 'invalid' });
    expect(m.requestPages(PROBE, { pasid: 9 }).reply).toMatchObject({ answer: 'invalid' });
    expect(m.pageFaults()).toEqual([]);
  });

  it('decide whether the function’s interface is enabled: by the first of them, until the last', () => {
    const { m } = faulting();
    m.call('ok', m.attachPasid(PROBE, 5, m.allocFaultDomain()));
    expect(isSent(m)).toBe(true);
    m.call('ok', { kind: 'domain-detach', bdf: PROBE });
    expect(isSent(m)).toBe(true);
    m.call('ok', m.detachPasid(PROBE, 5));
    expect(isSent(m)).toBe(false);
  });
});

/** Whether a page request is sent. */
function isSent(m: CoreMachine): boolean {
  const before = m.traced('page-request').length;
  m.requestPages(PROBE, { group: 501, last: false });
  return m.traced('page-request').length > before;
}

describe('the page request queue', () => {
  it('that overflows answers the last request itself, and the parts of it that were queued are discarded', () => {
    const { m } = faulting({ pageRequestQueue: 2 });
    const group = m.requestPages(PROBE, { iova: 0x1000, pages: 3, group: 4 });
    expect(group.reply).toMatchObject({ answer: 'success' });
    expect(m.pageFaults()).toEqual([]);
    expect(m.logs()).toEqual([expect.stringContaining('overflowed; 2 page requests')]);
    // The next group with this index has nothing of it.
    m.requestPages(PROBE, { iova: 0x9000, group: 4 });
    expect(m.pageFaults()).toMatchObject([{ ranges: [{ iova: 0x9000n, pages: 1 }] }]);
  });

  it('that is as long as the group does not', () => {
    const { m } = faulting({ pageRequestQueue: 3 });
    m.requestPages(PROBE, { pages: 3 });
    expect(m.pageFaults()).toMatchObject([{ ranges: [{ pages: 3 }] }]);
    expect(m.logs()).toEqual([]);
  });

  it('has 128 entries where nobody says otherwise', () => {
    const { m } = faulting();
    m.requestPages(PROBE, { pages: 128 });
    expect(m.requestPages(PROBE, { pages: 129 }).reply).toMatchObject({ answer: 'success' });
    expect(m.pageFaults()).toHaveLength(1);
  });

  it('lets a DMA ask again, and end when the queue is too short for it each time', () => {
    const { m, domain } = faulting({ pageRequestQueue: 2 });
    const fields = { translated: true, onFault: 'page-request' } as const;
    expect(m.outcome(PROBE, IOVA, 'x'.repeat(3 * 4096), fields)).toBe('no-access');
    expect(m.traced('page-request-dropped')).toHaveLength(3);
    m.map({ domain }, IOVA, m.allocPage());
    m.write(PROBE, IOVA, 'x'.repeat(3 * 4096), fields);
    expect(m.pageFaults()).toMatchObject([{ ranges: [{ pages: 2 }] }]);
  });
});

describe('page faults that wait', () => {
  it('are listed for whoever comes later, oldest first, until they are answered', () => {
    const { m, domain } = faulting({ clock: 'manual' });
    m.requestPages(PROBE, { iova: 0x1000, pages: 2 });
    m.advance(3);
    m.requestPages(PROBE, { iova: 0x9000 });
    const list = (): readonly unknown[] => m.call('page-faults', { kind: 'page-faults' }).faults;
    expect(list()).toMatchObject([
      { number: 1, timeNs: 0, bdf: PROBE, group: 0, domain, ranges: [{ iova: 0x1000n, pages: 2 }] },
      { number: 2, timeNs: 3 * MS, group: 1 },
    ]);
    m.respond(1, 'success');
    expect(list()).toMatchObject([{ number: 2 }]);
  });

  it('are told to hosts once, in order', () => {
    const { m } = faulting();
    m.requestPages(PROBE);
    m.requestPages(PROBE);
    expect(m.pageFaults().map(({ number }) => number)).toEqual([1, 2]);
  });

  it('are answered in any order, each once', () => {
    const { m } = faulting();
    const [first, second] = [m.requestPages(PROBE), m.requestPages(PROBE)];
    m.respond(2, 'invalid');
    expect(first.reply).toBeUndefined();
    expect(second.reply).toMatchObject({ answer: 'invalid' });
    expect(m.respond(2, 'success').reply).toMatchObject({ kind: 'refused', code: 'EINVAL', about: 'fault' });
    m.respond(1, 'success');
    expect(first.reply).toMatchObject({ answer: 'success' });
  });

  it('take success, invalid and failure for an answer', () => {
    const { m } = faulting();
    m.requestPages(PROBE);
    expect(() => m.respond(1, 'forgotten' as 'success')).toThrow(expect.objectContaining({ code: 'EINVAL', field: 'answer' }));
    expect(m.respond(1, 'success').reply).toMatchObject({ kind: 'ok' });
  });

  it('do not hold the clock: a host that never answers stops nothing but the function', () => {
    const { m } = faulting();
    const pending = m.requestPages(PROBE);
    expect(m.call('clock', { kind: 'clock-advance', ns: 1000 * MS, force: false })).toMatchObject({ nowNs: 1000 * MS });
    expect(pending.reply).toBeUndefined();
    expect(m.reset(PROBE).reply).toMatchObject({ kind: 'reset' });
    expect(pending.reply).toMatchObject({ answer: 'invalid' });
  });

  it('find the interface enabled again after a reset, as the domain of then wants it', () => {
    const { m } = faulting();
    m.reset(PROBE);
    m.requestPages(PROBE);
    expect(m.pageFaults()).toHaveLength(1);
    m.start({ kind: 'page-response', fault: 1, answer: 'success' });
    m.prepare(PROBE);
    m.call('ok', { kind: 'domain-detach', bdf: PROBE });
    m.done(PROBE);
    expect(m.requestPages(PROBE).reply).toMatchObject({ answer: 'not-sent' });
  });
});
