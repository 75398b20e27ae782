import { Connection } from '../../client/src/index.ts';
import { CoreHub } from './core-hub.ts';
import type { Driver } from './driver.ts';
import { machineSpec } from './machine-spec.ts';

/** Calls go straight into the machine. */
export function inProcessDriver(): Driver {
  return {
    name: 'in-process',
    createMachine(request) {
      const hub = new CoreHub(machineSpec(request), request.preset ?? '', request.peerGraceMs);
      return Promise.resolve({
        connect: (roles, tokenPrefix) => Promise.resolve(new Connection(hub.attach(roles), tokenPrefix)),
        close: () => hub.close(),
      });
    },
    close: () => Promise.resolve(),
  };
}
