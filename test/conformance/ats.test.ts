/** Invariants 17, 18 and 36 with translations of the size that the mapping has: what a function caches, and what an invalidation takes from it. */
import { describe, expect, it } from 'vitest';
import { NO_PASID } from '../../server/src/core/base/index.ts';
import type { Behaviour } from '../../server/src/core/machine/index.ts';
import { CoreMachine, PROBE, type Options } from '../kit/core-machine.ts';

const MIB2 = 0x20_0000;
/** IOVA of a page of 2 MiB, and of the one of 4 KiB behind it. */
const LARGE = 0x4000_0000;
const SMALL = LARGE + MIB2;
const TRANSLATED = { translated: true };

interface Mapped {
  readonly m: CoreMachine;
  readonly address: bigint;
}

function mapped(options: Options = {}): Mapped {
  const m = new CoreMachine({ ramBytes: 0x80_0000n, ...options });
  // Twice as much has a place for it that is aligned.
  const { address: from } = m.call('memory-alloc', { kind: 'memory-alloc', bytes: BigInt(MIB2) * 2n });
  const address = (from + BigInt(MIB2) - 1n) & -BigInt(MIB2);
  const target = { bdf: PROBE, pasid: NO_PASID };
  m.call('ok', { kind: 'map', target, iova: BigInt(LARGE), address, bytes: BigInt(MIB2), access: 3 });
  m.map(PROBE, SMALL, m.allocPage());
  return { m, address };
}

/** A function in a domain of Sv39 tables that a guest wrote at `root`: one page of 1 GiB at 0, in which `page` is. */
function guest(options: Options = {}): { m: CoreMachine; domain: number; root: bigint; page: bigint } {
  const m = new CoreMachine(options);
  const root = m.allocPage();
  const page = m.allocPage();
  m.call('ok', { kind: 'memory-write', address: root, data: Uint8Array.of(0xdf) });
  const fields = { type: 'paging', sharedAddress: false, format: 'riscv-sv39', root } as const;
  const { domain } = m.call('domain-alloc', { kind: 'domain-alloc', ...fields });
  m.call('ok', m.attach(PROBE, domain));
  return { m, domain, root, page };
}

function unmap(m: CoreMachine, iova: number, bytes: number): ReturnType<CoreMachine['start']> {
  return m.start({ kind: 'unmap', target: { bdf: PROBE, pasid: NO_PASID }, iova: BigInt(iova), bytes: BigInt(bytes) });
}
function translate(m: CoreMachine, iova: number): unknown {
  const at = { iovaLow: iova, iovaHigh: 0, bytes: 4096, pasid: NO_PASID, hold: undefined, holdNs: 0 };
  return m.call('dma', { kind: 'model-dma', bdf: PROBE, operation: 'translate', data: undefined, translated: false, ...at }).grants?.[0];
}

