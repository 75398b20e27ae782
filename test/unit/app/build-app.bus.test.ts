import { describe, expect, test } from 'vitest';
import { service } from './service.ts';

async function lab() {
  const rest = await service();
  await rest.make({ name: 'lab' });
  const ask = async (what: 'read' | 'write', body: object) => {
    const answer = await rest.post(`/v1/machines/lab/bus-${what}`, body);
    return answer.statusCode === 200
      ? answer.json<Record<string, unknown>>()
      : [answer.statusCode, answer.json<{ code: string; about: string }>().about];
  };
  return { rest, ask };
}

describe('accesses by address over REST', () => {
  test('reach memory, registers behind their BARs, configuration space and I/O ports', async () => {
    const { ask } = await lab();
    const at = { address: '0x40000010' };
    expect(await ask('write', { ...at, bytes: 8, value: '0xfedcba9876543210' })).toMatchObject({ elapsedNs: 0 });
    expect(await ask('read', { ...at, bytes: 8 })).toEqual({ value: '0xfedcba9876543210' });
    expect(await ask('read', at)).toEqual({ value: '0x76543210' });
    expect(await ask('read', { ...at, bytes: 1, space: 'memory' })).toEqual({ value: '0x10' });
    const probe = await ask('read', { config: '00:02.0', address: '0x0' });
    expect(probe).toEqual({ value: '0x11d01234' });
    const { value: bar } = (await ask('read', { config: '00:02.0', address: '0x10' })) as { value: string };
    expect(await ask('read', { address: `0x${(BigInt(bar) & ~0xfn).toString(16)}` })).toEqual({ value: '0x42525044' });
    await ask('write', { space: 'io', address: '0xcf8', value: '0x80001000' });
    expect(await ask('read', { space: 'io', address: '0xcfc' })).toEqual(probe);
    await ask('write', { config: '00:02.0', address: '0x3c', bytes: 1, value: '0x7b' });
    expect(await ask('read', { config: '00:02.0', address: '0x3c', bytes: 1 })).toEqual({ value: '0x7b' });
    // Nobody is there.
    expect(await ask('read', { config: '00:1f.7', address: '0x0' })).toEqual({ value: '0xffffffff' });
  });

  test.each([
    ['read', { address: '0x40000001' }, 'address'],
    ['read', { address: '0x40000000', bytes: 3 }, 'bytes'],
    ['read', { address: '1073741824' }, 'address'],
    ['read', { address: '0x1000', config: '00:02.0' }, 'address'],
    ['read', { address: '0x0', config: '00:02.0', space: 'memory' }, 'space'],
    ['read', { address: '0x0', config: 'here' }, 'bdf'],
    ['read', { address: '0x0', space: 'config' }, 'space'],
    ['write', { address: '0x40000000' }, 'value'],
  ] as const)('are refused: %s %j', async (what, body, about) => {
    const { ask } = await lab();
    expect(await ask(what, body)).toEqual([400, expect.stringContaining(about)]);
  });

  test('are for who may change the machine, and with an Idempotency-Key are made once', async () => {
    const { rest } = await lab();
    const key = { 'idempotency-key': 'k' };
    const read = (headers: Record<string, string>) => rest.post('/v1/machines/lab/bus-read', { address: '0x40000000' }, headers);
    expect((await read(key)).json()).toEqual({ value: '0x0' });
    await rest.post('/v1/machines/lab/bus-write', { address: '0x40000000', value: '0x5' });
    expect((await read(key)).json()).toEqual({ value: '0x0' });
    expect((await read({})).json()).toEqual({ value: '0x5' });
  });
});
