// long: a suite
/** Errors on the bus in the registers of those concerned, their messages, and containment. */
import { describe, expect, it } from 'vitest';
import { bdf, type Bdf } from '../../../../server/src/core/base/index.ts';
import type { Command, FunctionSpec, MachineEvent } from '../../../../server/src/core/machine/index.ts';
import { bridgeConfig } from '../../../../server/src/core/pci/index.ts';
import { CoreMachine, MS, probe } from '../../../kit/core-machine.ts';

const PORT = bdf(0, 0, 3, 0);
const DEV = bdf(0, 1, 0, 0);
const IOVA = 0x1_0000;
const NOWHERE = 1n << 40n;
const READ = { operation: 'read', bytes: 4, data: undefined } as const;
/** Places of the built images are found as software finds them. */
const EXPRESS = 0x10;
const AER = 1;
const DPC = 0x1d;

const TREE: readonly FunctionSpec[] = [
  {
    bdf: PORT,
    model: 'bridge',
    config: bridgeConfig({
      kind: 'root-port',
      primary: 0,
      secondary: 1,
      subordinate: 1,
      capabilities: { dpc: { poisonedBlocking: false, softwareTrigger: false } },
    }),
    label: '',
    latencyNs: 0,
  },
  { ...probe(DEV) },
];

class ErrorMachine extends CoreMachine {
  constructor(functions: readonly FunctionSpec[] = TREE) {
    super({ functions, clock: 'manual' });
  }
  get(at: Bdf, offset: number, bytes = 4): number {
    return this.call('region-read', { kind: 'region-read', bdf: at, region: 7, offset, bytes }).valueLow >>> 0;
  }
  set(at: Bdf, offset: number, bytes: number, valueLow: number): void {
    this.call('ok', { kind: 'region-write', bdf: at, region: 7, offset, bytes, valueLow, valueHigh: 0 });
  }
  place(at: Bdf, id: number, extended = id !== EXPRESS): number {
    if (!extended) {
      let where = this.get(at, 0x34, 1);
      while (where !== 0 && this.get(at, where, 1) !== id) where = this.get(at, where + 1, 1);
      return where;
    }
    let where = 0x100;
    while (where !== 0 && (this.get(at, where) & 0xffff) !== id) where = this.get(at, where) >>> 20;
    return where;
  }
  aer(at: Bdf, register: number): number {
    return this.get(at, this.place(at, AER) + register);
  }
  report(): this {
    this.call('ok', { kind: 'error-reporting' });
    return this;
  }
  mapped(address?: bigint): bigint {
    const page = address ?? this.allocPage();
    this.map(DEV, IOVA, page);
    return page;
  }
  arming(fault: Extract<Command, { kind: 'fault-arm' }>['fault'], fields: object = {}): void {
    this.call('fault-armed', {
      kind: 'fault-arm',
      bdf: DEV,
      fault,
      first: 1,
      count: 1,
      point: undefined,
      delayNs: 0,
      ...fields,
    });
  }
  errors(): readonly Extract<MachineEvent, { kind: 'error' }>[] {
    return this.events.filter((event) => event.kind === 'error');
  }
}

