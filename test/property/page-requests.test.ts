/**
 * Whatever the order of page requests, answers, detaches, replacements, resets and windows, each group of page requests gets exactly one answer, and a
 * function never has more outstanding than its allocation.
 */
import fc from 'fast-check';
import { expect, it } from 'vitest';
import { bdf, type Bdf, type TraceRecord } from '../../server/src/core/base/index.ts';
import type { Behaviour, Reply } from '../../server/src/core/machine/index.ts';
import { CoreMachine, PROBE, probe, type Pending } from '../kit/core-machine.ts';

const OTHER = bdf(0, 0, 6, 0);
const FUNCTIONS: readonly Bdf[] = [PROBE, OTHER];
const PASIDS = [undefined, 5] as const;
const QUEUE = 3;
const ALLOCATION = 5;
/** Extended capability ID of the Page Request Interface. */
const PRI = 0x13;

const step = fc.oneof(
  {
    weight: 6,
    arbitrary: fc.record({ do: fc.constant('ask' as const), fn: fc.nat(1), pasid: fc.nat(1), pages: fc.integer({ min: 1, max: 4 }) }),
  },
  { weight: 2, arbitrary: fc.record({ do: fc.constant('part' as const), fn: fc.nat(1), pasid: fc.nat(1), group: fc.nat(3) }) },
  { weight: 2, arbitrary: fc.record({ do: fc.constant('last' as const), fn: fc.nat(1), pasid: fc.nat(1), group: fc.nat(3) }) },
  { weight: 2, arbitrary: fc.record({ do: fc.constant('dma' as const), fn: fc.nat(1), pasid: fc.nat(1), page: fc.nat(5) }) },
  {
    weight: 6,
    arbitrary: fc.record({
      do: fc.constant('respond' as const),
      which: fc.nat(6),
      answer: fc.constantFrom('success', 'invalid', 'failure'),
    }),
  },
  { weight: 1, arbitrary: fc.record({ do: fc.constant('stop' as const), fn: fc.nat(1) }) },
  { weight: 2, arbitrary: fc.record({ do: fc.constant('attach' as const), fn: fc.nat(1), pasid: fc.nat(1) }) },
  { weight: 1, arbitrary: fc.record({ do: fc.constant('detach' as const), fn: fc.nat(1), pasid: fc.nat(1) }) },
  { weight: 1, arbitrary: fc.record({ do: fc.constant('prepare' as const), fn: fc.nat(1), token: fc.nat(1) }) },
  { weight: 2, arbitrary: fc.record({ do: fc.constant('done' as const), fn: fc.nat(1) }) },
  { weight: 1, arbitrary: fc.record({ do: fc.constant('reset' as const), fn: fc.nat(1), window: fc.boolean() }) },
);
type Step = typeof step extends fc.Arbitrary<infer S> ? S : never;

class Run {
  readonly m: CoreMachine;
  readonly calls: { readonly pending: Pending; readonly at: Bdf }[] = [];
  readonly seen = new Map<Pending, Reply>();
  /** Page requests that had no answer, by function. */
  readonly outstanding = new Map<Bdf, number>();
  #read = 0;

  constructor(behaviour: Behaviour) {
    this.m = new CoreMachine({ behaviour, functions: FUNCTIONS.map((at) => probe(at)), pageRequestQueue: QUEUE });
    for (const at of FUNCTIONS) this.m.start(this.m.attach(at, this.m.allocFaultDomain()));
  }

  take(one: Step): void {
    const { m } = this;
    for (const at of FUNCTIONS) this.#allocate(at);
    const at = 'fn' in one ? FUNCTIONS[one.fn]! : PROBE;
    const pasid = 'pasid' in one ? PASIDS[one.pasid] : undefined;
    const of = pasid === undefined ? {} : { pasid };
    switch (one.do) {
      case 'ask':
        this.#call(at, m.requestPages(at, { ...of, pages: one.pages, iova: 0x10_0000 }));
        break;
      case 'part':
      case 'last':
        try {
          this.#call(at, m.requestPages(at, { ...of, group: one.group, last: one.do === 'last' }));
        } catch (error) {
          // A group goes on with its own PASID only.
          expect(error).toMatchObject({ code: 'EINVAL', field: 'group' });
        }
        break;
      case 'dma':
        this.#call(at, m.write(at, 0x4_0000 + 0x1000 * one.page, 'x', { translated: true, onFault: 'page-request', ...of }));
        break;
      case 'respond': {
        const { faults } = m.call('page-faults', { kind: 'page-faults' });
        const fault = faults[one.which % Math.max(1, faults.length)];
        if (fault !== undefined) expect(m.respond(fault.number, one.answer as 'success').reply).toMatchObject({ kind: 'ok' });
        break;
      }
      case 'stop':
        try {
          m.requestPages(at, { pasid: 5, stopMarker: true });
        } catch (error) {
          expect(error).toMatchObject({ field: 'stop_marker' });
        }
        break;
      case 'attach':
        if (pasid === undefined) m.start(m.attach(at, m.allocFaultDomain()));
        else m.start(m.attachPasid(at, pasid, m.allocFaultDomain(), m.info(at).pasids.length > 0));
        break;
      case 'detach':
        m.start(pasid === undefined ? { kind: 'domain-detach', bdf: at } : m.detachPasid(at, pasid));
        break;
      case 'prepare':
        m.startPrepare(at, `w${one.token}`);
        break;
      case 'done':
        m.start({ kind: 'reset-done', bdf: at, token: '', all: true });
        break;
      case 'reset':
        m.reset(at, one.window);
        break;
    }
  }

