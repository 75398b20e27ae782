/** Configuration reads of a function: one at a time, and pipelined. */
import { p50, rate, type Measure } from '../harness/index.ts';
import { againstFloors, type Subject } from './service/compare.ts';
import { startMeasuredMachine } from './service/start.ts';

const SECONDS = 0.25;
/** The compilers of both ends need some million calls, which at depth 1 would take minutes. */
const WARM_UP = { depth: 256, seconds: 2 };
/** A frame with RegionRead and its reply, as they are on the wire with small ids; at depth 256 a byte more for every other one. */
const SIZES = { requestBytes: 27, replyBytes: 18 };
const VENDOR_AND_DEVICE = { offset: 0, bytes: 4 };

async function open(): Promise<Subject> {
  const { machine, close } = await startMeasuredMachine();
  const { config } = machine.function('00:02.0');
  return { call: () => config.read(VENDOR_AND_DEVICE.offset, VENDOR_AND_DEVICE.bytes), close };
}

export const measures: readonly Measure[] = [
  ...againstFloors({
    name: 'config-read/closed-loop-p50',
    unit: 's',
    load: { depth: 1, seconds: SECONDS },
    warmUp: WARM_UP,
    sizes: SIZES,
    open,
    figure: p50,
  }),
  ...[1, 16, 256].flatMap((depth) =>
    againstFloors({
      name: `config-read/depth-${depth}`,
      unit: '1/s',
      load: { depth, seconds: SECONDS },
      warmUp: WARM_UP,
      sizes: SIZES,
      open,
      figure: rate,
    }),
  ),
];
