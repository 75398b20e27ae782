import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { Clock } from '../../../server/src/core/base/clock.ts';

describe('clock', () => {
  it('rings in (time, sequence) order, whatever the order of setting', () => {
    fc.assert(
      fc.property(fc.array(fc.integer({ min: 0, max: 20 }), { maxLength: 50 }), (delays) => {
        const clock = new Clock();
        for (const [id, delay] of delays.entries()) clock.set(delay, 'request', id);
        const rung: number[] = [];
        for (let alarm = clock.take(100); alarm !== undefined; alarm = clock.take(100)) {
          expect(clock.nowNs).toBe(alarm.atNs);
          rung.push(alarm.id);
        }
        const expected = delays.map((delay, id) => [delay, id] as const).toSorted((a, b) => a[0] - b[0] || a[1] - b[1]);
        expect(rung).toEqual(expected.map(([, id]) => id));
      }),
    );
  });

  it('a cancelled alarm neither rings nor is next', () => {
    const clock = new Clock();
    const first = clock.set(5, 'operation', 1);
    clock.set(9, 'operation', 2);
    clock.cancel(first);
    expect(clock.nextNs()).toBe(9);
    expect(clock.take(100)).toMatchObject({ id: 2 });
    expect(clock.take(100)).toBeUndefined();
    clock.cancel(first);
    clock.set(1, 'operation', 3);
    expect(clock.take(100)).toMatchObject({ id: 3, atNs: 10 });
  });

  it('keeps no cancelled alarms: what was set and cancelled a million times leaves nothing behind', () => {
    const clock = new Clock();
    clock.set(1000, 'operation', 1);
    for (let i = 0; i < 1_000_000; i++) clock.cancel(clock.set(2000, 'request', i));
    expect(clock.size).toBeLessThan(5000);
    expect(clock.take(5000)).toMatchObject({ id: 1 });
    expect(clock.take(5000)).toBeUndefined();
  });

  it('tells the next alarm and leaves it there', () => {
    const clock = new Clock();
    expect(clock.peek()).toBeUndefined();
    clock.cancel(clock.set(1, 'operation', 1));
    clock.set(7, 'request', 2);
    expect(clock.peek()).toMatchObject({ id: 2, atNs: 7 });
    expect(clock.take(7)).toMatchObject({ id: 2 });
  });

  it('takes nothing that is due later, and never goes back', () => {
    const clock = new Clock();
    clock.set(5, 'operation', 1);
    expect(clock.take(4)).toBeUndefined();
    expect(clock.nowNs).toBe(0);
    clock.moveTo(7);
    clock.moveTo(3);
    expect(clock.nowNs).toBe(7);
    expect(() => clock.set(-1, 'operation', 1)).toThrow(/alarm -1 ns/);
  });
});
