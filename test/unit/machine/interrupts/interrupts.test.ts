/** PCIe §6.1.4: which messages a function sends, when, and how often. */
import { describe, expect, it } from 'vitest';
import { CoreMachine, PROBE, RAM, probe, type Options } from '../../../kit/core-machine.ts';
import { Interrupts, MSI_AT, withMsi } from '../../../kit/interrupts.ts';

const DOORBELL = 0xfee0_0000;
const IOVA = 0x1_0000;

function msix(options: Options = {}): { m: CoreMachine; irq: Interrupts } {
  const m = new CoreMachine({ clock: 'manual', ...options });
  const irq = new Interrupts(m, PROBE);
  irq.enableMsix();
  for (const vector of [0, 1, 31]) irq.program(vector, DOORBELL + 0x1000 * vector, 0x40 + vector);
  return { m, irq };
}

describe('MSI-X', () => {
  it('sends the message of the entry, and says which vector it was', () => {
    const { irq } = msix();
    expect([irq.raise(31), irq.raise(0)]).toEqual(['sent', 'sent']);
    expect(irq.messages()).toMatchObject([
      { address: 0xfee1_f000n, data: 0x5f, source: 31, count: 1 },
      { address: 0xfee0_0000n, data: 0x40, source: 0 },
    ]);
    expect(irq.messages()[0]?.remapped).toBeUndefined();
    expect(irq.pending()).toBe(0);
  });

  it('keeps a masked vector pending, however often it happens, and sends it once when it is unmasked', () => {
    const { irq } = msix();
    irq.mask(1);
    expect([irq.raise(1), irq.raise(1), irq.raise(0)]).toEqual(['pending', 'pending', 'sent']);
    expect(irq.pending()).toBe(2);
    expect(irq.data()).toEqual([0x40]);
    irq.mask(1, false);
    expect(irq.data()).toEqual([0x40, 0x41]);
    expect(irq.pending()).toBe(0);
    irq.mask(1, false);
    expect(irq.data().length).toBe(2);
  });

  it('sends what the entry says when it is unmasked, not when the interrupt happened', () => {
    const { irq } = msix();
    irq.mask(1);
    irq.raise(1);
    irq.program(1, DOORBELL, 0x99);
    expect(irq.data()).toEqual([0x99]);
  });

  it('sends nothing under Function Mask, and then the vectors that are not masked themselves', () => {
    const { irq } = msix();
    irq.enableMsix(true, true);
    irq.mask(31);
    for (const vector of [0, 1, 31]) expect(irq.raise(vector)).toBe('pending');
    expect(irq.pending()).toBe(0x8000_0003);
    irq.mask(0);
    irq.mask(0, false);
    expect(irq.data()).toEqual([]);
    irq.enableMsix();
    expect(irq.data()).toEqual([0x40, 0x41]);
    expect(irq.pending()).toBe(0x8000_0000);
  });

  it('keeps what is pending while it is disabled', () => {
    const { irq } = msix();
    irq.mask(1);
    irq.raise(1);
    irq.enableMsix(false);
    irq.mask(1, false);
    expect([irq.data(), irq.pending()]).toEqual([[], 2]);
    irq.enableMsix();
    expect([irq.data(), irq.pending()]).toEqual([[0x41], 0]);
  });

  it('has every vector masked at power-up, and reserved bits and the Pending Bit Array that read as they do', () => {
    const irq = new Interrupts(new CoreMachine(), PROBE);
    irq.enableMsix();
    expect([0, 1, 2, 3].map((word) => irq.table(31, word))).toEqual([0, 0, 0, 1]);
    irq.write(2, 12, 4, 0xffff_ffff);
    irq.write(2, 16 + 12, 4, 0xffff_fffe);
    irq.writePending(0xffff_ffff);
    expect([irq.table(0, 3), irq.table(1, 3), irq.pending()]).toEqual([1, 0, 0]);
    // Behind the table and the array is the model's BAR.
    expect([irq.read(2, 16 * 32), irq.read(2, 0x8008)]).toEqual([0xffff_ffff, 0xffff_ffff]);
  });

  it('reads and writes QWORDs and narrower parts', () => {
    const { m, irq } = msix();
    m.call('ok', { kind: 'region-write', bdf: PROBE, region: 2, offset: 0, bytes: 8, valueLow: 0xfee0_4000 | 0, valueHigh: 7 });
    irq.write(2, 9, 1, 0xab);
    expect([irq.table(0, 0), irq.table(0, 1), irq.table(0, 2)]).toEqual([0xfee0_4000, 7, 0xab40]);
    const read = m.call('region-read', { kind: 'region-read', bdf: PROBE, region: 2, offset: 8, bytes: 8 });
    expect([read.valueLow, read.valueHigh]).toEqual([0xab40, 0]);
    expect([irq.read(2, 8, 2), irq.read(2, 9, 1)]).toEqual([0xab40, 0xab]);
  });

  it('writes to memory where the entry says so', () => {
    const { m, irq } = msix({ iommu: false });
    irq.program(0, Number(RAM) + 0x10, 0x6173_696d);
    expect(irq.raise(0)).toBe('sent');
    expect([m.text(RAM + 0x10n, 4), irq.data()]).toEqual(['misa', []]);
  });
});

