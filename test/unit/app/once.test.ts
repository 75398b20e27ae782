import { describe, expect, test } from 'vitest';
import { Once, type Answer } from '../../../server/src/app/once.ts';
import { Refusal } from '../../../server/src/app/refusal.ts';

describe('Idempotency-Key', () => {
  function counting() {
    let done = 0;
    return { act: () => Promise.resolve({ status: 200, body: ++done }), done: () => done };
  }

  test('the same key and body: done once, answered twice', async () => {
    const once = new Once();
    const { act, done } = counting();
    const first = await once.run('k', 'scope', { a: 1 }, act);
    const second = await once.run('k', 'scope', { a: 1 }, act);
    expect(second).toEqual(first);
    expect(done()).toBe(1);
  });

  test('a second request while the first runs waits for its answer', async () => {
    const once = new Once();
    let finish: (answer: { status: number; body: string }) => void = () => undefined;
    const slow = () =>
      new Promise<{ status: number; body: string }>((resolve) => {
        finish = resolve;
      });
    const both = [once.run('k', 's', {}, slow), once.run('k', 's', {}, () => Promise.reject(new Error('done twice')))];
    finish({ status: 201, body: 'made' });
    expect(await Promise.all(both)).toEqual([
      { status: 201, body: 'made' },
      { status: 201, body: 'made' },
    ]);
  });

  test('the same key with another body is 422 and does nothing', async () => {
    const once = new Once();
    const { act, done } = counting();
    await once.run('k', 's', { a: 1 }, act);
    expect(() => once.run('k', 's', { a: 2 }, act)).toThrow(
      expect.objectContaining({ status: 422, code: 'EINVAL', about: 'idempotency-key' }),
    );
    expect(done()).toBe(1);
  });

  test('an error is an answer too', async () => {
    const once = new Once();
    let tries = 0;
    const act = () => {
      tries++;
      return Promise.reject(new Refusal('EBUSY', 'later'));
    };
    await expect(once.run('k', 's', {}, act)).rejects.toThrow('later');
    await expect(once.run('k', 's', {}, act)).rejects.toThrow('later');
    expect(tries).toBe(1);
  });

  test('another scope, no key, and a scope of a machine that is gone each do it again', async () => {
    const once = new Once();
    const { act, done } = counting();
    await once.run('k', 'm-a reset', {}, act);
    await once.run('k', 'm-b reset', {}, act);
    await once.run(undefined, 'm-a reset', {}, act);
    expect(done()).toBe(3);
    once.forget('m-a');
    await once.run('k', 'm-a reset', {}, act);
    await once.run('k', 'm-b reset', {}, act);
    expect(done()).toBe(4);
  });

  test('the answer that made a machine is forgotten with it', async () => {
    const once = new Once();
    let made = 0;
    const act = (): Promise<Answer> => Promise.resolve({ status: 201, body: {}, made: `m-${++made}` });
    await once.run('k', 'make', {}, act);
    await once.run('k', 'make', {}, act);
    once.forget('m-2');
    await once.run('k', 'make', {}, act);
    expect(made).toBe(1);
    once.forget('m-1');
    await once.run('k', 'make', {}, act);
    expect(made).toBe(2);
  });

  test('only so many answers are kept: the oldest goes first', async () => {
    const once = new Once();
    const { act, done } = counting();
    for (let i = 0; i <= 10_000; i++) await once.run(String(i), 's', {}, act);
    await once.run('1', 's', {}, act);
    expect(done()).toBe(10_001);
    await once.run('0', 's', {}, act);
    expect(done()).toBe(10_002);
  });
});
