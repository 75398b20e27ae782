import { describe, expect, it } from 'vitest';
import { EventQueue } from '../../../../client/src/event-queue.ts';

const KEPT_MAX = 4096;

describe('EventQueue', () => {
  it('gives events in order, each to one taker', async () => {
    const queue = new EventQueue<number>();
    const waiting = [queue.next(), queue.next()];
    for (const event of [1, 2, 3]) queue.put(event);
    expect(await Promise.all(waiting)).toEqual([1, 2]);
    expect(await queue.next()).toBe(3);
    expect(queue.lost).toBe(0);
  });

  it('keeps the newest when nobody takes them, and counts the others', async () => {
    const queue = new EventQueue<number>();
    for (let event = 0; event < KEPT_MAX + 10; event++) queue.put(event);
    expect(queue.length).toBe(KEPT_MAX);
    expect(queue.lost).toBe(10);
    expect(await queue.next()).toBe(10);
    expect(queue.take()).toHaveLength(KEPT_MAX - 1);
    expect(queue.length).toBe(0);
  });

  it('loses nothing at its bound', () => {
    const queue = new EventQueue<number>();
    for (let event = 0; event < KEPT_MAX; event++) queue.put(event);
    expect([queue.length, queue.lost]).toEqual([KEPT_MAX, 0]);
  });

  it('ends with what is left, then with ECONNRESET and the reason', async () => {
    const queue = new EventQueue<string>();
    const waits = queue.next();
    queue.put('a');
    queue.put('b');
    queue.end('the machine was deleted');
    expect(await waits).toBe('a');
    expect(await queue.next()).toBe('b');
    await expect(queue.next()).rejects.toMatchObject({ code: 'ECONNRESET', message: expect.stringContaining('the machine was deleted') });
  });

  it('rejects who waits when it ends', async () => {
    const queue = new EventQueue<string>();
    const waits = queue.next();
    queue.end('gone');
    await expect(waits).rejects.toMatchObject({ code: 'ECONNRESET' });
  });

  it('is iterated until it ends', async () => {
    const queue = new EventQueue<number>();
    queue.put(1);
    const seen: number[] = [];
    const iterating = (async () => {
      for await (const event of queue) seen.push(event);
    })();
    await Promise.resolve();
    queue.put(2);
    queue.end('over');
    await iterating;
    expect(seen).toEqual([1, 2]);
  });

  it('an iterator that is left while it waits ends at once, and leaves the event to others', async () => {
    const queue = new EventQueue<number>();
    const events = queue[Symbol.asyncIterator]();
    const waits = events.next();
    expect(await events.return?.()).toEqual({ done: true, value: undefined });
    expect(await waits).toEqual({ done: true, value: undefined });
    queue.put(7);
    expect(await events.next()).toEqual({ done: true, value: undefined });
    expect(await queue.next()).toBe(7);
  });

  it('a taker that gives up leaves the event to the next one', async () => {
    const queue = new EventQueue<number>();
    const stop = new AbortController();
    const given = queue.next({ signal: stop.signal });
    const other = queue.next();
    stop.abort();
    queue.put(7);
    await expect(given).rejects.toMatchObject({ code: 'ECANCELED' });
    expect(await other).toBe(7);
  });
});
