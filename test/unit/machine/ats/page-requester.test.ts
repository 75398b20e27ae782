import { describe, expect, it } from 'vitest';
import { CoreMachine, PROBE, type Pending } from '../../../kit/core-machine.ts';

const IOVA = 0x4_0000;
const FAULTING = { translated: true, onFault: 'page-request' } as const;
/** Bits of Page Request Status. */
const [RESPONSE_FAILURE, UNEXPECTED, STOPPED] = [1, 2, 0x100];
const PASID_REQUIRED = 0x8000;

function faulting(allocation?: number): { m: CoreMachine; domain: number; at: number } {
  const m = new CoreMachine();
  const domain = m.allocFaultDomain();
  m.call('ok', m.attach(PROBE, domain));
  const at = capability(m, 0x13);
  if (allocation !== undefined) write(m, at + 0xc, 4, allocation);
  return { m, domain, at };
}

function read(m: CoreMachine, offset: number, bytes: number): number {
  return m.call('region-read', { kind: 'region-read', bdf: PROBE, region: 7, offset, bytes }).valueLow >>> 0;
}
function write(m: CoreMachine, offset: number, bytes: number, value: number): void {
  m.call('ok', { kind: 'region-write', bdf: PROBE, region: 7, offset, bytes, valueLow: value, valueHigh: 0 });
}
function capability(m: CoreMachine, id: number): number {
  for (let at = 0x100; at !== 0; at = read(m, at, 4) >>> 20) if ((read(m, at, 4) & 0xffff) === id) return at;
  return expect.unreachable(`no capability ${id}`);
}

describe('Outstanding Page Request Allocation', () => {
  it('is what the IOMMU core gives with the first fault-capable domain: the whole capacity', () => {
    const { m, at } = faulting();
    expect([read(m, at + 4, 2), read(m, at + 8, 4), read(m, at + 0xc, 4)]).toEqual([1, 512, 512]);
  });

  it('bounds what is outstanding, over all groups, parts among them', () => {
    const { m } = faulting(4);
    m.requestPages(PROBE, { pages: 2 });
    m.requestPages(PROBE, { group: 9, last: false });
    expect(m.requestPages(PROBE, { pages: 2 }).reply).toMatchObject({ kind: 'refused', code: 'EAGAIN', about: 'pages' });
    m.requestPages(PROBE, { group: 9 });
    expect(m.requestPages(PROBE).reply).toMatchObject({ code: 'EAGAIN' });
    expect(m.traced('page-request')).toHaveLength(4);
    m.respond(1, 'success');
    expect(m.requestPages(PROBE, { pages: 3 }).reply).toMatchObject({ code: 'EAGAIN' });
    m.requestPages(PROBE, { pages: 2 });
    expect(m.traced('page-request')).toHaveLength(6);
  });

  it('is what a DMA asks within: what is missing beyond is asked for when the answer is there', () => {
    const { m, domain } = faulting(2);
    const dma = m.write(PROBE, IOVA, 'x'.repeat(5 * 4096), FAULTING);
    for (const [fault, pages] of [2, 2, 1].entries()) {
      expect(m.pageFaults().at(-1)).toMatchObject({ number: fault + 1, ranges: [{ iova: BigInt(IOVA + 0x2000 * fault), pages }] });
      for (let page = 0; page < pages; page++) m.map({ domain }, IOVA + 0x2000 * fault + 0x1000 * page, m.allocPage());
      m.respond(fault + 1, 'success');
    }
    expect(dma.reply).toMatchObject({ outcome: 'performed' });
  });

  it('lets DMA wait in their order where there is no room', () => {
    const { m, domain } = faulting(1);
    const dmas = [0, 1, 2].map((index) => m.write(PROBE, IOVA + 0x1000 * index, 'x', FAULTING));
    for (let index = 0; index < 3; index++) {
      expect(m.pageFaults()).toHaveLength(index + 1);
      expect(m.pageFaults()[index]).toMatchObject({ ranges: [{ iova: BigInt(IOVA + 0x1000 * index) }] });
      m.map({ domain }, IOVA + 0x1000 * index, m.allocPage());
      m.respond(index + 1, 'success');
    }
    expect(dmas.map(({ reply }) => reply)).toMatchObject([{ outcome: 'performed' }, { outcome: 'performed' }, { outcome: 'performed' }]);
  });

  it('that is taken away lets what waits for room go without', () => {
    const { m } = faulting(1);
    m.requestPages(PROBE);
    const dma = m.write(PROBE, IOVA, 'x', FAULTING);
    expect(dma.reply).toBeUndefined();
    m.call('ok', { kind: 'domain-detach', bdf: PROBE });
    expect(dma.reply).toMatchObject({ outcome: 'no-access' });
  });
});