describe('a translation of a large page', () => {
  it('is granted whole, by one request for all that is in it', () => {
    const { m, address } = mapped();
    expect(translate(m, LARGE + 0x5000)).toEqual({ address, bytes: MIB2, access: 1 });
    expect(translate(m, SMALL)).toMatchObject({ bytes: 4096 });
    for (let i = 0; i < 4; i++) expect(m.outcome(PROBE, LARGE + i * 0x1000, 'x', TRANSLATED)).toBe('performed');
    // One more: the first did not ask for the right to write.
    expect(m.traced('ats-granted', PROBE)).toHaveLength(3);
    expect(m.text(address + 0x3000n, 1)).toBe('x');
  });

  it('18 is gone from the ATC with any page of it that is unmapped', () => {
    const { m } = mapped();
    expect(m.outcome(PROBE, LARGE + 0x7000, 'x', TRANSLATED)).toBe('performed');
    expect(m.outcome(PROBE, SMALL, 'x', TRANSLATED)).toBe('performed');
    expect(unmap(m, LARGE, 0x1000).reply).toMatchObject({ bytes: BigInt(MIB2), timedOut: 0 });
    expect(m.outcome(PROBE, LARGE + 0x8000, 'x', TRANSLATED)).toBe('no-access');
    expect(m.outcome(PROBE, SMALL, 'x', TRANSLATED)).toBe('performed');
    expect(m.traced('ats-dropped', PROBE).map((record) => record.c)).toEqual([1]);
  });

  it('18 is gone with a page in its middle, of tables that a guest wrote', () => {
    const { m, domain, root, page } = guest();
    expect(m.outcome(PROBE, Number(page), 'x', TRANSLATED)).toBe('performed');
    m.call('ok', { kind: 'memory-write', address: root, data: Uint8Array.of(0) });
    m.start({ kind: 'unmap', target: { domain }, iova: page, bytes: 0x1000n });
    expect(m.traced('invalidation-sent', PROBE).at(-1)).toMatchObject({ c: Number(page / 4096n), d: 1 });
    expect(m.outcome(PROBE, Number(page) + 8, 'y', TRANSLATED)).toBe('no-access');
    expect(m.text(page, 9)).toBe('x'.padEnd(9, '\0'));
  });

  it('18 and smaller ones are gone by one request, which names the smallest range with a size', () => {
    const { m } = mapped();
    for (const iova of [LARGE, SMALL]) m.outcome(PROBE, iova, 'x', TRANSLATED);
    expect(unmap(m, LARGE, MIB2 + 0x1000).reply).toMatchObject({ bytes: BigInt(MIB2 + 0x1000), timedOut: 0 });
    expect(m.traced('invalidation-sent', PROBE).map(({ c, d }) => [c, d])).toEqual([[LARGE / 4096, 1024]]);
    for (const iova of [LARGE, SMALL]) expect(m.outcome(PROBE, iova, 'x', TRANSLATED)).toBe('no-access');
  });

  it.each([
    ['strict', 'stale-atc'],
    ['linux-7.1', 'performed'],
  ] as const)('17 that survives a reset is stale at each of its pages: %s', (behaviour: Behaviour, outcome) => {
    const { m, address } = mapped({ behaviour });
    m.outcome(PROBE, LARGE, 'x', TRANSLATED);
    m.arm(PROBE, 'ignore-invalidations', { count: 2 });
    m.arm(PROBE, 'atc-survives-reset', { count: 0 });
    unmap(m, LARGE, MIB2);
    expect(m.reset(PROBE).reply).toMatchObject({ kind: 'reset' });
    expect(m.outcome(PROBE, LARGE + MIB2 - 0x1000, 'stale', TRANSLATED)).toBe(outcome);
    expect(m.traced('stale-atc', PROBE).map((record) => record.c)).toEqual([Number(address / 4096n) + 511]);
  });

  it('36 whose completion an invalidation of another page of it overtakes is not cached', () => {
    const { m, domain, root, page } = guest({ clock: 'manual' });
    const at = { iovaLow: Number(page), iovaHigh: 0, bytes: 4096, pasid: NO_PASID, holdNs: 0 } as const;
    const held = { kind: 'model-dma', bdf: PROBE, operation: 'translate', data: undefined, translated: false, hold: 'translated' } as const;
    const request = m.start({ ...held, ...at, write: true });
    m.call('ok', { kind: 'memory-write', address: root, data: Uint8Array.of(0) });
    m.start({ kind: 'unmap', target: { domain }, iova: page - 0x1000n, bytes: 0x1000n });
    m.release(PROBE);
    expect(request.reply).toMatchObject({ outcome: 'performed' });
    expect(m.outcome(PROBE, Number(page), 'x', TRANSLATED)).toBe('no-access');
    expect(m.traced('stale-atc')).toEqual([]);
  });
});

