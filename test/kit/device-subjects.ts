import { PROBE_REGISTERS, QUEUE_REGISTERS } from '../../server/src/core/devices/dma-probe/registers.ts';
import { EDU_REGISTERS } from '../../server/src/core/devices/edu/registers.ts';
/** How each model of the catalogue is laid out and driven, for the device kit: a model without a row here does not compile. */
import type { ModelName } from '../../server/src/core/devices/index.ts';
import { EDU_BAR_BYTES, PROBE_BAR_BYTES, bridgeConfig, dmaProbeConfig, eduConfig, remoteConfig } from '../../server/src/core/pci/index.ts';
import { DATA, RING, type Bench, type Subject } from './device-kit.ts';
import { ABORT, FLAGS, START, WRITE, descriptor, queueAt } from './probe-driver.ts';

export const SUBJECTS: Readonly<Record<ModelName, Subject>> = {
  replay: {
    name: 'replay',
    config: dmaProbeConfig({ integrated: true }),
    barBytes: PROBE_BAR_BYTES,
    registers: [{ bar: 0, base: 0, table: {} }],
  },
  bridge: {
    name: 'bridge',
    config: bridgeConfig({ kind: 'root-port', primary: 0, secondary: 1, subordinate: 1 }),
    barBytes: [],
    registers: [],
  },
  remote: { name: 'remote', config: remoteConfig({ integrated: true }), barBytes: PROBE_BAR_BYTES, registers: [] },
  'dma-probe': {
    name: 'dma-probe',
    config: dmaProbeConfig({ integrated: true }),
    barBytes: PROBE_BAR_BYTES,
    registers: [
      { bar: 0, base: 0, table: PROBE_REGISTERS },
      ...[0, 1, 2, 3].map((queue) => ({ bar: 0, base: queueAt(queue).command, table: QUEUE_REGISTERS })),
    ],
    startDma: probeWrites,
  },
  edu: {
    name: 'edu',
    config: eduConfig(),
    barBytes: EDU_BAR_BYTES,
    registers: [{ bar: 0, base: 0, table: EDU_REGISTERS }],
    startDma: eduWrites,
  },
};

function probeWrites(bench: Bench): void {
  const at = queueAt(1);
  bench.put(bench.ring, descriptor({ control: WRITE | FLAGS.interrupt, address: DATA, length: 64, seed: 1 }));
  for (const [offset, value] of [
    [at.command, ABORT],
    [at.pasid, 0],
    [at.ringBase + 4, 0],
    [at.ringBase, RING],
    [at.ringEntries, 4],
    [at.command, START],
    [at.tail, 1],
  ] as const) {
    bench.barWrite(0, offset, value);
  }
}

/** Its buffer is zeros, which is not what the page has. */
function eduWrites(bench: Bench): void {
  const [source, destination, count, command] = [0x80, 0x88, 0x90, 0x98];
  for (const [offset, value] of [
    [source, 0x40000],
    [destination, DATA],
    [count, 64],
    [command, 1 | 2 | 4],
  ] as const) {
    bench.barWrite(0, offset, value);
  }
}
