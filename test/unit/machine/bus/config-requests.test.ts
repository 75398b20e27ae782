/** Where ECAM may be, and which register an address of it is. */
import { describe, expect, it } from 'vitest';
import { checkEcam, configPlace, ecamPlace, meetsEcam, selectedPlace } from '../../../../server/src/core/machine/bus/config-requests.ts';
import type { EcamSpec } from '../../../../server/src/core/machine/index.ts';
import { CoreMachine } from '../../../kit/core-machine.ts';

const WHOLE: EcamSpec = { segment: 0, base: 0xb000_0000n, firstBus: 0, lastBus: 255 };
const LATE: EcamSpec = { segment: 2, base: 0x40_0000_0000n, firstBus: 0x40, lastBus: 0x7f };
const memory = [{ address: 0x4000_0000n, bytes: 0x4000_0000n }];

describe('ranges of ECAM', () => {
  it('are one for the buses of a segment', () => {
    expect(() => checkEcam({ memory, ecam: [WHOLE, LATE, { ...LATE, base: 0x50_0000_0000n, firstBus: 0, lastBus: 0x3f }] })).not.toThrow();
  });

  const wrong: readonly [string, readonly EcamSpec[], RegExp][] = [
    ['buses that are none', [{ ...WHOLE, lastBus: 256 }], /buses 0 to 256/],
    ['buses out of order', [{ ...WHOLE, firstBus: 5, lastBus: 4 }], /buses 5 to 4/],
    ['a segment that is none', [{ ...WHOLE, segment: 0x1_0000 }], /segment 65536/],
    ['a base that the bus number does not fit in', [{ ...WHOLE, base: 0xb800_0000n }], /multiple of 256 MiB/],
    ['memory in it', [{ ...WHOLE, base: 0x4000_0000n }], /overlaps memory 0x40000000 to 0x7fffffff/],
    ['another one in it', [WHOLE, { ...WHOLE, segment: 1 }], /segment 0 \(.*\) and .*segment 1 \(.*\) overlap/],
    ['the same buses twice', [WHOLE, { ...WHOLE, base: 0xc000_0000n, lastBus: 3 }], /buses of segment 0 in common/],
  ];
  it.each(wrong)('are refused for %s, by name', (_, ecam, message) => {
    expect(() => checkEcam({ memory, ecam })).toThrow(message);
  });

  it('are refused when the machine is made', () => {
    expect(() => new CoreMachine({ ecam: [{ ...WHOLE, base: 0x1000n }] })).toThrow(/multiple of 256 MiB/);
  });

  it('keep peers from owning memory there', () => {
    const m = new CoreMachine({ ecam: [WHOLE] });
    const owner = m.attachPeer({ memory: true });
    const claim = (address: bigint): unknown => m.start({ kind: 'memory-claim', address, bytes: 0x2000n, depth: 1 }, owner.id).reply;
    expect(claim(0xaff_ff000n)).toMatchObject({ kind: 'refused', code: 'EINVAL' });
    expect(claim(0xaff_fe000n)).toMatchObject({ kind: 'ok' });
  });
});

describe('an address of ECAM', () => {
  it('is a register of a function by bus numbers', () => {
    expect(ecamPlace({ ecam: [WHOLE] }, 0xb000_0000n)).toEqual({ at: 0, register: 0 });
    expect(ecamPlace({ ecam: [WHOLE] }, 0xbfff_ffffn)).toEqual({ at: 0xffff, register: 0xfff });
    expect(ecamPlace({ ecam: [WHOLE] }, 0xb000_0000n + 0x12_b_804n)).toEqual({ at: 0x012b, register: 0x804 });
  });

  it('counts from bus 0 where the range begins later', () => {
    expect(ecamPlace({ ecam: [LATE] }, LATE.base + 0x400_0000n)).toEqual({ at: 0x2_4000, register: 0 });
    expect(ecamPlace({ ecam: [LATE] }, LATE.base + 0x3ff_ffffn)).toBeUndefined();
    expect(ecamPlace({ ecam: [LATE] }, LATE.base + 0x7ff_ffffn)).toEqual({ at: 0x2_7fff, register: 0xfff });
    expect(ecamPlace({ ecam: [LATE] }, LATE.base + 0x800_0000n)).toBeUndefined();
  });

  it('meets a range that has one byte of it', () => {
    expect(meetsEcam({ ecam: [LATE] }, LATE.base + 0x3ff_f000n, 0x1000n)).toBe(false);
    expect(meetsEcam({ ecam: [LATE] }, LATE.base + 0x3ff_f000n, 0x1001n)).toBe(true);
    expect(meetsEcam({ ecam: [LATE] }, LATE.base + 0x800_0000n, 1n)).toBe(false);
    expect(meetsEcam({}, 0n, 1n << 56n)).toBe(false);
  });
});

it('an address of configuration space has the segment above', () => {
  expect(configPlace(0xffff_ffff_fffn)).toEqual({ at: 0xffff_ffff, register: 0xfff });
  expect(configPlace(0x0002_4000_804n)).toEqual({ at: 0x2_4000, register: 0x804 });
});

it('CONFIG_ADDRESS selects a register of segment 0 while it is enabled', () => {
  expect(selectedPlace({ configAddress: 0x80ff_fffc }, 0xcffn)).toEqual({ at: 0xffff, register: 0xff });
  expect(selectedPlace({ configAddress: 0x8001_0910 }, 0xcfcn)).toEqual({ at: 0x0109, register: 0x10 });
  expect(selectedPlace({ configAddress: 0x7fff_fffc }, 0xcfcn)).toBeUndefined();
});
