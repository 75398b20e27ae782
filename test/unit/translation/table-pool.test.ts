import { describe, expect, it } from 'vitest';
import { TablePool } from '../../../server/src/core/translation/table-pool.ts';

describe('tables', () => {
  it('are numbered from 1 and have 1024 words', () => {
    const pool = new TablePool(3);
    expect(pool.available).toBe(3);
    expect(pool.reserve(3)).toBe(true);
    expect([pool.take(), pool.take(), pool.take()]).toEqual([1, 2, 3]);
    expect(pool.words.length).toBeGreaterThanOrEqual(4 * 1024);
    expect(pool.available).toBe(0);
    expect(pool.reserve(1)).toBe(false);
    expect(pool.reserve(0)).toBe(true);
  });

  it('are used again when given back', () => {
    const pool = new TablePool(2);
    pool.reserve(2);
    const [first] = [pool.take(), pool.take()];
    pool.give(first);
    expect(pool.available).toBe(1);
    expect(pool.reserve(1)).toBe(true);
    expect(pool.take()).toBe(first);
    expect(pool.available).toBe(0);
  });

  it('keep their words when the pool grows', () => {
    const pool = new TablePool();
    pool.reserve(1);
    const table = pool.take();
    pool.words[table * 1024 + 5] = 42;
    pool.count(table, 2);
    pool.reserve(1000);
    expect(pool.words[table * 1024 + 5]).toBe(42);
    expect(pool.isEmpty(table)).toBe(false);
    pool.count(table, -2);
    expect(pool.isEmpty(table)).toBe(true);
  });

  it('cost nothing until the first is reserved, and stay in place while what is reserved is taken', () => {
    const pool = new TablePool();
    expect(pool.words.length).toBe(0);
    pool.reserve(100);
    const { words } = pool;
    for (let i = 0; i < 100; i++) pool.take();
    expect(pool.words).toBe(words);
  });

  it('number 32768 in a machine', () => {
    expect(new TablePool().available).toBe(32_768);
    expect(new TablePool().reserve(32_769)).toBe(false);
  });
});
