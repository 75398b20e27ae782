/** Invariant 47: an address of the DMA API that was unmapped lazily is not given away before a full flush that began after its unmap. */
import { describe, expect, it } from 'vitest';
import { NO_PASID } from '../../server/src/core/base/index.ts';
import { CoreMachine, PROBE, probe, type Options, type Pending } from '../kit/core-machine.ts';

const TOP = 0xffff_f000n;
const FLUSH_MS = 10;
/** The ring has 256 slots and keeps one empty. */
const QUEUED_MAX = 255;

class Driver {
  readonly m: CoreMachine;

  constructor(options: Options = {}) {
    this.m = new CoreMachine({ clock: 'manual', dmaFlush: 'lazy', ...options });
  }

  map(address: bigint, pages = 1): bigint {
    const bytes = BigInt(pages) * 4096n;
    const target = { bdf: PROBE, pasid: NO_PASID };
    return this.m.call('mapped', { kind: 'map', target, iova: undefined, address, bytes, access: 3 }).iova;
  }
  unmap(iova: bigint, pages = 1): Pending {
    return this.m.start({ kind: 'unmap', target: { bdf: PROBE, pasid: NO_PASID }, iova, bytes: BigInt(pages) * 4096n });
  }
  /** Maps and unmaps so many pages, one after the other; the addresses. */
  cycle(count: number, address: bigint): readonly bigint[] {
    return Array.from({ length: count }, () => {
      const iova = this.map(address);
      expect(this.unmap(iova).reply).toMatchObject({ kind: 'unmap', bytes: 4096n });
      return iova;
    });
  }
  holdFlush(step: string): number {
    return this.m.call('call-hold', { kind: 'call-hold', call: 'flush', step: step as 'iotlb', bdf: undefined, count: 1 }).hold;
  }
  letGo(hold: number): void {
    this.m.call('ok', { kind: 'call-release', hold, stopped: 0, keep: false });
  }
}

