import { describe, expect, it } from 'vitest';
import {
  defineFunction,
  type ClaimedFunction,
  type ClaimOptions,
  type DeviceHandlers,
  type RunningFunction,
} from '../../../../client/src/index.ts';

interface Played {
  readonly handlers: DeviceHandlers;
  readonly options: ClaimOptions | undefined;
  readonly at: string;
  readonly calls: unknown[];
  /** The claim is answered. */
  answer(): void;
}

/** A connection that notes what it is asked to play. */
function connection() {
  const played: Played[] = [];
  let end = (): void => undefined;
  const closed = new Promise<void>((resolve) => {
    end = resolve;
  });
  const claim = (at: string, handlers: DeviceHandlers, options?: ClaimOptions): Promise<ClaimedFunction> =>
    new Promise((resolve) => {
      const calls: unknown[] = [];
      const claimed = {
        bdf: '00:04.0',
        config: Uint8Array.of(1),
        restarted: true,
        interrupt: (vector: number) => (calls.push(['interrupt', vector]), Promise.resolve('sent')),
        line: (asserted: boolean) => (calls.push(['line', asserted]), Promise.resolve('sent')),
        setAlarm: (alarm: number, delay: object) => (calls.push(['alarm', alarm, delay]), Promise.resolve()),
        cancelAlarm: (alarm: number) => (calls.push(['cancel', alarm]), Promise.resolve()),
        release: () => (calls.push('release'), Promise.resolve()),
        [Symbol.asyncDispose]: () => (calls.push('dispose'), Promise.resolve()),
      } as unknown as ClaimedFunction;
      played.push({ handlers, options, at, calls, answer: () => resolve(claimed) });
    });
  return { played, closed, end: () => end(), claimDevice: claim, plugDevice: claim };
}

interface State {
  value: bigint;
}
const counter = defineFunction<State>({
  vendor: 0x1234,
  device: 0xabcd,
  class: 0x02_0000,
  bars: [{ bar: 0, size: '4KiB' }],
  capabilities: { msix: false },
  interruptPin: 'B',
  widths: [4],
  postedWrites: true,
  state: () => ({ value: 7n }),
  onRead: ({ state }, { bar, offset }) => state.value + BigInt(bar * 100 + offset),
  onWrite: async (fn, _access, value) => {
    fn.state.value = value;
    await fn.interrupt(3);
  },
  onAlarm: (fn, alarm) => fn.cancelAlarm(alarm),
  onReset: (fn, method) => void (method === 'flr' && fn.line(false)),
});

const READ = { region: 1, offset: 8, bytes: 4 } as const;

