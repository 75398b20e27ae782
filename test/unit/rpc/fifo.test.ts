import { expect, it } from 'vitest';
import { Fifo } from '../../../server/src/rpc/fifo.ts';

it('gives back what went in, in order, over any mix of pushes and shifts', () => {
  const fifo = new Fifo<number>();
  const array: number[] = [];
  let next = 0;
  for (let round = 0; round < 4000; round++) {
    for (let i = 0; i < (round * 7) % 5; i++) {
      fifo.push(next);
      array.push(next++);
    }
    for (let i = 0; i < (round * 3) % (round < 3000 ? 3 : 9); i++) {
      expect(fifo.peek()).toBe(array[0]);
      expect(fifo.shift()).toBe(array.shift());
    }
    expect(fifo.length).toBe(array.length);
  }
  fifo.clear();
  expect([fifo.length, fifo.peek(), fifo.shift()]).toEqual([0, undefined, undefined]);
});

it('takes from a long queue quickly', () => {
  const fifo = new Fifo<number>();
  for (let i = 0; i < 300_000; i++) fifo.push(i);
  let sum = 0;
  while (fifo.length > 0) sum += fifo.shift() ?? 0;
  expect(sum).toBe((300_000 * 299_999) / 2);
});
