import { describe, expect, it } from 'vitest';
import { bdf } from '../../../../server/src/core/base/index.ts';
import { bridgeConfig } from '../../../../server/src/core/pci/index.ts';
import { CoreMachine, probe } from '../../../kit/core-machine.ts';

const PORT = bdf(0, 0, 1, 0);
const BELOW = bdf(0, 1, 0, 0);
const COMMAND = 4;
const BUS_NUMBERS = 0x18;
const IOVA = 0x1_0000;

function machine(): CoreMachine {
  const config = bridgeConfig({ kind: 'root-port', primary: 0, secondary: 1, subordinate: 1 });
  const port = { bdf: PORT, model: 'bridge', config, label: '', latencyNs: 0 } as const;
  const m = new CoreMachine({ functions: [port, probe(BELOW)] });
  m.map(BELOW, IOVA, m.allocPage());
  return m;
}
const write = (m: CoreMachine, offset: number, bytes: number, value: number, at = PORT) =>
  m.call('ok', { kind: 'region-write', bdf: at, region: 7, offset, bytes, valueLow: value, valueHigh: 0 });

describe('the way up', () => {
  it('bus mastering of the bridge above gates a function', () => {
    const m = machine();
    expect(m.outcome(BELOW, IOVA)).toBe('performed');
    write(m, COMMAND, 2, 0);
    expect(m.outcome(BELOW, IOVA)).toBe('gate-closed');
  });

  it('stays where it is wired, whatever bus numbers are written', () => {
    const m = machine();
    write(m, COMMAND, 2, 0);
    write(m, BUS_NUMBERS, 4, 0x0005_0500);
    expect(m.outcome(BELOW, IOVA)).toBe('gate-closed');
    write(m, COMMAND, 2, 4);
    // Source Validation knows it again when it has captured the new number.
    write(m, COMMAND, 2, 6, BELOW);
    expect(m.outcome(BELOW, IOVA)).toBe('performed');
  });
});
