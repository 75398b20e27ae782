/** A machine as firmware finds it: by addresses alone. */
import { expect } from 'vitest';
import { configAddress, type Machine } from '../../client/src/index.ts';
import { Enumerator, type ConfigAccess, type Found } from '../kit/enumerator.ts';
import { refusal, scenario } from '../kit/scenario.ts';

const TOPOLOGY = `
schema: iommud.topology/v1
ecam: [{ address: "0xb0000000" }]
functions:
  - { address: "00:00.0", model: host-bridge }
  - { address: "00:02.0", model: edu }
  - address: "00:01.0"
    model: root-port
    bus: "10"
    children:
      - address: "00.0"
        model: upstream-port
        bus: "20"
        children:
          - { address: "00.0", model: downstream-port, bus: "30", children: [{ address: "00.0", model: dma-probe }] }
          - { address: "01.0", model: downstream-port, bus: "40", children: [{ address: "00.0", model: dma-probe }, { address: "00.1", model: dma-probe }] }
  - { address: "00:1e.0", model: pci-bridge, bus: "50", children: [{ address: "03.0", model: dma-probe }] }
`;
const ECAM = 0xb000_0000;
const EVERYTHING = [
  '00:00.0',
  '00:01.0',
  '01:00.0',
  '02:00.0',
  '03:00.0',
  '02:01.0',
  '04:00.0',
  '04:00.1',
  '00:02.0',
  '00:1e.0',
  '05:03.0',
];
const IDENT = 0x4252_5044;
const [COMMAND, BAR0, MEMORY_WINDOW, SECONDARY_STATUS] = [0x04, 0x10, 0x20, 0x1e];
const MASTER_ABORT = 0x2000;

function place({ bus, devfn }: Pick<Found, 'bus' | 'devfn'>): string {
  return `${bus.toString(16).padStart(2, '0')}:${(devfn >> 3).toString(16).padStart(2, '0')}.${devfn & 7}`;
}

function byEcam({ bus }: Machine): ConfigAccess {
  const at = (number: number, devfn: number, register: number): number =>
    ECAM + Number(configAddress(place({ bus: number, devfn }), register));
  return {
    extended: true,
    read: (number, devfn, register, bytes) => bus.read(at(number, devfn, register), bytes),
    write: async (number, devfn, register, bytes, value) => void (await bus.write(at(number, devfn, register), bytes, value)),
  };
}

function byPorts({ bus }: Machine): ConfigAccess {
  const io = { space: 'io' } as const;
  const select = async (number: number, devfn: number, register: number): Promise<number> => {
    await bus.write(0xcf8, 4, (0x8000_0000 + number * 0x1_0000 + devfn * 0x100 + (register & 0xfc)) >>> 0, io);
    return 0xcfc + (register & 3);
  };
  return {
    extended: false,
    read: async (number, devfn, register, bytes) => bus.read(await select(number, devfn, register), bytes, io),
    write: async (number, devfn, register, bytes, value) => void (await bus.write(await select(number, devfn, register), bytes, value, io)),
  };
}

for (const [name, by] of [
  ['ECAM', byEcam],
  ['CF8 and CFC', byPorts],
] as const) {
  scenario(`firmware numbers the buses and finds every function by ${name}`, { topology: TOPOLOGY }, async (m) => {
    const names = (await m.functions()).map(({ function: at }) => at);
    const found = await new Enumerator(by(m)).run();
    expect(found.map(place)).toEqual(EVERYTHING);
    // What the machine calls its functions stays.
    expect((await m.functions()).map(({ function: at }) => at)).toEqual(names);
    expect(await m.bus.config('04:00.1').read(0, 4)).toBe(await m.function('40:00.1').config.read(0, 4));
    expect(await m.bus.config('40:00.1').read(0, 4)).toBe(0xffff_ffff);
  });
}

scenario(
  'a BAR that firmware sizes and places answers there, and nowhere while the windows above are closed',
  { topology: TOPOLOGY },
  async (m) => {
    await new Enumerator(byEcam(m)).run();
    const end = m.bus.config('04:00.0');
    await end.write(BAR0, 4, 0xffff_ffff);
    const mask = await end.read(BAR0, 4);
    const bytes = 2 ** 32 - (mask - (mask & 0xf));
    expect([bytes, bytes & (bytes - 1)]).toEqual([expect.any(Number), 0]);
    await end.write(BAR0, 4, 0xf000_0000);
    await end.write(COMMAND, 2, 2);
    expect(await m.bus.read(0xf000_0000, 4)).toBe(0xffff_ffff);
    for (const port of ['00:01.0', '01:00.0', '02:01.0']) await m.bus.config(port).write(MEMORY_WINDOW, 4, 0xf000_f000);
    expect(await m.bus.read(0xf000_0000, 4)).toBe(IDENT);
    await m.bus.write(0xf000_0008, 4, 0xcafe);
    expect(await m.function('40:00.0').bar(0).read(8, 4)).toBe(0xcafe);
    await m.bus.config('01:00.0').write(COMMAND, 2, 4);
    expect(await m.bus.read(0xf000_0008, 4)).toBe(0xffff_ffff);
  },
);

scenario('what nobody answers is all ones, and a root port tells of it', { topology: TOPOLOGY }, async (m) => {
  const port = m.function('00:01.0').config;
  expect([await m.bus.read(0xc000_0000, 4), await m.bus.read64(0xc000_0000)]).toEqual([0xffff_ffff, 2n ** 64n - 1n]);
  await m.bus.write(0xc000_0000, 4, 1);
  expect((await port.read(SECONDARY_STATUS, 2)) & MASTER_ABORT).toBe(0);
  expect(await m.bus.config('10:03.0').read(0, 2)).toBe(0xffff);
  expect(await m.errors.next()).toMatchObject({ function: '00:01.0', error: 'unsupported-request' });
  expect((await port.read(SECONDARY_STATUS, 2)) & MASTER_ABORT).toBe(MASTER_ABORT);
});

scenario('memory and what is no access', { topology: TOPOLOGY }, async (m) => {
  const page = await m.pages(1);
  await m.bus.write(page + 8n, 8, 0x6f6c_6c65_68n << 8n);
  expect(await m.text(page + 9n, 5)).toBe('hello');
  expect(await m.bus.read64(page + 8n)).toBe(0x6f6c_6c65_6800n);
  expect(await refusal(m.bus.read(page + 1n, 2))).toBe('EINVAL');
  expect(await refusal(m.bus.write(0xcf8, 8, 0, { space: 'io' }))).toBe('EINVAL');
});