  /** Outstanding Page Request Allocation, which an attach and a reset set anew. */
  #allocate(at: Bdf): void {
    const read = (offset: number): number =>
      this.m.call('region-read', { kind: 'region-read', bdf: at, region: 7, offset, bytes: 4 }).valueLow >>> 0;
    let offset = 0x100;
    while (offset !== 0 && offset !== 0xfff && (read(offset) & 0xffff) !== PRI) offset = read(offset) >>> 20;
    if (offset === 0 || offset === 0xfff) return;
    this.m.start({ kind: 'region-write', bdf: at, region: 7, offset: offset + 0xc, bytes: 4, valueLow: ALLOCATION, valueHigh: 0 });
  }

  #call(at: Bdf, pending: Pending): void {
    this.calls.push({ pending, at });
  }

  /** Every answer that a call was given stays what it was, and nothing is over the allocation. */
  check(): void {
    for (const { pending } of this.calls) {
      if (pending.reply !== undefined && !this.seen.has(pending)) this.seen.set(pending, pending.reply);
    }
    for (; this.#read < this.m.trace.length; this.#read++) this.#follow(this.m.trace[this.#read]!);
    for (const count of this.outstanding.values()) expect(count).toBeLessThanOrEqual(ALLOCATION);
    // A group that waits for a host is one that has a domain which its function has now.
    for (const fault of this.m.call('page-faults', { kind: 'page-faults' }).faults) {
      const info = this.m.info(fault.bdf);
      const domains = [info.physicalDomain, ...info.pasids.map(({ physicalDomain }) => physicalDomain)];
      expect(domains.map((domain) => domain?.id)).toContain(fault.domain);
      expect(info.blocked).toBe(false);
    }
  }

  #follow({ kind, a, d }: TraceRecord): void {
    const at = a as Bdf;
    const count = this.outstanding.get(at) ?? 0;
    // A Stop Marker wants nothing and takes no credit.
    if (kind === 'page-request' && (d & 7) !== 0) this.outstanding.set(at, count + 1);
    else if (kind === 'page-response') this.outstanding.set(at, d);
    else if (kind === 'function-reset') this.outstanding.set(at, 0);
  }

  /** The machine comes to rest: what still waits is answered by the host, and then nothing waits. */
  end(): void {
    for (const at of FUNCTIONS) this.m.start({ kind: 'reset-done', bdf: at, token: '', all: true });
    for (let round = 0; round < 100; round++) {
      const [fault] = this.m.call('page-faults', { kind: 'page-faults' }).faults;
      if (fault === undefined) break;
      this.m.respond(fault.number, 'invalid');
    }
    this.check();
    expect(this.calls.filter(({ pending }) => pending.reply === undefined)).toEqual([]);
    this.#everyGroupOnce();
  }

  /** Groups that reached software, and answers: as many of these as of those, whoever gave them. */
  #everyGroupOnce(): void {
    for (const at of FUNCTIONS) {
      const lasts = this.m.traced('page-request', at).filter(({ d }) => (d & 8) !== 0 && (d & 7) !== 0).length;
      const answers = this.m.traced('page-response', at).length + this.m.traced('page-response-late', at).length;
      expect([at, answers]).toEqual([at, lasts]);
    }
  }
}

it.each<Behaviour>(['strict', 'linux-7.1'])('each group of page requests gets exactly one answer, in %s', (behaviour) => {
  fc.assert(
    fc.property(fc.array(step, { maxLength: 40 }), (steps) => {
      const run = new Run(behaviour);
      for (const one of steps) {
        run.take(one);
        run.check();
      }
      run.end();
    }),
    { numRuns: 200 },
  );
});