describe('a request to nobody', () => {
  it('posted: the root port is its completer, logs it with its header, tells it and interrupts once', () => {
    const m = new ErrorMachine().report();
    m.mapped(NOWHERE);
    expect(m.outcome(DEV, IOVA + 5, 'lost')).toBe('unsupported-request');
    expect(m.errors()).toMatchObject([
      {
        bdf: PORT,
        error: 'unsupported-request',
        severity: 'nonfatal',
        message: 'nonfatal',
        root: PORT,
        interrupt: true,
        systemError: false,
      },
    ]);
    expect(m.aer(PORT, 4)).toBe(1 << 20);
    expect(m.aer(PORT, 0x18) & 0x1f).toBe(20);
    // MWr, 2 words, from 01:00.0; bytes 1 to 3 of the first and 0 of the last.
    expect([m.aer(PORT, 0x1c), m.aer(PORT, 0x20) & 0xffff_00ff, m.aer(PORT, 0x24)]).toEqual([0x4000_0002, 0x0100_001e, IOVA + 4]);
    expect(m.get(PORT, m.place(PORT, EXPRESS) + 0xa, 2) & 0xf).toBe(0b1010);
    // First of its kind, non-fatal received; the source is the port itself.
    expect(m.aer(PORT, 0x30) & 0x7f).toBe(0b010_0100);
    expect(m.aer(PORT, 0x34) >>> 16).toBe(PORT & 0xffff);
    m.outcome(DEV, IOVA, 'again');
    expect(m.errors().map(({ interrupt }) => interrupt)).toEqual([true, false]);
    expect(m.aer(PORT, 0x30) & 0x7f).toBe(0b010_1100);
  });

  it('read: the function gets a master abort, and the port’s error is advisory', () => {
    const m = new ErrorMachine().report();
    m.mapped(NOWHERE);
    expect(m.write(DEV, IOVA, '', READ).reply).toMatchObject({ outcome: 'unsupported-request' });
    expect(m.get(DEV, 6, 2) & 0x2000).toBe(0x2000);
    // The advisory mask is set after a reset (§7.8.4.6): logged as correctable, told nobody.
    expect(m.errors()).toMatchObject([{ bdf: PORT, severity: 'correctable', masked: true, message: undefined }]);
    expect([m.aer(PORT, 0x10), m.aer(PORT, 4)]).toEqual([0x2000, 0]);
  });

  it('sets nothing when everything goes well', () => {
    const m = new ErrorMachine().report();
    m.mapped();
    expect(m.outcome(DEV, IOVA)).toBe('performed');
    expect(m.errors()).toEqual([]);
    expect([m.aer(PORT, 4), m.aer(DEV, 4), m.get(DEV, 6, 2) & 0xf900]).toEqual([0, 0, 0]);
  });
});

describe('what a function detects', () => {
  it('poisoned completion: parity bits and Poisoned TLP of the function, told through the port with its own source', () => {
    const m = new ErrorMachine().report();
    m.mapped();
    m.set(DEV, 4, 2, 0x46);
    m.arming('poisoned-data');
    m.write(DEV, IOVA, '', READ);
    expect(m.get(DEV, 6, 2) & 0x8100).toBe(0x8100);
    expect(m.aer(DEV, 4)).toBe(1 << 12);
    expect(m.errors()).toMatchObject([{ bdf: DEV, error: 'poisoned', message: 'nonfatal', root: PORT }]);
    expect(m.aer(PORT, 0x34) >>> 16).toBe(DEV & 0xffff);
  });

  it('without Parity Error Response it notes no Master Data Parity Error', () => {
    const m = new ErrorMachine();
    m.mapped();
    m.arming('poisoned-data');
    m.write(DEV, IOVA, '', READ);
    expect(m.get(DEV, 6, 2) & 0x8100).toBe(0x8000);
    expect(m.errors()).toMatchObject([{ message: undefined, root: undefined }]);
  });

  it('a bridge without SERR# Enable in Bridge Control passes nothing on', () => {
    const m = new ErrorMachine().report();
    m.mapped();
    m.set(PORT, 0x3e, 2, 0);
    m.arming('poisoned-data');
    m.write(DEV, IOVA, '', READ);
    expect(m.errors()).toMatchObject([{ message: 'nonfatal', root: undefined, interrupt: false }]);
    // Received System Error on its secondary side all the same.
    expect(m.get(PORT, 0x1e, 2) & 0x4000).toBe(0x4000);
    expect(m.aer(PORT, 0x30) & 0x7f).toBe(0);
  });

  it('completion timeout, and a completion that nothing waits for', () => {
    const m = new ErrorMachine().report();
    const page = m.mapped();
    m.arming('memory-stalls', { bdf: undefined, range: { address: page, bytes: 4096n } });
    m.write(DEV, IOVA, '', READ);
    m.advance(50);
    m.arming('duplicate-completions');
    m.write(DEV, IOVA, '', READ);
    expect(m.errors()).toMatchObject([
      { bdf: DEV, error: 'completion-timeout', message: 'nonfatal' },
      { bdf: DEV, error: 'unexpected-completion', severity: 'correctable', masked: true },
    ]);
    expect(m.aer(DEV, 4)).toBe(1 << 14);
  });

  it('an access that it does not decode', () => {
    const m = new ErrorMachine().report();
    m.set(DEV, 4, 2, 4);
    m.call('ok', { kind: 'region-write', bdf: DEV, region: 0, offset: 0, bytes: 4, valueLow: 1, valueHigh: 0 });
    expect(m.errors()).toMatchObject([{ bdf: DEV, error: 'unsupported-request', severity: 'nonfatal' }]);
    expect(m.get(DEV, m.place(DEV, EXPRESS) + 0xa, 2) & 0xf).toBe(0b1010);
  });

  it('an integrated endpoint has nobody to tell', () => {
    const alone = bdf(0, 0, 2, 0);
    const m = new ErrorMachine([probe(alone)]).report();
    m.map(alone, IOVA, NOWHERE);
    expect(m.outcome(alone, IOVA)).toBe('unsupported-request');
    expect(m.errors()).toEqual([]);
  });
});

