import { describe, expect, it } from 'vitest';
import { FunctionLife } from '../../../../client/src/function-life.ts';
import { IommudError, type ErrorCode } from '../../../../client/src/index.ts';

/** A function whose calls are answered by hand. */
function played() {
  const asked: string[] = [];
  const answers: { resolve(value: string): void; reject(error: Error): void }[] = [];
  const ask = (what: string): Promise<string> => {
    asked.push(what);
    return new Promise((resolve, reject) => {
      answers.push({ resolve, reject });
    });
  };
  let made = 0;
  const life = new FunctionLife(() => ({ made: ++made }));
  class Dma {
    readonly #at = 'read';
    read(): Promise<string> {
      return ask(this.#at);
    }
  }
  interface Fn {
    readonly state: { readonly made: number };
    readonly signal: AbortSignal;
    readonly bdf: string;
    readonly dma: Dma;
    interrupt(): Promise<string>;
    run(work: (fn: Fn) => Promise<void>): Promise<void>;
  }
  const fn: Fn = {
    get state() {
      return life.state;
    },
    get signal() {
      return life.signal;
    },
    bdf: '00:04.0',
    dma: new Dma(),
    interrupt: () => ask('interrupt'),
    run: (work) => life.run(fn, work),
  };
  return { life, fn, asked, answers };
}

describe('the work of a function', () => {
  it('does its calls, with what they answer', async () => {
    const { fn, asked, answers } = played();
    const log: unknown[] = [];
    const work = fn.run(async (mine) => {
      log.push(mine.bdf, mine.state.made, await mine.dma.read(), await mine.interrupt());
    });
    answers[0]?.resolve('bytes');
    await Promise.resolve();
    await Promise.resolve();
    answers[1]?.resolve('sent');
    await work;
    expect([asked, log]).toEqual([
      ['read', 'interrupt'],
      ['00:04.0', 1, 'bytes', 'sent'],
    ]);
  });

  it.each(['answered', 'refused'])('goes no further when its life ends while it waits for what is %s then', async (how) => {
    const { life, fn, asked, answers } = played();
    let further = false;
    const work = fn.run(async (mine) => {
      await mine.dma.read();
      further = true;
    });
    life.renew();
    if (how === 'answered') answers[0]?.resolve('too late');
    else answers[0]?.reject(new Error('aborted by the reset'));
    await work;
    expect([further, asked, fn.state.made]).toEqual([false, ['read'], 2]);
  });

  it('sends nothing any more after its life, and keeps the state that it began with', async () => {
    const { life, fn, asked } = played();
    const seen: number[] = [];
    await fn.run(async (mine) => {
      life.renew();
      seen.push(mine.state.made, fn.state.made);
      await mine.run(async () => void seen.push(99));
      await mine.interrupt();
    });
    expect([seen, asked, fn.signal.aborted]).toEqual([[1, 2], [], false]);
  });

  it('does not begin when the function is gone', async () => {
    const { life, fn } = played();
    life.end();
    life.renew();
    let begun = false;
    await fn.run(async () => void (begun = true));
    expect([begun, fn.signal.aborted]).toEqual([false, true]);
  });

  it.each<ErrorCode>(['ECONNRESET', 'ENODEV', 'EPERM'])('ends quietly with %s', async (code) => {
    const { fn, answers } = played();
    const work = fn.run(async (mine) => void (await mine.dma.read()));
    answers[0]?.reject(new IommudError({ code, message: 'gone' }));
    await expect(work).resolves.toBeUndefined();
  });

  it('ends quietly also where its connection is of another copy of the client', async () => {
    const { fn } = played();
    const foreign = Object.assign(new Error('gone'), { name: 'IommudError', code: 'ENODEV' });
    await expect(fn.run(() => Promise.reject(foreign))).resolves.toBeUndefined();
    await expect(fn.run(() => Promise.reject(Object.assign(foreign, { name: 'Error' })))).rejects.toThrow('gone');
  });

  it('ends quietly with what was given its signal', async () => {
    const { life, fn } = played();
    const work = fn.run(
      ({ signal }) =>
        new Promise((_resolve, reject) => {
          signal.addEventListener('abort', () => reject(signal.reason as Error));
        }),
    );
    life.renew();
    await expect(work).resolves.toBeUndefined();
    await expect(fn.run(() => Promise.reject(new DOMException('of somebody else', 'AbortError')))).rejects.toThrow('of somebody else');
  });

  it('that is wrong says so', async () => {
    const { fn, answers } = played();
    const work = fn.run(async (mine) => void (await mine.dma.read()));
    answers[0]?.reject(new IommudError({ code: 'EINVAL', message: 'bytes: 0' }));
    await expect(work).rejects.toThrow('bytes: 0');
    await expect(fn.run(() => Promise.reject(new Error('a bug')))).rejects.toThrow('a bug');
  });
});
