import { connect, type Role } from '../src/index.ts';
import { deleteMachine, makeMachine, startRecording, type Service } from './rest.ts';
import { TestMachine } from './test-machine.ts';

export interface MachineOptions {
  /** What the machine is: one of these three; the preset `basic` when none is given. */
  readonly preset?: string;
  /** `iommud.topology/v1`, as an object or as text in JSON or YAML. */
  readonly topology?: object | string;
  /** Text that `lspci -xxxx` has printed. */
  readonly lspci?: string;
  /** No other machine of the service may have it. */
  readonly name?: string;
  /** All chance in the machine comes from it: 0 to 2^32 - 1. */
  readonly seed?: number;
  readonly clock?: 'auto' | 'manual' | 'real';
  readonly behaviour?: 'strict' | 'linux-7.1' | 'linux-7.0';
  /** Fixes of Linux that are switched off, by commit. */
  readonly withoutFixes?: readonly string[];
  /** How long, wall clock, a function whose emulator has vanished may be claimed again before it is pulled out; 30 s when absent. */
  readonly peerGraceMs?: number;
  readonly labels?: Readonly<Record<string, string>>;
  /** Everything that happens to it is recorded, from its beginning, for {@link TestMachine.endRecording}. */
  readonly recorded?: boolean;
  /** A running service; `IOMMUD_URL` when absent; without either a service is started in this process. */
  readonly url?: string;
  /** `IOMMUD_TOKEN` when absent. */
  readonly token?: string;
  /** Of the connection that the machine's handle stands on; `['host', 'observer']` when absent. */
  readonly roles?: readonly Role[];
}

interface StartedService extends Service {
  stop(): Promise<void>;
}

/**
 * Makes a machine and connects to it as a host. `await using m = await startMachine(…)`, or close() it. Errors: EINVAL (what the machine is),
 * EEXIST (the name), EPERM (the token), ECONNRESET (no service).
 */
export async function startMachine(options: MachineOptions = {}): Promise<TestMachine> {
  const { url, token, roles = ['host', 'observer'], recorded = false, ...machine } = options;
  const what = machine.preset ?? machine.topology ?? machine.lspci ?? undefined;
  const service = await serviceAt(url ?? process.env['IOMMUD_URL'], token ?? process.env['IOMMUD_TOKEN']);
  try {
    const made = await makeMachine(service, { ...(what === undefined ? { preset: 'basic' } : {}), ...machine, ephemeral: true });
    try {
      // Before anybody has connected: what is recorded begins with a new machine.
      const recording = recorded ? await startRecording(service, made.id) : undefined;
      const connection = await connect(made.socketUrl, { roles, token: service.token, tokenPrefix: 'window' });
      return new TestMachine(made, connection, service, recording, () => service.stop());
    } catch (error) {
      await deleteMachine(service, made.id);
      throw error;
    }
  } catch (error) {
    await service.stop();
    throw error;
  }
}

async function serviceAt(url: string | undefined, token: string | undefined): Promise<StartedService> {
  if (url !== undefined && url !== '') return { url, token: token === '' ? undefined : token, stop: () => Promise.resolve() };
  const { startServer } = await import('../../server/src/app/index.ts');
  const server = await startServer({ host: '127.0.0.1', port: 0, logLevel: 'silent' });
  return { url: server.url, token: undefined, stop: () => server.close() };
}
