/** DMA through page tables in memory that a peer owns: what it is asked, what waits for it, and what ends without it. */
import { beforeEach, describe, expect, it } from 'vitest';
import { PROBE, type CoreMachine, type Options, type Pending, type TestPeer, writeCommand } from '../../../kit/core-machine.ts';
import { TABLES, ownedTables, serveTables, type OwnedTables } from '../../../kit/owned-tables.ts';

const IOVA = 0x1000;
/** Entries of tables that the owner has: four tables of x86-64, one behind the other. */
const TABLE = 0x27n;

let given: OwnedTables;
let m: CoreMachine;
let owner: TestPeer;
let domain: number;
let page: bigint;
let words: Map<bigint, bigint>;

function setUp(options: Options = {}, depth = 4): void {
  given = ownedTables({ guest: { format: 'x86-64' }, bytes: 0x8000n, depth, ...options });
  ({ m, owner, domain, page } = given);
  words = new Map([
    [TABLES, TABLES + 0x1000n + TABLE],
    [TABLES + 0x1000n, TABLES + 0x2000n + TABLE],
    [TABLES + 0x2000n, TABLES + 0x3000n + TABLE],
    [TABLES + 0x3008n, page + 0x67n],
  ]);
}
beforeEach(() => setUp());

const serve = (most?: number): readonly bigint[] => serveTables(given, words, most);
function outcome({ reply }: Pending): unknown {
  return reply?.kind === 'dma' ? reply.outcome : reply;
}
function faults(): readonly unknown[] {
  return m.call('fault-records', { kind: 'fault-records' }).records.map(({ cause, stage, iova }) => [cause, stage, iova]);
}
function unmap(): Pending {
  return m.start({ kind: 'unmap', target: { domain }, iova: BigInt(IOVA), bytes: 4096n });
}

