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

  it('connections made at the same time have windows of their own', async () => {
    await using m = await startMachine({ url: server.url });
    const [one, two] = await Promise.all([m.connect(['host']), m.connect(['host'])]);
    const first = await one.machine.function('00:02.0').resetPrepare({ deadlineMs: 1 });
    const second = await two.machine.function('00:02.0').resetPrepare({ deadlineMs: 1 });
    expect(first.token).not.toBe(second.token);
    await second.done();
    await first.done();
  });

  it('a claim is given up once, also where its connection is gone; one that was cancelled is not kept', async () => {
    await using m = await startMachine({ url: server.url });
    const emulator = await m.connect(['device', 'memory']);
    const given = new AbortController();
    const claiming = emulator.claimDevice('00:04.0', {}, { signal: given.signal });
    given.abort();
    await expect(claiming).rejects.toMatchObject({ code: 'ECANCELED' });
    const device = await emulator.claimDevice('00:04.0');
    const memory = await emulator.serveMemory(
      { address: 0x8000_0000, bytes: 4096 },
      { read: () => new Uint8Array(4), write: () => undefined },
    );
    await device.release();
    await device.release();
    await device[Symbol.asyncDispose]();
    await emulator.close();
    await memory[Symbol.asyncDispose]();
    await expect(memory.release()).rejects.toMatchObject({ code: 'ECONNRESET' });
  });

  it('a number that cannot be sent is EINVAL naming it, and what else is under way goes on', async () => {
    await using m = await startMachine({ url: server.url });
    const dev = m.function('00:02.0');
    const { dma } = await (await m.connect(['device'])).claimDevice('00:04.0');
    const under = m.memory.alloc(4096);
    for (const bytes of [-5, -(2 ** 21), 0.5, Number.NaN]) {
      await expect(m.memory.read(0x10_0000, bytes)).rejects.toMatchObject({ code: 'EINVAL', about: 'bytes' });
      await expect(dma.read(0x1000, bytes)).rejects.toMatchObject({ code: 'EINVAL', about: 'bytes' });
    }
    await expect(dma.read(0x1000, 2 ** 40)).rejects.toMatchObject({ code: 'EINVAL', about: 'bytes' });
    for (const bytes of [-4, 2, Number.NaN]) {
      await expect(dev.config.readBytes(0, bytes)).rejects.toMatchObject({ code: 'EINVAL', about: 'bytes' });
    }
    await expect(dev.bar(0).read(0, 8)).rejects.toMatchObject({ code: 'EINVAL', about: 'bytes' });
    for (const deadlineMs of [-1, Number.NaN, Infinity, 1e12]) {
      await expect(connect(m.socketUrl, { deadlineMs })).rejects.toMatchObject({ code: 'EINVAL', about: 'deadlineMs' });
    }
    expect((await under).bytes).toBe(4096);
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
