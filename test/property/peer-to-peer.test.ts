/**
 * Whatever windows and Access Control Services: where a request turns is what the rules of PCIe Base r6.0 §6.12 say, told here a second time; the quick
 * look never misses a turn; and a DMA does to the registers of its peer what it reports.
 */
import fc from 'fast-check';
import { expect, it } from 'vitest';
import { NO_PASID } from '../../server/src/core/base/index.ts';
import type { ModelDma } from '../../server/src/core/machine/index.ts';
import { ConfigSpace, Topology, meetsPeer, routePeer } from '../../server/src/core/pci/index.ts';
import { CoreMachine } from '../kit/core-machine.ts';
import { LEFT, LEFT_PORT, RIGHT, RIGHT_BAR, RIGHT_PORT, SCRATCH, UPSTREAM, aSwitch } from '../kit/switch-machine.ts';

const MIB = 0x10_0000;
const BASE = 0xe000_0000;
const [COMMAND, WINDOW] = [0x04, 0x20];
const [R, U, E, T] = [4, 0x10, 0x20, 0x40];

interface Window {
  readonly first: number;
  readonly last: number;
  readonly on: boolean;
}

const megabyte = fc.integer({ min: 0, max: 7 });
const window: fc.Arbitrary<Window> = fc.record({ first: megabyte, last: megabyte, on: fc.boolean() });
const acs = fc.integer({ min: 0, max: 0x7f });

const holds = ({ first, last, on }: Window, at: number): boolean => on && first <= at && at <= last;

it('a request of a function below a switch turns where the rules say', () => {
  fc.assert(
    fc.property(window, window, window, acs, megabyte, fc.boolean(), (left, right, upstream, control, at, translated) => {
      const functions = aSwitch({ acs: control }).map(({ bdf, config, barBytes }) => ({
        bdf,
        config: new ConfigSpace(config, barBytes === undefined ? {} : { barBytes }),
      }));
      const config = new Map(functions.map((fn) => [fn.bdf, fn.config]));
      for (const [port, { first, last, on }] of [
        [LEFT_PORT, left],
        [RIGHT_PORT, right],
        [UPSTREAM, upstream],
      ] as const) {
        config.get(port)?.write(WINDOW, 4, (((BASE + last * MIB) & 0xfff0_0000) | ((BASE + first * MIB) >>> 16)) >>> 0);
        config.get(port)?.write(COMMAND, 2, on ? 6 : 4);
      }
      const topology = new Topology(functions);
      const byBdf = new Map(functions.map((fn) => [fn.bdf, fn]));
      const requester = byBdf.get(LEFT);
      const path = topology
        .pathUp(LEFT)
        .map((bdf) => byBdf.get(bdf))
        .filter((fn) => fn !== undefined);
      if (requester === undefined) throw new Error('no requester');
      // Beyond the BARs, so that only windows count.
      const address = BASE + at * MIB + 0xf_0000;
      const route = routePeer(topology, requester, path, BigInt(address), translated);

      let expected = 'root';
      if (holds(left, at)) expected = (control & U) === 0 ? 'unsupported' : 'root';
      else if (holds(right, at)) {
        const direct = (translated && (control & T) !== 0) || (control & (E | R)) !== R;
        expected = direct ? 'unsupported' : 'root';
      } else if (holds(upstream, at)) expected = 'unsupported';
      expect(route.to).toBe(expected);
      if (route.to !== 'root') expect(meetsPeer(topology, path, Math.floor(address / 4096))).toBe(true);
    }),
  );
});

it('what a DMA to a peer reports is what its registers have', () => {
  fc.assert(
    fc.property(
      acs,
      fc.integer({ min: 0, max: 3 }),
      fc.integer({ min: 1, max: 4 }),
      fc.boolean(),
      fc.boolean(),
      (control, from, length, translated, mapped) => {
        // Source Validation and Translation Blocking apart.
        const m = new CoreMachine({ functions: aSwitch({ acs: control & ~3 }) });
        const bytes = Math.min(length, 4 - from);
        if (mapped) m.map(LEFT, RIGHT_BAR, BigInt(RIGHT_BAR));
        const data = Uint8Array.from({ length: bytes }, (_, i) => 0xa0 + i);
        const command = {
          kind: 'model-dma',
          bdf: LEFT,
          operation: 'write',
          iovaLow: (RIGHT_BAR + SCRATCH + from) | 0,
          iovaHigh: 0,
          bytes,
          data,
        } as const;
        const rest: Omit<ModelDma, keyof typeof command> = { pasid: NO_PASID, translated, hold: undefined, holdNs: 0 };
        const { outcome } = m.call('dma', { ...command, ...rest });
        const { valueLow } = m.call('region-read', { kind: 'region-read', bdf: RIGHT, region: 0, offset: SCRATCH, bytes: 4 });
        const written = data.reduce((sum, byte, i) => sum + byte * 2 ** (8 * (from + i)), 0);
        expect(valueLow >>> 0).toBe(outcome === 'performed' ? written : 0);
        if (mapped) expect(outcome).toBe('performed');
      },
    ),
  );
});