describe('a page request', () => {
  it('stands behind the posted writes that its function issued before it', () => {
    const { m } = faulting();
    m.map(PROBE, 0x8000, m.allocPage());
    m.write(PROBE, 0x8000, 'x', { hold: 'translated' });
    const pending = m.requestPages(PROBE, { iova: 0xffff_ffff_f000 });
    expect(m.pageFaults()).toEqual([]);
    const entries = m.call('ledger', { kind: 'ledger', bdf: PROBE }).entries;
    expect(entries.map(({ operation, iova }) => [operation, iova])).toEqual([
      ['write', 0x8000n],
      ['page-request', 0xffff_ffff_f000n],
    ]);
    m.release(PROBE);
    expect(m.pageFaults()).toHaveLength(1);
    m.respond(1, 'success');
    expect(pending.reply).toMatchObject({ answer: 'success' });
    expect(m.info(PROBE).inFlight).toBe(0);
  });

  it('is a message: Bus Master Enable does not gate it', () => {
    const { m } = faulting();
    write(m, 4, 2, 0);
    m.requestPages(PROBE);
    expect(m.pageFaults()).toHaveLength(1);
  });

  it('is not sent from D3hot', () => {
    const { m } = faulting();
    let power = read(m, 0x34, 1);
    while (read(m, power, 1) !== 1) power = read(m, power + 1, 1);
    write(m, power + 4, 2, 3);
    expect(m.requestPages(PROBE).reply).toMatchObject({ answer: 'not-sent' });
    write(m, power + 4, 2, 0);
    m.requestPages(PROBE);
    expect(m.pageFaults()).toHaveLength(1);
  });

  it('is not sent by a function that is not ready', () => {
    const { m, at } = faulting();
    m.arm(PROBE, 'never-ready');
    m.start({ kind: 'reset-trigger', bdf: PROBE, method: 'flr' });
    write(m, at + 4, 2, 1);
    expect(m.requestPages(PROBE).reply).toMatchObject({ answer: 'not-sent' });
  });
});

