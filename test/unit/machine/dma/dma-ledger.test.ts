/** Design §6: hold points, and the order in which requests of one function take effect. */
import { describe, expect, it } from 'vitest';
import { CoreMachine, PROBE, RAM, probe } from '../../../kit/core-machine.ts';

const IOVA = 0x1_0000;

/** Without ATS an unmap waits for requests only: with it, an Invalidate Completion stands behind every posted write. */
const NO_ATS = { clock: 'manual', functions: [probe(PROBE, { ats: false })] } as const;

function mapped(options: ConstructorParameters<typeof CoreMachine>[0] = { clock: 'manual' }): { m: CoreMachine; page: bigint } {
  const m = new CoreMachine(options);
  const page = m.allocPage();
  m.map(PROBE, IOVA, page);
  return { m, page };
}
const entries = (m: CoreMachine) => m.call('ledger', { kind: 'ledger', bdf: PROBE }).entries;
const read = { operation: 'read', bytes: 4, data: undefined } as const;

describe('hold points', () => {
  it('issued: translation has not been asked, so an unmap does not wait and the write faults when it goes on', () => {
    const { m } = mapped(NO_ATS);
    const write = m.write(PROBE, IOVA, 'late', { hold: 'issued' });
    expect(entries(m)).toMatchObject([{ point: 'issued', held: true, address: undefined }]);
    expect(m.startUnmap(PROBE, IOVA).reply).toMatchObject({ kind: 'unmap', bytes: 4096n, timedOut: 0 });
    m.release(PROBE);
    expect(write.reply).toMatchObject({ outcome: 'not-present', bytesDone: 0, failedIova: BigInt(IOVA) });
  });

  it('translated: an unmap waits for it, and it lands in the old page', () => {
    const { m, page } = mapped();
    const write = m.write(PROBE, IOVA, 'late', { hold: 'translated' });
    expect(entries(m)).toMatchObject([{ point: 'translated', held: true, address: page }]);
    const unmap = m.startUnmap(PROBE, IOVA);
    expect(unmap.reply).toBeUndefined();
    expect(m.start({ kind: 'memory-free', address: page }).reply).toMatchObject({ code: 'EBUSY' });
    m.release(PROBE);
    expect(write.reply).toMatchObject({ outcome: 'performed' });
    expect(unmap.reply).toMatchObject({ kind: 'unmap' });
    expect(m.text(page, 4)).toBe('late');
  });

  it('an unmap of another page does not wait for it', () => {
    const { m } = mapped(NO_ATS);
    m.map(PROBE, IOVA + 0x1000, m.allocPage());
    m.write(PROBE, IOVA, 'late', { hold: 'translated' });
    expect(m.startUnmap(PROBE, IOVA + 0x1000).reply).toMatchObject({ kind: 'unmap' });
  });

  it('performed: the bytes are there, the operation has not ended', () => {
    const { m, page } = mapped(NO_ATS);
    const write = m.write(PROBE, IOVA, 'here', { hold: 'performed' });
    expect(m.text(page, 4)).toBe('here');
    expect(write.reply).toBeUndefined();
    expect(m.startUnmap(PROBE, IOVA).reply).toMatchObject({ kind: 'unmap', bytes: 4096n, timedOut: 0 });
    m.release(PROBE);
    expect(write.reply).toMatchObject({ outcome: 'performed', bytesDone: 4 });
  });

  it('what is held keeps its bytes when the caller uses its buffer again, at any offset in it', () => {
    const { m, page } = mapped();
    // A socket hands in parts of a Buffer, whose slice() is no copy.
    const packet = Buffer.from('..held bytes');
    m.write(PROBE, IOVA, '', { bytes: 10, data: packet.subarray(2), hold: 'translated' });
    packet.fill('!');
    m.release(PROBE);
    expect(m.text(page, 10)).toBe('held bytes');
  });

  it('a timed hold goes on by itself', () => {
    const { m } = mapped();
    const write = m.write(PROBE, IOVA, 'late', { hold: 'translated', holdNs: 5_000_000 });
    m.advance(4);
    expect(write.reply).toBeUndefined();
    m.advance(1);
    expect(write.reply).toMatchObject({ outcome: 'performed', elapsedNs: 5_000_000 });
  });

  it('latency holds every request, on the machine’s clock', () => {
    const { m } = mapped({ clock: 'auto', functions: [probe(PROBE, { latencyNs: 700 })] });
    expect(m.write(PROBE, IOVA, 'slow').reply).toMatchObject({ outcome: 'performed', elapsedNs: 700 });
  });

  it('an armed hold acts on the n-th occurrence', () => {
    const { m } = mapped();
    m.arm(PROBE, 'hold', { first: 2, count: 1 });
    expect(m.write(PROBE, IOVA, 'a').reply).toMatchObject({ outcome: 'performed' });
    expect(m.write(PROBE, IOVA, 'b').reply).toBeUndefined();
    m.release(PROBE);
    expect(m.write(PROBE, IOVA, 'c').reply).toMatchObject({ outcome: 'performed' });
  });
});

