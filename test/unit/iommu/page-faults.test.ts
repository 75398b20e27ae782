import { describe, expect, it } from 'vitest';
import { NO_PASID, bdf, pasid } from '../../../server/src/core/base/index.ts';
import { PageFaults, type Domain, type PageFaultGroup, type PageFaultReport } from '../../../server/src/core/iommu/index.ts';
import type { PageRequest } from '../../../server/src/core/translation/index.ts';

const AT = bdf(0, 0, 2, 0);
const OTHER = bdf(0, 0, 3, 0);
const [PARKED_MAX, PAGE_FAULTS_MAX] = [512, 4096];

function request(fields: Partial<PageRequest> = {}): PageRequest {
  return { bdf: AT, pasid: NO_PASID, group: 3, serial: 1, page: 0x40, access: 1, privileged: false, last: true, ...fields };
}
/** What domains have that is not of page faults. */
const NOT_THERE = { dma: undefined, guestTables: false, ioas: undefined, auto: false } as const;
function domainOf(id: number, faults = true): Domain {
  const space = { id: 100 + id, type: 'paging', tables: undefined } as const;
  return { id, type: 'paging', sharedAddress: false, faults, space, pins: 0, parent: undefined, nested: new Set(), ...NOT_THERE };
}
const DOMAIN = domainOf(7);

function groupOf(report: PageFaultReport): PageFaultGroup {
  expect(report.kind).toBe('group');
  return (report as Extract<PageFaultReport, { kind: 'group' }>).group;
}
const pagesOf = (group: PageFaultGroup): readonly number[] => group.requests.map(({ page }) => page);

describe('I/O page faults', () => {
  it('are of one group: parts are parked, and the last builds it', () => {
    const faults = new PageFaults(() => 55);
    expect(faults.report(request({ page: 1, last: false }), DOMAIN)).toEqual({ kind: 'none' });
    expect(faults.report(request({ page: 2, last: false }), DOMAIN)).toEqual({ kind: 'none' });
    const group = groupOf(faults.report(request({ page: 3 }), DOMAIN));
    expect(group).toMatchObject({ number: 1, timeNs: 55, domain: { id: 7 }, last: { page: 3 } });
    expect(pagesOf(group)).toEqual([1, 2, 3]);
    // Nothing of it is left for the next group with this index.
    expect(pagesOf(groupOf(faults.report(request({ page: 4 }), DOMAIN)))).toEqual([4]);
  });

  it('keep groups apart by function, index and PASID', () => {
    const faults = new PageFaults(() => 0);
    for (const but of [{ bdf: OTHER }, { group: 4 }, { pasid: pasid(5) }]) faults.report(request({ ...but, page: 9, last: false }), DOMAIN);
    expect(pagesOf(groupOf(faults.report(request({ page: 1 }), DOMAIN)))).toEqual([1]);
    expect(pagesOf(groupOf(faults.report(request({ page: 1, pasid: pasid(5) }), DOMAIN)))).toEqual([9, 1]);
  });

  it('are answered once', () => {
    const faults = new PageFaults(() => 0);
    const group = groupOf(faults.report(request(), DOMAIN));
    expect([...faults.pending()]).toEqual([group]);
    expect(faults.answer(2)).toBeUndefined();
    expect(faults.answer(1)).toBe(group);
    expect(faults.answer(1)).toBeUndefined();
    expect([...faults.pending()]).toEqual([]);
  });

  it('are refused where no handler takes them, and parts of such a group wait for nothing', () => {
    const faults = new PageFaults(() => 0);
    faults.report(request({ page: 1, last: false }), DOMAIN);
    for (const domain of [undefined, domainOf(8, false)]) {
      expect(faults.report(request({ page: 2, last: false }), domain)).toEqual({ kind: 'none' });
      expect(faults.report(request({ page: 3 }), domain)).toEqual({ kind: 'refused' });
    }
    expect(pagesOf(groupOf(faults.report(request({ page: 4 }), DOMAIN)))).toEqual([4]);
  });

  it('of a PASID end with its Stop Marker, as far as they are parts', () => {
    const faults = new PageFaults(() => 0);
    faults.report(request({ page: 1, pasid: pasid(5), last: false }), DOMAIN);
    faults.report(request({ page: 2, pasid: pasid(6), last: false }), DOMAIN);
    expect(faults.report(request({ pasid: pasid(5), group: 0, access: 0 }), DOMAIN)).toEqual({ kind: 'none' });
    expect([...faults.pending()]).toEqual([]);
    expect(pagesOf(groupOf(faults.report(request({ page: 3, pasid: pasid(5) }), DOMAIN)))).toEqual([3]);
    expect(pagesOf(groupOf(faults.report(request({ page: 4, pasid: pasid(6) }), DOMAIN)))).toEqual([2, 4]);
  });

  it('of what goes are taken by function, PASID and domain, with their parts', () => {
    const faults = new PageFaults(() => 0);
    const mine = groupOf(faults.report(request({ group: 1 }), DOMAIN));
    const withPasid = groupOf(faults.report(request({ group: 2, pasid: pasid(5) }), domainOf(8)));
    const others = groupOf(faults.report(request({ bdf: OTHER }), DOMAIN));
    faults.report(request({ group: 9, page: 1, last: false }), DOMAIN);
    faults.report(request({ group: 9, page: 2, last: false, pasid: pasid(5) }), DOMAIN);
    expect(faults.takeGone(AT, (of) => of === NO_PASID)).toEqual([mine]);
    expect([...faults.pending()]).toEqual([withPasid, others]);
    expect(pagesOf(groupOf(faults.report(request({ group: 9, page: 3 }), DOMAIN)))).toEqual([3]);
    expect(pagesOf(groupOf(faults.report(request({ group: 9, page: 4, pasid: pasid(5) }), DOMAIN)))).toEqual([2, 4]);
    expect(faults.takeGone(AT, (_, domain) => domain?.id === 8)).toEqual([withPasid]);
  });

  it('that are not whole are discarded after an overflow, of every function', () => {
    const faults = new PageFaults(() => 0);
    faults.report(request({ page: 1, last: false }), DOMAIN);
    faults.report(request({ bdf: OTHER, page: 2, last: false }), DOMAIN);
    const whole = groupOf(faults.report(request({ group: 4 }), DOMAIN));
    expect(faults.discardPartial()).toBe(2);
    expect(faults.discardPartial()).toBe(0);
    expect([...faults.pending()]).toEqual([whole]);
    expect(pagesOf(groupOf(faults.report(request({ page: 5 }), DOMAIN)))).toEqual([5]);
  });

  it('are bounded: the oldest part makes way, and a group too many is refused', () => {
    const faults = new PageFaults(() => 0);
    for (let page = 0; page <= PARKED_MAX; page++) faults.report(request({ page, last: false }), DOMAIN);
    const group = groupOf(faults.report(request({ page: 9999 }), DOMAIN));
    expect([group.requests.length, group.requests[0]?.page]).toEqual([PARKED_MAX + 1, 1]);
    for (let number = 2; number <= PAGE_FAULTS_MAX; number++) faults.report(request(), DOMAIN);
    expect(faults.report(request(), DOMAIN)).toEqual({ kind: 'refused' });
    faults.answer(17);
    expect(faults.report(request(), DOMAIN).kind).toBe('group');
  });
});
