/** What recording costs a machine that is busy: configuration reads at depth 256 of one that is recorded, beside one that is not, of one service. */
import { startMachine, type TestMachine } from '../../../client/testing/index.ts';
import { exchangeCalls, rate, type Load, type Measure } from '../harness/index.ts';
import { startService } from './service/start.ts';

const LOAD: Load = { depth: 256, seconds: 0.25 };
const WARM_UP: Load = { depth: 256, seconds: 2 };

interface Opened {
  readonly recorded: TestMachine;
  readonly plain: TestMachine;
  /** Bytes of the recording that have come. */
  readonly bytes: () => number;
  readonly close: () => Promise<void>;
}

async function open(): Promise<Opened> {
  const service = await startService();
  const [recorded, plain] = await Promise.all([made(service.url), made(service.url)]);
  const { body } = await fetch(`${service.url}/v1/machines/${recorded.id}/recording`);
  if (body === null) throw new Error('the recording has no bytes');
  let bytes = 0;
  // Whoever reads it is in this process, as `iommud record` would be in another on the same machine.
  const read = (async () => {
    for await (const chunk of body) bytes += (chunk as Uint8Array).length;
  })();
  return {
    recorded,
    plain,
    bytes: () => bytes,
    async close() {
      await Promise.all([recorded.close(), plain.close()]);
      await read;
      await service.close();
    },
  };
}

function made(url: string): Promise<TestMachine> {
  return startMachine({ preset: 'basic', url, roles: ['host'] });
}

async function reads(machine: TestMachine, load: Load): Promise<number> {
  const { config } = machine.function('00:02.0');
  return rate(await exchangeCalls(() => config.read(0, 4), load));
}

let opened: Opened | undefined;
let bytesBefore = 0;

function there(): Opened {
  if (opened === undefined) throw new Error('not open');
  return opened;
}

export const measures: readonly Measure[] = [
  {
    name: 'config-read/recorded',
    unit: '1/s',
    floor: 'not recorded',
    async open() {
      opened = await open();
      await reads(opened.recorded, WARM_UP);
      await reads(opened.plain, WARM_UP);
    },
    async run() {
      const { recorded, bytes } = there();
      const figure = await reads(recorded, LOAD);
      if (bytes() === bytesBefore) throw new Error('the recording has ended, so that nothing was measured');
      bytesBefore = bytes();
      return figure;
    },
    runFloor: () => reads(there().plain, LOAD),
    close: async () => opened?.close(),
  },
];