describe('containment', () => {
  /** Triggers on non-fatal errors too, and interrupts. */
  function containing(): ErrorMachine {
    const m = new ErrorMachine().report();
    m.set(PORT, m.place(PORT, DPC) + 6, 2, 2 | 8);
    return m;
  }

  it('cuts off what is below when it tells of an error, and says who it was', () => {
    const m = containing();
    m.mapped();
    const behind = m.write(DEV, IOVA, '', { ...READ, hold: 'issued' });
    m.arming('poisoned-data');
    m.write(DEV, IOVA, '', READ);
    const dpc = m.place(PORT, DPC);
    expect(m.errors()).toMatchObject([{ bdf: DEV, contained: PORT, root: undefined, interrupt: true }]);
    // Triggered, by ERR_NONFATAL, interrupt pending.
    expect(m.get(PORT, dpc + 8, 2) & 0xf).toBe(0b1011);
    expect(m.get(PORT, dpc + 0xa, 2)).toBe(DEV & 0xffff);
    expect(m.get(DEV, 0)).toBe(0xffff_ffff);
    expect(behind.reply).toMatchObject({ outcome: 'aborted' });
    expect(m.outcome(DEV, IOVA)).toBe('gate-closed');
    // The message went no further.
    expect(m.aer(PORT, 0x30) & 0x7f).toBe(0);
  });

  it('of a port’s own error has no source; ends when software clears Trigger Status, and what is below was reset', () => {
    const m = containing();
    m.mapped(NOWHERE);
    m.outcome(DEV, IOVA);
    const dpc = m.place(PORT, DPC);
    expect(m.get(PORT, dpc + 8, 2) & 7).toBe(1);
    expect(m.get(PORT, dpc + 0xa, 2)).toBe(0);
    m.set(PORT, dpc + 8, 2, 8);
    expect(m.get(DEV, 0)).toBe(0xffff_ffff);
    m.set(PORT, dpc + 8, 2, 1);
    expect(m.get(DEV, 0)).toBe(0x11d0_1234);
    expect(m.get(DEV, 4, 2) & 7).toBe(0);
  });

  it('on fatal errors only leaves a non-fatal one to AER', () => {
    const m = containing();
    m.set(PORT, m.place(PORT, DPC) + 6, 2, 1);
    m.mapped();
    m.arming('poisoned-data', { count: 2 });
    m.write(DEV, IOVA, '', READ);
    expect(m.errors()).toMatchObject([{ root: PORT, contained: undefined }]);
    m.set(DEV, m.place(DEV, AER) + 0xc, 4, 1 << 12);
    m.write(DEV, IOVA, '', READ);
    expect(m.errors()[1]).toMatchObject({ severity: 'fatal', contained: PORT });
  });

  it('a link that goes down without a word is the port’s own error, and masked or not contains nothing twice', () => {
    const m = containing();
    m.arming('surprise-down', { count: 0 });
    expect(m.errors()).toMatchObject([{ bdf: PORT, error: 'surprise-down', severity: 'fatal', contained: PORT }]);
    m.call('ok', { kind: 'fault-disarm', bdf: DEV, fault: 'surprise-down' });
    expect(m.get(DEV, 0)).toBe(0xffff_ffff);
    m.set(PORT, m.place(PORT, DPC) + 8, 2, 1);
    expect(m.get(DEV, 0)).toBe(0x11d0_1234);
  });
});

