/** A machine in this process whose function has DMA in flight that does not end by itself. */
import { setFlagsFromString } from 'node:v8';
import { runInNewContext } from 'node:vm';
import { NO_PASID, bdf } from '../../../../server/src/core/base/index.ts';
import { Machine } from '../../../../server/src/core/machine/index.ts';
import { PROBE_BAR_BYTES, dmaProbeConfig } from '../../../../server/src/core/pci/index.ts';

const FUNCTION = bdf(0, 0, 2, 0);
const RAM = { address: 0x10_0000n, bytes: 0x100_0000n };
const IOVA = 0x1000_0000;
const READ_WRITE = 3;
const DMA_BYTES = 4;

setFlagsFromString('--expose-gc');
const collectGarbage = runInNewContext('gc') as () => void;

/** Seconds that reset-prepare takes to drop so many DMA operations of one request each, all held before their translation. */
export function prepareSeconds(entries: number): number {
  const machine = heldMachine(entries);
  // What filling the ledger left behind is not part of what is measured.
  collectGarbage();
  const started = performance.now();
  machine.submit(0, entries + 1, { kind: 'reset-prepare', bdf: FUNCTION, token: 'bench', deadlineNs: 0, onDeadline: 'abort' });
  const seconds = (performance.now() - started) / 1000;
  const last = machine.takeOutbox().at(-1);
  const reply = last?.type === 'reply' ? last.reply : undefined;
  if (reply?.kind !== 'reset-prepare' || reply.aborted !== entries) {
    throw new Error(`reset-prepare dropped not ${entries} requests: ${reply?.kind} ${JSON.stringify(reply)}`);
  }
  return seconds;
}

function heldMachine(entries: number): Machine {
  const spec = { bdf: FUNCTION, model: 'dma-probe', barBytes: PROBE_BAR_BYTES, label: '', latencyNs: 0 } as const;
  const machine = new Machine({
    name: 'bench',
    seed: 1,
    clock: 'manual',
    behaviour: 'strict',
    memory: [RAM],
    functions: [{ ...spec, config: dmaProbeConfig({ integrated: true }) }],
    iommu: { invalidationTimeoutNs: 1_000_000_000 },
  });
  const target = { bdf: FUNCTION, pasid: NO_PASID };
  machine.submit(0, 0, { kind: 'map', target, iova: BigInt(IOVA), address: RAM.address, bytes: RAM.bytes, access: READ_WRITE });
  for (let entry = 0; entry < entries; entry++) holdOne(machine, entry);
  return machine;
}

function holdOne(machine: Machine, entry: number): void {
  machine.submit(0, entry + 1, {
    kind: 'model-dma',
    bdf: FUNCTION,
    operation: 'write',
    bytes: DMA_BYTES,
    data: new Uint8Array(DMA_BYTES),
    iovaLow: IOVA + entry * DMA_BYTES,
    iovaHigh: 0,
    pasid: NO_PASID,
    translated: false,
    hold: 'issued',
    holdNs: 0,
  });
}
