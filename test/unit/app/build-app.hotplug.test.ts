import { describe, expect, test } from 'vitest';
import { service } from './service.ts';

const TOPOLOGY = {
  schema: 'iommud.topology/v1',
  functions: [
    { address: '00:00.0', model: 'host-bridge' },
    { address: '00:01.0', model: 'root-port', slot: {} },
  ],
};

async function lab() {
  const rest = await service();
  const { id } = await rest.make({ name: 'lab', preset: undefined, topology: TOPOLOGY });
  return { rest, base: `/v1/machines/${id}/functions` };
}

describe('functions that come and go over REST', () => {
  test('are plugged in, answer, and are taken out in order or pulled out', async () => {
    const { rest, base } = await lab();
    for (const query of ['', '?surprise=true', '?surprise=false&deadlineMs=2.5']) {
      const plugged = await rest.post(base, { port: '00:01.0', functions: [{ address: '00.0', model: 'dma-probe' }] });
      expect([plugged.statusCode, plugged.json()]).toMatchObject([200, { functions: ['01:00.0'] }]);
      expect((await rest.get(`${base}/01:00.0`)).json()).toMatchObject({ function: '01:00.0', model: 'dma-probe' });
      expect((await rest.get('/v1/machines/lab')).json()).toMatchObject({ functions: 3 });
      const gone = await rest.delete(`${base}/01:00.0${query}`);
      expect([gone.statusCode, gone.json()]).toMatchObject([200, { functions: ['01:00.0'], aborted: 0 }]);
      expect((await rest.get(`${base}/01:00.0`)).statusCode).toBe(404);
      expect((await rest.get('/v1/machines/lab')).json()).toMatchObject({ functions: 2 });
    }
  });

  test.each(['?surprise=yes', '?deadlineMs=soon', '?deadlineMs=-1', '?deadline=1'])(
    'a query that says nothing is refused: %s',
    async (query) => {
      const { rest, base } = await lab();
      expect((await rest.delete(`${base}/00:01.0${query}`)).statusCode).toBe(400);
      expect((await rest.get(`${base}/00:01.0`)).statusCode).toBe(200);
    },
  );

  test('what does not fit is refused, and nothing has come', async () => {
    const { rest, base } = await lab();
    const where = await rest.post(base, { port: '00:00.0', functions: [{ address: '00.0', model: 'dma-probe' }] });
    expect(where.statusCode).toBeGreaterThanOrEqual(400);
    const what = await rest.post(base, { port: '00:01.0', functions: [{ address: '00.0', model: 'toaster' }] });
    expect([what.statusCode, what.body]).toMatchObject([400, expect.stringContaining('toaster')]);
    expect((await rest.get(base)).json<{ functions: unknown[] }>().functions).toHaveLength(2);
  });
});
