import { describe, expect, test, vi } from 'vitest';
import { service } from './service.ts';

const FN = '/functions/00:02.0';

/** A machine with a page mapped at 0x10000, over the socket. */
async function lab(options: object = {}) {
  const rest = await service();
  const { id } = await rest.make({ name: 'lab', ...options });
  const { machine } = await rest.connect(id);
  const probe = machine.function('00:02.0');
  const page = await machine.memory.alloc(4096);
  await probe.dma.map({ iova: 0x10000, address: page.address, bytes: 4096, access: 'rw' });
  return { rest, machine, probe, base: `/v1/machines/${id}` };
}

describe('functions over REST', () => {
  test('are listed by address, and described in full', async () => {
    const { rest, base } = await lab();
    const list = (await rest.get(`${base}/functions`)).json<{ functions: { function: string }[] }>();
    expect(list.functions.map((each) => each.function)).toEqual(['00:00.0', '00:02.0', '00:03.0', '00:04.0']);
    const detail = await rest.get(`${base}${FN}`);
    expect(detail.statusCode).toBe(200);
    expect(detail.json()).toMatchObject({
      function: '00:02.0',
      model: 'dma-probe',
      vendor: '0x1234',
      classCode: '0xff0000',
      configBytes: 4096,
      secondaryBus: null,
      atsSupported: true,
      blocked: false,
      resetDepth: 0,
      gate: 'open',
      inFlight: 0,
      absent: false,
      resetMethods: ['flr'],
      windows: [],
      armedFaults: [],
      itags: 0,
      logicalDomain: { type: 'paging', sharedAddress: false },
    });
    expect((await rest.get(`${base}/functions/0000:00:02.0`)).json()).toEqual(detail.json());
  });

  test('have faults on purpose, which are listed', async () => {
    const { rest, base, machine, probe } = await lab();
    const armed = await probe.faults.arm('never-ready', { count: 0 });
    await machine.armed.armMemory('memory-errors', { address: 0x10_0000, bytes: 64 });
    expect((await rest.get(`${base}/faults-on-purpose`)).json()).toEqual({
      faults: [
        expect.objectContaining({ armed, fault: 'never-ready', function: '00:02.0', address: null, left: null, error: null }),
        expect.objectContaining({
          fault: 'memory-errors',
          function: null,
          address: '0x100000',
          bytes: 64,
          left: 1,
          error: 'completer-abort',
        }),
      ],
    });
  });

  test('of a machine without an IOMMU have no group and no domains', async () => {
    const rest = await service();
    const { id } = await rest.make({ preset: 'no-iommu' });
    expect((await rest.get(`/v1/machines/${id}${FN}`)).json()).toMatchObject({ group: null, logicalDomain: null, physicalDomain: null });
  });

  test.each([
    ['/functions/00:09.0', 404, 'ENODEV'],
    ['/functions/0001:00:02.0', 404, 'ENODEV'],
    ['/functions/2.0', 400, 'EINVAL'],
    ['/functions/00:02.8', 400, 'EINVAL'],
  ])('%s is %i %s', async (path, status, code) => {
    const { rest, base } = await lab();
    const answer = await rest.get(`${base}${path}`);
    expect(answer.statusCode).toBe(status);
    expect(answer.json()).toMatchObject({ code });
  });

  test('faults are listed with their text, and stay', async () => {
    const { rest, base, probe } = await lab();
    expect((await rest.get(`${base}/faults`)).json()).toEqual({ faults: [], overflow: 0 });
    await probe.model.write(0x11000, 'rogue');
    for (let asked = 0; asked < 2; asked++) {
      expect((await rest.get(`${base}/faults`)).json()).toMatchObject({
        faults: [
          {
            function: '00:02.0',
            pasid: null,
            iova: '0x11000',
            access: 'w',
            cause: 'not-present',
            text: '00:02.0 write 0x11000: not present',
          },
        ],
        overflow: 0,
      });
    }
    expect((await rest.get('/metrics')).body).toContain('iommud_faults_total 1\n');
  });
});

