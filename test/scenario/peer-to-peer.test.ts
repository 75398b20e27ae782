/** A function reaches the registers of another one below the same switch, or not: Access Control Services decide. */
import { expect } from 'vitest';
import { scenario, type ScenarioMachine } from '../kit/scenario.ts';

const topology = (acs: string): string => `
schema: iommud.topology/v1
functions:
  - address: "00:01.0"
    model: root-port
    window: { address: "0xe0000000", size: 2MiB }
    children:
      - address: "00.0"
        model: upstream-port
        window: { address: "0xe0000000", size: 2MiB }
        children:
          - { address: "00.0", model: downstream-port, ${acs}, children: [{ address: "00.0", model: dma-probe }] }
          - { address: "01.0", model: downstream-port, ${acs}, children: [{ address: "00.0", model: dma-probe }] }
`;
const NO_ACS = topology('acs: false');
const ACS = topology('acs: true');
const [LEFT, RIGHT] = ['03:00.0', '04:00.0'];
const SCRATCH = 8;
const IOVA = 0x10000;
const SECONDARY = 0x19;

async function registersOf(m: ScenarioMachine, name: string): Promise<number> {
  const [bar] = await m.function(name).regions();
  return Number(bar?.address);
}

const scratch = (m: ScenarioMachine): Promise<number> => m.function(RIGHT).bar(0).read(SCRATCH, 4);

scenario('without Access Control Services a peer is reached by its bus address, past the IOMMU', { topology: NO_ACS }, async (m) => {
  const peer = await registersOf(m, RIGHT);
  expect(await m.function(LEFT).model.write(peer + SCRATCH, 'peer')).toMatchObject({ outcome: 'performed' });
  expect(await scratch(m)).toBe(0x7265_6570);
});

scenario('as Linux enables them the IOMMU says who reaches what', { topology: ACS }, async (m) => {
  const [left, peer] = [m.function(LEFT), await registersOf(m, RIGHT)];
  expect(await left.model.write(peer + SCRATCH, 'peer')).toMatchObject({ outcome: 'not-present' });
  expect(await scratch(m)).toBe(0);
  await left.dma.map({ iova: IOVA, address: peer, bytes: 4096, access: 'rw' });
  expect(await left.model.write(IOVA + SCRATCH, 'mine')).toMatchObject({ outcome: 'performed' });
  expect(await scratch(m)).toBe(0x656e_696d);
  expect(await left.model.read(IOVA, 4)).toMatchObject({ outcome: 'performed', data: Uint8Array.of(0x44, 0x50, 0x52, 0x42) });
});

scenario('in a reset window it reaches its peer no more, by neither way', { topology: NO_ACS }, async (m) => {
  const [left, peer] = [m.function(LEFT), await registersOf(m, RIGHT)];
  await using _ = await left.resetPrepare({ deadlineMs: 10 });
  expect(await left.model.write(peer + SCRATCH, 'late')).toMatchObject({ outcome: 'gate-closed' });
  expect(await scratch(m)).toBe(0);
});

scenario('a port whose bus numbers change blocks what has an old one', { topology: ACS }, async (m) => {
  const left = m.function(LEFT);
  await m.mapped(left, IOVA);
  await m.function('02:00.0').config.write(SECONDARY, 1, 2);
  await m.function('02:00.0').config.write(SECONDARY + 1, 1, 2);
  expect(await left.model.read(IOVA, 4)).toMatchObject({ outcome: 'completer-abort' });
  expect(await m.errors.next()).toMatchObject({ function: '02:00.0', error: 'acs-violation' });
  await m.function('02:00.0').config.write(SECONDARY + 1, 1, 3);
  await m.function('02:00.0').config.write(SECONDARY, 1, 3);
  expect(await left.model.read(IOVA, 4)).toMatchObject({ outcome: 'performed' });
});

scenario('registers that an emulator plays are a peer too', { topology: NO_ACS.replace(/(01\.0.*)dma-probe/, '$1remote') }, async (m) => {
  const device = await m.connect(['device']);
  const written: number[] = [];
  await device.claimDevice(RIGHT, {
    onRegionRead: ({ offset }) => BigInt(offset + 1),
    onRegionWrite: ({ offset, value }) => void written.push(offset, Number(value)),
  });
  const [left, peer] = [m.function(LEFT), await registersOf(m, RIGHT)];
  expect(await left.model.read(peer + 0x40, 8)).toMatchObject({ outcome: 'performed', data: Uint8Array.of(0x41, 0, 0, 0, 0x45, 0, 0, 0) });
  expect(await left.model.write(peer + 0x40, 'word')).toMatchObject({ outcome: 'performed' });
  expect(written).toEqual([0x40, 0x6472_6f77]);
});

scenario(
  'an MSI-X table is written whatever widths the emulator takes, which does not see it',
  { topology: NO_ACS.replace(/(01\.0.*)dma-probe/, '$1remote') },
  async (m) => {
    const device = await m.connect(['device']);
    let seen = 0;
    await device.claimDevice(RIGHT, { onRegionWrite: () => void seen++ }, { widths: [8] });
    const [left, right] = [m.function(LEFT), m.function(RIGHT)];
    const table = Number((await right.regions()).find(({ region }) => region === 2)?.address);
    expect(await left.model.write(table + 8, 'word')).toMatchObject({ outcome: 'performed' });
    expect([await right.bar(2).read(8, 4), seen]).toEqual([0x6472_6f77, 0]);
  },
);
