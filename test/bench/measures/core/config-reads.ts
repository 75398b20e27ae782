/** Configuration reads of a machine in this process, one command after the other, as an embedding program makes them. */
import { REGION, bdf } from '../../../../server/src/core/base/index.ts';
import { Machine } from '../../../../server/src/core/machine/index.ts';
import { PROBE_BAR_BYTES, dmaProbeConfig } from '../../../../server/src/core/pci/index.ts';

const FUNCTION = bdf(0, 0, 2, 0);
/** The outbox is taken after so many, as a session takes it after a packet. */
const READS_PER_TURN = 64;
const SPACE_BYTES = 4096;

export function startMachineToRead(): Machine {
  const spec = { bdf: FUNCTION, model: 'dma-probe', barBytes: PROBE_BAR_BYTES, label: '', latencyNs: 0 } as const;
  return new Machine({
    name: 'bench',
    seed: 1,
    clock: 'auto',
    behaviour: 'strict',
    memory: [{ address: 0x10_0000n, bytes: 0x1000n }],
    functions: [{ ...spec, config: dmaProbeConfig({ integrated: true }) }],
    iommu: { invalidationTimeoutNs: 1_000_000_000 },
  });
}

/** Reads a second, of every word of configuration space in turn. Throws when a reply is missing or is no value. */
export function readsPerSecond(machine: Machine, seconds: number): number {
  const started = performance.now();
  const deadline = started + seconds * 1000;
  let reads = 0;
  let now = started;
  while (now < deadline) {
    for (let turn = 0; turn < 32; turn++) {
      for (let read = 0; read < READS_PER_TURN; read++, reads++) {
        const offset = (reads * 4) % SPACE_BYTES;
        machine.submit(0, read + 1, { kind: 'region-read', bdf: FUNCTION, region: REGION.config, offset, bytes: 4 });
      }
      const replies = machine.takeOutbox();
      const last = replies.at(-1);
      if (replies.length !== READS_PER_TURN || last?.type !== 'reply' || last.reply.kind !== 'region-read') {
        throw new Error(`${replies.length} replies to ${READS_PER_TURN} reads, the last ${JSON.stringify(last)}`);
      }
    }
    now = performance.now();
  }
  return reads / ((now - started) / 1000);
}
