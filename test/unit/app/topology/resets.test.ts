/** The keys `reset` and `linkSpeed` of a topology, and what a machine of it does. */
import { describe, expect, it } from 'vitest';
import { describeTopology, parseTopology, topologyFromValue } from '../../../../server/src/app/topology/index.ts';
import { formatBdf } from '../../../../server/src/core/base/index.ts';
import { ResetMachine } from '../../../kit/reset-machine.ts';

const MS = 1_000_000;
const HEAD = 'schema: iommud.topology/v1\nfunctions:\n';

function refused(lines: string): string {
  try {
    parseTopology(HEAD + lines);
  } catch (error) {
    expect(error).toMatchObject({ name: 'ModelError', code: 'EINVAL' });
    return (error as Error).message;
  }
  throw new Error(`was not refused: ${lines}`);
}

const resetOf = (key: string): unknown =>
  parseTopology(`${HEAD}  - { address: "00:02.0", model: dma-probe, reset: ${key} }\n`).functions[0]?.reset;

describe('reset', () => {
  it.each([
    ['{}', {}],
    ['{ noFlr: true, noPm: true, noBus: true }', { noFlr: true, noPm: true, noBus: true }],
    ['{ acpi: fails }', { acpi: 'fails' }],
    ['{ deviceSpecific: flr-then-firmware, firmwareWait: 250ms }', { deviceSpecific: 'flr-then-firmware', firmwareNs: 250 * MS }],
    ['{ deviceSpecific: plain, firmwareWait: 0s }', { deviceSpecific: 'plain', firmwareNs: 0 }],
  ])('%s', (key, spec) => {
    expect(resetOf(key)).toEqual(spec);
  });

  it.each([
    ['  - { address: "00:02.0", model: dma-probe, reset: { noflr: true } }', /line 3: .*noflr.*noFlr/],
    ['  - { address: "00:02.0", model: dma-probe, reset: { acpi: true } }', /line 3: .*acpi/],
    ['  - { address: "00:02.0", model: dma-probe, reset: { deviceSpecific: always } }', /line 3: .*deviceSpecific/],
    ['  - { address: "00:02.0", model: dma-probe, reset: { firmwareWait: soon } }', /line 3: "soon" is not a time/],
    ['  - { address: "00:02.0", model: dma-probe, reset: flr }', /line 3: .*reset/],
    ['  - { address: "00:00.0", model: host-bridge, reset: { noBus: true } }', /line 3: reset means nothing for host-bridge/],
    ['  - { address: "00:02.0", model: dma-probe, linkSpeed: 8GT/s }', /line 3: linkSpeed means nothing for dma-probe; .* root-port/],
    ['  - { address: "00:01.0", model: root-port, linkSpeed: 3GT/s }', /line 3: .*linkSpeed/],
  ])('is refused with its line: %s', (lines, words) => {
    expect(refused(`${lines}\n`)).toMatch(words);
  });
});

/** A bridge and one function below it. */
function below(bridge: object, child: object, behaviour: 'strict' | 'linux-7.1' = 'strict'): ResetMachine {
  const { functions } = topologyFromValue({
    schema: 'iommud.topology/v1',
    functions: [{ address: '00:01.0', children: [{ address: '00.0', model: 'dma-probe', ...child }], ...bridge }],
  });
  return new ResetMachine(functions, { behaviour });
}
const at = (m: ResetMachine, text: string) =>
  m.machine.inspect().functions.find(({ bdf }) => formatBdf(bdf) === text)?.bdf ?? expect.fail(text);

describe('a machine of a document', () => {
  it('has the methods that it says, in their order', () => {
    const all = { reset: { deviceSpecific: 'plain', acpi: 'works' }, capabilities: { af: true, pm: { noSoftReset: false } } };
    const m = below({ model: 'root-port' }, all);
    expect(m.methods(at(m, '01:00.0'))).toEqual(['device_specific', 'acpi', 'flr', 'af_flr', 'pm', 'bus']);
    const none = below({ model: 'root-port' }, { ...all, reset: { deviceSpecific: 'refuses', noFlr: true, noPm: true, noBus: true } });
    expect(none.methods(at(none, '01:00.0'))).toEqual([]);
  });

  it('is described with the methods that it has', () => {
    const child =
      '{ address: "00.0", model: dma-probe, reset: { acpi: fails, noFlr: true }, capabilities: { pm: { noSoftReset: false } } }';
    const text = `${HEAD}  - { address: "00:01.0", model: root-port, children: [${child}] }\n`;
    expect(describeTopology(parseTopology(text))).toMatch(/01:00\.0 {2}dma-probe, .*, reset acpi pm bus\n$/);
  });

  it('a port that does not stand a bus reset refuses one', () => {
    const m = below({ model: 'root-port', reset: { noBus: true } }, {});
    expect(m.busReset(at(m, '00:01.0')).reply).toMatchObject({ kind: 'refused', code: 'ENOTTY' });
  });

  it.each([
    ['2.5GT/s', 1, 100],
    ['5GT/s', 2, 100],
    ['8GT/s', 3, 120],
    [undefined, 4, 120],
    ['64GT/s', 6, 120],
  ])('linkSpeed %s: Max Link Speed %i, and %i ms after a bus reset', (linkSpeed, speed, ms) => {
    const m = below({ model: 'root-port', ...(linkSpeed === undefined ? {} : { linkSpeed }) }, {});
    const port = at(m, '00:01.0');
    // Link Capabilities of the PCI Express capability at 0x48.
    expect(m.config(port, 0x48 + 0x0c, 4) & 0xf).toBe(speed);
    expect(m.busReset(port).reply).toMatchObject({ kind: 'bus-reset', elapsedNs: (2 + ms) * MS });
    expect(m.resetBy(at(m, '01:00.0'), 'bus').reply).toMatchObject({ kind: 'reset', elapsedNs: (2 + ms) * MS });
  });
});
