/** DMA of a function that the bench emulates, through translation, to memory of the service. */
import { throughput, type Measure } from '../harness/index.ts';
import { againstFloors, type Subject } from './service/compare.ts';
import { startMeasuredMachine } from './service/start.ts';

const SECONDS = 0.25;
const IOVA = 0x1000_0000;
/** Mapped, and gone through from start to end again and again. */
const MAPPED_BYTES = 8 << 20;
/** What a frame has besides the payload: 27 to 30 bytes on the wire. */
const ENVELOPE_BYTES = 28;
const KIB = 1024;

/** Enough outstanding to keep the wire busy, and not more bytes than its buffers hold. */
const TRANSFERS = [
  { name: '4KiB', bytes: 4 * KIB, depth: 64 },
  { name: '64KiB', bytes: 64 * KIB, depth: 16 },
  { name: '1MiB', bytes: 1024 * KIB, depth: 4 },
];

async function open(operation: 'read' | 'write', bytes: number): Promise<Subject> {
  const { machine, close } = await startMeasuredMachine();
  const memory = await machine.memory.alloc(MAPPED_BYTES);
  await machine.function('00:04.0').dma.map({ iova: IOVA, address: memory.address, bytes: MAPPED_BYTES, access: 'rw' });
  const emulator = await machine.connect(['device']);
  const { dma } = await emulator.claimDevice('00:04.0');
  const data = new Uint8Array(bytes).map((_, index) => (index * 167 + 13) & 0xff);
  let at = 0;
  const next = (): number => {
    at = (at + bytes) % MAPPED_BYTES;
    return IOVA + at;
  };
  const first = operation === 'read' ? await dma.read(next(), bytes) : await dma.write(next(), data);
  if (first.outcome !== 'performed') throw new Error(`the DMA of the bench is ${first.outcome}`);
  return { call: operation === 'read' ? () => dma.read(next(), bytes) : () => dma.write(next(), data), close };
}

export const measures: readonly Measure[] = (['read', 'write'] as const).flatMap((operation) =>
  TRANSFERS.flatMap(({ name, bytes, depth }) =>
    againstFloors({
      name: `dma-${operation}/${name}`,
      unit: 'B/s',
      load: { depth, seconds: SECONDS },
      sizes:
        operation === 'read'
          ? { requestBytes: ENVELOPE_BYTES, replyBytes: bytes + ENVELOPE_BYTES }
          : { requestBytes: bytes + ENVELOPE_BYTES, replyBytes: ENVELOPE_BYTES },
      open: () => open(operation, bytes),
      figure: (outcome) => throughput(outcome, bytes),
    }),
  ),
);
