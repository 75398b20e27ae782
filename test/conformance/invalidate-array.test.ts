/** Invariant 48: an array of invalidation requests that breaks off has done, and reports, exactly the requests before that place. */
import { describe, expect, it } from 'vitest';
import { CoreMachine, PROBE, type Options } from '../kit/core-machine.ts';

const PAGE = 4096n;
const FIRST = 0x1000n;
const SECOND = 0x2000n;
const ALL = 2n ** 64n - 1n;
/** x86-64: present, writable, user. */
const RIGHTS = 7n;

type Requests = readonly (readonly [iova: bigint, pages: bigint])[];

class Guest {
  readonly m: CoreMachine;
  readonly domain: number;
  readonly #leaves: bigint;

  /** A function attached to tables that a guest wrote, with the pages `old` at FIRST and SECOND, and both in the IOTLB. */
  constructor(options: Options = {}, translated = false) {
    this.m = new CoreMachine({ clock: 'manual', ...options });
    const { address } = this.m.call('memory-alloc', { kind: 'memory-alloc', bytes: 4n * PAGE });
    for (let level = 0n; level < 3n; level++) this.#write(address + level * PAGE, (address + (level + 1n) * PAGE) | RIGHTS);
    this.#leaves = address + 3n * PAGE;
    this.#point(FIRST, this.m.allocPage());
    this.#point(SECOND, this.m.allocPage());
    this.domain = this.m.call('domain-alloc', { kind: 'domain-alloc', type: 'paging', sharedAddress: false, root: address }).domain;
    this.m.call('ok', this.m.attach(PROBE, this.domain));
    for (const iova of [FIRST, SECOND]) expect(this.m.outcome(PROBE, Number(iova), 'old', { translated })).toBe('performed');
  }

  /** The guest makes both addresses absent, and what is cached of them stays. */
  clear(): void {
    for (const iova of [FIRST, SECOND]) this.#write(this.#leaves + (iova / PAGE) * 8n, 0n);
  }

  invalidate(requests: Requests) {
    return this.m.start({
      kind: 'domain-invalidate',
      domain: this.domain,
      type: 'vtd-s1',
      requests: requests.map(([iova, pages]) => ({ iova, pages })),
    });
  }
  /** Whether a request still goes through what was cached. */
  cached(iova: bigint): boolean {
    return this.m.outcome(PROBE, Number(iova)) === 'performed';
  }

  #point(iova: bigint, page: bigint): void {
    this.#write(this.#leaves + (iova / PAGE) * 8n, page | RIGHTS);
  }
  #write(address: bigint, value: bigint): void {
    const data = new Uint8Array(8);
    new DataView(data.buffer).setBigUint64(0, value, true);
    this.m.call('ok', { kind: 'memory-write', address, data });
  }
}

describe('48 an array of invalidation requests', () => {
  it('48 is done in order, all of it', () => {
    const g = new Guest();
    g.clear();
    expect([g.cached(FIRST), g.cached(SECOND)]).toEqual([true, true]);
    const { reply } = g.invalidate([
      [FIRST, 1n],
      [SECOND, 1n],
    ]);
    expect(reply).toEqual({ kind: 'domain-invalidate', processed: 2, message: '', timedOut: 0, elapsedNs: 0 });
    expect([g.cached(FIRST), g.cached(SECOND)]).toEqual([false, false]);
  });

  it.each([
    ['a misaligned address', SECOND + 1n, 1n],
    ['no pages', SECOND, 0n],
    ['everything, from an address', SECOND, ALL],
    ['more than there is', SECOND, ALL - 1n],
  ])('48 that breaks off at %s has done what is before it, and says how much', (_what, iova, pages) => {
    const g = new Guest();
    g.clear();
    const { reply } = g.invalidate([
      [FIRST, 1n],
      [iova, pages],
      [SECOND, 1n],
    ]);
    expect(reply).toMatchObject({
      kind: 'domain-invalidate',
      processed: 1,
      error: 'EINVAL',
      message: expect.stringContaining('request 1') as unknown,
    });
    expect([g.cached(FIRST), g.cached(SECOND)]).toEqual([false, true]);
  });

  it('48 that breaks off at once has done nothing', () => {
    const g = new Guest();
    g.clear();
    const { reply } = g.invalidate([
      [1n, 1n],
      [FIRST, 1n],
    ]);
    expect(reply).toMatchObject({ processed: 0, error: 'EINVAL' });
    expect([g.cached(FIRST), g.cached(SECOND)]).toEqual([true, true]);
  });

  it('48 a request of everything takes everything', () => {
    const g = new Guest();
    g.clear();
    expect(g.invalidate([[0n, ALL]]).reply).toMatchObject({ processed: 1, message: '' });
    expect([g.cached(FIRST), g.cached(SECOND)]).toEqual([false, false]);
  });

  it('48 the next request is looked at when the function has answered the one before', () => {
    const g = new Guest({}, true);
    g.clear();
    g.m.arm(PROBE, 'late-invalidations', { count: 2, delayMs: 100 });
    const before = g.m.traced('invalidation-sent', PROBE).length;
    const call = g.invalidate([
      [FIRST, 1n],
      [SECOND, 1n],
      [1n, 1n],
    ]);
    expect(g.m.traced('invalidation-sent', PROBE)).toHaveLength(before + 1);
    g.m.advance(100);
    expect(g.m.traced('invalidation-sent', PROBE)).toHaveLength(before + 2);
    g.m.advance(99);
    expect(call.reply).toBeUndefined();
    expect(g.m.refusal({ kind: 'domain-free', domain: g.domain })).toBe('EBUSY');
    g.m.advance(1);
    expect(call.reply).toMatchObject({ processed: 2, error: 'EINVAL', timedOut: 0 });
    expect(g.m.info(PROBE).itags).toBe(0);
  });

  it('48 one that the function never answers is done when it has timed out, and is counted', () => {
    const g = new Guest({}, true);
    g.m.arm(PROBE, 'ignore-invalidations');
    const call = g.invalidate([
      [FIRST, 1n],
      [SECOND, 1n],
    ]);
    g.m.advance(1000);
    expect(call.reply).toMatchObject({ processed: 2, message: '', timedOut: 1 });
  });

  it('48 without requests asks only whether the type is right', () => {
    const g = new Guest();
    expect(g.invalidate([]).reply).toEqual({ kind: 'domain-invalidate', processed: 0, message: '', timedOut: 0, elapsedNs: 0 });
    const arm = { kind: 'domain-alloc', type: 'paging', sharedAddress: false, format: 'riscv-sv39', root: 0x10_0000n } as const;
    const { domain } = g.m.call('domain-alloc', arm);
    const empty = { kind: 'domain-invalidate', type: 'vtd-s1', requests: [] } as const;
    expect(() => g.m.start({ ...empty, domain })).toThrow('not for riscv-sv39');
    expect(() => g.m.start({ ...empty, domain: g.m.allocDomain() })).toThrow('no guest writes the tables');
    expect(() => g.m.start({ ...empty, domain: g.domain, type: 'other' as 'vtd-s1' })).toThrow('type other');
    expect(() => g.m.start({ ...empty, domain: 999 })).toThrow('no domain 999');
  });
});
