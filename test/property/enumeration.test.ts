/** Whatever the tree: firmware that clears the bus numbers finds every function exactly once, by ECAM and by CF8 and CFC. */
import fc from 'fast-check';
import { expect, it } from 'vitest';
import { bdf, busOf, type Bdf } from '../../server/src/core/base/index.ts';
import type { FunctionSpec } from '../../server/src/core/machine/index.ts';
import { bridgeConfig, dmaProbeConfig, pciBridgeConfig, type BridgeSpec } from '../../server/src/core/pci/index.ts';
import { CoreMachine } from '../kit/core-machine.ts';
import { Enumerator, type ConfigAccess, type Found } from '../kit/enumerator.ts';

const ECAM_BASE = 0xb000_0000n;
const BUSES_MAX = 200;

/** What is on one bus, or at the end of one link. */
type Device =
  | { readonly is: 'end'; readonly functions: number }
  | { readonly is: 'ari'; readonly numbers: readonly number[] }
  | { readonly is: 'port'; readonly below: Device | undefined }
  | { readonly is: 'switch'; readonly ports: readonly (Device | undefined)[] }
  | { readonly is: 'bridge'; readonly below: readonly Device[] };

const { device: deviceOf } = fc.letrec<{ device: Device }>((tie) => ({
  device: fc.oneof(
    { depthSize: 'small', withCrossShrink: true },
    fc.record({ is: fc.constant('end' as const), functions: fc.integer({ min: 1, max: 8 }) }),
    fc.record({ is: fc.constant('ari' as const), numbers: fc.uniqueArray(fc.integer({ min: 1, max: 255 }), { maxLength: 5 }) }),
    fc.record({
      is: fc.constant('switch' as const),
      ports: fc.array(fc.option(tie('device'), { nil: undefined }), { minLength: 1, maxLength: 4 }),
    }),
    fc.record({ is: fc.constant('bridge' as const), below: fc.array(tie('device'), { maxLength: 3 }) }),
  ) as fc.Arbitrary<Device>,
}));
const machine = fc.array(
  fc.oneof(
    fc.record({ is: fc.constant('end' as const), functions: fc.integer({ min: 1, max: 3 }) }),
    fc.record({ is: fc.constant('port' as const), below: fc.option(deviceOf, { nil: undefined }) }),
    fc.record({ is: fc.constant('bridge' as const), below: fc.array(deviceOf, { maxLength: 2 }) }),
  ) as fc.Arbitrary<Device>,
  { minLength: 1, maxLength: 5 },
);

/** Wires the machine, each function with a device ID of its own. */
class Wiring {
  readonly functions: FunctionSpec[] = [];
  #bus = 0;

  onRoot(devices: readonly Device[]): readonly FunctionSpec[] {
    for (const [i, one] of devices.entries()) this.#place(one, 0, 3 * i + 1, true);
    return this.functions;
  }

  #add(at: Bdf, model: 'bridge' | 'dma-probe', config: Uint8Array): void {
    new DataView(config.buffer).setUint16(2, this.functions.length + 1, true);
    this.functions.push({ bdf: at, model, config, label: '', latencyNs: 0 });
  }

  #place(one: Device, bus: number, device: number, onLink: boolean): void {
    switch (one.is) {
      case 'end':
        for (let fn = 0; fn < one.functions; fn++) {
          const multiFunction = one.functions > 1;
          const conventional = onLink ? {} : { ats: false, capabilities: { express: false } as const };
          this.#add(bdf(0, bus, device, fn), 'dma-probe', dmaProbeConfig({ integrated: bus === 0, multiFunction, ...conventional }));
        }
        return;
      case 'ari': {
        // Conventional buses have no ARI.
        if (!onLink) {
          this.#place({ is: 'end', functions: 1 }, bus, device, onLink);
          return;
        }
        const numbers = [0, ...[...one.numbers].sort((a, b) => a - b)];
        for (const [i, number] of numbers.entries()) {
          const capabilities = { ari: { nextFunction: numbers[i + 1] ?? 0 } };
          this.#add(bdf(0, bus, number >> 3, number & 7), 'dma-probe', dmaProbeConfig({ integrated: false, capabilities }));
        }
        return;
      }
      case 'port':
        this.#bridge('root-port', bus, device, one.below === undefined ? [] : [one.below]);
        return;
      case 'switch':
        if (onLink) this.#switch(bus, device, one.ports);
        else this.#place({ is: 'bridge', below: [] }, bus, device, onLink);
        return;
      case 'bridge':
        this.#bridge(onLink && bus !== 0 ? 'pcie-to-pci-bridge' : 'pci-bridge', bus, device, one.below);
    }
  }

  #switch(bus: number, device: number, ports: readonly (Device | undefined)[]): void {
    this.#bridge('upstream-port', bus, device, [], (secondary) => {
      for (const [i, below] of ports.entries()) this.#bridge('downstream-port', secondary, i, below === undefined ? [] : [below]);
    });
  }

  #bridge(
    kind: BridgeSpec['kind'] | 'pcie-to-pci-bridge' | 'pci-bridge',
    bus: number,
    device: number,
    below: readonly Device[],
    inside?: (bus: number) => void,
  ): void {
    const slot = this.functions.length;
    const secondary = ++this.#bus;
    const conventional = kind === 'pcie-to-pci-bridge' || kind === 'pci-bridge';
    this.#add(bdf(0, bus, device, 0), 'bridge', new Uint8Array(256));
    for (const [i, one] of below.entries()) this.#place(one, secondary, conventional ? 2 * i + 1 : 0, !conventional);
    inside?.(secondary);
    const numbers = { primary: bus, secondary, subordinate: this.#bus };
    const config = conventional ? pciBridgeConfig({ kind, ...numbers }) : bridgeConfig({ kind, ...numbers });
    new DataView(config.buffer).setUint16(2, slot + 1, true);
    this.functions[slot] = { ...(this.functions[slot] as FunctionSpec), config };
  }
}

