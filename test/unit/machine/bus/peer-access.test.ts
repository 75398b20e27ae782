/** DMA of one function to registers of another: below a switch, and by way of the root complex. */
import { describe, expect, it } from 'vitest';
import { NO_PASID, bdf, type Bdf } from '../../../../server/src/core/base/index.ts';
import { Machine, type FunctionSpec, type MachineEvent, type ModelDma } from '../../../../server/src/core/machine/index.ts';
import { endpointConfig } from '../../../../server/src/core/pci/index.ts';
import { CoreMachine, RAM, type Options } from '../../../kit/core-machine.ts';
import { LEFT, LEFT_BAR, RIGHT, RIGHT_BAR, SCRATCH, aSwitch, type SwitchOptions } from '../../../kit/switch-machine.ts';

const [REDIRECT, DIRECT_TRANSLATED] = [4, 0x40];
const IOVA = 0x1_0000;
const STATUS = 6;

class Peers extends CoreMachine {
  constructor(options: SwitchOptions = {}, more: Options = {}) {
    super({ functions: aSwitch(options), ...more });
  }
  dma(
    at: Bdf,
    operation: ModelDma['operation'],
    address: number,
    more: Partial<ModelDma> = {},
  ): { outcome: string; data?: Uint8Array | undefined; bytesDone: number } {
    return this.call('dma', this.command(at, operation, address, more));
  }
  command(at: Bdf, operation: ModelDma['operation'], address: number, more: Partial<ModelDma> = {}): ModelDma {
    return { ...readOf(address), bdf: at, operation, bytes: more.data?.byteLength ?? 4, ...more };
  }
  scratch(at: Bdf): number {
    return this.call('region-read', { kind: 'region-read', bdf: at, region: 0, offset: SCRATCH, bytes: 4 }).valueLow >>> 0;
  }
  put(at: Bdf, offset: number, bytes: number, value: number, region = 7): void {
    this.call('ok', { kind: 'region-write', bdf: at, region, offset, bytes, valueLow: value, valueHigh: 0 });
  }
  register(at: Bdf, offset = STATUS): number {
    return this.call('region-read', { kind: 'region-read', bdf: at, region: 7, offset, bytes: 2 }).valueLow;
  }
  errors(): readonly string[] {
    return this.events.filter((event): event is Extract<MachineEvent, { kind: 'error' }> => event.kind === 'error').map(({ text }) => text);
  }
  faults(): number {
    return this.events.filter((event) => event.kind === 'fault').length;
  }
}

const readOf = (address: number): ModelDma => ({
  kind: 'model-dma',
  bdf: LEFT,
  operation: 'read',
  iovaLow: address | 0,
  iovaHigh: 0,
  bytes: 4,
  data: undefined,
  pasid: NO_PASID,
  translated: false,
  hold: undefined,
  holdNs: 0,
});
const word = (...bytes: readonly number[]): Uint8Array => Uint8Array.from(bytes);

