import { connectOver, type Socket } from '../../client/src/index.ts';
import { readPluggedFunctions } from '../../server/src/app/topology/index.ts';
import { Machine } from '../../server/src/core/machine/index.ts';
import { MachineHost, readRecording, replay } from '../../server/src/rpc/index.ts';
import { loopbackPair, type Transport } from '../../server/src/transport/index.ts';
import { KeptRecording } from '../kit/recorded-machine.ts';
import type { Driver } from './driver.ts';
import { machineSpec } from './machine-spec.ts';

const PAGE_BYTES = [4096, 2 << 20, 1 << 30];

/** The real codec, sessions and credits, over memory instead of a socket. Whatever a test does is recorded, and must replay when it is over. */
export function loopbackDriver(): Driver {
  return {
    name: 'loopback',
    createMachine(request) {
      const spec = machineSpec(request);
      const welcome = {
        product: 'iommud',
        productVersion: '0.0.0',
        machine: spec.name,
        preset: request.preset ?? '',
        pageBytes: spec.iommu === undefined ? [] : PAGE_BYTES,
      };
      const host = new MachineHost(new Machine(spec, { readFunctions: readPluggedFunctions }), {
        realTime: spec.clock === 'real',
        seed: spec.seed,
        ...(request.peerGraceMs === undefined ? {} : { graceMs: request.peerGraceMs }),
        welcome,
      });
      const recording = new KeptRecording();
      host.record(recording);
      return Promise.resolve({
        connect(roles, tokenPrefix) {
          const [near, far] = loopbackPair();
          host.open(far, () => ({ roles: ['host', 'device', 'memory', 'observer'] }));
          return connectOver(socketOn(near), { roles, tokenPrefix });
        },
        wire() {
          const [near, far] = loopbackPair();
          host.open(far, () => ({ roles: ['host', 'device', 'memory', 'observer'] }));
          return Promise.resolve(near);
        },
        close: () => {
          host.close();
          mustReplay(recording.file, welcome.productVersion);
          return Promise.resolve();
        },
      });
    },
    close: () => Promise.resolve(),
  };
}

function mustReplay(file: Uint8Array, productVersion: string): void {
  const { difference } = replay(readRecording(file), { productVersion, readFunctions: readPluggedFunctions });
  if (difference === undefined) return;
  const { input, timeNs, of, recorded, came } = difference;
  throw new Error(`the recording of this test differs at input ${input}, ${timeNs} ns: ${of}\nrecorded ${recorded}\ncame ${came}`);
}

function socketOn(transport: Transport): Socket {
  return {
    send: (bytes) => transport.send(bytes),
    close: (code, reason) => transport.close(code, reason),
    listen: (listener) =>
      transport.start({ message: (bytes) => listener.message(bytes), closed: (code, reason) => listener.closed({ code, reason }) }),
  };
}
