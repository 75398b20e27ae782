/** A command that talks to one machine, over its socket. */
import { IommudError, connect, type Machine } from '../src/index.ts';
import { machinePath, type Service } from './service.ts';

/** Connects as a host, does `act`, and closes. The socket is where REST says that it is. */
export async function onMachine<T>(service: Service, name: string, act: (machine: Machine) => Promise<T>): Promise<T> {
  const { socketUrl } = await service.get<{ socketUrl: string }>(machinePath(name), 'socketUrl');
  const connection = await connect(socketUrl, { token: service.token, retry: false }).catch((error: unknown) => {
    throw error instanceof IommudError && error.code === 'ECONNRESET' ? service.unreachable(error.cause ?? error) : error;
  });
  try {
    return await act(connection.machine);
  } finally {
    await connection.close();
  }
}
