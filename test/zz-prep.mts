import { setFlagsFromString } from 'node:v8';
import { runInNewContext } from 'node:vm';
setFlagsFromString('--expose-gc');
const gc = runInNewContext('gc');
async function load(d: string) {
  const base = await import(`/tmp/ab/${d}/base/index.ts`);
  const { Machine } = await import(`/tmp/ab/${d}/machine/index.ts`);
  const { PROBE_BAR_BYTES, dmaProbeConfig } = await import(`/tmp/ab/${d}/pci/index.ts`);
  const F = base.bdf(0, 0, 2, 0);
  return (entries: number) => {
    const m = new Machine({
      name: 'b',
      seed: 1,
      clock: 'manual',
      behaviour: 'strict',
      memory: [{ address: 0x100000n, bytes: 0x1000000n }],
      functions: [
        { bdf: F, model: 'dma-probe', barBytes: PROBE_BAR_BYTES, label: '', latencyNs: 0, config: dmaProbeConfig({ integrated: true }) },
      ],
      iommu: { invalidationTimeoutNs: 1e9 },
    });
    for (let e = 0; e < entries; e++)
      m.submit(0, e + 1, {
        kind: 'model-dma',
        bdf: F,
        operation: 'write',
        bytes: 4,
        data: new Uint8Array(4),
        iovaLow: 0x10000000 + e * 4,
        iovaHigh: 0,
        pasid: base.NO_PASID,
        translated: false,
        hold: 'issued',
        holdNs: 0,
      });
    if (process.env['GC'] !== '0') gc();
    const t = performance.now();
    m.submit(0, entries + 1, { kind: 'reset-prepare', bdf: F, token: 'x', deadlineNs: 0, onDeadline: 'abort' });
    const s = performance.now() - t;
    if (m.takeOutbox().at(-1).reply.aborted !== entries) throw new Error();
    return s;
  };
}
const a = await load('a'),
  b = await load('b');
const ra: number[] = [],
  rb: number[] = [];
for (let r = 0; r < 25; r++) {
  ra.push(a(10000));
  rb.push(b(10000));
}
const med = (x: number[]) => (x.sort((p, q) => p - q)[x.length >> 1]! / 10).toFixed(2);
console.log('a', med(ra), (ra[0]! / 10).toFixed(2), 'b', med(rb), (rb[0]! / 10).toFixed(2), 'us/entry');
