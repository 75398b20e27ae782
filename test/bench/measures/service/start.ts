import { startMachine, type TestMachine } from '../../../../client/testing/index.ts';
import { startChildServer } from '../../harness/index.ts';

/** A machine on a service that has a process of its own; closing it ends both. */
export async function startMeasuredMachine(): Promise<{ readonly machine: TestMachine; readonly close: () => Promise<void> }> {
  const service = await startChildServer(new URL('iommud-server.ts', import.meta.url), []);
  const machine = await startMachine({ preset: 'basic', url: `http://127.0.0.1:${service.port}`, roles: ['host'] });
  return {
    machine,
    async close() {
      await machine.close();
      await service.close();
    },
  };
}