function byEcam(m: CoreMachine): ConfigAccess {
  const at = (bus: number, devfn: number, register: number): bigint => ECAM_BASE + BigInt(bus * 0x10_0000 + devfn * 0x1000 + register);
  return {
    extended: true,
    read: async (bus, devfn, register, bytes) =>
      m.call('region-read', { kind: 'bus-read', space: 'memory', address: at(bus, devfn, register), bytes }).valueLow >>> 0,
    write: async (bus, devfn, register, bytes, value) => {
      m.call('ok', { kind: 'bus-write', space: 'memory', address: at(bus, devfn, register), bytes, valueLow: value | 0, valueHigh: 0 });
    },
  };
}

function byPorts(m: CoreMachine): ConfigAccess {
  const select = (bus: number, devfn: number, register: number): bigint => {
    const value = 0x8000_0000 | (bus << 16) | (devfn << 8) | (register & 0xfc) | 0;
    m.call('ok', { kind: 'bus-write', space: 'io', address: 0xcf8n, bytes: 4, valueLow: value, valueHigh: 0 });
    return 0xcfcn + BigInt(register & 3);
  };
  return {
    extended: false,
    read: async (bus, devfn, register, bytes) =>
      m.call('region-read', { kind: 'bus-read', space: 'io', address: select(bus, devfn, register), bytes }).valueLow >>> 0,
    write: async (bus, devfn, register, bytes, value) => {
      m.call('ok', { kind: 'bus-write', space: 'io', address: select(bus, devfn, register), bytes, valueLow: value | 0, valueHigh: 0 });
    },
  };
}

function make(functions: readonly FunctionSpec[]): CoreMachine {
  return new CoreMachine({ functions, iommu: false, ecam: [{ segment: 0, base: ECAM_BASE, firstBus: 0, lastBus: 255 }] });
}

const ids = (found: readonly Found[]): readonly number[] => found.map(({ id }) => id >>> 16).sort((a, b) => a - b);

it('every function once, at the addresses that depth-first numbering gives', { timeout: 60_000 }, async () => {
  await fc.assert(
    fc.asyncProperty(machine, async (devices) => {
      const functions = new Wiring().onRoot(devices);
      fc.pre(functions.every(({ bdf: at }) => busOf(at) <= BUSES_MAX));
      const found = await new Enumerator(byEcam(make(functions))).run();
      expect(ids(found)).toEqual(functions.map((_, i) => i + 1));
      // The machine was wired depth first too: software that numbers the same way finds everything where its name is.
      const places = new Map(functions.map(({ bdf: at }, i) => [i + 1, at]));
      for (const { id, bus, devfn } of found) expect((bus << 8) | devfn).toBe(places.get(id >>> 16));
    }),
    { numRuns: 60 },
  );
});

it('by CONFIG_ADDRESS and CONFIG_DATA: all but what needs ARI', { timeout: 60_000 }, async () => {
  await fc.assert(
    fc.asyncProperty(machine, async (devices) => {
      const functions = new Wiring().onRoot(devices);
      fc.pre(functions.every(({ bdf: at }) => busOf(at) <= BUSES_MAX));
      const found = await new Enumerator(byPorts(make(functions))).run();
      const hidden = new Set(functions.flatMap(({ config }, i) => (hasAri(config) ? [i + 1] : [])));
      const seen = ids(found);
      expect(new Set(seen).size).toBe(seen.length);
      expect(seen.filter((id) => !hidden.has(id))).toEqual(functions.map((_, i) => i + 1).filter((id) => !hidden.has(id)));
    }),
    { numRuns: 60 },
  );
});

function hasAri(config: Uint8Array): boolean {
  const view = new DataView(config.buffer, config.byteOffset);
  for (let at = config.length > 0x100 ? 0x100 : 0; at !== 0; at = view.getUint32(at, true) >>> 20) {
    if ((view.getUint32(at, true) & 0xffff) === 0x0e) return true;
  }
  return false;
}
