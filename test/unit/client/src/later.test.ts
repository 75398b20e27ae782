import { afterEach, describe, expect, it, vi } from 'vitest';

afterEach(() => {
  vi.unstubAllGlobals();
  vi.resetModules();
});

/** In what order promises and two that come later run, when all are begun there. */
async function orderFrom(begin: (run: () => void) => void): Promise<string[]> {
  const { later } = await import('../../../../client/src/later.ts');
  const order: string[] = [];
  await new Promise<void>((resolve) => {
    begin(() => {
      later(() => order.push('first'));
      later(() => {
        order.push('second');
        resolve();
      });
      void Promise.resolve()
        .then(() => Promise.resolve())
        .then(() => order.push('promises'));
    });
  });
  return order;
}

describe('later', () => {
  const inNode = globalThis.process;
  it.each([
    ['Node', inNode],
    // Vitest itself needs a process meanwhile.
    ['a browser', Object.create(inNode, { nextTick: { value: undefined, writable: true } })],
  ])('in %s runs after the promises that are ready, in order', async (_, process) => {
    vi.stubGlobal('process', process);
    expect(await orderFrom((run) => run())).toEqual(['promises', 'first', 'second']);
    // Not out of a promise: in Node, ticks come before promises there.
    expect(await orderFrom((run) => setTimeout(run))).toEqual(['promises', 'first', 'second']);
  });
});
