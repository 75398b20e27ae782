/** Who says that nobody took a request, and where that shows. */
import { expect, it } from 'vitest';
import { bdf, type Bdf } from '../../../../server/src/core/base/index.ts';
import type { FunctionSpec, MachineEvent } from '../../../../server/src/core/machine/index.ts';
import { pciBridgeConfig } from '../../../../server/src/core/pci/index.ts';
import { CoreMachine } from '../../../kit/core-machine.ts';
import { LEFT, LEFT_PORT, ROOT_PORT, UPSTREAM, aSwitch } from '../../../kit/switch-machine.ts';

const [SECONDARY_STATUS, DEVICE_STATUS] = [0x1e, 0xa];
const MASTER_ABORT = 0x2000;
const UNSUPPORTED = 8;
const CONVENTIONAL = bdf(0, 0, 0x1e, 0);

function pciBridge(): FunctionSpec {
  const config = pciBridgeConfig({
    kind: 'pci-bridge',
    primary: 0,
    secondary: 5,
    subordinate: 5,
    window: { base: 0xf000_0000, end: 0xf010_0000 },
  });
  return { bdf: CONVENTIONAL, model: 'bridge', config, label: '', latencyNs: 0 };
}

function machine(): CoreMachine {
  return new CoreMachine({ functions: [...aSwitch(), pciBridge()] });
}

function secondaryStatus(m: CoreMachine, at: Bdf): number {
  return m.call('region-read', { kind: 'region-read', bdf: at, region: 7, offset: SECONDARY_STATUS, bytes: 2 }).valueLow & 0xf900;
}

/** Unsupported Request Detected of Device Status. */
function detected(m: CoreMachine, at: Bdf): boolean {
  const { data } = m.call('config-read', { kind: 'config-read', bdf: at, offset: 0, bytes: 256 });
  let place = data[0x34] ?? 0;
  while (place !== 0 && data[place] !== 0x10) place = data[place + 1] ?? 0;
  return ((data[place + DEVICE_STATUS] ?? 0) & UNSUPPORTED) !== 0;
}

function read(m: CoreMachine, space: 'memory' | 'config', address: number): void {
  m.call('region-read', { kind: 'bus-read', space, address: BigInt(address), bytes: 4 });
}

it('a function that the device has not: its first one, and the root port gets the completion', () => {
  const m = machine();
  read(m, 'config', (LEFT + 1) * 0x1000);
  expect([detected(m, LEFT), detected(m, LEFT_PORT), detected(m, ROOT_PORT)]).toEqual([true, false, false]);
  expect([ROOT_PORT, UPSTREAM, LEFT_PORT].map((at) => secondaryStatus(m, at))).toEqual([MASTER_ABORT, 0, 0]);
});

it('an address in the window of a switch that none of its ports passes: the upstream port', () => {
  const m = machine();
  m.call('ok', { kind: 'region-write', bdf: LEFT_PORT, region: 7, offset: 4, bytes: 2, valueLow: 0, valueHigh: 0 });
  read(m, 'memory', 0xe000_0000);
  expect([detected(m, UPSTREAM), secondaryStatus(m, ROOT_PORT)]).toEqual([true, MASTER_ABORT]);
});

it('on a conventional bus: the bridge ends the cycle with a master abort', () => {
  const m = machine();
  read(m, 'memory', 0xf000_0000);
  expect(secondaryStatus(m, CONVENTIONAL)).toBe(MASTER_ABORT);
  const again = machine();
  read(again, 'config', bdf(0, 5, 3, 0) * 0x1000);
  expect(secondaryStatus(again, CONVENTIONAL)).toBe(MASTER_ABORT);
  const written = machine();
  written.call('ok', { kind: 'bus-write', space: 'memory', address: 0xf000_0000n, bytes: 4, valueLow: 0, valueHigh: 0 });
  expect(secondaryStatus(written, CONVENTIONAL)).toBe(MASTER_ABORT);
  expect(written.events.filter((event: MachineEvent) => event.kind === 'error')).toEqual([]);
});
