/**
 * Whatever the order of masks, enables and interrupts: none is lost and none comes twice, against a model that keeps a set of pending vectors; and a line
 * that functions share is asserted exactly while one of them asserts it.
 */
import fc from 'fast-check';
import { expect, it } from 'vitest';
import { bdf, type Bdf } from '../../server/src/core/base/index.ts';
import { CoreMachine, PROBE, probe } from '../kit/core-machine.ts';
import { Interrupts, MSI_AT, withMsi } from '../kit/interrupts.ts';

const DOORBELL = 0xfee0_0000;
const VECTORS = 4;
const RUNS = 300;
const MSI_MASK = MSI_AT + 16;

const vector = fc.nat(VECTORS - 1);
const step = fc.oneof(
  { weight: 6, arbitrary: fc.record({ do: fc.constant('raise' as const), vector }) },
  { weight: 4, arbitrary: fc.record({ do: fc.constant('mask' as const), vector, on: fc.boolean() }) },
  { weight: 2, arbitrary: fc.record({ do: fc.constant('mask-all' as const), on: fc.boolean() }) },
  { weight: 1, arbitrary: fc.record({ do: fc.constant('enable' as const), on: fc.boolean() }) },
  { weight: 1, arbitrary: fc.record({ do: fc.constant('bus-master' as const), on: fc.boolean() }) },
);
type Step = typeof step extends fc.Arbitrary<infer T> ? T : never;

/** What should come, kept as simply as it can be said. */
class Naive {
  readonly came: number[] = [];
  readonly pending = new Set<number>();
  readonly masked = new Set<number>();
  all = false;
  enabled = true;
  busMaster = true;

  do(one: Step): void {
    if (one.do === 'raise') this.raise(one.vector);
    else if (one.do === 'mask-all') this.all = one.on;
    else if (one.do === 'enable') this.enabled = one.on;
    else if (one.do === 'bus-master') this.busMaster = one.on;
    else if (one.on) this.masked.add(one.vector);
    else this.masked.delete(one.vector);
    for (const which of [...this.pending].toSorted((a, b) => a - b)) {
      if (!this.open(which) || !this.busMaster) continue;
      this.pending.delete(which);
      this.came.push(which);
    }
  }

  raise(which: number): void {
    if (!this.enabled) return;
    if (!this.open(which)) this.pending.add(which);
    else if (this.busMaster) this.came.push(which);
  }

  open(which: number): boolean {
    return this.enabled && !this.all && !this.masked.has(which);
  }

  get bits(): number {
    return [...this.pending].reduce((bits, which) => bits | (1 << which), 0);
  }
}

it('MSI-X: each interrupt comes as often as the masks leave it, in order', () => {
  fc.assert(
    fc.property(fc.array(step, { maxLength: 60 }), (steps) => {
      const m = new CoreMachine({ clock: 'manual' });
      const irq = new Interrupts(m, PROBE);
      const naive = new Naive();
      irq.enableMsix();
      for (let which = 0; which < VECTORS; which++) irq.program(which, DOORBELL, which);
      for (const one of steps) {
        naive.do(one);
        if (one.do === 'raise') irq.raise(one.vector);
        else if (one.do === 'mask') irq.mask(one.vector, one.on);
        else if (one.do === 'bus-master') irq.busMaster(one.on);
        else irq.enableMsix(naive.enabled, naive.all);
        expect([irq.data(), irq.pending()], JSON.stringify(one)).toEqual([naive.came, naive.bits]);
      }
    }),
    { numRuns: RUNS },
  );
});

it('MSI: the same, with a register of masks', () => {
  fc.assert(
    fc.property(fc.array(step, { maxLength: 60 }), (steps) => {
      const m = new CoreMachine({ clock: 'manual', functions: [withMsi(probe(PROBE))] });
      const irq = new Interrupts(m, PROBE);
      const naive = new Naive();
      irq.enableMsi(DOORBELL, 0, 2);
      for (const one of steps) {
        naive.do(one);
        if (one.do === 'raise') irq.raise(one.vector);
        else if (one.do === 'bus-master') irq.busMaster(one.on);
        else if (one.do === 'enable') irq.write(7, MSI_AT + 2, 2, (naive.enabled ? 1 : 0) | (2 << 4));
        else irq.write(7, MSI_MASK, 4, naive.all ? -1 : [...naive.masked].reduce((bits, which) => bits | (1 << which), 0));
        expect([irq.data(), irq.config(MSI_AT + 20)], JSON.stringify(one)).toEqual([naive.came, naive.bits]);
      }
    }),
    { numRuns: RUNS },
  );
});

/** Functions of one device: two share INTA, one has INTB. */
const SHARERS: readonly { readonly at: Bdf; readonly pin: number }[] = [
  { at: bdf(0, 0, 5, 0), pin: 1 },
  { at: bdf(0, 0, 5, 1), pin: 1 },
  { at: bdf(0, 0, 5, 2), pin: 2 },
];

it('INTx: a line is asserted while a function asserts it, and each change is told once', () => {
  const change = fc.record({
    fn: fc.nat(SHARERS.length - 1),
    what: fc.constantFrom('cause' as const, 'disable' as const),
    on: fc.boolean(),
  });
  fc.assert(
    fc.property(fc.array(change, { maxLength: 60 }), (changes) => {
      const m = new CoreMachine({
        clock: 'manual',
        functions: SHARERS.map(({ at, pin }) => probe(at, { multiFunction: true, interruptPin: pin })),
      });
      const state = SHARERS.map(() => ({ cause: false, disable: false, asserted: false }));
      for (const { fn, what, on } of changes) {
        const { at, pin } = SHARERS[fn]!;
        const irq = new Interrupts(m, at);
        const one = state[fn]!;
        const told = m.events.length;
        one[what] = on;
        if (what === 'cause') irq.line(on);
        else irq.command(on ? 0x406 : 6);
        const asserted = one.cause && !one.disable;
        const events = m.events.slice(told).filter((event) => event.kind === 'intx');
        if (asserted === one.asserted) {
          expect(events).toEqual([]);
          continue;
        }
        one.asserted = asserted;
        const sources = state.filter((other, index) => other.asserted && SHARERS[index]!.pin === pin).length;
        expect(events).toMatchObject([{ bdf: at, asserted, sources, line: { device: SHARERS[0]!.at, pin } }]);
      }
    }),
    { numRuns: RUNS },
  );
});