describe('47 a lazy address is not given away before a full flush that began after its unmap', () => {
  it('47 its unmap replies at once, and the function goes on through it until the flush', () => {
    const d = new Driver();
    const page = d.m.allocPage();
    const iova = d.map(page);
    expect(iova).toBe(TOP);
    expect(d.m.outcome(PROBE, Number(iova), 'warm')).toBe('performed');
    expect(d.unmap(iova).reply).toMatchObject({ kind: 'unmap', bytes: 4096n, elapsedNs: 0 });
    expect(d.map(page)).toBe(TOP - 0x1000n);
    expect(d.m.outcome(PROBE, Number(iova), 'late')).toBe('performed');
    d.m.advance(FLUSH_MS);
    expect(d.m.outcome(PROBE, Number(iova), 'gone')).toBe('not-present');
    expect(d.map(page)).toBe(TOP);
  });

  it('47 not a nanosecond before its time is up', () => {
    const d = new Driver();
    const page = d.m.allocPage();
    const [iova] = d.cycle(1, page);
    d.m.advance(9);
    const [second] = d.cycle(1, page);
    expect(second).not.toBe(iova);
    d.m.start({ kind: 'clock-advance', ns: 999_999, force: false });
    expect(d.map(page)).toBe(TOP - 0x2000n);
    d.m.start({ kind: 'clock-advance', ns: 1, force: false });
    expect(d.map(page)).toBe(TOP);
  });

  it('47 when the queue is full a flush comes at once, and then all of it is free', () => {
    const d = new Driver();
    const page = d.m.allocPage();
    const iovas = d.cycle(QUEUED_MAX, page);
    expect(new Set(iovas).size).toBe(QUEUED_MAX);
    const one = d.map(page);
    expect(iovas).not.toContain(one);
    expect(d.unmap(one).reply).toMatchObject({ kind: 'unmap', bytes: 4096n });
    expect(d.m.traced('iotlb-invalidated')).toHaveLength(1);
    // All but the one whose unmap found the queue full: it is in the queue now.
    const again = Array.from({ length: QUEUED_MAX }, () => d.map(page));
    expect(new Set(again)).toEqual(new Set(iovas));
    d.m.advance(FLUSH_MS);
    expect(d.map(page)).toBe(one);
  });

  it('47 an address that was unmapped while a flush was at work waits for the next', () => {
    const d = new Driver();
    const page = d.m.allocPage();
    const [early] = d.cycle(1, page);
    const hold = d.holdFlush('atc-completed');
    d.m.advance(FLUSH_MS);
    const [late] = d.cycle(1, page);
    expect(late).not.toBe(early);
    d.letGo(hold);
    expect(d.map(page)).toBe(early);
    expect(d.map(page)).not.toBe(late);
    d.m.advance(FLUSH_MS);
    expect(d.map(page)).toBe(late);
  });

  it('47 nor is one free when a flush that began before it finishes after one that began later', () => {
    const d = new Driver();
    const page = d.m.allocPage();
    d.cycle(1, page);
    const first = d.holdFlush('atc-completed');
    d.m.advance(FLUSH_MS);
    const [between] = d.cycle(1, page);
    const second = d.holdFlush('iotlb');
    d.m.advance(FLUSH_MS);
    // Both are free when both have finished; the first alone began too early for the second address.
    d.letGo(first);
    expect([d.map(page), d.map(page)]).not.toContain(between);
    d.letGo(second);
    expect(d.map(page)).toBe(between);
  });

  it('47 the flush awaits the functions: an ATC that is late keeps the address', () => {
    const d = new Driver();
    const page = d.m.allocPage();
    const iova = d.map(page);
    expect(d.m.outcome(PROBE, Number(iova), 'warm', { translated: true })).toBe('performed');
    d.m.arm(PROBE, 'late-invalidations', { delayMs: 100 });
    expect(d.unmap(iova).reply).toMatchObject({ kind: 'unmap', timedOut: 0 });
    expect(d.m.outcome(PROBE, Number(iova), 'late', { translated: true })).toBe('performed');
    d.m.advance(FLUSH_MS + 99);
    expect(d.map(page)).not.toBe(iova);
    d.m.advance(1);
    expect(d.map(page)).toBe(iova);
    expect(d.m.outcome(PROBE, Number(iova), 'new', { translated: true })).toBe('performed');
  });

  it('47 an unmap that finds the queue full waits for the flush', () => {
    const d = new Driver();
    const page = d.m.allocPage();
    const last = [d.map(page), d.map(page)];
    d.cycle(QUEUED_MAX, page);
    const hold = d.holdFlush('atc-completed');
    const waiting = last.map((iova) => d.unmap(iova));
    expect(waiting.map((unmap) => unmap.reply)).toEqual([undefined, undefined]);
    expect(d.m.traced('iotlb-invalidated')).toHaveLength(1);
    d.letGo(hold);
    expect(waiting.map((unmap) => unmap.reply?.kind)).toEqual(['unmap', 'unmap']);
    expect(d.map(page)).not.toBe(last[0]);
  });

  it('47 unmapped twice, or in parts, it is given back once, and only as a whole', () => {
    const d = new Driver();
    const page = d.m.call('memory-alloc', { kind: 'memory-alloc', bytes: 8192n }).address;
    const iova = d.map(page, 2);
    expect(d.unmap(iova + 0x1000n).reply).toMatchObject({ bytes: 4096n });
    expect(d.unmap(iova, 2).reply).toMatchObject({ bytes: 4096n });
    expect(d.unmap(iova, 2).reply).toMatchObject({ bytes: 0n });
    d.m.advance(FLUSH_MS);
    expect(d.map(page, 2)).toBe(iova);
    expect(d.map(page, 2)).not.toBe(iova);
  });

  it('47 unmapped again while its flush is at work, it is not taken from who has it next', () => {
    const d = new Driver();
    const page = d.m.allocPage();
    const [iova] = d.cycle(1, page);
    const hold = d.holdFlush('atc-completed');
    d.m.advance(FLUSH_MS);
    expect(d.unmap(iova!).reply).toMatchObject({ bytes: 0n });
    d.letGo(hold);
    expect(d.map(page)).toBe(iova);
    d.m.advance(FLUSH_MS);
    expect(d.map(page)).not.toBe(iova);
  });

  it('47 strict: it is free when its unmap replies, and not before', () => {
    const d = new Driver({ dmaFlush: 'strict' });
    const page = d.m.allocPage();
    const iova = d.map(page);
    d.m.outcome(PROBE, Number(iova), 'warm', { translated: true });
    d.m.arm(PROBE, 'late-invalidations', { delayMs: 100 });
    const unmap = d.unmap(iova);
    d.m.advance(99);
    expect(unmap.reply).toBeUndefined();
    expect(d.map(page)).not.toBe(iova);
    d.m.advance(1);
    expect(unmap.reply).toMatchObject({ kind: 'unmap', bytes: 4096n });
    expect(d.map(page)).toBe(iova);
    expect(d.unmap(iova).reply).toMatchObject({ kind: 'unmap' });
    expect(d.m.outcome(PROBE, Number(iova), 'x')).toBe('not-present');
  });
});