describe('directly, without Access Control Services', () => {
  it('is written and read untranslated, with nothing mapped', () => {
    const m = new Peers({ acs: false });
    expect(m.dma(LEFT, 'write', RIGHT_BAR + SCRATCH, { data: word(0x78, 0x56, 0x34, 0x12) })).toMatchObject({
      outcome: 'performed',
      bytesDone: 4,
    });
    expect(m.scratch(RIGHT)).toBe(0x1234_5678);
    expect(m.dma(LEFT, 'read', RIGHT_BAR, { bytes: 12 }).data).toEqual(word(0x44, 0x50, 0x52, 0x42, 2, 0, 0, 0, 0x78, 0x56, 0x34, 0x12));
    expect([m.faults(), m.errors()]).toEqual([0, []]);
  });

  it('is in words, halves and bytes as its address allows', () => {
    const m = new Peers({ acs: false });
    m.dma(LEFT, 'write', RIGHT_BAR + SCRATCH + 1, { data: word(1, 2, 3) });
    expect(m.scratch(RIGHT)).toBe(0x0302_0100);
    expect(m.dma(LEFT, 'read', RIGHT_BAR + SCRATCH + 1, { bytes: 3 }).data).toEqual(word(1, 2, 3));
  });

  it('wins over a mapping of the same address, which is why Linux reserves windows', () => {
    const m = new Peers({ acs: false });
    const domain = m.allocDomain();
    m.call('ok', { kind: 'domain-attach', bdf: LEFT, domain });
    m.map({ domain }, RIGHT_BAR, m.allocPage());
    expect(m.dma(LEFT, 'write', RIGHT_BAR + SCRATCH, { data: word(9, 0, 0, 0) }).outcome).toBe('performed');
    expect(m.scratch(RIGHT)).toBe(9);
  });

  it('is an Unsupported Request where nothing decodes, completed by the port and not by the IOMMU', () => {
    const m = new Peers({ acs: false });
    expect(m.dma(LEFT, 'read', RIGHT_BAR + 0x4_0000)).toMatchObject({ outcome: 'unsupported-request', bytesDone: 0 });
    expect([m.faults(), m.errors()]).toEqual([0, [expect.stringMatching(/^02:01\.0 unsupported-request, correctable/)]]);
    expect(m.dma(LEFT, 'write', RIGHT_BAR + 0x4_0000, { data: word(1) }).outcome).toBe('unsupported-request');
    expect(m.errors().at(-1)).toMatch(/^02:01\.0 unsupported-request, nonfatal/);
  });

  it('is turned by the physical address that a translated request has', () => {
    const m = new Peers({ acs: false });
    m.map(LEFT, IOVA, BigInt(RIGHT_BAR + 0x4_0000));
    expect(m.dma(LEFT, 'write', IOVA, { data: word(1), translated: true }).outcome).toBe('unsupported-request');
    expect([m.faults(), m.errors()]).toEqual([0, [expect.stringMatching(/^02:01\.0 unsupported-request/)]]);
  });

  it('takes no atomics', () => {
    const m = new Peers({ acs: false });
    expect(m.dma(LEFT, 'fetch-add', RIGHT_BAR + SCRATCH, { data: word(1, 0, 0, 0) }).outcome).toBe('unsupported-request');
    expect(m.scratch(RIGHT)).toBe(0);
  });

  it('is decoded when it is performed: what was switched off meanwhile takes nothing', () => {
    const m = new Peers({ acs: false });
    const held = m.start(m.command(LEFT, 'write', RIGHT_BAR + SCRATCH, { data: word(1, 0, 0, 0), hold: 'translated' }));
    m.put(RIGHT, 4, 2, 4);
    m.release(LEFT);
    expect(held.reply).toMatchObject({ outcome: 'unsupported-request' });
    m.put(RIGHT, 4, 2, 6);
    expect(m.scratch(RIGHT)).toBe(0);
  });

  it('keeps the order of its writes, to the peer and to memory', () => {
    const m = new Peers({ acs: false });
    const page = m.allocPage();
    m.map(LEFT, IOVA, page);
    const held = m.start(m.command(LEFT, 'write', RIGHT_BAR + SCRATCH, { data: word(1, 0, 0, 0), hold: 'issued' }));
    const later = m.start(m.command(LEFT, 'write', IOVA, { data: word(0x41) }));
    expect([held.reply, later.reply, m.scratch(RIGHT)]).toEqual([undefined, undefined, 0]);
    m.release(LEFT);
    expect([m.scratch(RIGHT), m.text(page, 1)]).toEqual([1, 'A']);
    expect([held.reply, later.reply]).toMatchObject([{ outcome: 'performed' }, { outcome: 'performed' }]);
  });

  it('starts the peer, whose DMA may come back', () => {
    const m = new Peers({ acs: false });
    const ring = m.allocPage();
    m.map(RIGHT, IOVA, ring);
    // A descriptor of the queue of RIGHT that writes a pattern into the scratch register of LEFT.
    const descriptor = new DataView(new ArrayBuffer(64));
    descriptor.setUint32(0, 1, true);
    descriptor.setBigUint64(8, BigInt(LEFT_BAR + SCRATCH), true);
    descriptor.setUint32(0x10, 4, true);
    m.call('ok', { kind: 'memory-write', address: ring, data: new Uint8Array(descriptor.buffer) });
    for (const [offset, value] of [
      [0x108, IOVA],
      [0x10c, 0],
      [0x110, 2],
      [0x100, 1],
    ] as const) {
      const data = new Uint8Array(new Uint32Array([value]).buffer);
      expect(m.dma(LEFT, 'write', RIGHT_BAR + offset, { data }).outcome).toBe('performed');
    }
    expect(m.dma(LEFT, 'write', RIGHT_BAR + 0x114, { data: word(1, 0, 0, 0) }).outcome).toBe('performed');
    const { data } = m.call('memory-read', { kind: 'memory-read', address: ring + 0x20n, bytes: 8 });
    expect([...data]).toEqual([0, 0, 0, 0x80, 4, 0, 0, 0]);
  });
});

