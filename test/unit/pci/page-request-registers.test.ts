import { describe, expect, it } from 'vitest';
import { ConfigSpace, dmaProbeConfig, type PageRequestRegisters } from '../../../server/src/core/pci/index.ts';

/** From the capability: Control 4, Status 6, Capacity 8, Allocation 0xc. */
const PRI_ID = 0x13;

function probe(): { space: ConfigSpace; registers: PageRequestRegisters; at: number } {
  const space = new ConfigSpace(dmaProbeConfig({ integrated: true }));
  const at = space.capabilities.find(({ extended, id }) => extended && id === PRI_ID)?.offset ?? -1;
  return { space, registers: space.pageRequests!, at };
}

describe('the Page Request capability', () => {
  it('is there where the function has it', () => {
    const { space, at } = probe();
    expect(space.read(at, 2)).toBe(PRI_ID);
    expect(space.pageRequests).toMatchObject({ enabled: false, capacity: 512 });
    expect(new ConfigSpace(dmaProbeConfig({ integrated: true, ats: false })).pageRequests).toBeUndefined();
  });

  it('powers up stopped and disabled, with nothing allocated', () => {
    const { space, registers, at } = probe();
    expect([registers.enabled, registers.capacity, registers.allocation]).toEqual([false, 512, 0]);
    // Stopped, and PRG Response PASID Required.
    expect(space.read(at + 6, 2)).toBe(0x8100);
  });

  it('is enabled with an allocation, of which no more than the capacity counts', () => {
    const { space, registers, at } = probe();
    registers.enable(0x1_0203);
    expect([space.read(at + 4, 2), space.read(at + 0xc, 4), space.priEnabled]).toEqual([1, 0x1_0203, true]);
    expect(registers.allocation).toBe(512);
    space.write(at + 0xc, 4, 9);
    expect(registers.allocation).toBe(9);
    registers.disable();
    expect([registers.enabled, space.priEnabled]).toEqual([false, false]);
  });

  it('shows Stopped, Response Failure and an unexpected group, of which software clears the last two by writing ones', () => {
    const { space, registers, at } = probe();
    registers.setStopped(false);
    registers.noteResponseFailure();
    registers.noteUnexpectedGroup();
    expect(space.read(at + 6, 2)).toBe(0x8003);
    expect(registers.responseFailure).toBe(true);
    space.write(at + 6, 2, 1);
    expect([space.read(at + 6, 2), registers.responseFailure]).toEqual([0x8002, false]);
    space.write(at + 6, 2, 0xffff);
    registers.setStopped(true);
    expect(space.read(at + 6, 2)).toBe(0x8100);
  });

  it('is as at power-up after a function reset', () => {
    const { space, registers, at } = probe();
    registers.enable(32);
    registers.noteResponseFailure();
    space.reset('flr');
    expect([registers.enabled, registers.allocation, registers.responseFailure]).toEqual([false, 0, false]);
    expect(space.read(at + 8, 4)).toBe(512);
  });
});
