/** A function that the bench emulates: registers that a host reads through the service, and its DMA to memory of the service. */
import { p50, throughput, type Measure, type Outcome } from '../harness/index.ts';
import { againstFloor, type Subject } from './service/compare.ts';
import { startMeasuredMachine } from './service/start.ts';

const SECONDS = 0.25;
const WARM_UP = { depth: 64, seconds: 2 };
const BDF = '00:04.0';
/** RegionRead and its reply. They go over two connections: to the service, and from it to the emulator. */
const READ_SIZES = { requestBytes: 27, replyBytes: 18 };
const IOVA = 0x1000_0000;
const MAPPED_BYTES = 8 << 20;
const TRANSFER_BYTES = 64 * 1024;
const TRANSFER_DEPTH = 64;
/** What a frame has besides the payload. */
const ENVELOPE_BYTES = 28;

async function openRead(): Promise<Subject> {
  const { machine, close } = await startMeasuredMachine();
  const emulator = await machine.connect(['device']);
  await emulator.claimDevice(BDF, { onRegionRead: ({ offset }) => offset });
  const bar = machine.function(BDF).bar(0);
  if ((await bar.read(8, 4)) !== 8) throw new Error('the emulator of the bench does not answer');
  return { call: () => bar.read(8, 4), close };
}

async function openDma(): Promise<Subject> {
  const { machine, close } = await startMeasuredMachine();
  const memory = await machine.memory.alloc(MAPPED_BYTES);
  await machine.function(BDF).dma.map({ iova: IOVA, address: memory.address, bytes: MAPPED_BYTES, access: 'rw' });
  const emulator = await machine.connect(['device']);
  const { dma } = await emulator.claimDevice(BDF);
  const data = new Uint8Array(TRANSFER_BYTES).map((_, index) => (index * 167 + 13) & 0xff);
  let at = 0;
  const call = () => {
    at = (at + TRANSFER_BYTES) % MAPPED_BYTES;
    return dma.write(IOVA + at, data);
  };
  const first = await call();
  if (first.outcome !== 'performed') throw new Error(`the DMA of the bench is ${first.outcome}`);
  return { call, close };
}

const BAR_READ = {
  name: 'remote-bar-read/p50',
  unit: 's',
  load: { depth: 1, seconds: SECONDS },
  warmUp: WARM_UP,
  sizes: READ_SIZES,
  open: openRead,
  figure: p50,
} as const;

const DMA = {
  name: 'remote-dma/64KiB',
  unit: 'B/s',
  load: { depth: TRANSFER_DEPTH, seconds: SECONDS },
  sizes: { requestBytes: TRANSFER_BYTES + ENVELOPE_BYTES, replyBytes: ENVELOPE_BYTES },
  open: openDma,
  figure: (outcome: Outcome) => throughput(outcome, TRANSFER_BYTES),
} as const;

/** What the goals name, and of the read what it is beside as many plain messages. */
export const measures: readonly Measure[] = [
  againstFloor(BAR_READ, 'ws-echo'),
  againstFloor(BAR_READ, 'ws-relay'),
  againstFloor(DMA, 'ws-echo'),
];
