import { describe, expect, test } from 'vitest';
import { service } from './service.ts';

describe('labels', () => {
  test('are found by their own names only', async () => {
    const rest = await service();
    await rest.make({ labels: { team: 'x' } });
    const found = async (label: string): Promise<number> =>
      (await rest.get(`/v1/machines?label=${label}`)).json<{ machines: unknown[] }>().machines.length;
    expect([await found('team'), await found('team=x'), await found('team=y'), await found('constructor')]).toEqual([1, 1, 0, 0]);
  });

  test('that cannot be are refused by name', async () => {
    const rest = await service();
    for (const key of ['bad key!', '', 'a'.repeat(65), 'a=b']) {
      const refused = await rest.post('/v1/machines', { preset: 'basic', labels: { [key]: 'x' } });
      expect([refused.statusCode, refused.json()]).toMatchObject([400, { code: 'EINVAL' }]);
    }
  });
});