describe('with Request Redirect', () => {
  it('goes to the root complex and is translated there', () => {
    const m = new Peers({ acs: REDIRECT });
    expect(m.dma(LEFT, 'write', RIGHT_BAR + SCRATCH, { data: word(7, 0, 0, 0) }).outcome).toBe('not-present');
    expect([m.scratch(RIGHT), m.faults()]).toEqual([0, 1]);
  });

  it('comes to the peer by a mapping of its registers', () => {
    const m = new Peers({ acs: REDIRECT });
    m.map(LEFT, IOVA, BigInt(RIGHT_BAR));
    expect(m.dma(LEFT, 'write', IOVA + SCRATCH, { data: word(7, 0, 0, 0) }).outcome).toBe('performed');
    expect(m.scratch(RIGHT)).toBe(7);
    expect(m.dma(LEFT, 'read', IOVA + SCRATCH).data).toEqual(word(7, 0, 0, 0));
  });

  it('has translated requests come to the peer either way', () => {
    for (const acs of [REDIRECT, REDIRECT | DIRECT_TRANSLATED]) {
      const m = new Peers({ acs });
      m.map(LEFT, IOVA, BigInt(RIGHT_BAR));
      expect(m.dma(LEFT, 'write', IOVA + SCRATCH, { data: word(5, 0, 0, 0), translated: true }).outcome).toBe('performed');
      expect(m.scratch(RIGHT)).toBe(5);
    }
  });
});

describe('by way of the root complex', () => {
  it('reaches registers that its physical address has, without an IOMMU too', () => {
    const m = new Peers({ acs: REDIRECT }, { iommu: false });
    expect(m.dma(LEFT, 'write', RIGHT_BAR + SCRATCH, { data: word(3, 0, 0, 0) }).outcome).toBe('performed');
    expect([m.scratch(RIGHT), m.dma(LEFT, 'read', 0xd000_0000).outcome]).toEqual([3, 'unsupported-request']);
  });

  it('is whole or not at all where a BAR ends in the middle of a request', () => {
    const bars = [{ index: 0, kind: 'memory32', bytes: 0x40n, address: 0xd000_0000n }] as const;
    const config = endpointConfig({ vendor: 1, device: 2, classCode: 0, multiFunction: false, command: 6, bars, capabilities: {} });
    const small: FunctionSpec = { bdf: bdf(0, 0, 9, 0), model: 'remote', config, barBytes: [0x40n], label: '', latencyNs: 0 };
    const m = new CoreMachine({ functions: [...aSwitch(), small], iommu: false });
    const emulator = m.attachPeer({ device: true });
    m.start({ kind: 'device-claim', bdf: small.bdf }, emulator.id);
    const from = emulator.calls.length;
    const read = (address: number, bytes: number) => m.start({ ...readOf(address), bytes }).reply;
    expect(read(0xd000_003c, 8)).toMatchObject({ outcome: 'unsupported-request' });
    expect(emulator.calls.length).toBe(from);
    expect(read(0xd000_0038, 8)).toBeUndefined();
    expect(emulator.calls.length).toBe(from + 1);
  });
});