describe('a walk of tables that a peer has', () => {
  it('asks for one entry after the other, and the DMA goes on', () => {
    const write = m.write(PROBE, IOVA, 'hello');
    expect([outcome(write), owner.calls.length]).toEqual([undefined, 1]);
    const ledger = m.call('ledger', { kind: 'ledger', bdf: PROBE }).entries;
    expect(ledger).toMatchObject([
      { point: 'issued', held: false, waitsFor: `an entry of its page tables, of memory owner ${owner.id}`, address: undefined },
    ]);
    expect(serve()).toEqual([TABLES, TABLES + 0x1000n, TABLES + 0x2000n, TABLES + 0x3008n]);
    expect([outcome(write), m.text(page, 5)]).toEqual(['performed', 'hello']);
    expect(faults()).toEqual([]);
    // The IOTLB has it now.
    expect([m.outcome(PROBE, IOVA, 'again'), owner.calls.length]).toEqual(['performed', 0]);
  });

  it('ends where the owner answers with an error', () => {
    const write = m.write(PROBE, IOVA, 'x');
    serve(2);
    m.answer(owner, owner.calls[0]!.token, { kind: 'error', code: 'EIO', message: 'no' });
    expect([outcome(write), faults()]).toEqual(['external-abort', [['external-abort', 1, BigInt(IOVA)]]]);
  });

  it('ends when the owner is silent past the watchdog; what it answers later is used for nothing', () => {
    const write = m.write(PROBE, IOVA, 'x');
    serve(1);
    m.silence(owner);
    expect([outcome(write), faults()]).toEqual(['external-abort', [['external-abort', 1, BigInt(IOVA)]]]);
    // Nobody waits for a silent owner again until it has answered.
    expect([m.outcome(PROBE, IOVA, 'x'), owner.calls.length]).toEqual(['external-abort', 1]);
    serve();
    const next = m.write(PROBE, IOVA, 'y');
    expect(serve()).toHaveLength(4);
    expect(outcome(next)).toBe('performed');
  });

  it('ends when the owner is gone', () => {
    const write = m.write(PROBE, IOVA, 'x');
    serve(3);
    m.detachPeer(owner);
    expect([outcome(write), faults()]).toEqual(['external-abort', [['external-abort', 1, BigInt(IOVA)]]]);
    expect(m.outcome(PROBE, IOVA, 'x')).toBe('external-abort');
  });

  it('does not hold the clock for ever, nor let it pass while the owner owes', () => {
    setUp({ clock: 'auto' });
    m.arm(PROBE, 'hold', { delayMs: 5 });
    const held = m.write(PROBE, IOVA, 'x');
    expect([outcome(held), owner.calls.length, m.machine.nowNs]).toEqual([undefined, 1, 5_000_000]);
    serve();
    expect(outcome(held)).toBe('performed');
  });

  it('is one for all requests that need the entry, within the credit that the owner gave', () => {
    setUp({}, 1);
    words.set(TABLES + 0x3010n, page + 0x67n);
    const both = [m.write(PROBE, IOVA, 'x'.repeat(0x1800)), m.write(PROBE, IOVA + 0x1000, 'y')];
    expect(owner.calls).toHaveLength(1);
    expect(serve()).toEqual([TABLES, TABLES + 0x1000n, TABLES + 0x2000n, TABLES + 0x3008n, TABLES + 0x3010n]);
    expect(both.map(outcome)).toEqual(['performed', 'performed']);
  });

  it('lets a walk that waits for credit end with the owner that is silent', () => {
    setUp({}, 1);
    words.set(TABLES + 0x8n, 0n);
    const one = m.write(PROBE, IOVA, 'x');
    const other = m.start(writeCommand(PROBE, 0x80_0000_0000, 'y'));
    expect(owner.calls).toHaveLength(1);
    m.silence(owner);
    expect([one, other].map(outcome)).toEqual(['external-abort', 'external-abort']);
  });

  it('is begun anew by an invalidation: nothing that was read before is used after', () => {
    const write = m.write(PROBE, IOVA, 'x');
    serve(3);
    const fresh = m.allocPage();
    // Its Invalidate Completion stands behind the write.
    const call = unmap();
    expect(call.reply).toBeUndefined();
    words.set(TABLES + 0x2000n, TABLES + 0x4000n + TABLE);
    words.set(TABLES + 0x4008n, fresh + 0x67n);
    // The answer that is on its way is of the old walk.
    expect(serve()).toEqual([TABLES + 0x3008n, TABLES, TABLES + 0x1000n, TABLES + 0x2000n, TABLES + 0x4008n]);
    expect([outcome(write), m.text(fresh, 1), m.text(page, 1)]).toEqual(['performed', 'x', '\0']);
    expect(call.reply).toMatchObject({ kind: 'unmap', timedOut: 0 });
  });

  it('is not joined, after an invalidation, where it was begun before', () => {
    const first = m.write(PROBE, IOVA, 'x');
    unmap();
    const second = m.write(PROBE, IOVA, 'y');
    expect(owner.calls.length).toBe(2);
    serve();
    expect([first, second].map(outcome)).toEqual(['performed', 'performed']);
  });

  it('is dropped with its request in a reset window', () => {
    const write = m.write(PROBE, IOVA, 'x');
    const prepare = m.startPrepare(PROBE, 'w', { deadlineMs: 10 });
    expect(prepare.reply).toBeUndefined();
    m.advance(10, true);
    expect([outcome(write), prepare.reply]).toMatchObject(['aborted', { kind: 'reset-prepare', aborted: 1 }]);
    expect(serve()).toEqual([TABLES]);
    m.done(PROBE);
    expect(m.text(page, 1)).toBe('\0');
  });

  it('serves a translation request, and a DMA that waits for its translation', () => {
    const translated = m.write(PROBE, IOVA, 'ats', { translated: true });
    expect(outcome(translated)).toBeUndefined();
    serve();
    expect([outcome(translated), m.text(page, 3)]).toEqual(['performed', 'ats']);
    expect(m.traced('ats-granted', PROBE)).toHaveLength(1);
    unmap();
    const at = { iovaLow: IOVA, iovaHigh: 0, bytes: 4096, pasid: -1 as never, hold: undefined, holdNs: 0 } as const;
    const asked = m.start({ kind: 'model-dma', bdf: PROBE, operation: 'translate', data: undefined, translated: false, ...at });
    expect(asked.reply).toBeUndefined();
    serve();
    expect(asked.reply).toMatchObject({ outcome: 'performed', grants: [{ address: page, bytes: 4096 }] });
    unmap();
    const lost = m.write(PROBE, IOVA, 'x', { translated: true });
    m.silence(owner);
    expect(outcome(lost)).toBe('completer-abort');
  });

  it('is of the second stage, too', () => {
    m.call('ok', { kind: 'domain-detach', bdf: PROBE });
    const alloc = (fields: object): number =>
      m.call('domain-alloc', { kind: 'domain-alloc', type: 'paging', sharedAddress: false, ...fields }).domain;
    const host = alloc({ format: 'riscv-sv39x4' });
    // The guest's table, one page of 1 GiB at 0, is the owner's; so is nothing of the host's.
    m.map({ domain: host }, 0x20_0000, TABLES + 0x5000n);
    m.map({ domain: host }, IOVA, page);
    words.set(TABLES + 0x5000n, 0xdfn);
    m.call('ok', m.attach(PROBE, alloc({ format: 'riscv-sv39', root: 0x20_0000n, parent: host })));
    const write = m.write(PROBE, IOVA, 'nested');
    expect(serve()).toEqual([TABLES + 0x5000n]);
    expect([outcome(write), m.text(page, 6)]).toEqual(['performed', 'nested']);
  });
});
