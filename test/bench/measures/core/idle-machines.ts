/** `node idle-machines.ts COUNT`: makes so many machines as the service makes them, and prints what each of them takes of the process's memory. */
import { setFlagsFromString } from 'node:v8';
import { runInNewContext } from 'node:vm';
import { machineRequest } from '../../../../server/src/app/machine-request.ts';
import { Machines } from '../../../../server/src/app/machines.ts';
import { createLog } from '../../../../server/src/observe/index.ts';

/** Read anew for each machine, as the body of each request is. */
const TOPOLOGY = `schema: iommud.topology/v1
functions:
  - { address: "00:00.0", model: host-bridge }
  - { address: "00:02.0", model: dma-probe }
  - { address: "00:03.0", model: dma-probe }
  - { address: "00:04.0", model: remote }
`;

setFlagsFromString('--expose-gc');
const collectGarbage = runInNewContext('gc') as () => void;

function residentBytes(): number {
  collectGarbage();
  return process.memoryUsage().rss;
}

const count = Number(process.argv[2]);
const machines = new Machines({ log: createLog('silent'), machinesMax: count + 1, onDeleted: () => undefined });
const make = (): unknown =>
  machines.create(machineRequest({ topology: TOPOLOGY }), { labels: {}, ttlSeconds: undefined, ephemeral: false });
// The code for it is no part of what a machine takes.
make();
const before = residentBytes();
for (let made = 0; made < count; made++) make();
console.log(JSON.stringify({ bytes: (residentBytes() - before) / count }));
process.exit(0);
