/** Invariants 2, 16 and 18 where the retained domain is nested, or tracks what is written. */
import { describe, expect, it } from 'vitest';
import { CoreMachine, PROBE, type Options } from '../kit/core-machine.ts';

const IOVA = 0x1_0000;
/** Where the guest's only table stands in the guest's memory. */
const ROOT = 0x20_0000;

interface Guest {
  readonly m: CoreMachine;
  readonly host: number;
  readonly nested: number;
  readonly page: bigint;
}

/** A function attached to Sv39 tables of a guest, one page of 1 GiB at 0, above a second stage that maps the table and IOVA. */
function guest(options: Options = {}): Guest {
  const m = new CoreMachine(options);
  const alloc = (fields: object): number =>
    m.call('domain-alloc', { kind: 'domain-alloc', type: 'paging', sharedAddress: false, ...fields }).domain;
  const host = alloc({ format: 'riscv-sv39x4' });
  const table = m.allocPage();
  const page = m.allocPage();
  m.call('ok', { kind: 'memory-write', address: table, data: Uint8Array.of(0xdf) });
  m.map({ domain: host }, ROOT, table);
  m.map({ domain: host }, IOVA, page);
  const nested = alloc({ format: 'riscv-sv39', root: BigInt(ROOT), parent: host });
  m.call('ok', m.attach(PROBE, nested));
  return { m, host, nested, page };
}

describe('a window of a function whose domain is nested', () => {
  it('2 retains it, and both stages translate again afterwards', () => {
    const { m, nested, page } = guest();
    expect(m.outcome(PROBE, IOVA, 'first')).toBe('performed');
    m.prepare(PROBE);
    expect(m.info(PROBE)).toMatchObject({ logicalDomain: { id: nested }, physicalDomain: { type: 'blocked' } });
    m.done(PROBE);
    expect(m.info(PROBE)).toMatchObject({ physicalDomain: { id: nested } });
    expect(m.outcome(PROBE, IOVA, 'after')).toBe('performed');
    expect(m.text(page, 5)).toBe('after');
  });

  it('18 shows what was mapped in the second stage meanwhile, and no stale entry of both', () => {
    const { m, host, page } = guest();
    m.outcome(PROBE, IOVA, 'old');
    m.outcome(PROBE, IOVA, 'old', { translated: true });
    m.prepare(PROBE);
    expect(m.startUnmap({ domain: host }, IOVA).reply).toMatchObject({ kind: 'unmap', bytes: 4096n, timedOut: 0 });
    const fresh = m.allocPage();
    m.map({ domain: host }, IOVA, fresh);
    m.done(PROBE);
    expect(m.outcome(PROBE, IOVA, 'NEW')).toBe('performed');
    expect(m.outcome(PROBE, IOVA + 8, 'new', { translated: true })).toBe('performed');
    expect(m.text(fresh, 11)).toBe('NEW\0\0\0\0\0new');
    expect(m.text(page, 3)).toBe('old');
  });

  it('16 has no invalidation outstanding that an unmap in the second stage sent', () => {
    const { m, host } = guest({ clock: 'manual' });
    m.outcome(PROBE, IOVA, 'x', { translated: true });
    m.arm(PROBE, 'late-invalidations', { delayMs: 300 });
    const unmap = m.startUnmap({ domain: host }, IOVA);
    const prepare = m.startPrepare(PROBE, 'w', { deadlineMs: 500 });
    expect([unmap.reply, prepare.reply, m.info(PROBE).itags > 0]).toEqual([undefined, undefined, true]);
    m.advance(300);
    expect(unmap.reply).toMatchObject({ timedOut: 0 });
    expect(prepare.reply).toMatchObject({ kind: 'reset-prepare', timedOut: 0 });
    expect(m.info(PROBE).itags).toBe(0);
  });
});

describe('a window of a function whose writes are tracked', () => {
  it('18 loses nothing that was written before it or after it', () => {
    const m = new CoreMachine();
    const domain = m.call('domain-alloc', {
      kind: 'domain-alloc',
      type: 'paging',
      sharedAddress: false,
      format: 'vtd-second-stage-4level',
      dirtyTracking: true,
    }).domain;
    m.map({ domain }, IOVA, m.allocPage());
    m.map({ domain }, IOVA + 0x2000, m.allocPage());
    m.call('ok', m.attach(PROBE, domain));
    m.call('dirty-tracking-set', { kind: 'dirty-tracking-set', target: { domain }, on: true });
    const dirty = (): Uint8Array =>
      m.call('dirty-read', { kind: 'dirty-read', target: { domain }, iova: BigInt(IOVA), bytes: 0x4000n, pageBytes: 4096n, clear: true })
        .data;
    m.outcome(PROBE, IOVA, 'x', { translated: true });
    m.prepare(PROBE);
    expect(dirty()).toEqual(Uint8Array.of(0b001));
    m.done(PROBE);
    m.outcome(PROBE, IOVA, 'y', { translated: true });
    m.outcome(PROBE, IOVA + 0x2000, 'z');
    expect(dirty()).toEqual(Uint8Array.of(0b101));
  });
});
