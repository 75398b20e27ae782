import { describe, expect, it } from 'vitest';
import { nsOfMs, u32, u64 } from '../../../../client/src/numbers.ts';
import { connected, tick } from './fake-server.ts';

describe('u64', () => {
  it.each([
    [0, 0, 0],
    [0xffff_ffff, -1, 0],
    [2 ** 32, 0, 1],
    [Number.MAX_SAFE_INTEGER, -1, 0x1f_ffff],
    [0xffff_ffff_ffff_f000n, -4096, -1],
    [1n << 63n, 0, -(2 ** 31)],
  ])('%s is exact', (value, low, high) => {
    expect(u64(value, 'iova')).toEqual({ low, high });
  });

  it.each([2 ** 53, 0.5, Number.NaN, Infinity, -1, -1n, 1n << 64n])('%s is EINVAL naming the argument', (value) => {
    expect(() => u64(value, 'iova')).toThrow(expect.objectContaining({ code: 'EINVAL', about: 'iova' }));
  });

  it('what is no number at all is EINVAL', () => {
    expect(() => u64('0x1000' as unknown as number, 'iova')).toThrow(expect.objectContaining({ code: 'EINVAL', about: 'iova' }));
  });
});

describe('u32', () => {
  it('takes 0 to 2^32 - 1 and nothing else', () => {
    expect([u32(0, 'x'), u32(0xffff_ffff, 'x')]).toEqual([0, 0xffff_ffff]);
    for (const wrong of [-1, 2 ** 32, 1.5, Number.NaN, 1n as unknown as number]) {
      expect(() => u32(wrong, 'bytes')).toThrow(expect.objectContaining({ code: 'EINVAL', about: 'bytes' }));
    }
  });
});

describe('nsOfMs', () => {
  it('takes fractions, and nothing that is not exact in nanoseconds', () => {
    expect(nsOfMs(10, 'ms')).toEqual({ low: 10_000_000, high: 0 });
    expect(nsOfMs(0.000001, 'ms')).toEqual({ low: 1, high: 0 });
    for (const wrong of [-1, Number.NaN, Infinity, 1e10])
      expect(() => nsOfMs(wrong, 'deadlineMs')).toThrow(expect.objectContaining({ about: 'deadlineMs' }));
  });
});

describe('a handle', () => {
  it('refuses a number that is not exact before anything is sent', async () => {
    const { server, connection } = await connected();
    const { machine } = connection;
    const dev = machine.function('00:02.0');
    const wrong = 2 ** 53 + 2;
    const calls: [string, Promise<unknown>][] = [
      ['iova', dev.dma.map({ iova: wrong, address: 0, bytes: 4096, access: 'rw' })],
      ['address', dev.dma.map({ iova: 0, address: wrong, bytes: 4096, access: 'rw' })],
      ['iova', dev.dma.unmap({ iova: wrong, bytes: 4096 })],
      ['iova', dev.model.write(wrong, 'x')],
      ['address', machine.memory.read(wrong, 1)],
      ['bytes', machine.memory.alloc(0.5)],
      ['offset', dev.config.read(-4, 4)],
      ['bytes', dev.config.read(0, -1)],
      ['deadlineMs', dev.resetPrepare({ deadlineMs: -1 })],
      ['access', dev.dma.map({ iova: 0, address: 0, bytes: 4096, access: 'rq' as 'rw' })],
      ['method', dev.resetTrigger('kick' as 'flr')],
      ['hold', dev.model.write(0, 'x', { hold: 'nowhere' as 'issued' })],
    ];
    for (const [about, call] of calls) await expect(call).rejects.toMatchObject({ code: 'EINVAL', about });
    await tick();
    expect(server.frames).toEqual([]);
  });
});
