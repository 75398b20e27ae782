import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { Fifo } from '../../../../client/src/fifo.ts';

describe('Fifo', () => {
  it('does what an array does', () => {
    const step = fc.oneof(
      fc.nat(9).map((item) => ({ push: item })),
      fc.constant('shift' as const),
      fc.nat(9).map((item) => ({ remove: item })),
    );
    fc.assert(
      fc.property(fc.array(step, { maxLength: 400 }), (steps) => {
        const fifo = new Fifo<number>();
        const array: number[] = [];
        for (const each of steps) {
          if (each === 'shift') expect(fifo.shift()).toBe(array.shift());
          else if ('push' in each) {
            fifo.push(each.push);
            array.push(each.push);
          } else {
            const at = array.indexOf(each.remove);
            expect(fifo.remove(each.remove)).toBe(at >= 0);
            if (at >= 0) array.splice(at, 1);
          }
          expect([fifo.length, fifo.first]).toEqual([array.length, array[0]]);
        }
        expect(fifo.drain()).toEqual(array);
        expect(fifo.length).toBe(0);
      }),
      { seed: 7 },
    );
  });

  it('a long queue is taken in a time that grows with its length only', () => {
    const fifo = new Fifo<number>();
    const COUNT = 200_000;
    for (let i = 0; i < COUNT; i++) fifo.push(i);
    let sum = 0;
    for (let item = fifo.shift(); item !== undefined; item = fifo.shift()) sum += item;
    expect(sum).toBe((COUNT * (COUNT - 1)) / 2);
  });
});
