import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { connect } from '../../../../client/src/index.ts';
import { startMachine } from '../../../../client/testing/index.ts';
import { startServer, type RunningServer } from '../../../../server/src/app/index.ts';

let server: RunningServer;
beforeAll(async () => {
  server = await startServer({ port: 0, logLevel: 'silent' });
});
afterAll(() => server.close());

const machinesOf = async (url: string): Promise<{ id: string }[]> =>
  ((await (await fetch(`${url}/v1/machines`)).json()) as { machines: { id: string }[] }).machines;

describe('startMachine', () => {
  it('starts a service of its own, and ends it', async () => {
    const m = await startMachine({ url: '', preset: 'basic', seed: 7 });
    expect(await m.info()).toMatchObject({ seed: 7, behaviour: 'strict', clock: 'auto', iommu: true });
    const { serviceUrl } = m;
    expect((await fetch(`${serviceUrl}/healthz`)).status).toBe(200);
    await m.close();
    await expect(fetch(`${serviceUrl}/healthz`)).rejects.toThrow();
  });

  it('makes its machine on a running service, and deletes it', async () => {
    {
      await using m = await startMachine({ url: server.url });
      expect(await machinesOf(server.url)).toMatchObject([{ id: m.id }]);
      expect((await m.function('00:02.0').info()).model).toBe('dma-probe');
    }
    expect(await machinesOf(server.url)).toEqual([]);
  });

  it('others can connect to it until it is closed', async () => {
    const m = await startMachine({ url: server.url });
    const other = await m.connect(['device']);
    const stranger = await connect(m.socketUrl, { roles: ['observer'] });
    await other.claimDevice('00:04.0');
    expect((await stranger.machine.function('00:04.0').info()).absent).toBe(false);
    await m.close();
    await m.close();
    expect(await other.closed).toMatchObject({ code: 1000 });
    expect(await stranger.closed).toMatchObject({ code: 1001 });
  });

  it('equal programs give equal trace hashes, the tokens of their windows included', async () => {
    const program = async (): Promise<string> => {
      await using m = await startMachine({ url: server.url, seed: 3 });
      const dev = m.function('00:02.0');
      await using _ = await dev.resetPrepare({ deadlineMs: 1 });
      const second = await m.connect(['host']);
      const nested = await second.machine.function('00:02.0').resetPrepare({ deadlineMs: 1 });
      await nested.done();
      return await m.traceHash();
    };
    expect(await program()).toBe(await program());
  });

  it('what the machine cannot be is refused, and nothing is left', async () => {
    await expect(startMachine({ url: server.url, preset: 'fridge' })).rejects.toMatchObject({ code: 'EINVAL', about: 'preset' });
    await expect(startMachine({ url: server.url, preset: 'basic', lspci: '' })).rejects.toMatchObject({ code: 'EINVAL' });
    expect(await machinesOf(server.url)).toEqual([]);
  });

  it('no service is ECONNRESET naming the address', async () => {
    await expect(startMachine({ url: 'http://127.0.0.1:9' })).rejects.toMatchObject({ code: 'ECONNRESET', about: 'http://127.0.0.1:9' });
  });
});
