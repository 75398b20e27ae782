/**
 * The one table of rooms: what each folder is and whom it may import. `imports.test.ts` holds the tree to it.
 *
 * A room is a folder with one job. Other rooms import it only by its door, and only where this table says so. A file
 * belongs to the room with the longest folder that contains it.
 */

export interface Room {
  readonly folder: string;
  readonly is: string;
  /** Folders of the rooms that it may import. `'any'`: every room, by any file (tests look inside). */
  readonly imports: readonly string[] | 'any';
  /** Folders of the rooms that it may load with `await import()` or name in `import type`, so that starting does not need them. */
  readonly loads?: readonly string[];
  /** The npm packages that it may import, and `node:` for Node's own modules. Absent: any. */
  readonly packages?: readonly string[];
  /** The files that others may import: `index.ts` unless said otherwise. None: nobody imports this room. */
  readonly doors?: readonly string[] | 'every-file';
}

const CORE = 'server/src/core';
const BASE = `${CORE}/base`;
const MEMORY = `${CORE}/memory`;
const TRANSLATION = `${CORE}/translation`;
const IOMMU = `${CORE}/iommu`;
const PCI = `${CORE}/pci`;
const DEVICES = `${CORE}/devices`;
const MACHINE = `${CORE}/machine`;
const TRANSPORT = 'server/src/transport';
const RPC = 'server/src/rpc';
const OBSERVE = 'server/src/observe';
const APP = 'server/src/app';
const TOPOLOGY = `${APP}/topology`;
const SCENARIO = 'server/src/scenario';
const CLIENT = 'client/src';

/** What the commands that are a server may start; base for the brands in a machine's spec and commands. */
const SERVER_DOORS = [APP, TOPOLOGY, MACHINE, BASE, TRANSLATION, SCENARIO];

export const ROOMS: readonly Room[] = [
  {
    folder: 'proto',
    is: 'the envelope and the bounds that both ends share',
    imports: ['proto/gen'],
    packages: ['protobufjs'],
    // The bounds and the close codes have doors of their own: transport needs them and knows no frames.
    doors: ['index.ts', 'limits.ts', 'close.ts'],
  },
  { folder: 'proto/gen', is: 'code generated from proto/iommud', imports: [], packages: ['protobufjs', 'long'], doors: 'every-file' },

  { folder: BASE, is: 'brands, addresses, error codes, clock, PRNG, ring, trace port, bus messages', imports: [], packages: [] },
  { folder: MEMORY, is: 'guest memory: ranges of the server and of clients', imports: [BASE], packages: [] },
  {
    folder: TRANSLATION,
    is: 'the IOMMU hardware: walker, IOTLB, ATS, invalidation queue, fault queue',
    imports: [BASE, MEMORY],
    packages: [],
  },
  { folder: IOMMU, is: 'the software above it: groups, domains, attach, PASIDs, reset window', imports: [BASE, TRANSLATION], packages: [] },
  { folder: PCI, is: 'configuration space, capabilities, topology, reset methods', imports: [BASE], packages: [] },
  { folder: DEVICES, is: 'function models; each sees only its ports', imports: [BASE, PCI], packages: [] },
  {
    folder: MACHINE,
    is: 'wires the rooms of core: commands in, replies and events out',
    imports: [BASE, MEMORY, TRANSLATION, IOMMU, PCI, DEVICES],
    packages: [],
  },

  { folder: TRANSPORT, is: 'bytes: websocket, loopback, limits', imports: ['proto'], packages: ['ws', 'node:'] },
  {
    folder: RPC,
    is: 'meaning: decode, session, dispatch, encode',
    imports: ['proto', 'proto/gen', MACHINE, BASE],
    packages: ['protobufjs', 'node:'],
  },
  {
    folder: OBSERVE,
    is: 'sinks: log, metrics, trace files, pcapng, timelines',
    imports: [BASE, MACHINE],
    packages: ['pino', 'prom-client', 'node:'],
  },
  { folder: TOPOLOGY, is: 'topology files and presets, made into a machine spec', imports: [BASE, PCI, DEVICES, MACHINE] },
  {
    folder: SCENARIO,
    is: 'scenario files: read, run, and explored in every order',
    imports: [BASE, MACHINE, TOPOLOGY],
    packages: [],
  },
  {
    folder: APP,
    is: 'composes Fastify: REST for machines and health, the socket route; never listens',
    imports: ['proto', TRANSPORT, RPC, OBSERVE, TOPOLOGY, MACHINE, PCI, BASE],
  },
  { folder: 'server/src', is: 'main and config: the process', imports: [APP, OBSERVE, BASE], doors: [] },

  { folder: CLIENT, is: 'the client, for Node and browsers', imports: ['proto', 'proto/gen'], packages: ['protobufjs', 'ws'] },
  { folder: 'client/testing', is: 'a machine for a test, in one line', imports: [CLIENT], loads: SERVER_DOORS },
  { folder: 'client/cli', is: 'the command `iommud`', imports: [CLIENT], loads: SERVER_DOORS, doors: [] },
  { folder: 'client/examples', is: 'programs to start from', imports: [CLIENT, 'client/testing'], doors: [] },

  { folder: 'test', is: 'everything that checks the rest', imports: 'any', doors: [] },
];

/** The names under which the package's own exports are imported, and the door behind each. */
export const OWN_NAMES: Readonly<Record<string, string>> = {
  iommud: 'client/src/index.ts',
  'iommud/testing': 'client/testing/index.ts',
};

/** The room of a file: the one with the longest folder that contains it. */
export function roomOf(path: string): Room | undefined {
  let best: Room | undefined;
  for (const room of ROOMS) {
    if (path.startsWith(`${room.folder}/`) && room.folder.length > (best?.folder.length ?? 0)) best = room;
  }
  return best;
}

/** Whether other rooms may import this file of the room. */
export function isDoor(room: Room, path: string): boolean {
  const { folder, doors = ['index.ts'] } = room;
  return doors === 'every-file' || doors.some((door) => path === `${folder}/${door}`);
}