describe('the way of a message', () => {
  it('is closed without Bus Master Enable and in D3: what happens then is lost, what is pending stays until it opens', () => {
    const { irq } = msix();
    irq.mask(1);
    irq.raise(1);
    irq.busMaster(false);
    irq.mask(1, false);
    expect([irq.raise(0), irq.data(), irq.pending()]).toEqual(['dropped', [], 2]);
    irq.busMaster(true);
    expect([irq.data(), irq.pending()]).toEqual([[0x41], 0]);
  });

  it('is no blocked domain: the gate alone stops it', () => {
    const { m, irq } = msix();
    m.call('ok', m.attach(PROBE, m.allocDomain('blocked')));
    expect([irq.raise(0), irq.data()]).toEqual(['sent', [0x40]]);
    m.prepare(PROBE);
    expect([irq.raise(0), irq.data()]).toEqual(['dropped', [0x40]]);
    m.done(PROBE);
    expect([irq.raise(0), irq.data()]).toEqual(['sent', [0x40, 0x40]]);
  });

  it('opens with the last window: what became pending in it comes then, once', () => {
    const { m, irq } = msix();
    m.prepare(PROBE);
    irq.mask(0);
    expect(irq.raise(0)).toBe('pending');
    irq.mask(0, false);
    expect(irq.data()).toEqual([]);
    m.done(PROBE);
    expect([irq.data(), irq.pending()]).toEqual([[0x40], 0]);
  });

  it('is behind the writes that the function made before, and counts as no operation of the model', () => {
    const { m, irq } = msix();
    const page = m.allocPage();
    m.map(PROBE, IOVA, page);
    m.write(PROBE, IOVA, 'data', { hold: 'issued' });
    expect(irq.raise(0)).toBe('sent');
    expect(irq.data()).toEqual([]);
    expect(m.call('ledger', { kind: 'ledger', bdf: PROBE }).entries).toMatchObject([
      { operation: 'write' },
      { operation: 'msi', bytes: 4 },
    ]);
    m.release(PROBE);
    expect([irq.data(), m.text(page, 4)]).toEqual([[0x40], 'data']);
    // One operation was started and has ended: the write.
    expect([irq.read(0, 0xc), irq.read(0, 0x10)]).toEqual([1, 1]);
  });
});

