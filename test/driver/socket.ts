import { once } from 'node:events';
import { WebSocket } from 'ws';
import { connect } from '../../client/src/index.ts';
import { startMachine } from '../../client/testing/index.ts';
import type { Wire } from '../../server/src/rpc/index.ts';
import type { Driver } from './driver.ts';

interface Service {
  readonly url: string;
  close(): Promise<void>;
}

/** A real server on a port: that of `IOMMUD_URL`, or one in this process. */
export function socketDriver(): Driver {
  let service: Promise<Service> | undefined;
  return {
    name: 'socket',
    async createMachine(request) {
      service ??= startService();
      const { url } = await service;
      // An observer keeps the machine and changes nothing in it.
      const machine = await startMachine({ ...request, url, roles: ['observer'] });
      return {
        connect: (roles, tokenPrefix) =>
          connect(machine.socketUrl, { roles, tokenPrefix, token: process.env['IOMMUD_TOKEN'] || undefined }),
        socketUrl: machine.socketUrl,
        wire: () => wireTo(machine.socketUrl, process.env['IOMMUD_TOKEN']),
        close: () => machine.close(),
      };
    },
    // The next file of tests that uses it starts another.
    close: async () => {
      const ended = service;
      service = undefined;
      await (await ended)?.close();
    },
  };
}

async function wireTo(url: string, token: string | undefined): Promise<Wire> {
  const socket = new WebSocket(url, ['iommud.v1'], token ? { headers: { authorization: `Bearer ${token}` } } : {});
  await once(socket, 'open');
  return {
    start: (owner) => {
      socket.on('message', (data) => owner.message(data as Buffer));
      socket.on('close', (code, reason) => owner.closed(code, reason.toString()));
    },
    send: (bytes) => socket.send(bytes),
    get bufferedBytes() {
      return socket.bufferedAmount;
    },
    close: (code, reason) => socket.close(code, reason),
  };
}

async function startService(): Promise<Service> {
  const url = process.env['IOMMUD_URL'];
  if (url) return { url, close: () => Promise.resolve() };
  const { startServer } = await import('../../server/src/app/index.ts');
  return startServer({ port: 0, logLevel: 'silent' });
}