describe('order', () => {
  it('a posted write takes effect after every earlier one; a read does not pass a write', () => {
    const { m, page } = mapped();
    m.write(PROBE, IOVA, 'first', { hold: 'translated' });
    const second = m.write(PROBE, IOVA, 'SECOND');
    const after = m.write(PROBE, IOVA, '', read);
    expect(m.text(page, 6)).toBe('\0\0\0\0\0\0');
    expect([second.reply, after.reply]).toEqual([undefined, undefined]);
    m.release(PROBE);
    expect(m.text(page, 6)).toBe('SECOND');
    expect(after.reply).toMatchObject({ data: new TextEncoder().encode('SECO') });
  });

  it('a write passes a read that is held', () => {
    const { m, page } = mapped();
    const held = m.write(PROBE, IOVA, '', { ...read, hold: 'translated' });
    expect(m.write(PROBE, IOVA, 'pass').reply).toMatchObject({ outcome: 'performed' });
    expect(m.text(page, 4)).toBe('pass');
    expect(held.reply).toBeUndefined();
  });

  it('an MSI and the reply to a BAR read stay behind earlier writes', () => {
    const { m } = mapped();
    m.write(PROBE, IOVA, 'data', { hold: 'translated' });
    const msi = m.write(PROBE, 0xfee0_0000, 'ABCD');
    const bar = m.start({ kind: 'region-read', bdf: PROBE, region: 0, offset: 0, bytes: 4 });
    expect(m.events.filter((event) => event.kind === 'interrupt')).toHaveLength(0);
    expect([msi.reply, bar.reply]).toEqual([undefined, undefined]);
    m.release(PROBE);
    expect(m.events.filter((event) => event.kind === 'interrupt')).toMatchObject([{ data: 0x4443_4241, address: 0xfee0_0000n }]);
    expect(bar.reply).toMatchObject({ kind: 'region-read', valueLow: 0x4252_5044 });
  });

  it('a blocked domain does not stop an MSI, the gate does', () => {
    const { m } = mapped({ behaviour: 'linux-7.1' });
    m.prepare(PROBE);
    expect(m.outcome(PROBE, 0xfee0_0000, 'ABCD')).toBe('performed');
    const { m: strict } = mapped({});
    strict.prepare(PROBE);
    expect(strict.outcome(PROBE, 0xfee0_0000, 'ABCD')).toBe('gate-closed');
  });

  it('prepare answers held translation requests at once with no access', () => {
    const { m } = mapped();
    const translate = m.write(PROBE, IOVA, '', { operation: 'translate', bytes: 1, data: undefined, hold: 'issued' });
    expect(m.startPrepare(PROBE).reply).toMatchObject({ drained: 1, aborted: 0 });
    expect(translate.reply).toMatchObject({ outcome: 'no-access' });
  });

  it('prepare counts what drained and what was aborted', () => {
    const { m } = mapped();
    for (const holdNs of [1, 2, 30]) m.write(PROBE, IOVA, 'x', { hold: 'translated', holdNs: holdNs * 1_000_000 });
    const prepare = m.startPrepare(PROBE, 'w', { deadlineMs: 10 });
    m.advance(10);
    expect(prepare.reply).toMatchObject({ drained: 2, aborted: 1, indeterminate: 0 });
  });
});

