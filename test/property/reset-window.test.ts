/** Whatever is asked in whatever order, the counters of the reset window agree, and what is closed stays closed. */
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { ModelError, type Bdf } from '../../server/src/core/base/index.ts';
import type { Command } from '../../server/src/core/machine/index.ts';
import { CoreMachine, FIRST, MS, SECOND, SIBLINGS, writeCommand } from '../kit/core-machine.ts';

const IOVA = 0x1_0000;
const functions = fc.constantFrom<Bdf>(FIRST, SECOND);
const tokens = fc.constantFrom('a', 'b', 'c');
const pages = fc.integer({ min: 0, max: 3 });

const command: fc.Arbitrary<Command> = fc.oneof(
  fc
    .record({
      bdf: functions,
      token: tokens,
      deadlineMs: fc.integer({ min: 0, max: 20 }),
      onDeadline: fc.constantFrom('abort' as const, 'fail' as const),
    })
    .map(({ bdf, token, deadlineMs, onDeadline }): Command => ({
      kind: 'reset-prepare',
      bdf,
      token,
      deadlineNs: deadlineMs * MS,
      onDeadline,
    })),
  fc.record({ bdf: functions, token: tokens, all: fc.boolean() }).map((at): Command => ({ kind: 'reset-done', ...at })),
  fc
    .record({ bdf: functions, window: fc.boolean() })
    .map((at): Command => ({ kind: 'reset', ...at, method: 'flr', deadlineNs: 5 * MS, onDeadline: 'abort' })),
  fc
    .record({
      bdf: functions,
      page: pages,
      hold: fc.constantFrom(undefined, 'issued' as const, 'translated' as const, 'performed' as const),
      translated: fc.boolean(),
      pasid: fc.constantFrom(undefined, 5),
    })
    .map(({ bdf, page, pasid, ...fields }): Command =>
      writeCommand(bdf, IOVA + page * 0x1000, 'data', pasid === undefined ? fields : { ...fields, pasid }),
    ),
  fc.record({ bdf: functions, page: pages }).map(({ bdf, page }): Command => ({
    kind: 'map',
    target: { bdf, pasid: -1 as never },
    iova: BigInt(IOVA + page * 0x1000),
    address: 0x10_0000n,
    bytes: 4096n,
    access: 3,
  })),
  fc.record({ bdf: functions, page: pages }).map(({ bdf, page }): Command => ({
    kind: 'unmap',
    target: { bdf, pasid: -1 as never },
    iova: BigInt(IOVA + page * 0x1000),
    bytes: 4096n,
  })),
  fc.record({ bdf: functions, domain: fc.integer({ min: 1, max: 4 }) }).map((at): Command => ({ kind: 'domain-attach', ...at })),
  functions.map((bdf): Command => ({ kind: 'domain-detach', bdf })),
  fc
    .record({ bdf: functions, replace: fc.boolean() })
    .map((at): Command => ({ kind: 'pasid-attach', ...at, pasid: 5 as never, domain: 3 })),
  functions.map((bdf): Command => ({ kind: 'pasid-detach', bdf, pasid: 5 as never })),
  functions.map((bdf): Command => ({ kind: 'owner-claim', bdf })),
  functions.map((bdf): Command => ({ kind: 'owner-release', bdf })),
  fc
    .record({
      bdf: functions,
      fault: fc.constantFrom('ignore-invalidations' as const, 'attach-fails' as const, 'never-ready' as const, 'hold' as const),
    })
    .map(({ bdf, fault }): Command => ({ kind: 'fault-arm', bdf, fault, first: 1, count: 1, point: 'issued', delayNs: MS })),
  functions.map((bdf): Command => ({ kind: 'fault-disarm', bdf, fault: 'never-ready' })),
  functions.map((bdf): Command => ({ kind: 'dma-release', bdf, request: 0 })),
  fc.integer({ min: 1, max: 200 }).map((ms): Command => ({ kind: 'clock-advance', ns: ms * MS, force: false })),
);

