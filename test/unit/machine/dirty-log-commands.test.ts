/** The log of memory that was written: who writes, when it shows, and what cannot be told. */
import { describe, expect, it } from 'vitest';
import { Machine } from '../../../server/src/core/machine/index.ts';
import { CoreMachine, PROBE, RAM, type TestPeer } from '../../kit/core-machine.ts';

const OWNED = 0x8000_0000n;
const PAGES = 16;
const PAGE = 4096n;
const IOVA = 0x2_0000;

function bench(): { m: CoreMachine; owner: TestPeer } {
  const m = new CoreMachine();
  const owner = m.attachPeer({ memory: true });
  m.call('ok', { kind: 'memory-claim', address: OWNED, bytes: BigInt(PAGES) * PAGE, depth: 4 }, owner.id);
  m.map(PROBE, IOVA, OWNED + PAGE);
  m.call('ok', { kind: 'dirty-log-set', on: true });
  return { m, owner };
}

/** Numbers of the pages that were written, from this address on. */
function dirty(m: CoreMachine, address = OWNED, pages = PAGES, clear = true): number[] {
  const { data } = m.call('memory-read', {
    kind: 'dirty-log-read',
    address,
    bytes: BigInt(pages) * PAGE,
    pageBytes: PAGE,
    clear,
  });
  return [...data].flatMap((byte, at) => [0, 1, 2, 3, 4, 5, 6, 7].flatMap((bit) => ((byte >> bit) & 1 ? [at * 8 + bit] : [])));
}

function tell(m: CoreMachine, owner: TestPeer, ...ranges: readonly { address: bigint; bytes: bigint }[]): unknown {
  return m.start({ kind: 'memory-dirty', ranges }, owner.id).reply;
}

const answer = (m: CoreMachine, owner: TestPeer): void => m.answer(owner, owner.calls.shift()!.token, { kind: 'ok' });

describe('memory of the server', () => {
  it('is written by functions, hosts and processors', () => {
    const { m } = bench();
    m.map(PROBE, IOVA + 0x1000, RAM + 2n * PAGE);
    expect(m.outcome(PROBE, IOVA + 0x1000)).toBe('performed');
    m.call('ok', { kind: 'memory-write', address: RAM + 4n * PAGE, data: Uint8Array.of(1) });
    m.call('ok', { kind: 'bus-write', space: 'memory', address: RAM + 6n * PAGE, bytes: 4, valueLow: 1, valueHigh: 0 });
    m.call('memory-read', { kind: 'memory-read', address: RAM + 8n * PAGE, bytes: 1 });
    expect(dirty(m, RAM, PAGES, false)).toEqual([2, 4, 6]);
    expect(dirty(m, RAM + PAGE, 2)).toEqual([1]);
    expect(dirty(m, RAM)).toEqual([4, 6]);
    expect(dirty(m, RAM)).toEqual([]);
  });

  it('of a write that is held shows when it is performed', () => {
    const { m } = bench();
    m.map(PROBE, IOVA + 0x1000, RAM);
    m.write(PROBE, IOVA + 0x1000, 'held', { hold: 'translated' });
    expect(dirty(m, RAM)).toEqual([]);
    m.release(PROBE);
    expect(dirty(m, RAM)).toEqual([0]);
  });
});