describe('a reset', () => {
  it('masks the table, forgets what is pending, and disables', () => {
    const { m, irq } = msix();
    irq.mask(1);
    irq.raise(1);
    m.start({ kind: 'reset-trigger', bdf: PROBE, method: 'flr' });
    m.advance(100);
    irq.command(6);
    expect([irq.raise(0), irq.pending(), irq.table(0, 2), irq.table(0, 3)]).toEqual(['dropped', 0, 0, 1]);
    irq.enableMsix();
    expect([irq.raise(0), irq.pending()]).toEqual(['pending', 1]);
    expect(irq.data()).toEqual([]);
  });

  it('by a host restores the table with the rest, and nothing that was pending comes', () => {
    const { m, irq } = msix();
    irq.mask(1);
    irq.raise(1);
    const { reply } = m.reset(PROBE);
    m.advance(1000);
    expect(reply).toBeUndefined();
    expect([irq.table(0, 2), irq.table(1, 3), irq.pending()]).toEqual([0x40, 1, 0]);
    irq.mask(1, false);
    expect(irq.data()).toEqual([]);
    expect([irq.raise(0), irq.raise(1)]).toEqual(['sent', 'sent']);
    expect(irq.data()).toEqual([0x40, 0x41]);
  });

  it('drops what happens in it', () => {
    const { m, irq } = msix();
    m.start({ kind: 'reset-trigger', bdf: PROBE, method: 'flr' });
    expect(irq.raise(0)).toBe('dropped');
    m.advance(100);
    irq.command(6);
    irq.enableMsix();
    expect([irq.pending(), irq.data()]).toEqual([0, []]);
  });
});

describe('MSI', () => {
  const machine = (options: Parameters<typeof withMsi>[1] = {}): { m: CoreMachine; irq: Interrupts } => {
    const m = new CoreMachine({ clock: 'manual', functions: [withMsi(probe(PROBE), options)] });
    return { m, irq: new Interrupts(m, PROBE) };
  };

  it('puts the vector into as many low bits of the data as were granted; more vectors share those', () => {
    const { irq } = machine();
    irq.enableMsi(DOORBELL, 0x47, 2);
    for (const vector of [0, 1, 3, 5]) expect(irq.raise(vector)).toBe('sent');
    expect(irq.messages()).toMatchObject([
      { data: 0x44, source: 0 },
      { data: 0x45, source: 1 },
      { data: 0x47, source: 3 },
      { data: 0x45, source: 1 },
    ]);
  });

  it('grants no more than the function can have', () => {
    const { irq } = machine({ capable: 1 });
    irq.enableMsi(DOORBELL, 0x40, 5);
    irq.raise(1);
    irq.raise(31);
    expect(irq.data()).toEqual([0x41, 0x41]);
  });

  it('keeps a masked vector pending, and sends it once', () => {
    const { irq } = machine();
    irq.enableMsi(DOORBELL, 0x40, 5);
    irq.write(7, MSI_AT + 16, 4, 0x8000_0001);
    expect([irq.raise(31), irq.raise(31), irq.raise(1), irq.raise(0)]).toEqual(['pending', 'pending', 'sent', 'pending']);
    expect(irq.config(MSI_AT + 20)).toBe(0x8000_0001);
    irq.write(7, MSI_AT + 16, 4, 1);
    expect([irq.data(), irq.config(MSI_AT + 20)]).toEqual([[0x41, 0x5f], 1]);
    irq.write(7, MSI_AT + 16, 4, 0);
    expect([irq.data(), irq.config(MSI_AT + 20)]).toEqual([[0x41, 0x5f, 0x40], 0]);
  });

  it('of 32 bits and without masks has its data elsewhere, and nothing behind', () => {
    const { irq } = machine({ wide: false, maskable: false });
    irq.enableMsi(DOORBELL, 0x33, 0, false);
    irq.write(7, MSI_AT + 12, 4, 0xffff_ffff);
    expect([irq.raise(0), irq.data()]).toEqual(['sent', [0x33]]);
  });

  it('with Extended Message Data sends 32 bits where that is enabled', () => {
    const { irq } = machine({ extendedData: true });
    irq.write(7, MSI_AT + 14, 2, 0xabcd);
    irq.enableMsi(DOORBELL, 0x1234);
    irq.raise(0);
    irq.write(7, MSI_AT + 2, 2, 0x401);
    irq.raise(0);
    expect(irq.data()).toEqual([0x1234, 0xabcd_1234]);
  });

  it('is not used while MSI-X is enabled', () => {
    const { irq } = machine();
    irq.enableMsi(DOORBELL, 0x40);
    irq.enableMsix();
    irq.program(0, DOORBELL, 0x99);
    irq.raise(0);
    expect(irq.data()).toEqual([0x99]);
  });
});
