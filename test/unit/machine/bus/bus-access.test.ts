/** Accesses of a processor by address. */
import { describe, expect, it } from 'vitest';
import { bdf } from '../../../../server/src/core/base/index.ts';
import type { BusSpace, MachineEvent } from '../../../../server/src/core/machine/index.ts';
import { BELOW, CoreMachine, PORT, RAM, probe, type Options } from '../../../kit/core-machine.ts';
import { CONTROL, ENABLE, FIRST, MEMORY, SECOND, SriovMachine, VF_BYTES } from '../../../kit/sriov-machine.ts';
import { ECAM, LEFT, LEFT_BAR, LEFT_PORT, RIGHT, RIGHT_BAR, RIGHT_PORT, ROOT_PORT, SCRATCH, aSwitch } from '../../../kit/switch-machine.ts';

const [COMMAND, STATUS, BAR0, SECONDARY, SECONDARY_STATUS] = [0x04, 0x06, 0x10, 0x19, 0x1e];
const MASTER_ABORT = 0x2000;
const ONES = 0xffff_ffff;
const ECAM_BASE = Number(ECAM[0]?.base);

class Host extends CoreMachine {
  constructor(options: Options = {}) {
    super({ ecam: ECAM, functions: aSwitch(), ...options });
  }
  read(address: number | bigint, bytes = 4, space: BusSpace = 'memory'): number {
    return this.call('region-read', { kind: 'bus-read', space, address: BigInt(address), bytes }).valueLow >>> 0;
  }
  put(address: number | bigint, value: number, bytes = 4, space: BusSpace = 'memory', high = 0): void {
    this.call('ok', { kind: 'bus-write', space, address: BigInt(address), bytes, valueLow: value, valueHigh: high });
  }
  /** By name: nothing on the way matters. */
  register(at: number, offset: number, bytes = 2): number {
    return this.call('region-read', { kind: 'region-read', bdf: at as typeof LEFT, region: 7, offset, bytes }).valueLow;
  }
  errors(): readonly string[] {
    return this.events.filter((event): event is Extract<MachineEvent, { kind: 'error' }> => event.kind === 'error').map(({ text }) => text);
  }
}

/** Bus, device and function to an offset in ECAM. */
function ecam(bus: number, device: number, fn: number, register: number): number {
  return ECAM_BASE + bus * 0x10_0000 + device * 0x8000 + fn * 0x1000 + register;
}