function check(m: CoreMachine, strict: boolean): void {
  const infos = [m.info(FIRST), m.info(SECOND)];
  const group = m.group(FIRST);
  expect(group.recoveryCount).toBe(infos.filter((info) => info.resetDepth > 0).length);
  for (const info of infos) {
    expect(info.windows).toHaveLength(info.resetDepth);
    if (info.resetDepth > 0) expect(info).toMatchObject({ blocked: true, physicalDomain: { type: 'blocked' }, atsEnabled: false });
    if (!strict) expect(info.gate).toBe('open');
    if (strict && info.blocked) expect(info.gate).toBe('closed');
    // A device that the hardware would not move is parked on blocking.
    if (!info.blocked && info.physicalDomain?.type !== 'blocked') expect(info.physicalDomain).toEqual(group.domain);
    expect(info.itags).toBeLessThanOrEqual(32);
  }
}

describe('reset window', () => {
  it.each(['strict', 'linux-7.1'] as const)('%s: counters agree after every step of any history', (behaviour) => {
    fc.assert(
      fc.property(fc.array(command, { maxLength: 40 }), fc.constantFrom('auto' as const, 'manual' as const), (history, clock) => {
        const m = new CoreMachine({ behaviour, clock, functions: SIBLINGS });
        m.allocDomain();
        m.allocDomain();
        for (const step of history) {
          try {
            m.start(step);
          } catch (error) {
            if (!(error instanceof ModelError)) throw error;
          }
          check(m, behaviour === 'strict');
        }
      }),
      { numRuns: 300 },
    );
  });

  it('strict: nothing that a function issues while it is blocked is ever performed', () => {
    fc.assert(
      fc.property(fc.array(command, { maxLength: 30 }), (history) => {
        const m = new CoreMachine({ functions: SIBLINGS });
        m.map(FIRST, IOVA, m.allocPage());
        for (const step of history) {
          try {
            m.start(step);
          } catch (error) {
            if (!(error instanceof ModelError)) throw error;
          }
          for (const at of [FIRST, SECOND]) {
            if (!m.info(at).blocked) continue;
            for (const translated of [false, true]) expect(m.outcome(at, IOVA, 'x', { translated })).toBe('gate-closed');
          }
        }
      }),
      { numRuns: 200 },
    );
  });

  it('once everything is released, closed and disarmed, both functions work again', () => {
    fc.assert(
      fc.property(fc.array(command, { maxLength: 30 }), (history) => {
        const m = new CoreMachine({ functions: SIBLINGS });
        for (const step of history) {
          try {
            m.start(step);
          } catch (error) {
            if (!(error instanceof ModelError)) throw error;
          }
        }
        for (const at of [FIRST, SECOND]) {
          for (const fault of ['ignore-invalidations', 'attach-fails', 'never-ready', 'hold'] as const)
            m.start({ kind: 'fault-disarm', bdf: at, fault });
          m.release(at);
        }
        for (const at of [FIRST, SECOND]) m.start({ kind: 'reset-done', bdf: at, token: '', all: true });
        m.start({ kind: 'owner-release', bdf: FIRST });
        m.start({ kind: 'pasid-detach', bdf: FIRST, pasid: 5 as never });
        m.start({ kind: 'owner-release', bdf: FIRST });
        m.call('ok', { kind: 'domain-detach', bdf: FIRST });
        const fresh = 0x900_0000;
        m.map(FIRST, fresh, m.allocPage());
        for (const at of [FIRST, SECOND]) {
          m.start({ kind: 'region-write', bdf: at, region: 7, offset: 4, bytes: 2, valueLow: 6, valueHigh: 0 });
          m.start({ kind: 'reset', bdf: at, method: 'flr', window: true, deadlineNs: 0, onDeadline: 'abort' });
          expect(m.outcome(at, fresh, 'alive', { translated: true })).toBe('performed');
          expect(m.info(at)).toMatchObject({ inFlight: 0, itags: 0 });
        }
      }),
      { numRuns: 300 },
    );
  });
});