describe('resets over REST', () => {
  test('prepare blocks, done opens, and a held write is aborted between', async () => {
    const { rest, base, probe } = await lab();
    const held = probe.model.write(0x10000, 'held', { hold: 'translated' });
    const prepared = await rest.post(`${base}${FN}/reset-prepare`, { token: 'w1', deadlineMs: 10 });
    expect(prepared.statusCode).toBe(200);
    expect(prepared.json()).toMatchObject({ skipped: false, depth: 1, drained: 0, aborted: 1, indeterminate: 0, elapsedNs: 10_000_000 });
    expect((await held).outcome).toBe('aborted');
    expect((await rest.get(`${base}${FN}`)).json()).toMatchObject({ blocked: true, resetDepth: 1, gate: 'closed', windows: ['w1'] });
    const done = await rest.post(`${base}${FN}/reset-done`, { token: 'w1' });
    expect(done.json()).toMatchObject({ depth: 0, skipped: false, warning: '' });
    expect((await rest.get(`${base}${FN}`)).json()).toMatchObject({ blocked: false, resetDepth: 0, gate: 'open', windows: [] });
    expect((await rest.get('/metrics')).body).toContain('iommud_resets_total 1\n');
  });

  test('done with all ends every window', async () => {
    const { rest, base } = await lab();
    await rest.post(`${base}${FN}/reset-prepare`, { token: 'w1', deadlineMs: 0 });
    await rest.post(`${base}${FN}/reset-prepare`, { token: 'w2', deadlineMs: 0 });
    expect((await rest.post(`${base}${FN}/reset-done`, { all: true })).json()).toMatchObject({ depth: 0 });
    expect((await rest.get(`${base}${FN}`)).json()).toMatchObject({ blocked: false, windows: [] });
  });

  test('the whole reset, with its window and without', async () => {
    const { rest, base } = await lab();
    const reset = await rest.post(`${base}${FN}/reset`, { method: 'flr', deadlineMs: 10 });
    expect(reset.statusCode).toBe(200);
    expect(reset.json()).toMatchObject({ method: 'flr', pendingTimedOut: false, skipped: false, completed: 1, timedOut: 0 });
    expect((await rest.post(`${base}${FN}/reset`, { method: 'flr', deadlineMs: 10, window: false })).json()).toMatchObject({
      skipped: true,
    });
  });

  test('a drain that may fail: 504, and nothing is changed', async () => {
    const { rest, base, probe } = await lab();
    void probe.model.write(0x10000, 'held', { hold: 'translated' }).catch(() => undefined);
    const answer = await rest.post(`${base}${FN}/reset-prepare`, { token: 'w', deadlineMs: 5, onDeadline: 'fail' });
    expect(answer.statusCode).toBe(504);
    expect(answer.json()).toMatchObject({ code: 'ETIMEDOUT', errno: 110, about: '00:02.0' });
    expect((await rest.get(`${base}${FN}`)).json()).toMatchObject({ blocked: false, gate: 'open', inFlight: 1, windows: [] });
  });

  test('an IOMMU that refuses is 502, and nothing is changed', async () => {
    const { rest, base, probe } = await lab();
    await probe.faults.arm('attach-fails');
    const answer = await rest.post(`${base}${FN}/reset-prepare`, { token: 'w', deadlineMs: 0 });
    expect(answer.statusCode).toBe(502);
    expect(answer.json()).toMatchObject({ code: 'EIO', errno: 5, about: '00:02.0' });
    expect((await rest.get(`${base}${FN}`)).json()).toMatchObject({ blocked: false, windows: [] });
  });

  test('done for a window that is not open warns and changes nothing', async () => {
    const { rest, base } = await lab();
    await rest.post(`${base}${FN}/reset-prepare`, { token: 'w', deadlineMs: 0 });
    const answer = await rest.post(`${base}${FN}/reset-done`, { token: 'other' });
    expect(answer.json()).toMatchObject({ depth: 1, warning: expect.stringContaining('window "other", which is not open') as string });
    expect((await rest.get(`${base}${FN}`)).json()).toMatchObject({ blocked: true, windows: ['w'] });
  });

  test.each([
    ['reset', { method: 'pm', deadlineMs: 1 }, 422, 'ENOTTY', 'method'],
    ['reset', { method: 'kick', deadlineMs: 1 }, 400, 'EINVAL', 'method'],
    ['reset', { method: 'flr' }, 400, 'EINVAL', 'deadlineMs'],
    ['reset', { method: 'flr', deadlineMs: -1 }, 400, 'EINVAL', 'deadlineMs'],
    ['reset', { method: 'flr', deadlineMs: 1, onDeadline: 'wait' }, 400, 'EINVAL', 'onDeadline'],
    ['reset-prepare', { deadlineMs: 1 }, 400, 'EINVAL', 'token'],
    ['reset-prepare', { token: '', deadlineMs: 1 }, 400, 'EINVAL', 'token'],
    ['reset-prepare', { token: 'x'.repeat(65), deadlineMs: 1 }, 400, 'EINVAL', 'token'],
    ['reset-done', {}, 400, 'EINVAL', 'token'],
  ])('%s with %j is %i %s', async (path, body, status, code, about) => {
    const { rest, base } = await lab();
    const answer = await rest.post(`${base}${FN}/${path}`, body);
    expect(answer.statusCode).toBe(status);
    expect(answer.json()).toMatchObject({ code, about });
    expect((await rest.get(`${base}${FN}`)).json()).toMatchObject({ blocked: false, gate: 'open', resetDepth: 0 });
  });

  test('of what is not there', async () => {
    const { rest, base } = await lab();
    const body = { method: 'flr', deadlineMs: 1 };
    expect((await rest.post(`${base}/functions/00:09.0/reset`, body)).json()).toMatchObject({ code: 'ENODEV' });
    expect((await rest.post(`${base}/functions/here/reset`, body)).json()).toMatchObject({ code: 'EINVAL', about: 'bdf' });
    expect((await rest.post(`/v1/machines/nobody${FN}/reset`, body)).json()).toMatchObject({ code: 'ENODEV', about: 'machine' });
  });

  test('an Idempotency-Key resets once, also for the one who asks while it runs', async () => {
    const { rest, base } = await lab();
    const key = { 'idempotency-key': 'reset-7' };
    const body = { method: 'flr', deadlineMs: 10 };
    const both = await Promise.all([rest.post(`${base}${FN}/reset`, body, key), rest.post(`${base}${FN}/reset`, body, key)]);
    const later = await rest.post(`${base}${FN}/reset`, body, key);
    expect(new Set([...both, later].map((answer) => answer.body)).size).toBe(1);
    expect((await rest.get('/metrics')).body).toContain('iommud_resets_total 1\n');
    const other = await rest.post(`${base}${FN}/reset`, { ...body, deadlineMs: 11 }, key);
    expect(other.statusCode).toBe(422);
    expect(other.json()).toMatchObject({ code: 'EINVAL', about: 'idempotency-key' });
    // The same key for another path is another key.
    expect((await rest.post(`${base}${FN}/reset-prepare`, { token: 'w', deadlineMs: 0 }, key)).statusCode).toBe(200);
    expect((await rest.get('/metrics')).body).toContain('iommud_resets_total 2\n');
  });

  test('an Idempotency-Key keeps a refusal too', async () => {
    const { rest, base, probe } = await lab();
    const key = { 'idempotency-key': 'k' };
    const body = { token: 'w', deadlineMs: 0 };
    await probe.faults.arm('attach-fails');
    const first = await rest.post(`${base}${FN}/reset-prepare`, body, key);
    expect(first.statusCode).toBe(502);
    const again = await rest.post(`${base}${FN}/reset-prepare`, body, key);
    expect([again.statusCode, again.body]).toEqual([first.statusCode, first.body]);
    expect((await rest.get(`${base}${FN}`)).json()).toMatchObject({ windows: [] });
    expect((await rest.post(`${base}${FN}/reset-prepare`, body)).statusCode).toBe(200);
  });

  test('of one function do not wait for another', async () => {
    const rest = await service();
    const { id } = await rest.make({ preset: 'switch', clock: 'manual' });
    const { machine } = await rest.connect(id);
    const probe = machine.function('03:00.0');
    const page = await machine.memory.alloc(4096);
    await probe.dma.map({ iova: 0x10000, address: page.address, bytes: 4096, access: 'rw' });
    void probe.model.write(0x10000, 'held', { hold: 'translated' }).catch(() => undefined);
    const base = `/v1/machines/${id}/functions`;
    const waiting = rest.post(`${base}/03:00.0/reset-prepare`, { token: 'w', deadlineMs: 10 });
    await vi.waitFor(async () => expect((await rest.get(`${base}/03:00.0`)).json()).toMatchObject({ gate: 'closed' }));
    expect((await rest.post(`${base}/04:00.0/reset-prepare`, { token: 'w', deadlineMs: 10 })).json()).toMatchObject({ depth: 1 });
    await machine.clock.advance({ ms: 20 });
    expect((await waiting).json()).toMatchObject({ aborted: 1 });
  });
});