describe('a function that is defined', () => {
  it('declares itself as a topology has it', async () => {
    const to = connection();
    const claiming = counter.claim(to, '00:04.0');
    to.played[0]?.answer();
    await claiming;
    expect(to.played[0]).toMatchObject({
      at: '00:04.0',
      options: {
        widths: [4],
        postedWrites: true,
        declare: {
          vendor: '0x1234',
          device: '0xabcd',
          class: '0x20000',
          bars: [{ bar: 0, size: '4KiB' }],
          capabilities: { msix: false },
          interruptPin: 'B',
        },
      },
    });
    const plugging = counter.plug(to, '00:1c.0', '00.0');
    to.played[1]?.answer();
    await plugging;
    expect(to.played[1]).toMatchObject({ at: '00:1c.0', options: { declare: { address: '00.0', vendor: '0x1234' } } });
  });

  it('has a state for each time that it is played, anew after each reset', async () => {
    const to = connection();
    const [first, second] = [counter.claim(to, '00:04.0'), counter.claim(to, '00:05.0')];
    for (const one of to.played) one.answer();
    const [{ fn, restarted }] = await Promise.all([first, second]);
    expect(restarted).toBe(true);
    const [one, two] = to.played.map(({ handlers }) => handlers);
    expect(one?.onRegionRead?.(READ)).toBe(115n);
    await one?.onRegionWrite?.({ ...READ, value: 1n });
    expect([one?.onRegionRead?.(READ), two?.onRegionRead?.(READ)]).toEqual([109n, 115n]);
    const before = fn.state;
    await one?.onReset?.('flr');
    expect([fn.state === before, fn.state.value]).toEqual([false, 7n]);
    expect(to.played[0]?.calls).toEqual([
      ['interrupt', 3],
      ['line', false],
    ]);
  });

  it('answers an access that comes before its claim is answered as soon as it is', async () => {
    const to = connection();
    const claiming = counter.claim(to, '00:04.0');
    const handlers = to.played[0]?.handlers;
    const early = handlers?.onRegionWrite?.({ ...READ, value: 5n });
    const read = handlers?.onRegionRead?.(READ);
    to.played[0]?.answer();
    await claiming;
    await early;
    expect(await read).toBe(113n);
    expect(to.played[0]?.calls).toEqual([['interrupt', 3]]);
  });

  it('without code is 0 everywhere and does nothing', async () => {
    const to = connection();
    const bare = defineFunction({ vendor: 1, device: 2, bars: [], state: () => undefined });
    const claiming = bare.claim(to, '00:04.0');
    to.played[0]?.answer();
    const played = await claiming;
    const { handlers } = to.played[0]!;
    expect(handlers.onRegionRead?.(READ)).toBe(0);
    expect([handlers.onRegionWrite?.({ ...READ, value: 1n }), handlers.onReset?.('pm'), handlers.onAlarm?.(0)]).toEqual([
      undefined,
      undefined,
      undefined,
    ]);
    await played.release();
    await played[Symbol.asyncDispose]();
    expect(to.played[0]?.calls).toEqual(['release', 'dispose']);
  });

  it('sees itself through one object', async () => {
    const to = connection();
    let seen: RunningFunction<number> | undefined;
    const one = defineFunction({ vendor: 1, device: 2, bars: [], state: () => 5, onRead: (fn) => ((seen = fn), fn.state) });
    const claiming = one.claim(to, '00:04.0');
    to.played[0]?.answer();
    const { fn } = await claiming;
    expect(to.played[0]?.handlers.onRegionRead?.(READ)).toBe(5);
    expect(seen).toBe(fn);
    expect([fn.bdf, fn.config]).toEqual(['00:04.0', Uint8Array.of(1)]);
    await fn.setAlarm(2, { ms: 3 });
    expect(to.played[0]?.calls).toEqual([['alarm', 2, { ms: 3 }]]);
  });

  it('starts before its first access, and ends once', async () => {
    const to = connection();
    const log: unknown[] = [];
    const one = defineFunction({
      vendor: 1,
      device: 2,
      bars: [],
      state: () => 5,
      onStart: async (fn, restarted) => {
        await fn.setAlarm(1, { ms: 1 });
        log.push(['start', fn.bdf, restarted]);
      },
      onRead: () => (log.push('read'), 1),
      onEnd: (fn) => void log.push(['end', fn.signal.aborted]),
    });
    const claiming = one.claim(to, '00:04.0');
    const early = to.played[0]?.handlers.onRegionRead?.(READ);
    to.played[0]?.answer();
    const played = await claiming;
    await early;
    expect(log).toEqual([['start', '00:04.0', true], 'read']);
    expect(played.fn.signal.aborted).toBe(false);
    await played.release();
    to.end();
    await to.closed;
    expect(log.slice(2)).toEqual([['end', true]]);
  });

  it('ends with its connection', async () => {
    const to = connection();
    const ends: string[] = [];
    const one = defineFunction({ vendor: 1, device: 2, bars: [], state: () => 5, onEnd: ({ bdf }) => void ends.push(bdf) });
    const claiming = one.claim(to, '00:04.0');
    to.played[0]?.answer();
    const { fn } = await claiming;
    to.end();
    await to.closed;
    expect([ends, fn.signal.aborted]).toEqual([['00:04.0'], true]);
  });

  it('that cannot start is given up', async () => {
    const to = connection();
    const one = defineFunction({
      vendor: 1,
      device: 2,
      bars: [],
      state: () => 5,
      onStart: () => {
        throw new Error('no cable');
      },
    });
    const claiming = one.claim(to, '00:04.0');
    to.played[0]?.answer();
    await expect(claiming).rejects.toThrow('no cable');
    expect(to.played[0]?.calls).toEqual(['release']);
  });

  it('is reset in the middle of its work, which ends there', async () => {
    const to = connection();
    const claiming = counter.claim(to, '00:04.0');
    to.played[0]?.answer();
    const { fn } = await claiming;
    const log: unknown[] = [];
    const work = fn.run(async (mine) => {
      await mine.interrupt(1);
      log.push(mine.state.value);
      await to.played[0]?.handlers.onReset?.('pm');
      log.push(mine.state === fn.state);
      await mine.interrupt(2);
      log.push('after the reset');
    });
    await work;
    expect([log, to.played[0]?.calls]).toEqual([[7n, false], [['interrupt', 1]]]);
  });

  it('keeps its ATC itself, where it says so', async () => {
    const to = connection();
    const seen: unknown[] = [];
    const own = defineFunction({
      vendor: 0x1234,
      device: 1,
      bars: [],
      atc: 'peer',
      state: () => ({ dropped: 0 }),
      onInvalidate: (fn, { iova }) => {
        seen.push([iova, ++fn.state.dropped]);
        return iova === 0n ? 'later' : undefined;
      },
    });
    const claiming = own.claim(to, '00:04.0');
    to.played[0]?.answer();
    await claiming;
    expect(to.played[0]?.options).toMatchObject({ atc: 'peer' });
    const invalidate = (iova: bigint) => to.played[0]?.handlers.onInvalidate?.({ itag: 0, pasid: undefined, iova, bytes: 4096n });
    expect([await invalidate(0x1000n), await invalidate(0n)]).toEqual([undefined, 'later']);
    expect(seen).toEqual([
      [0x1000n, 1],
      [0n, 2],
    ]);
  });

  it('declares nothing where it is what stands in the slot', async () => {
    const to = connection();
    const claiming = counter.claim(to, '00:04.0', { asItStands: true });
    to.played[0]?.answer();
    await claiming;
    expect(to.played[0]?.options).toEqual({ widths: [4], postedWrites: true });
  });
});