describe('a peer that an emulator plays', () => {
  const emulated = (): { m: Peers; emulator: ReturnType<Peers['attachPeer']> } => {
    const m = new Peers({ acs: false, right: { model: 'remote' } });
    const emulator = m.attachPeer({ device: true });
    m.start({ kind: 'device-claim', bdf: RIGHT }, emulator.id);
    return { m, emulator };
  };

  it('is asked word by word, and the request ends with its last answer', () => {
    const { m, emulator } = emulated();
    const read = m.start(m.command(LEFT, 'read', RIGHT_BAR + 8, { bytes: 8 }));
    expect(emulator.calls.map(({ call }) => call)).toMatchObject([{ kind: 'region-read', region: 0, offset: 8, bytes: 4 }]);
    m.answer(emulator, emulator.calls[0]?.token ?? 0, { kind: 'value', valueLow: 0x0403_0201, valueHigh: 0 });
    expect([read.reply, emulator.calls.length]).toEqual([undefined, 2]);
    m.answer(emulator, emulator.calls[1]?.token ?? 0, { kind: 'value', valueLow: -1, valueHigh: 0 });
    expect(read.reply).toMatchObject({ outcome: 'performed', data: word(1, 2, 3, 4, 255, 255, 255, 255) });
  });

  it('is accessed by the widths that its emulator takes, and where none fits the request is aborted', () => {
    const m = new Peers({ acs: false, right: { model: 'remote' } });
    const emulator = m.attachPeer({ device: true });
    m.start({ kind: 'device-claim', bdf: RIGHT, widths: 2 | 8 }, emulator.id);
    const read = m.start(m.command(LEFT, 'read', RIGHT_BAR + 6, { bytes: 10 }));
    const widths = (): readonly unknown[] => emulator.calls.map(({ call }) => ('bytes' in call ? call.bytes : 0));
    m.answer(emulator, emulator.calls[0]?.token ?? 0, { kind: 'value', valueLow: 0x0201, valueHigh: 0 });
    m.answer(emulator, emulator.calls[1]?.token ?? 0, { kind: 'value', valueLow: 0x0605_0403, valueHigh: 0x0a09_0807 });
    expect([widths(), read.reply]).toMatchObject([[2, 8], { outcome: 'performed', data: word(1, 2, 3, 4, 5, 6, 7, 8, 9, 10) }]);
    const odd = m.start(m.command(LEFT, 'write', RIGHT_BAR + 8, { data: word(1) }));
    expect([odd.reply, emulator.calls.length]).toMatchObject([{ outcome: 'completer-abort' }, 2]);
  });

  it('that answers with an error aborts it', () => {
    const { m, emulator } = emulated();
    const write = m.start(m.command(LEFT, 'write', RIGHT_BAR + 8, { data: word(1, 2, 3, 4) }));
    m.answer(emulator, emulator.calls[0]?.token ?? 0, { kind: 'error', code: 'EIO', message: 'no' });
    expect(write.reply).toMatchObject({ outcome: 'completer-abort', bytesDone: 0 });
    expect(m.errors().at(-1)).toMatch(/^04:00\.0 completer-abort/);
    expect(m.register(RIGHT) & 0x0800).toBe(0x0800);
  });

  it('and a snapshot in the middle: the machine of it has no emulator, and the request ends', () => {
    const { m } = emulated();
    m.start(m.command(LEFT, 'write', RIGHT_BAR + 8, { data: word(1, 2, 3, 4) }));
    const { state, spec } = m.machine.save();
    const twin = Machine.restore({ state, spec });
    expect(twin.takeOutbox().flatMap((item) => (item.type === 'reply' ? [item.reply] : []))).toMatchObject([
      { outcome: 'completer-abort' },
    ]);
    twin.submit(0, 99, { kind: 'ledger', bdf: LEFT });
    expect(twin.takeOutbox()).toMatchObject([{ reply: { entries: [] } }]);
  });

  it('that is gone leaves no request behind', () => {
    const { m, emulator } = emulated();
    const read = m.start(m.command(LEFT, 'read', RIGHT_BAR + 8));
    m.detachPeer(emulator);
    expect(read.reply).toMatchObject({ kind: 'dma' });
    expect(m.call('ledger', { kind: 'ledger', bdf: LEFT }).entries).toEqual([]);
  });

  it('does not keep a reset window of the requester open beyond its deadline', () => {
    const { m, emulator } = emulated();
    const write = m.start(m.command(LEFT, 'write', RIGHT_BAR + 8, { data: word(1, 2, 3, 4) }));
    const preparing = m.startPrepare(LEFT);
    m.advance(20, true);
    expect(preparing.reply).toMatchObject({ kind: 'reset-prepare' });
    expect(write.reply).toMatchObject({ outcome: 'indeterminate' });
    m.answer(emulator, emulator.calls.at(-1)?.token ?? 0, { kind: 'ok' });
    expect(m.trace.filter(({ kind, b }) => kind === 'dma-performed' && b === 1)).toEqual([]);
    m.done(LEFT);
    expect(m.call('ledger', { kind: 'ledger', bdf: LEFT }).entries).toEqual([]);
  });
});

it('memory that a window covers is not reached by a function below the switch', () => {
  const m = new Peers({ acs: false }, { iommu: false });
  expect(m.dma(LEFT, 'write', Number(RAM), { data: word(1) }).outcome).toBe('performed');
  expect(m.text(RAM, 1)).toBe('\u0001');
});