describe('a range that an Invalidate Request names beyond what is unmapped', () => {
  /** Pages 1 to 6; the unmap is of 3 and 4, and its request names 0 to 7. */
  function pages(options: Options = {}): CoreMachine {
    const m = new CoreMachine(options);
    for (let page = 1; page < 7; page++) {
      m.map(PROBE, page * 0x1000, m.allocPage());
      m.outcome(PROBE, page * 0x1000, 'x', TRANSLATED);
    }
    return m;
  }

  it('18 is asked for again, and no page of it is taken for stale', () => {
    const m = pages();
    expect(unmap(m, 0x3000, 0x2000).reply).toMatchObject({ bytes: 0x2000n });
    expect([1, 2, 3, 4, 5, 6].map((page) => m.outcome(PROBE, page * 0x1000, 'x', TRANSLATED))).toEqual([
      'performed',
      'performed',
      'no-access',
      'no-access',
      'performed',
      'performed',
    ]);
    expect(m.traced('ats-dropped').map((record) => record.c)).toEqual([6]);
    expect(m.traced('stale-atc')).toEqual([]);
  });

  it('is not stale where the function has not answered', () => {
    const m = pages({ behaviour: 'linux-7.1' });
    m.arm(PROBE, 'ignore-invalidations');
    expect(unmap(m, 0x3000, 0x2000).reply).toMatchObject({ timedOut: 1 });
    for (const page of [2, 5]) expect(m.outcome(PROBE, page * 0x1000, 'x', TRANSLATED)).toBe('performed');
    expect(m.traced('stale-atc')).toEqual([]);
    m.outcome(PROBE, 0x3000, 'x', TRANSLATED);
    expect(m.traced('stale-atc')).toHaveLength(1);
  });
});

describe('a translation request', () => {
  const at = { iovaLow: SMALL, iovaHigh: 0, bytes: 4096, hold: undefined, holdNs: 0, translated: false, data: undefined } as const;
  const asked = { kind: 'model-dma', bdf: PROBE, operation: 'translate', pasid: NO_PASID, ...at } as const;

  it('is granted the right to write where it asks for it (NW clear)', () => {
    const { m } = mapped();
    expect(m.call('dma', asked).grants?.[0]).toMatchObject({ access: 1 });
    expect(m.call('dma', { ...asked, write: true }).grants?.[0]).toMatchObject({ access: 3 });
    expect(m.outcome(PROBE, SMALL, 'x', TRANSLATED)).toBe('performed');
    expect(m.traced('ats-granted')).toHaveLength(2);
    expect(() => m.start({ ...asked, operation: 'read', write: true })).toThrow(/only a translation request/);
  });

  it('learns where only untranslated writes may go, and what is of privileged mode or of every PASID', () => {
    const { m, domain, root } = guest();
    const window = { ...asked, iovaLow: 0xfee0_1000 | 0, write: true };
    const untranslated = { address: 0xfee0_1000n, bytes: 4096, access: 2, untranslatedOnly: true };
    expect(m.call('dma', window).grants?.[0]).toEqual(untranslated);
    m.call('ok', m.attachPasid(PROBE, 5, domain));
    // G set, and U clear.
    m.call('ok', { kind: 'memory-write', address: root, data: Uint8Array.of(0xef) });
    const whole = { address: 0n, bytes: 2 ** 30, access: 1, privileged: true, global: true };
    expect(m.call('dma', { ...asked, iovaLow: 0x1000, pasid: 5 as never, privileged: true }).grants?.[0]).toEqual(whole);
  });
});

describe('an address at which interrupts are taken', () => {
  it('is written untranslated by a function that has asked, mapped or not', () => {
    const { m } = mapped();
    expect(m.outcome(PROBE, 0xfee0_1000, 'abcd', TRANSLATED)).toBe('performed');
    expect(m.events.filter(({ kind }) => kind === 'interrupt')).toMatchObject([{ bdf: PROBE, address: 0xfee0_1000n, data: 0x6463_6261 }]);
    expect(m.traced('ats-granted')).toEqual([]);
  });
});