describe('a completion that is no use', () => {
  it('comes after the function has given up: an Unexpected Completion, advisory, when it comes', () => {
    const m = new ErrorMachine().report();
    m.mapped();
    m.arming('late-completions', { delayNs: 80 * MS });
    const read = m.write(DEV, IOVA, '', READ);
    m.advance(50);
    expect(read.reply).toMatchObject({ outcome: 'completion-timeout' });
    expect(m.errors().map(({ error }) => error)).toEqual(['completion-timeout']);
    m.advance(29);
    expect(m.errors()).toHaveLength(1);
    m.advance(1);
    expect(m.errors()[1]).toMatchObject({ bdf: DEV, error: 'unexpected-completion', severity: 'correctable', timeNs: 80 * MS });
    // Advisory Non-Fatal Error, which is masked after power-up.
    expect([m.aer(DEV, 4), m.aer(DEV, 0x10) & (1 << 13)]).toEqual([1 << 14, 1 << 13]);
  });

  it.each([
    ['the function was reset', (m: ErrorMachine) => m.reset(DEV)],
    ['its link went down', (m: ErrorMachine) => m.arming('surprise-down', { count: 0 })],
  ] as const)('is nothing to it when %s meanwhile', (_what, meanwhile) => {
    const m = new ErrorMachine().report();
    m.mapped();
    m.arming('late-completions', { delayNs: 500 * MS });
    m.write(DEV, IOVA, '', READ);
    m.advance(60);
    meanwhile(m);
    m.advance(1000);
    expect(m.errors().filter(({ error }) => error === 'unexpected-completion')).toEqual([]);
  });

  it('never comes where memory stalls without end', () => {
    const m = new ErrorMachine().report();
    const address = m.mapped();
    const range = { address, bytes: 8n };
    m.call('fault-armed', {
      kind: 'fault-arm',
      bdf: undefined,
      fault: 'memory-stalls',
      first: 1,
      count: 1,
      point: undefined,
      delayNs: 0,
      range,
    });
    m.write(DEV, IOVA, '', READ);
    m.advance(10_000);
    expect(m.errors().map(({ error }) => error)).toEqual(['completion-timeout']);
  });

  it('is malformed: fatal, with its header, and the read ends by its Completion Timeout', () => {
    const m = new ErrorMachine().report();
    m.mapped();
    m.arming('malformed-completions');
    const read = m.write(DEV, IOVA, '', READ);
    expect(read.reply).toBeUndefined();
    expect(m.errors()).toMatchObject([{ bdf: DEV, error: 'malformed', severity: 'fatal', message: 'fatal', root: PORT }]);
    expect(m.aer(DEV, 4)).toBe(1 << 18);
    expect(m.aer(DEV, 0x1c)).toBe(0x4a00_0001);
    m.advance(50);
    expect(read.reply).toMatchObject({ outcome: 'completion-timeout' });
    expect(m.errors().map(({ error }) => error)).toEqual(['malformed', 'completion-timeout']);
    expect(m.outcome(DEV, IOVA, 'w')).toBe('performed');
    expect(m.write(DEV, IOVA, '', READ).reply).toMatchObject({ outcome: 'performed' });
  });

  it('makes a port with containment cut off what is below', () => {
    const m = new ErrorMachine().report();
    m.set(PORT, m.place(PORT, DPC) + 6, 2, 1);
    m.mapped();
    m.arming('malformed-completions');
    m.write(DEV, IOVA, '', READ);
    expect(m.errors()).toMatchObject([{ error: 'malformed', contained: PORT }]);
    expect(m.get(DEV, 0)).toBe(0xffff_ffff);
  });
});
