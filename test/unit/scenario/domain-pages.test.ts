/** What a domain is taken to map, by what statements and guests have done. */
import { describe, expect, it } from 'vitest';
import { DomainPages } from '../../../server/src/scenario/domain-pages.ts';

const HOST = { id: 1, type: 'paging' } as const;
const NESTED = { id: 2, type: 'paging', parent: HOST, guestTables: true } as const;
const GUEST = { id: 3, type: 'paging', guestTables: true } as const;
const IOVA = 0x1000n;
const PAGE = 0x40;

function mapped(): DomainPages {
  const pages = new DomainPages();
  pages.map(HOST.id, IOVA, 0x40000n, 0x2000n);
  return pages;
}

describe('a domain of the host', () => {
  it('reaches what was mapped, until as much as the unmap undid is gone', () => {
    const pages = mapped();
    expect([pages.reach(HOST, PAGE, 1), pages.reach(HOST, PAGE + 1, 1), pages.reach(HOST, PAGE + 2, 1)]).toEqual([true, true, false]);
    pages.unmap(HOST.id, IOVA, 0n);
    expect(pages.reach(HOST, PAGE, 1)).toBe(true);
    pages.unmap(HOST.id, IOVA, 0x2000n);
    expect([pages.reach(HOST, PAGE, 1), pages.reach(HOST, PAGE + 1, 2)]).toEqual([false, false]);
  });

  it('is known to map nothing at an IOVA once something was mapped in it', () => {
    const pages = mapped();
    expect([pages.mayMap(HOST, 1n), pages.mayMap(HOST, 3n), pages.mayMap(GUEST, 3n)]).toEqual([true, false, true]);
  });
});

describe('a domain whose tables a guest writes', () => {
  it('reaches whatever its second stage maps, or without one anything', () => {
    const pages = mapped();
    expect([pages.reach(NESTED, PAGE, 9), pages.reach(NESTED, PAGE + 2, 9), pages.reach(GUEST, PAGE + 2, 9)]).toEqual([true, false, true]);
  });

  it.each([NESTED, GUEST])('reaches nothing by an IOVA that the guest has invalidated, until memory is written: %j', (domain) => {
    const pages = mapped();
    pages.unmap(domain.id, 0x9000n, 0x1000n);
    expect([pages.reach(domain, PAGE, 9), pages.reach(domain, PAGE, 8), pages.reach(domain, PAGE, undefined)]).toEqual([false, true, true]);
    pages.written();
    expect(pages.reach(domain, PAGE, 9)).toBe(true);
  });
});
