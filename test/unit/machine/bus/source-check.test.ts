/** Source Validation and Translation Blocking of ports, and the bus numbers that functions have captured. */
import { describe, expect, it } from 'vitest';
import { NO_PASID, bdf, type Bdf } from '../../../../server/src/core/base/index.ts';
import type { MachineEvent, ModelDma } from '../../../../server/src/core/machine/index.ts';
import { CoreMachine } from '../../../kit/core-machine.ts';
import { LEFT, LEFT_PORT, ROOT_PORT, UPSTREAM, aSwitch } from '../../../kit/switch-machine.ts';

const [VALIDATION, BLOCKING] = [1, 2];
const IOVA = 0x1_0000;
const [COMMAND, STATUS, BUS_NUMBERS, SECONDARY_STATUS] = [0x04, 0x06, 0x18, 0x1e];
const [SIGNALED_ABORT, RECEIVED_ABORT] = [0x0800, 0x1000];
const ACS_VIOLATION = 1 << 21;

class Checked extends CoreMachine {
  constructor(acs: number) {
    super({ functions: aSwitch({ acs }) });
    this.map(LEFT, IOVA, this.allocPage());
  }
  put(at: Bdf, offset: number, bytes: number, value: number): void {
    this.call('ok', { kind: 'region-write', bdf: at, region: 7, offset, bytes, valueLow: value, valueHigh: 0 });
  }
  get(at: Bdf, offset: number, bytes = 2): number {
    return this.call('region-read', { kind: 'region-read', bdf: at, region: 7, offset, bytes }).valueLow;
  }
  dma(operation: ModelDma['operation'], translated = false): string {
    const command = {
      kind: 'model-dma',
      bdf: LEFT,
      operation,
      iovaLow: IOVA,
      iovaHigh: 0,
      bytes: 4,
      pasid: NO_PASID,
      translated,
      hold: undefined,
      holdNs: 0,
    } as const;
    return this.call('dma', { ...command, data: operation === 'write' ? new Uint8Array(4) : undefined }).outcome;
  }
  errors(): readonly string[] {
    return this.events.filter((event): event is Extract<MachineEvent, { kind: 'error' }> => event.kind === 'error').map(({ text }) => text);
  }
  /** Uncorrectable Error Status. */
  aer(at: Bdf): number {
    const { data } = this.call('config-read', { kind: 'config-read', bdf: at, offset: 0, bytes: 4096 });
    const view = new DataView(data.buffer);
    let place = 0x100;
    while (place !== 0 && view.getUint16(place, true) !== 1) place = view.getUint16(place + 2, true) >> 4;
    return view.getUint32(place + 4, true);
  }
}

describe('Source Validation', () => {
  it('lets through what has a bus number of the port', () => {
    const m = new Checked(VALIDATION);
    expect([m.dma('read'), m.dma('write')]).toEqual(['performed', 'performed']);
  });

  it('blocks what has another one, until the function has captured its new number', () => {
    const m = new Checked(VALIDATION);
    m.put(LEFT_PORT, BUS_NUMBERS, 4, 0x00_04_04_02);
    expect(m.dma('read')).toBe('completer-abort');
    m.put(LEFT, COMMAND, 2, 6);
    expect(m.dma('read')).toBe('performed');
  });

  it('is of every port on the way: one above that has lost its numbers blocks too', () => {
    const m = new Checked(VALIDATION);
    m.put(ROOT_PORT, BUS_NUMBERS, 4, 0);
    expect(m.dma('read')).toBe('completer-abort');
    expect(m.errors()).toEqual([expect.stringMatching(/^00:01\.0 acs-violation/)]);
  });

  it('is not of upstream ports, and not there when it is off', () => {
    const m = new Checked(0);
    m.put(LEFT_PORT, BUS_NUMBERS, 4, 0x00_04_04_02);
    m.put(UPSTREAM, BUS_NUMBERS, 4, 0);
    expect(m.dma('read')).toBe('performed');
  });

  it('is not met by accesses by name or address', () => {
    const m = new Checked(VALIDATION);
    m.put(LEFT_PORT, BUS_NUMBERS, 4, 0x00_04_04_02);
    expect(
      m.call('region-read', { kind: 'bus-read', space: 'config', address: BigInt(bdf(0, 4, 0, 0)) << 12n, bytes: 4 }).valueLow >>> 0,
    ).toBe(m.get(LEFT, 0, 4) >>> 0);
  });
});

describe('Translation Blocking', () => {
  it('lets untranslated requests through, and neither translated ones nor translation requests', () => {
    const m = new Checked(BLOCKING);
    expect([m.dma('write'), m.dma('translate'), m.dma('write', true)]).toEqual(['performed', 'completer-abort', 'completer-abort']);
  });
});

describe('a violation', () => {
  it('of a read is completed by the port with Completer Abort, and logged as what it is', () => {
    const m = new Checked(VALIDATION);
    m.put(LEFT_PORT, BUS_NUMBERS, 4, 0x00_04_04_02);
    m.dma('read');
    expect(m.errors()).toEqual([expect.stringMatching(/^02:00\.0 acs-violation, correctable/)]);
    expect([m.get(LEFT_PORT, SECONDARY_STATUS) & SIGNALED_ABORT, m.get(LEFT, STATUS) & RECEIVED_ABORT]).toEqual([
      SIGNALED_ABORT,
      RECEIVED_ABORT,
    ]);
    expect(m.get(ROOT_PORT, SECONDARY_STATUS) & SIGNALED_ABORT).toBe(0);
  });

  it('of a write is an uncorrectable error that nobody is told of in a completion', () => {
    const m = new Checked(VALIDATION);
    m.put(LEFT_PORT, BUS_NUMBERS, 4, 0x00_04_04_02);
    m.dma('write');
    expect(m.errors()).toEqual([expect.stringMatching(/^02:00\.0 acs-violation, nonfatal/)]);
    expect(m.aer(LEFT_PORT) & ACS_VIOLATION).toBe(ACS_VIOLATION);
    expect([m.get(LEFT_PORT, SECONDARY_STATUS) & SIGNALED_ABORT, m.get(LEFT, STATUS) & RECEIVED_ABORT]).toEqual([0, 0]);
    expect(m.events.filter(({ kind }) => kind === 'fault')).toEqual([]);
  });
});