describe('addresses and sizes', () => {
  it('a DMA is split at pages and at the payload size, and stops at its first failing request with a count', () => {
    const { m } = mapped();
    expect(m.write(PROBE, IOVA + 0xf80, 'w'.repeat(0x180)).reply).toMatchObject({
      outcome: 'not-present',
      bytesDone: 0x80,
      requests: 2,
      failedIova: 0x1_1000n,
    });
    expect(m.events.filter((event) => event.kind === 'fault')).toMatchObject([{ text: '00:02.0 write 0x11000: not present' }]);
    expect(m.write(PROBE, IOVA, 'w'.repeat(0x400)).reply).toMatchObject({ outcome: 'performed', requests: 4 });
  });

  it.each([
    ['not canonical', 0x0001_0000_0000_0000n, 'not-canonical'],
    ['not canonical, low half like a mapped one', 0x8000_0000_0001_0000n, 'not-canonical'],
    ['sign-extended and unmapped', 0xffff_ffff_ffff_f000n, 'not-present'],
    ['beyond 53 bits', 0x0020_0000_0001_0000n, 'not-canonical'],
  ])('%s faults for the right reason', (_name, iova, cause) => {
    const { m } = mapped();
    expect(m.start(writeAt(iova)).reply).toMatchObject({ outcome: cause });
    expect(m.events.filter((event) => event.kind === 'fault')).toMatchObject([{ cause, iova }]);
  });

  it('a map to memory that is not there is an unsupported request, and is recorded', () => {
    const { m } = mapped();
    m.map(PROBE, IOVA + 0x1000, RAM + 0x1000_0000n);
    expect(m.outcome(PROBE, IOVA + 0x1000)).toBe('unsupported-request');
    expect(m.events.filter((event) => event.kind === 'fault')).toHaveLength(1);
  });

  it('atomics return the old value', () => {
    const { m, page } = mapped();
    const add = (value: number) =>
      m.write(PROBE, IOVA, '', { operation: 'fetch-add', bytes: 4, data: Uint8Array.of(value, 0, 0, 0) }).reply;
    expect(add(255)).toMatchObject({ data: Uint8Array.of(0, 0, 0, 0) });
    expect(add(2)).toMatchObject({ data: Uint8Array.of(255, 0, 0, 0) });
    const cas = { operation: 'compare-and-swap', bytes: 4, data: Uint8Array.of(1, 1, 0, 0, 65, 66, 67, 68) } as const;
    expect(m.write(PROBE, IOVA, '', cas).reply).toMatchObject({ data: Uint8Array.of(1, 1, 0, 0) });
    expect(m.text(page, 4)).toBe('ABCD');
    expect(m.write(PROBE, IOVA, '', cas).reply).toMatchObject({ outcome: 'performed' });
    expect(m.text(page, 4)).toBe('ABCD');
  });

  it.each([
    [{ bytes: 0 }, 'bytes'],
    [{ bytes: (1 << 20) + 1 }, 'bytes'],
    [{ bytes: 3, data: new Uint8Array(2) }, 'data'],
    [{ operation: 'fetch-add', bytes: 3, data: new Uint8Array(3) }, 'bytes'],
    [{ operation: 'nonsense' }, 'operation'],
    [{ hold: 'nowhere' }, 'hold'],
  ])('%j is EINVAL naming %s', (fields, about) => {
    const { m } = mapped();
    expect(() => m.write(PROBE, IOVA, 'abc', fields as never)).toThrow(expect.objectContaining({ code: 'EINVAL', field: about }) as Error);
    expect(entries(m)).toEqual([]);
  });
});

function writeAt(iova: bigint) {
  const halves = { iovaLow: Number(BigInt.asIntN(32, iova)), iovaHigh: Number(BigInt.asIntN(32, iova >> 32n)) };
  const fixed = {
    kind: 'model-dma',
    bdf: PROBE,
    operation: 'write',
    bytes: 1,
    data: Uint8Array.of(1),
    translated: false,
    holdNs: 0,
  } as const;
  return { ...fixed, ...halves, pasid: -1 as never, hold: undefined };
}
