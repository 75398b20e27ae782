import { describe, expect, it, vi } from 'vitest';
import { atTickEnd, endTick } from '../../../server/src/transport/tick.ts';

const nextTick = (): Promise<void> =>
  new Promise((resolve) => {
    process.nextTick(resolve);
  });

describe('a tick', () => {
  it('ends by itself, in the order in which things were put off', async () => {
    const order: number[] = [];
    atTickEnd(() => order.push(1));
    atTickEnd(() => order.push(2));
    expect(order).toEqual([]);
    await nextTick();
    expect(order).toEqual([1, 2]);
  });

  it('ends where it is said to, with what is put off meanwhile, and only once', async () => {
    const order: number[] = [];
    atTickEnd(() => {
      order.push(1);
      atTickEnd(() => order.push(3));
    });
    atTickEnd(() => order.push(2));
    endTick();
    expect(order).toEqual([1, 2, 3]);
    await nextTick();
    endTick();
    expect(order).toEqual([1, 2, 3]);
  });

  it('loses nothing behind what throws', async () => {
    const behind = vi.fn();
    atTickEnd(() => {
      throw new Error('a bug');
    });
    atTickEnd(behind);
    expect(endTick).toThrow('a bug');
    expect(behind).not.toHaveBeenCalled();
    await nextTick();
    expect(behind).toHaveBeenCalledOnce();
  });

  it('after one that threw begins anew', async () => {
    atTickEnd(() => {
      throw new Error('a bug');
    });
    expect(endTick).toThrow('a bug');
    const next = vi.fn();
    atTickEnd(next);
    await nextTick();
    expect(next).toHaveBeenCalledOnce();
  });
});
