/** What a host reads of configuration space and BARs. */
import { describe, expect, it } from 'vitest';
import { CoreMachine, PROBE, READ_WRITE, probe } from '../../kit/core-machine.ts';

const IOVA = 0x1_0000;
/** Device Control and Device Status of a dma-probe, and Power Management Control. */
const DEVICE_CONTROL = 0x50;
const POWER_CONTROL = 0x44;
const COMMAND = 4;

function mapped(): CoreMachine {
  const m = new CoreMachine({ functions: [probe(PROBE)] });
  const address = m.allocPage();
  m.call('ok', { kind: 'map', target: { bdf: PROBE, pasid: -1 as never }, iova: BigInt(IOVA), address, bytes: 4096n, access: READ_WRITE });
  return m;
}

function read(m: CoreMachine, region: number, offset: number, bytes: number): number {
  return m.call('region-read', { kind: 'region-read', bdf: PROBE, region, offset, bytes }).valueLow >>> 0;
}
function write(m: CoreMachine, offset: number, value: number): void {
  m.call('ok', { kind: 'region-write', bdf: PROBE, region: 7, offset, bytes: 2, valueLow: value, valueHigh: 0 });
}

describe('Transactions Pending', () => {
  it('shows in Device Status while a read is in flight, in every width', () => {
    const m = mapped();
    expect(read(m, 7, DEVICE_CONTROL + 2, 2)).toBe(0);
    const pending = m.write(PROBE, IOVA, 'x', { operation: 'read', hold: 'translated' });
    expect(pending.reply).toBe(undefined);
    expect(read(m, 7, DEVICE_CONTROL + 2, 1)).toBe(0x20);
    expect(read(m, 7, DEVICE_CONTROL + 2, 2)).toBe(0x20);
    expect(read(m, 7, DEVICE_CONTROL, 4) >>> 16).toBe(0x20);
    const whole = m.call('config-read', { kind: 'config-read', bdf: PROBE, offset: DEVICE_CONTROL, bytes: 4 }).data;
    expect(whole[2]).toBe(0x20);
    m.release(PROBE);
    expect(pending.reply).toMatchObject({ outcome: 'performed' });
    expect(read(m, 7, DEVICE_CONTROL + 2, 2)).toBe(0);
  });

  it('shows nothing for a posted write', () => {
    const m = mapped();
    m.write(PROBE, IOVA, 'x', { hold: 'translated' });
    expect(read(m, 7, DEVICE_CONTROL + 2, 2)).toBe(0);
  });

  it('is written by nobody', () => {
    const m = mapped();
    write(m, DEVICE_CONTROL + 2, 0xffff);
    expect(read(m, 7, DEVICE_CONTROL + 2, 2)).toBe(0);
  });
});

describe('a BAR', () => {
  it('answers in D0 with Memory Space Enable only', () => {
    const m = mapped();
    expect(read(m, 0, 0, 4)).not.toBe(0xffff_ffff);
    write(m, COMMAND, 0);
    expect(read(m, 0, 0, 4)).toBe(0xffff_ffff);
    write(m, COMMAND, 1);
    expect(read(m, 0, 0, 4)).toBe(0xffff_ffff);
    write(m, COMMAND, 2);
    expect(read(m, 0, 0, 4)).not.toBe(0xffff_ffff);
    write(m, POWER_CONTROL, 3);
    expect(read(m, 0, 0, 4)).toBe(0xffff_ffff);
  });
});
