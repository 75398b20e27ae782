import { startMachine, type TestMachine } from '../../../../client/testing/index.ts';
import { startChildServer } from '../../harness/index.ts';

/** The service in a process of its own; closing it ends that. */
export async function startService(): Promise<{ readonly url: string; readonly close: () => Promise<void> }> {
  const service = await startChildServer(new URL('iommud-server.ts', import.meta.url), []);
  return { url: `http://127.0.0.1:${service.port}`, close: () => service.close() };
}

/** A machine on a service that has a process of its own; closing it ends both. */
export async function startMeasuredMachine(): Promise<{ readonly machine: TestMachine; readonly close: () => Promise<void> }> {
  const service = await startService();
  const machine = await startMachine({ preset: 'basic', url: service.url, roles: ['host'] });
  return {
    machine,
    async close() {
      await machine.close();
      await service.close();
    },
  };
}