describe("memory of an owner's", () => {
  it('is written when the owner has answered, by functions and by hosts', () => {
    const { m, owner } = bench();
    m.write(PROBE, IOVA, 'x');
    m.start({ kind: 'memory-write', address: OWNED + 5n * PAGE, data: Uint8Array.of(1) });
    expect(dirty(m)).toEqual([]);
    answer(m, owner);
    expect(dirty(m)).toEqual([1]);
    answer(m, owner);
    expect(dirty(m)).toEqual([5]);
  });

  it('may have been written where the owner errs, answers late, or vanishes', () => {
    const { m, owner } = bench();
    m.write(PROBE, IOVA, 'x');
    m.answer(owner, owner.calls.shift()!.token, { kind: 'error', code: 'EIO', message: 'half of it' });
    expect(dirty(m)).toEqual([1]);
    m.write(PROBE, IOVA, 'x');
    m.startPrepare(PROBE, 'w', { deadlineMs: 0 });
    expect(dirty(m)).toEqual([]);
    answer(m, owner);
    expect(dirty(m)).toEqual([1]);
    answer(m, owner);
    m.done(PROBE);
    m.write(PROBE, IOVA, 'x');
    m.start({ kind: 'memory-write', address: OWNED, data: Uint8Array.of(1) });
    m.detachPeer(owner);
    expect(dirty(m)).toEqual([0, 1]);
  });

  it('is written by the owner itself, where it says so', () => {
    const { m, owner } = bench();
    expect(tell(m, owner, { address: OWNED + 1n, bytes: 1n }, { address: OWNED + 3n * PAGE - 1n, bytes: 2n })).toEqual({
      kind: 'memory-dirty',
      logging: true,
    });
    expect(dirty(m)).toEqual([0, 2, 3]);
    m.call('ok', { kind: 'dirty-log-set', on: false });
    expect(tell(m, owner, { address: OWNED, bytes: PAGE })).toMatchObject({ logging: false });
    m.call('ok', { kind: 'dirty-log-set', on: true });
    expect(dirty(m)).toEqual([]);
  });

  it.each([
    ['in front of its range', OWNED - 1n, 2n],
    ['behind it', OWNED + BigInt(PAGES) * PAGE - 1n, 2n],
    ["in the server's memory", RAM, 1n],
    ["in another's", OWNED + BigInt(PAGES) * PAGE, 1n],
    ['where nothing is', 0x1_0000_0000n, 1n],
  ])('is not told %s, and nothing else of that call is', (_, address, bytes) => {
    const { m, owner } = bench();
    const other = m.attachPeer({ memory: true });
    m.call('ok', { kind: 'memory-claim', address: OWNED + BigInt(PAGES) * PAGE, bytes: PAGE, depth: 1 }, other.id);
    expect(tell(m, owner, { address: OWNED, bytes: 1n }, { address, bytes })).toMatchObject({ code: 'EFAULT', about: 'ranges' });
    expect(dirty(m)).toEqual([]);
  });

  it('is told in 1 to 256 ranges of a byte or more', () => {
    const { m, owner } = bench();
    const some = (count: number) => Array.from({ length: count }, () => ({ address: OWNED, bytes: 1n }));
    expect(tell(m, owner, ...some(256))).toMatchObject({ logging: true });
    expect(() => tell(m, owner, ...some(257))).toThrow('1 to 256 ranges');
    expect(() => tell(m, owner)).toThrow('1 to 256 ranges');
    expect(() => tell(m, owner, { address: OWNED, bytes: 0n })).toThrow('no bytes');
  });

  it('is written as a whole where an owner comes back', () => {
    const { m, owner } = bench();
    m.detachPeer(owner);
    expect(dirty(m)).toEqual([]);
    const again = m.attachPeer({ memory: true });
    m.call('ok', { kind: 'memory-claim', address: OWNED, bytes: BigInt(PAGES) * PAGE, depth: 4 }, again.id);
    expect(dirty(m)).toHaveLength(PAGES);
  });
});

describe('a read of the log', () => {
  const read = (m: CoreMachine, fields: object): unknown =>
    m.start({ kind: 'dirty-log-read', address: RAM, bytes: PAGE, pageBytes: PAGE, clear: true, ...fields }).reply;

  it('is EINVAL where none is kept', () => {
    expect(read(new CoreMachine(), {})).toMatchObject({ code: 'EINVAL' });
  });

  it.each([
    ['no page size', { pageBytes: 0x800n }, '2^12|power of two'],
    ['no power of two', { pageBytes: 0x3000n }, 'power of two'],
    ['not aligned', { address: RAM + 1n }, 'multiples'],
    ['empty', { bytes: 0n }, 'not 0 bytes'],
    ['too long', { bytes: 1n << 36n, address: 0n }, '1048576 bytes'],
    ['beyond physical addresses', { address: 1n << 60n }, ''],
  ])('that is %s is EINVAL', (_, fields, why) => {
    expect(() => read(bench().m, fields)).toThrow(new RegExp(why));
  });

  it('may have a bit for more than a page', () => {
    const { m } = bench();
    m.call('ok', { kind: 'memory-write', address: RAM + 5n * PAGE, data: Uint8Array.of(1) });
    expect(read(m, { bytes: 16n * PAGE, pageBytes: 4n * PAGE })).toMatchObject({ data: Uint8Array.of(0b10) });
  });
});

it('peers may own 256 ranges, and no more', () => {
  const m = new CoreMachine();
  const owner = m.attachPeer({ memory: true });
  const claim = (i: number) => m.start({ kind: 'memory-claim', address: OWNED + BigInt(i) * PAGE, bytes: PAGE, depth: 1 }, owner.id).reply;
  for (let i = 0; i < 256; i++) expect(claim(i)).toMatchObject({ kind: 'ok' });
  expect(claim(256)).toMatchObject({ code: 'ENOSPC' });
  m.detachPeer(owner);
  const again = m.attachPeer({ memory: true });
  expect(m.start({ kind: 'memory-claim', address: OWNED, bytes: PAGE, depth: 1 }, again.id).reply).toMatchObject({ kind: 'ok' });
});

it('a snapshot has the log', () => {
  const { m, owner } = bench();
  tell(m, owner, { address: OWNED + PAGE, bytes: 1n });
  m.call('ok', { kind: 'memory-write', address: RAM, data: Uint8Array.of(1) });
  const restored = Machine.restore(m.machine.save());
  restored.takeOutbox();
  const read = { kind: 'dirty-log-read', bytes: PAGE * 8n, pageBytes: PAGE, clear: true } as const;
  for (const [token, address] of [OWNED, OWNED, RAM].entries()) restored.submit(0, token + 1, { ...read, address });
  const found = restored.takeOutbox().map((item) => (item.type === 'reply' && item.reply.kind === 'memory-read' ? item.reply.data[0] : -1));
  expect(found).toEqual([2, 0, 1]);
  expect(dirty(m, RAM)).toEqual([0]);
});
