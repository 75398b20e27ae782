/** Which bus number a function's requests bear: shown by Source Validation of the ports above it. */
import { expect, it } from 'vitest';
import { bdf, type Bdf } from '../../../../server/src/core/base/index.ts';
import type { FunctionSpec } from '../../../../server/src/core/machine/index.ts';
import { bridgeConfig, pciBridgeConfig } from '../../../../server/src/core/pci/index.ts';
import { CoreMachine, probe } from '../../../kit/core-machine.ts';

const IOVA = 0x1_0000;
const BUS_NUMBERS = 0x18;
const [PORT, BRIDGE, END] = [bdf(0, 0, 1, 0), bdf(0, 1, 0, 0), bdf(0, 2, 3, 0)];
const SOURCE_VALIDATION = { acs: { offered: 0x5f, enabled: 1 } };

function machine(functions: readonly FunctionSpec[], at: Bdf): CoreMachine {
  const m = new CoreMachine({ functions });
  m.map(at, IOVA, m.allocPage());
  return m;
}
const bridge = (at: Bdf, config: Uint8Array): FunctionSpec => ({ bdf: at, model: 'bridge', config, label: '', latencyNs: 0 });
const rootPort = bridge(
  PORT,
  bridgeConfig({ kind: 'root-port', primary: 0, secondary: 1, subordinate: 2, capabilities: SOURCE_VALIDATION }),
);
const number = (m: CoreMachine, at: Bdf, value: number): void => {
  m.call('ok', { kind: 'region-write', bdf: at, region: 7, offset: BUS_NUMBERS, bytes: 4, valueLow: value, valueHigh: 0 });
};

it('behind a bridge to conventional PCI it is that of the bridge, which knows it at once', () => {
  const toPci = bridge(BRIDGE, pciBridgeConfig({ kind: 'pcie-to-pci-bridge', primary: 1, secondary: 2, subordinate: 2 }));
  const m = machine([rootPort, toPci, probe(END, { integrated: false, ats: false, capabilities: { express: false } })], END);
  number(m, PORT, 0x00_06_05_00);
  expect(m.outcome(END, IOVA)).toBe('completer-abort');
  number(m, BRIDGE, 0x00_06_06_05);
  expect(m.outcome(END, IOVA)).toBe('performed');
});

it('what comes into a slot has that of the slot as it is numbered', () => {
  const end = probe(BRIDGE, { integrated: false });
  const slot = bridge(PORT, bridgeConfig({ kind: 'root-port', primary: 0, secondary: 1, subordinate: 1, capabilities: SOURCE_VALIDATION }));
  const m = new CoreMachine({ functions: [slot] });
  number(m, PORT, 0x00_09_09_00);
  m.plug([end], PORT);
  m.map(BRIDGE, IOVA, m.allocPage());
  expect(m.outcome(BRIDGE, IOVA)).toBe('performed');
});

it('what software restores after a reset has written to the function', () => {
  const m = machine(
    [
      {
        ...rootPort,
        config: bridgeConfig({ kind: 'root-port', primary: 0, secondary: 1, subordinate: 1, capabilities: SOURCE_VALIDATION }),
      },
      probe(BRIDGE, { integrated: false }),
    ],
    BRIDGE,
  );
  number(m, PORT, 0x00_07_07_00);
  expect(m.outcome(BRIDGE, IOVA)).toBe('completer-abort');
  expect(m.reset(BRIDGE).reply).toMatchObject({ kind: 'reset' });
  expect(m.outcome(BRIDGE, IOVA)).toBe('performed');
});
