import { expect, test } from 'vitest';
import { service } from './service.ts';

test('what the router refuses has the body that every refusal has', async () => {
  const rest = await service();
  const bad = await rest.get('/v1/machines/%zz');
  expect([bad.statusCode, bad.json()]).toMatchObject([400, { code: 'EINVAL', errno: 22 }]);
  const long = await rest.get(`/v1/machines/${'m'.repeat(300)}`);
  expect([long.statusCode, long.json()]).toMatchObject([404, { code: 'ENODEV' }]);
});
