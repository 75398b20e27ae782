import { afterEach, describe, expect, it, vi } from 'vitest';

afterEach(() => {
  vi.unstubAllGlobals();
  vi.resetModules();
});

describe('later', () => {
  it.each([
    ['Node', true],
    ['a browser', false],
  ])('in %s runs after the promises that are ready, in order', async (_, hasImmediate) => {
    if (!hasImmediate) vi.stubGlobal('setImmediate', undefined);
    const { later } = await import('../../../../client/src/later.ts');
    const order: string[] = [];
    const done = new Promise<void>((resolve) => {
      later(() => order.push('first'));
      later(() => {
        order.push('second');
        resolve();
      });
    });
    await Promise.resolve().then(() => Promise.resolve());
    order.push('promises');
    await done;
    expect(order).toEqual(['promises', 'first', 'second']);
  });
});