describe('memory', () => {
  it('is RAM where there is RAM', () => {
    const m = new Host();
    m.put(RAM + 8n, 0x1122_3344, 8, 'memory', 0x5566_7788);
    expect([m.read(RAM + 8n), m.read(RAM + 12n), m.read(RAM + 9n, 1), m.read(RAM + 14n, 2)]).toEqual([
      0x1122_3344, 0x5566_7788, 0x33, 0x5566,
    ]);
    const whole = m.call('region-read', { kind: 'bus-read', space: 'memory', address: RAM + 8n, bytes: 8 });
    expect([whole.valueLow >>> 0, whole.valueHigh]).toEqual([0x1122_3344, 0x5566_7788]);
    expect(m.text(RAM + 8n, 4)).toBe('D3"\x11');
  });

  it('is registers of functions behind bridges', () => {
    const m = new Host();
    m.put(RIGHT_BAR + SCRATCH, 0xcafe);
    expect([m.read(RIGHT_BAR), m.read(RIGHT_BAR + SCRATCH), m.read(LEFT_BAR + SCRATCH)]).toEqual([0x4252_5044, 0xcafe, 0]);
  });

  it('goes where BARs and windows are now', () => {
    const m = new Host();
    m.put(RIGHT_BAR + SCRATCH, 7);
    m.put(ecam(4, 0, 0, BAR0), RIGHT_BAR + 0x4_0000);
    expect([m.read(RIGHT_BAR + SCRATCH), m.read(RIGHT_BAR + 0x4_0000 + SCRATCH)]).toEqual([ONES, 7]);
    m.put(ecam(2, 1, 0, COMMAND), 0, 2);
    expect(m.read(RIGHT_BAR + 0x4_0000 + SCRATCH)).toBe(ONES);
  });

  it('is nobody where no root bus decodes: all ones, and nothing in any register', () => {
    const m = new Host();
    m.put(0xd000_0000, 1);
    expect([m.read(0xd000_0000), m.read(0xd000_0000, 1), m.read(0xd000_0000, 8)]).toEqual([ONES, 0xff, ONES]);
    expect([m.errors(), m.register(ROOT_PORT, SECONDARY_STATUS)]).toEqual([[], 0]);
  });

  it('is completed by the device at the end of the link that it came over, as an Unsupported Request', () => {
    const m = new Host();
    expect(m.read(RIGHT_BAR + 0x4_0000)).toBe(ONES);
    expect(m.errors()).toEqual([expect.stringMatching(/^04:00\.0 unsupported-request, correctable, masked/)]);
    expect(m.register(ROOT_PORT, SECONDARY_STATUS)).toBe(MASTER_ABORT);
  });

  it('is completed by the port whose link is down', () => {
    const m = new Host();
    m.call('ok', { kind: 'region-write', bdf: RIGHT_PORT, region: 7, offset: 0x3e, bytes: 2, valueLow: 0x40, valueHigh: 0 });
    expect(m.read(RIGHT_BAR)).toBe(ONES);
    expect(m.errors()).toEqual([expect.stringMatching(/^02:01\.0 unsupported-request, correctable/)]);
  });

  it('tells of a posted write that nobody took as an uncorrectable error, and of no master abort', () => {
    const m = new Host();
    m.put(RIGHT_BAR + 0x4_0000, 1);
    expect(m.errors()).toEqual([expect.stringMatching(/^04:00\.0 unsupported-request, nonfatal/)]);
    expect(m.register(ROOT_PORT, SECONDARY_STATUS)).toBe(0);
  });

  it('asks the owner of the memory that a peer has', () => {
    const m = new Host();
    const owner = m.attachPeer({ memory: true });
    m.call('ok', { kind: 'memory-claim', address: 0x8000_0000n, bytes: 0x1000n, depth: 4 }, owner.id);
    const read = m.start({ kind: 'bus-read', space: 'memory', address: 0x8000_0010n, bytes: 4 });
    const [asked] = owner.calls;
    expect(asked?.call).toMatchObject({ kind: 'memory-read', address: 0x8000_0010n, bytes: 4 });
    m.answer(owner, asked?.token ?? 0, { kind: 'data', data: Uint8Array.of(1, 2, 3, 4) });
    expect(read.reply).toEqual({ kind: 'region-read', valueLow: 0x0403_0201, valueHigh: 0 });
    const write = m.start({ kind: 'bus-write', space: 'memory', address: 0x8000_0018n, bytes: 8, valueLow: -1, valueHigh: 2 });
    expect(owner.calls.at(-1)?.call).toMatchObject({ kind: 'memory-write', data: Uint8Array.of(255, 255, 255, 255, 2, 0, 0, 0) });
    m.answer(owner, owner.calls.at(-1)?.token ?? 0, { kind: 'ok' });
    expect(write.reply).toMatchObject({ kind: 'ok' });
  });
});

