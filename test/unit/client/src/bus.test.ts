import { describe, expect, it } from 'vitest';
import { configAddress } from '../../../../client/src/index.ts';
import { connected, tick } from './fake-server.ts';

describe('accesses by address', () => {
  it('ask for memory unless another space is named', async () => {
    const { server, connection } = await connected();
    const { bus } = connection.machine;
    const reading = [bus.read(0xe000_0000, 4), bus.read(0xcfe, 2, { space: 'io' }), bus.read64(0x1_0000_0000n)] as const;
    await tick();
    const calls = server.calls('busRead');
    expect(calls.map(({ body }) => body)).toMatchObject([
      { space: 1, address: { low: 0xe000_0000 | 0, high: 0 }, bytes: 4 },
      { space: 2, address: { low: 0xcfe, high: 0 }, bytes: 2 },
      { space: 1, address: { low: 0, high: 1 }, bytes: 8 },
    ]);
    for (const { id } of calls) server.reply(id, 'busReadReply', { value: { low: -2, high: 0 } });
    expect(await Promise.all(reading)).toEqual([0xffff_fffe, 0xffff_fffe, 0xffff_fffen]);
  });

  it('write, and reach configuration space by bus numbers', async () => {
    const { server, connection } = await connected();
    const { bus } = connection.machine;
    const writing = [bus.write(0xcf8, 4, 0x8000_0000, { space: 'io' }), bus.config('0001:02:03.4').write(0x10, 4, 0xffff_ffff)];
    const reading = bus.config('02:03.4').read(0xffe, 2);
    await tick();
    expect(server.calls('busWrite').map(({ body }) => body)).toMatchObject([
      { space: 2, address: { low: 0xcf8, high: 0 }, bytes: 4, value: { low: 0x8000_0000 | 0, high: 0 } },
      { space: 3, address: { low: 0x1021_c010, high: 0 }, bytes: 4, value: { low: -1, high: 0 } },
    ]);
    expect(server.calls('busRead').map(({ body }) => body)).toMatchObject([{ space: 3, address: { low: 0x0021_cffe, high: 0 }, bytes: 2 }]);
    for (const { id } of server.calls('busWrite')) server.reply(id, 'busWriteReply', { elapsedNs: { low: 0, high: 0 } });
    for (const { id } of server.calls('busRead')) server.reply(id, 'busReadReply', { value: { low: 7, high: 0 } });
    await Promise.all(writing);
    expect(await reading).toBe(7);
  });

  it('refuse what is no access before they ask', async () => {
    const { connection } = await connected();
    const { bus } = connection.machine;
    await expect(bus.read(0, 8)).rejects.toMatchObject({ code: 'EINVAL', about: 'bytes' });
    await expect(bus.config('00:00.0').read(0x1000, 4)).rejects.toMatchObject({ code: 'EINVAL', about: 'offset' });
    await expect(bus.read(0, 4, { space: 'ram' as 'io' })).rejects.toMatchObject({ code: 'EINVAL', about: 'space' });
  });
});

it('the lower 28 bits of a configuration address are an offset in ECAM', () => {
  expect(configAddress('ffff:ff:1f.7', 0xfff)).toBe(0xfff_ffff_ffffn);
  expect(configAddress('0001:02:03.4', 0x10) & 0xfff_ffffn).toBe(configAddress('02:03.4', 0x10));
});
