/** A machine whose one endpoint, 01:00.0 below a root port, has SR-IOV: by default eight virtual functions from 01:10.0 on. */
import { bdf, type Bdf } from '../../server/src/core/base/index.ts';
import type { FunctionSpec } from '../../server/src/core/machine/index.ts';
import { dmaProbeConfig, probeBarBytes } from '../../server/src/core/pci/index.ts';
import { BELOW, CoreMachine, port, type Options } from './core-machine.ts';

export const IOVA = 0x4000;
/** Of the capability, from its header. */
export const CONTROL = 8;
const COUNT = 0x10;
export const ENABLE = 1;
export const MEMORY = 8;
export const VF_BYTES = 0x4000n;
export const FIRST = bdf(0, 1, 0x10, 0);
export const SECOND = bdf(0, 1, 0x10, 1);

/** The MSI-X of each virtual function, in a second VF BAR: table and Pending Bit Array as the probe itself has them. */
export const VF_MSIX = { vectors: 4, bar: 2, tableOffset: 0, pendingOffset: 0x8000 } as const;

export function physical(stride = 1, firstOffset = 0x80, msix = false): FunctionSpec {
  const sriov = {
    functions: 8,
    firstOffset,
    stride,
    dependency: 0,
    device: 0x11d6,
    pageSizes: 1,
    bars: [
      { index: 0, bytes: VF_BYTES, kind: 'memory32' as const },
      ...(msix ? [{ index: 2, bytes: 0x1_0000n, kind: 'memory32' as const }] : []),
    ],
  };
  const capabilities = { sriov };
  const addresses = [
    0xe010_0000n,
    undefined,
    0xe011_0000n,
    undefined,
    undefined,
    undefined,
    undefined,
    0xe020_0000n,
    undefined,
    0xe030_0000n,
  ];
  const config = dmaProbeConfig({ integrated: false, addresses, capabilities });
  return {
    bdf: BELOW,
    model: 'dma-probe',
    config,
    barBytes: probeBarBytes(capabilities),
    label: '',
    latencyNs: 0,
    ...(msix ? { virtualMsix: VF_MSIX } : {}),
  };
}

export class SriovMachine extends CoreMachine {
  readonly at: number;

  constructor(options: Options = {}, spec = physical()) {
    super({ functions: [port(), spec], ...options });
    let at = 0x100;
    while ((this.dword(BELOW, at) & 0xffff) !== 0x10) at = this.dword(BELOW, at) >>> 20;
    this.at = at;
  }
  dword(at: Bdf, offset: number): number {
    return this.call('region-read', { kind: 'region-read', bdf: at, region: 7, offset, bytes: 4 }).valueLow >>> 0;
  }
  half(at: Bdf, offset: number, value: number): void {
    this.call('ok', { kind: 'region-write', bdf: at, region: 7, offset, bytes: 2, valueLow: value, valueHigh: 0 });
  }
  enable(count: number, control = ENABLE | MEMORY): void {
    this.half(BELOW, this.at + COUNT, count);
    this.half(BELOW, this.at + CONTROL, control);
  }
  functions(): readonly Bdf[] {
    return this.call('function-list', { kind: 'function-list' }).functions.map((fn) => fn.bdf);
  }
  /** Its driver: bus mastering, and a page to write. */
  drive(at: Bdf): bigint {
    this.half(at, 4, 4);
    const page = this.allocPage();
    this.map(at, IOVA, page);
    return page;
  }
}
