/** Peers that owe answers, have no more credit, or leave. */
import { describe, expect, it } from 'vitest';
import { NO_PASID } from '../../../server/src/core/base/index.ts';
import { CoreMachine, FIRST, PROBE, REMOTE, SECOND, SIBLINGS, type TestPeer } from '../../kit/core-machine.ts';
import { CONFIG, remoteBench, startRead, startWrite } from '../../kit/remote-function.ts';

const IOVA = 0x4_0000;
const OWNED = 0x4000_0000n;

function owned(depth: number): { m: CoreMachine; owner: TestPeer } {
  const m = new CoreMachine({ clock: 'manual', functions: SIBLINGS });
  const owner = m.attachPeer({ memory: true });
  expect(m.start({ kind: 'memory-claim', address: OWNED, bytes: 0x1_0000n, depth }, owner.id).reply).toMatchObject({ kind: 'ok' });
  m.map(FIRST, IOVA, OWNED);
  return { m, owner };
}

describe('an owner of memory', () => {
  it('is asked no more than it takes, and a place that gets free serves the other functions too', () => {
    const { m, owner } = owned(1);
    const [one, two] = [m.write(FIRST, IOVA, 'one'), m.write(SECOND, IOVA + 8, 'two')];
    expect(owner.calls).toHaveLength(1);
    m.answer(owner, owner.calls[0]!.token, { kind: 'ok' });
    expect(one.reply).toMatchObject({ outcome: 'performed' });
    expect(owner.calls).toHaveLength(2);
    m.answer(owner, owner.calls[1]!.token, { kind: 'ok' });
    expect(two.reply).toMatchObject({ outcome: 'performed' });
  });

  it('cannot give its range up while it owes answers', () => {
    const { m, owner } = owned(4);
    m.write(FIRST, IOVA, 'one');
    const release = (): unknown => m.start({ kind: 'memory-release', address: OWNED }, owner.id).reply;
    expect(release()).toMatchObject({ kind: 'refused', code: 'EBUSY' });
    m.answer(owner, owner.calls[0]!.token, { kind: 'ok' });
    expect(release()).toMatchObject({ kind: 'ok' });
  });

  it('leaves a range that does not answer, and that another may own', () => {
    const { m, owner } = owned(4);
    m.detachPeer(owner);
    expect(m.refusal({ kind: 'memory-read', address: OWNED, bytes: 4 })).toBe('EIO');
    const next = m.attachPeer({ memory: true });
    expect(m.start({ kind: 'memory-claim', address: OWNED, bytes: 0x1_0000n, depth: 1 }, next.id).reply).toMatchObject({ kind: 'ok' });
  });

  it('holds the clock while it owes an answer, unless a host forces it', () => {
    const { m, owner } = owned(4);
    m.write(FIRST, IOVA, 'one');
    const advance = m.start({ kind: 'clock-advance', ns: 5, force: false });
    expect(advance.reply).toBeUndefined();
    expect(m.start({ kind: 'clock-advance', ns: 2, force: true }).reply).toMatchObject({ nowNs: 2 });
    m.answer(owner, owner.calls[0]!.token, { kind: 'ok' });
    expect(advance.reply).toMatchObject({ nowNs: 5 });
  });
});

it('a function in D3hot issues nothing and answers no invalidation', () => {
  const m = new CoreMachine({ clock: 'manual' });
  m.map(PROBE, IOVA, m.allocPage());
  expect(m.outcome(PROBE, IOVA, 'x', { translated: true })).toBe('performed');
  m.call('ok', { kind: 'region-write', bdf: PROBE, region: 7, offset: powerControl(m), bytes: 2, valueLow: 3, valueHigh: 0 });
  expect(m.outcome(PROBE, IOVA)).toBe('gate-closed');
  const unmap = m.startUnmap(PROBE, IOVA);
  m.advance(999);
  expect(unmap.reply).toBeUndefined();
  m.advance(1);
  expect(unmap.reply).toMatchObject({ timedOut: 1 });
});

/** Offset of Power Management Control/Status. */
function powerControl(m: CoreMachine): number {
  const byte = (offset: number): number => m.call('region-read', { kind: 'region-read', bdf: PROBE, region: 7, offset, bytes: 1 }).valueLow;
  for (let at = byte(0x34); at !== 0; at = byte(at + 1)) if (byte(at) === 1) return at + 4;
  throw new Error('no Power Management capability');
}

describe('an answer that does not fit what was asked', () => {
  it('is an error for whoever waits, and said', () => {
    const { m, owner } = owned(4);
    const reading = m.write(FIRST, IOVA, 'xx', { operation: 'read' });
    const wrong = m.machine.answer(owner.id, owner.calls[0]!.token, { kind: 'data', data: Uint8Array.of(1) });
    expect(wrong).toBe('its answer does not fit what was asked: 1 bytes for a read of 2 bytes');
    m.advance(0);
    expect(reading.reply).toMatchObject({ kind: 'dma', outcome: 'completer-abort', bytesDone: 0 });
    expect(m.machine.owedBy(owner.id)).toBe(0);
  });

  it.each([
    [1, 0xff, 0, undefined],
    [1, 0x100, 0, '0x100'],
    [2, 0xffff, 0, undefined],
    [2, -1, 0, '0xffffffff'],
    [4, -1, 0, undefined],
    [4, 0, 1, '0x100000000'],
    [8, -1, -1, undefined],
  ])('a register of %i bytes has no value of more', (bytes, valueLow, valueHigh, shown) => {
    const { m, emulator } = remoteBench();
    const read = startRead(m, 0, 0, bytes);
    const wrong = m.machine.answer(emulator.id, emulator.calls[0]!.token, { kind: 'value', valueLow, valueHigh });
    m.advance(0);
    if (shown === undefined) expect([wrong, read.reply?.kind]).toEqual([undefined, 'region-read']);
    else
      expect([wrong, read.reply]).toMatchObject([
        expect.stringContaining(`the value ${shown} for an access of ${bytes} bytes`),
        { code: 'EPROTO' },
      ]);
  });

  it('to nothing is refused', () => {
    const { m, owner } = owned(4);
    expect(() => m.machine.answer(owner.id, 99, { kind: 'ok' })).toThrow('not outstanding');
  });
});

describe('what a peer asks in vain, where no reply says so', () => {
  it('is counted of posted calls until one is served', () => {
    const { m, emulator } = remoteBench();
    const write = { kind: 'dma-write', bdf: REMOTE, iovaLow: IOVA, iovaHigh: 0, data: Uint8Array.of(1), pasid: NO_PASID } as const;
    const post = (): void => m.machine.submit(emulator.id, 0, write);
    const command = (value: number): void => void startWrite(m, CONFIG, 4, value, 2);
    m.map(REMOTE, IOVA, m.allocPage());
    command(2);
    post();
    post();
    expect(m.machine.unserved(emulator.id)).toMatchObject({
      unserved: 2,
      unservedWhy: 'DMA of a function that is blocked, resetting, or has no Bus Master Enable',
    });
    command(6);
    post();
    expect(m.machine.unserved(emulator.id)).toMatchObject({ unserved: 0 });
    // Asking again is the cure of EAGAIN alone.
    m.machine.submit(emulator.id, 0, { kind: 'memory-release', address: OWNED });
    expect(m.machine.unserved(emulator.id)).toMatchObject({ unserved: 1 });
    expect(m.machine.unserved(99)).toBeUndefined();
  });
});