describe('the addresses of the DMA API', () => {
  it('are in the default domain, whatever is attached', () => {
    const d = new Driver({ dmaFlush: 'strict' });
    d.m.call('ok', d.m.attach(PROBE, d.m.allocDomain()));
    const page = d.m.allocPage();
    const iova = d.map(page);
    expect(d.m.outcome(PROBE, Number(iova))).toBe('not-present');
    d.m.call('ok', { kind: 'domain-detach', bdf: PROBE });
    expect(d.m.outcome(PROBE, Number(iova))).toBe('performed');
  });

  it('keep clear of interrupts, of reserved regions, of BARs, and of what was mapped by hand', () => {
    const reserved = { address: 0xff00_0000n, bytes: 0xe0_0000n, type: 'reserved' } as const;
    const softwareMsi = { address: 0xfe00_0000n, bytes: 0x10_0000n, type: 'sw-msi' } as const;
    const d = new Driver({ functions: [{ ...probe(PROBE), reservedRegions: [reserved, softwareMsi] }] });
    const page = d.m.allocPage();
    const bytes = 0x20_0000n;
    d.m.map(PROBE, Number(TOP), page);
    const iovas = Array.from({ length: 16 }, () => {
      const target = { bdf: PROBE, pasid: NO_PASID };
      return d.m.call('mapped', { kind: 'map', target, iova: undefined, address: page, bytes, access: 1 }).iova;
    });
    const ends = iovas.map((iova) => [iova, iova + bytes] as const);
    expect(ends.every(([from, to]) => to <= 0xfee0_0000n || from >= 0xfef0_0000n)).toBe(true);
    expect(ends.every(([from, to]) => to <= reserved.address || from >= reserved.address + reserved.bytes)).toBe(true);
    // The region for software MSI is Linux's own to use.
    expect(ends.some(([from, to]) => from <= softwareMsi.address && to > softwareMsi.address)).toBe(true);
    expect(d.map(page)).toBe(TOP - 0x1000n);
  });

  it('are beyond 4 GiB when there is no more room below', () => {
    const d = new Driver({ dmaFlush: 'strict' });
    const map = (bytes: bigint): bigint => {
      const target = { bdf: PROBE, pasid: NO_PASID };
      return d.m.call('mapped', { kind: 'map', target, iova: undefined, address: 0x4000_0000n, bytes, access: 1 }).iova;
    };
    const gib = 1n << 30n;
    expect([map(gib), map(gib), map(gib)]).toEqual([2n * gib, gib, (1n << 47n) - gib]);
    expect(d.m.events.flatMap((event) => (event.kind === 'log' ? [event.text] : []))).toEqual(['00:02.0 using 64-bit DMA addresses']);
  });

  it('are refused where they cannot be', () => {
    const d = new Driver();
    const fields = {
      kind: 'map',
      target: { bdf: PROBE, pasid: NO_PASID },
      iova: undefined,
      address: 0x10_0000n,
      bytes: 4096n,
      access: 3,
    } as const;
    expect(d.m.refusal({ ...fields, bytes: 0n })).toBe('EINVAL');
    expect(d.m.refusal({ ...fields, bytes: 4097n })).toBe('EINVAL');
    expect(d.m.refusal({ ...fields, access: 4 })).toBe('EINVAL');
    expect(d.m.refusal({ ...fields, bytes: 1n << 50n })).toBe('ENOMEM');
    expect(() => d.m.start({ ...fields, target: { domain: 1 } })).toThrow('iova is missing');
  });
});