describe('a Stop Marker', () => {
  function stopped(): { m: CoreMachine; pending: Pending } {
    const { m } = faulting(2);
    m.call('ok', m.attachPasid(PROBE, 5, m.allocFaultDomain()));
    const pending = m.requestPages(PROBE, { pasid: 5, pages: 2 });
    expect(m.requestPages(PROBE, { pasid: 5, stopMarker: true }).reply).toMatchObject({ kind: 'page-request', answer: 'none' });
    return { m, pending };
  }

  it('gets no answer, and its function waits for none of that PASID any more', () => {
    const { m, pending } = stopped();
    expect(pending.reply).toMatchObject({ answer: 'forgotten' });
    expect(m.traced('stop-marker', PROBE)).toMatchObject([{ b: 5 }]);
    expect(m.pageFaults()).toHaveLength(1);
  });

  it('gives no credits back: the response does, and is expected', () => {
    const { m } = stopped();
    expect(m.requestPages(PROBE).reply).toMatchObject({ code: 'EAGAIN' });
    m.call('ok', { kind: 'page-response', fault: 1, answer: 'success' });
    expect(m.traced('page-response-late')).toEqual([]);
    m.requestPages(PROBE);
    expect(m.pageFaults()).toHaveLength(2);
  });

  it('waits for the last request of each group of its PASID, and of no other', () => {
    const { m } = faulting();
    m.requestPages(PROBE, { group: 1, last: false });
    m.requestPages(PROBE, { pasid: 5, group: 2, last: false });
    expect(() => m.requestPages(PROBE, { pasid: 5, stopMarker: true })).toThrow(expect.objectContaining({ field: 'stop_marker' }));
    expect(m.requestPages(PROBE, { pasid: 6, stopMarker: true }).reply).toMatchObject({ answer: 'none' });
  });

  it('ends a DMA of its PASID without its page', () => {
    const { m } = faulting();
    m.call('ok', m.attachPasid(PROBE, 5, m.allocFaultDomain()));
    const dma = m.write(PROBE, IOVA, 'x', { ...FAULTING, pasid: 5 });
    m.requestPages(PROBE, { pasid: 5, stopMarker: true });
    expect(dma.reply).toMatchObject({ outcome: 'no-access' });
  });
});

describe('Page Request Status', () => {
  it('is Stopped while disabled with nothing outstanding', () => {
    const { m, at } = faulting();
    const status = (): number => read(m, at + 6, 2);
    expect(status()).toBe(PASID_REQUIRED);
    m.requestPages(PROBE);
    write(m, at + 4, 2, 0);
    expect(status()).toBe(PASID_REQUIRED);
    expect(m.requestPages(PROBE).reply).toMatchObject({ answer: 'not-sent' });
    m.respond(1, 'success');
    expect(status()).toBe(PASID_REQUIRED | STOPPED);
    write(m, at + 4, 2, 1);
    expect(status()).toBe(PASID_REQUIRED);
  });

  it('has Response Failure: the interface is disabled, no other answer counts, and software clears and enables it', () => {
    const { m, at } = faulting();
    const [first, second] = [m.requestPages(PROBE), m.requestPages(PROBE)];
    m.respond(1, 'failure');
    expect([first.reply, second.reply]).toMatchObject([{ answer: 'failure' }, { answer: 'failure' }]);
    expect([read(m, at + 4, 2), read(m, at + 6, 2)]).toEqual([0, PASID_REQUIRED | STOPPED | RESPONSE_FAILURE]);
    m.call('ok', { kind: 'page-response', fault: 2, answer: 'success' });
    expect(m.traced('page-response-late')).toHaveLength(1);
    // Ignored, not unexpected.
    expect(read(m, at + 6, 2) & UNEXPECTED).toBe(0);
    write(m, at + 4, 2, 1);
    expect(m.requestPages(PROBE).reply).toMatchObject({ answer: 'not-sent' });
    write(m, at + 6, 2, RESPONSE_FAILURE);
    m.requestPages(PROBE);
    expect(m.pageFaults()).toHaveLength(3);
  });

  it('has an unexpected group where an answer meets none that the function knows', () => {
    const { m, at } = faulting();
    const pending = m.requestPages(PROBE);
    write(m, at + 4, 2, 0);
    write(m, at + 4, 2, 2);
    expect(pending.reply).toMatchObject({ answer: 'forgotten' });
    expect(read(m, at + 6, 2)).toBe(PASID_REQUIRED | STOPPED);
    m.call('ok', { kind: 'page-response', fault: 1, answer: 'success' });
    expect(read(m, at + 6, 2)).toBe(PASID_REQUIRED | STOPPED | UNEXPECTED);
  });

  it('keeps its groups where Reset is written while the interface is enabled', () => {
    const { m, at } = faulting();
    const pending = m.requestPages(PROBE);
    write(m, at + 4, 2, 3);
    expect(pending.reply).toBeUndefined();
    m.respond(1, 'success');
    expect(pending.reply).toMatchObject({ answer: 'success' });
  });
});