describe('configuration space', () => {
  it('is the same by ECAM, by CF8 and CFC, and as a space of its own', () => {
    const m = new Host();
    m.put(0xcf8, 0x8003_0000, 4, 'io');
    const id = m.register(LEFT, 0, 4) >>> 0;
    expect([m.read(ecam(3, 0, 0, 0)), m.read(0xcfc, 4, 'io'), m.read(LEFT * 0x1000, 4, 'config')]).toEqual([id, id, id]);
    expect(m.read(0xcf8, 4, 'io')).toBe(0x8003_0000);
  });

  it('is written so, and has the effects of a write by name', () => {
    const m = new Host();
    m.put(ecam(3, 0, 0, COMMAND), 0, 2);
    expect(m.register(LEFT, COMMAND)).toBe(0);
    m.put(0xcf8, 0x8003_0004, 4, 'io');
    m.put(0xcfc, 6, 2, 'io');
    expect(m.register(LEFT, COMMAND)).toBe(6);
    m.put(LEFT * 0x1000 + COMMAND, 2, 1, 'config');
    expect(m.register(LEFT, COMMAND)).toBe(2);
  });

  it('is bytes and words of CONFIG_DATA too', () => {
    const m = new Host();
    m.put(0xcf8, 0x8003_0000, 4, 'io');
    const id = m.register(LEFT, 0, 4) >>> 0;
    expect([m.read(0xcfd, 1, 'io'), m.read(0xcfe, 2, 'io')]).toEqual([(id >>> 8) & 0xff, id >>> 16]);
  });

  it('is reached by CONFIG_DATA only with the enable bit, and CONFIG_ADDRESS is only its whole word', () => {
    const m = new Host();
    m.put(0xcf8, 0x0003_0000, 4, 'io');
    expect(m.read(0xcfc, 4, 'io')).toBe(ONES);
    m.put(0xcf8, 0xff03_0003 | 0, 4, 'io');
    expect(m.read(0xcf8, 4, 'io')).toBe(0x8003_0000);
    m.put(0xcf8, 0x1234, 2, 'io');
    expect([m.read(0xcf8, 4, 'io'), m.read(0xcf8, 2, 'io')]).toEqual([0x8003_0000, 0xffff]);
  });

  it('forgets CONFIG_ADDRESS when power goes', () => {
    const m = new Host();
    m.put(0xcf8, 0x8003_0000, 4, 'io');
    m.call('ok', { kind: 'cold-reset', bdf: undefined });
    expect(m.read(0xcf8, 4, 'io')).toBe(0);
  });

  it('takes no access that is wider than a word', () => {
    const m = new Host();
    const read = m.call('region-read', { kind: 'bus-read', space: 'memory', address: BigInt(ecam(3, 0, 0, 0)), bytes: 8 });
    expect([read.valueLow >>> 0, read.valueHigh]).toEqual([ONES, -1]);
    m.put(ecam(3, 0, 0, 0), 0, 8);
    expect([m.register(LEFT, COMMAND), m.errors()]).toEqual([6, []]);
  });

  it('is where the bus numbers are that software has given', () => {
    const m = new Host();
    m.put(ecam(2, 0, 0, SECONDARY - 1), 0x04_03_02, 4);
    m.put(ecam(2, 1, 0, SECONDARY - 1), 0x00_00_02, 4);
    // The left port has buses 3 to 4 now, the right one none: bus 4 is at the left, and nobody has it there.
    expect([m.read(ecam(3, 0, 0, 0)), m.read(ecam(4, 0, 0, 0))]).toEqual([m.register(LEFT, 0, 4) >>> 0, ONES]);
    m.put(ecam(2, 0, 0, SECONDARY - 1), 0x04_04_02, 4);
    expect(m.read(ecam(4, 0, 0, 0))).toBe(m.register(LEFT, 0, 4) >>> 0);
    // Its name stays.
    expect(m.register(RIGHT, 0, 4)).toBe(m.register(LEFT, 0, 4));
  });

  it('is all ones beyond a function that has less of it, and where nobody is', () => {
    const m = new Host({ functions: [...aSwitch(), { ...probe(bdf(0, 0, 9, 0)), config: probe(bdf(0, 0, 9, 0)).config.slice(0, 256) }] });
    expect([m.read(ecam(0, 9, 0, 0)), m.read(ecam(0, 9, 0, 0x100)), m.read(ecam(0, 10, 0, 0)), m.read(ecam(9, 0, 0, 0), 1)]).toEqual([
      m.register(bdf(0, 0, 9, 0), 0, 4) >>> 0,
      ONES,
      ONES,
      0xff,
    ]);
    expect(m.errors()).toEqual([]);
  });

  it('has the port say that only device 0 is on its link', () => {
    const m = new Host();
    expect(m.read(ecam(3, 1, 0, 0))).toBe(ONES);
    m.put(ecam(3, 1, 0, COMMAND), 0, 2);
    expect(m.errors()).toEqual([expect.stringMatching(/^02:00\.0 unsupported/), expect.stringMatching(/^02:00\.0 unsupported/)]);
    expect(m.register(ROOT_PORT, SECONDARY_STATUS)).toBe(MASTER_ABORT);
    expect(m.register(LEFT_PORT, STATUS) & MASTER_ABORT).toBe(0);
  });

  it('is absent outside of the buses of its ECAM', () => {
    const m = new Host({ ecam: [{ segment: 0, base: 0xb000_0000n, firstBus: 3, lastBus: 3 }] });
    expect([m.read(ecam(3, 0, 0, 0)), m.read(ecam(4, 0, 0, 0)), m.read(ecam(2, 0, 0, 0))]).toEqual([
      m.register(LEFT, 0, 4) >>> 0,
      ONES,
      ONES,
    ]);
  });
});

describe('what is refused', () => {
  const refused: readonly [string, BusSpace, bigint, number, string][] = [
    ['a width of no access', 'memory', RAM, 3, 'bytes'],
    ['eight bytes of ports', 'io', 0n, 8, 'bytes'],
    ['an address that is not a multiple', 'memory', RAM + 2n, 4, 'address'],
    ['a port beyond 4 GiB', 'io', 1n << 32n, 4, 'address'],
    ['an address beyond 56 bits', 'memory', 1n << 56n, 4, 'address'],
    ['an address beyond configuration space', 'config', 1n << 44n, 4, 'address'],
    ['a space that is none', 'ram' as BusSpace, RAM, 4, 'space'],
  ];
  it.each(refused)('%s', (_, space, address, bytes, field) => {
    const m = new Host();
    expect(() => m.start({ kind: 'bus-read', space, address, bytes })).toThrow(expect.objectContaining({ code: 'EINVAL', field }));
    expect(() => m.start({ kind: 'bus-write', space, address, bytes, valueLow: 0, valueHigh: 0 })).toThrow(
      expect.objectContaining({ code: 'EINVAL', field }),
    );
  });
});

it('configuration space that an emulator keeps is asked of the emulator, by address too', () => {
  const m = new Host({ functions: aSwitch({ right: { model: 'remote' } }) });
  const emulator = m.attachPeer({ device: true });
  m.start({ kind: 'device-claim', bdf: RIGHT, config: 'emulator' }, emulator.id);
  const from = emulator.calls.length;
  const read = m.start({ kind: 'bus-read', space: 'memory', address: BigInt(ecam(4, 0, 0, 0x40)), bytes: 4 });
  const asked = emulator.calls[from];
  expect(asked?.call).toMatchObject({ kind: 'region-read', bdf: RIGHT, region: 7, offset: 0x40, bytes: 4 });
  m.answer(emulator, asked?.token ?? 0, { kind: 'value', valueLow: 0x1234, valueHigh: 0 });
  expect(read.reply).toEqual({ kind: 'region-read', valueLow: 0x1234, valueHigh: 0 });
  m.start({ kind: 'bus-write', space: 'io', address: 0xcf8n, bytes: 4, valueLow: 0x8004_0040 | 0, valueHigh: 0 });
  m.start({ kind: 'bus-write', space: 'io', address: 0xcfen, bytes: 2, valueLow: 0x77, valueHigh: 0 });
  expect(emulator.calls.at(-1)?.call).toMatchObject({
    kind: 'region-write',
    bdf: RIGHT,
    region: 7,
    offset: 0x42,
    bytes: 2,
    valueLow: 0x77,
  });
});

describe('virtual functions', () => {
  const VF_BAR = 0xe020_0000;

  function enabled(): { m: SriovMachine; read: (space: BusSpace, address: number) => number } {
    const m = new SriovMachine();
    // The window of the port has the BARs of all.
    m.call('ok', { kind: 'region-write', bdf: PORT, region: 7, offset: 0x20, bytes: 4, valueLow: 0xe030_e010 | 0, valueHigh: 0 });
    m.enable(2, ENABLE | MEMORY);
    m.advance(1000);
    const read = (space: BusSpace, address: number): number =>
      m.call('region-read', { kind: 'bus-read', space, address: BigInt(address), bytes: 4 }).valueLow >>> 0;
    return { m, read };
  }

  it('answer in their share of the VF BARs, while VF Memory Space Enable is set', () => {
    const { m, read } = enabled();
    const stride = Number(VF_BYTES);
    m.call('ok', { kind: 'region-write', bdf: SECOND, region: 0, offset: SCRATCH, bytes: 4, valueLow: 0x51, valueHigh: 0 });
    expect([read('memory', VF_BAR + SCRATCH), read('memory', VF_BAR + stride + SCRATCH), read('memory', VF_BAR + 2 * stride)]).toEqual([
      0,
      0x51,
      ONES,
    ]);
    m.half(BELOW, m.at + CONTROL, ENABLE);
    expect(read('memory', VF_BAR + stride + SCRATCH)).toBe(ONES);
  });

  it('are reached by bus numbers with ARI Forwarding Enable only, for their function numbers have eight bits', () => {
    const { m, read } = enabled();
    expect(read('config', FIRST * 0x1000)).toBe(ONES);
    const { data } = m.call('config-read', { kind: 'config-read', bdf: PORT, offset: 0, bytes: 256 });
    let express = data[0x34] ?? 0;
    while (express !== 0 && data[express] !== 0x10) express = data[express + 1] ?? 0;
    m.half(PORT, express + 0x28, 0x20);
    // The Vendor ID of a virtual function is all ones; its class is that of the physical one.
    expect(read('config', FIRST * 0x1000 + 8)).toBe(m.dword(FIRST, 8));
    expect(read('config', (SECOND + 1) * 0x1000 + 8)).toBe(ONES);
  });
});
