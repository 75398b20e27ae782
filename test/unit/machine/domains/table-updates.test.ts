/** Accessed and dirty flags in page tables that a peer owns: read again, and written where nothing has changed. */
import { beforeEach, describe, expect, it } from 'vitest';
import type { PeerAnswer } from '../../../../server/src/core/machine/index.ts';
import { PROBE, type CoreMachine, type Options, type Pending, type TestPeer } from '../../../kit/core-machine.ts';
import { TABLES, ownedTables } from '../../../kit/owned-tables.ts';

/** Of a table of Sv39 in the owner's memory the entry for the GiB from 0 on: valid, readable, writable, executable, user's. */
const CLEAN = 0x1fn;
const ACCESSED = 0x40n;
const DIRTY = 0x80n;

let m: CoreMachine;
let owner: TestPeer;
let domain: number;
let page: bigint;
let entry: bigint;

function setUp(options: Options = {}, depth = 4): void {
  const guest = { format: 'riscv-sv39', accessedDirty: true } as const;
  ({ m, owner, domain, page } = ownedTables({ guest, bytes: 0x1000n, depth, ...options }));
  entry = CLEAN;
}
beforeEach(() => setUp());

function write(text = 'x'): Pending {
  return m.write(PROBE, Number(page), text);
}
function read(): Pending {
  const at = { iovaLow: Number(page), iovaHigh: 0, bytes: 1, pasid: -1 as never, hold: undefined, holdNs: 0 } as const;
  return m.start({ kind: 'model-dma', bdf: PROBE, operation: 'read', data: undefined, translated: false, ...at });
}
function outcome({ reply }: Pending): unknown {
  return reply?.kind === 'dma' ? reply.outcome : reply;
}

/** Answers the next call as memory does; what it was. */
function step(answer?: PeerAnswer): string {
  const next = owner.calls.shift();
  if (next === undefined) return 'nothing';
  const { token, call } = next;
  if (call.kind === 'memory-write') {
    if (answer === undefined) entry = (entry & ~0xffff_ffffn) | BigInt(new DataView(call.data.buffer).getUint32(0, true));
    m.answer(owner, token, answer ?? { kind: 'ok' });
    return `write ${call.data.byteLength} at ${(call.address - TABLES).toString(16)}`;
  }
  expect(call).toMatchObject({ kind: 'memory-read', address: TABLES, bytes: 8 });
  m.answer(owner, token, answer ?? { kind: 'data', data: new Uint8Array(new BigUint64Array([entry]).buffer) });
  return 'read';
}
function serve(): readonly string[] {
  const done: string[] = [];
  while (owner.calls.length > 0) done.push(step());
  return done;
}
const UPDATE = ['read', 'read', 'write 4 at 0'];

describe('flags in tables that a peer has', () => {
  it('are set before the request is performed, and once', () => {
    const first = read();
    for (const call of UPDATE) {
      expect(outcome(first)).toBeUndefined();
      expect(step()).toBe(call);
    }
    expect([outcome(first), entry]).toEqual(['performed', CLEAN | ACCESSED]);
    const second = write();
    expect(serve()).toEqual(UPDATE);
    expect([outcome(second), entry]).toEqual(['performed', CLEAN | ACCESSED | DIRTY]);
    expect([outcome(write('y')), m.text(page, 1)]).toEqual(['performed', 'y']);
    expect(owner.calls).toEqual([]);
  });

  it('are not set by what is refused', () => {
    entry = CLEAN & ~4n;
    const refused = write();
    expect(serve()).toEqual(['read']);
    expect([outcome(refused), entry]).toEqual(['not-permitted', CLEAN & ~4n]);
  });

  it('are set in what is there now, where the owner has changed the entry since it was read', () => {
    const dma = write('new');
    step();
    const fresh = page + (1n << 30n);
    entry = ((fresh >> 30n) << 28n) | CLEAN;
    expect(serve()).toEqual(['read', 'read', 'write 4 at 0']);
    expect(entry & 0xffn).toBe(CLEAN | ACCESSED | DIRTY);
    expect(outcome(dma)).toBe('unsupported-request');
    entry = 0n;
    m.start({ kind: 'unmap', target: { domain }, iova: page, bytes: 4096n });
    const gone = write();
    expect(serve()).toEqual(['read']);
    expect(outcome(gone)).toBe('not-present');
  });

  it('of two requests follow one another, and none is lost', () => {
    const both = [read(), write()];
    expect(step()).toBe('read');
    // One asks again and writes; the other waits, reads what is there then, and writes the dirty flag.
    expect(serve()).toEqual(['read', 'write 4 at 0', 'read', 'read', 'write 4 at 0']);
    expect([...both.map(outcome), entry]).toEqual(['performed', 'performed', CLEAN | ACCESSED | DIRTY]);
  });

  it('wait for the credit that the owner gave, one access at a time', () => {
    setUp({}, 1);
    const both = [write('a'), read()];
    while (owner.calls.length > 0) {
      expect(owner.calls).toHaveLength(1);
      step();
    }
    expect([...both.map(outcome), entry]).toEqual(['performed', 'performed', CLEAN | ACCESSED | DIRTY]);
  });

  it.each([
    ['answers the second read with an error', 1],
    ['answers the write with an error', 2],
  ])('end the request in an external abort where the owner %s', (_, before) => {
    const dma = write();
    for (let calls = 0; calls < before; calls++) step();
    step({ kind: 'error', code: 'EIO', message: 'no' });
    expect([outcome(dma), entry, owner.calls]).toEqual(['external-abort', CLEAN, []]);
    const { records } = m.call('fault-records', { kind: 'fault-records' });
    expect(records.at(-1)).toMatchObject({ cause: 'external-abort', stage: 1, iova: page });
  });

  it.each([1, 2])('end it so where the owner is silent or gone after %d answers, and late ones count for nothing', (before) => {
    const silent = [write(), read()];
    for (let calls = 0; calls < before; calls++) step();
    m.silence(owner);
    expect(silent.map(outcome)).toEqual(['external-abort', 'external-abort']);
    serve();
    entry = CLEAN;
    const again = write();
    for (let calls = 0; calls < before; calls++) step();
    m.detachPeer(owner);
    expect(outcome(again)).toBe('external-abort');
  });

  it('are not written for a request that a reset has dropped', () => {
    const dma = write();
    step();
    const prepare = m.startPrepare(PROBE, 'w', { deadlineMs: 10 });
    m.advance(10, true);
    expect(outcome(dma)).toBe('aborted');
    expect(prepare.reply).toMatchObject({ aborted: 1 });
    expect([serve(), entry]).toEqual([['read'], CLEAN]);
  });

  it('are not written after an invalidation, and one waits for a write that was sent before it', () => {
    const dma = write();
    step();
    const unmap = (): Pending => m.start({ kind: 'unmap', target: { domain }, iova: page, bytes: 4096n });
    unmap();
    // The walk begins anew: the read that was on its way ends nothing.
    expect([step(), step(), step()]).toEqual(['read', 'read', 'read']);
    const call = unmap();
    expect([call.reply, owner.calls[0]?.call.kind]).toEqual([undefined, 'memory-write']);
    step();
    expect(serve()).toEqual(['read']);
    expect([outcome(dma), entry]).toEqual(['performed', CLEAN | ACCESSED | DIRTY]);
    expect(call.reply).toMatchObject({ kind: 'unmap', timedOut: 0 });
  });

  it('are awaited by a change of the domain', () => {
    const dma = write();
    for (let calls = 0; calls < 2; calls++) step();
    const detach = m.start({ kind: 'domain-detach', bdf: PROBE });
    expect([detach.reply, outcome(dma)]).toEqual([undefined, undefined]);
    step();
    expect(detach.reply).toMatchObject({ kind: 'ok' });
    expect(entry).toBe(CLEAN | ACCESSED | DIRTY);
  });

  it('are set by a translation request that announces a write', () => {
    const at = { iovaLow: Number(page), iovaHigh: 0, bytes: 1, pasid: -1 as never, hold: undefined, holdNs: 0, write: true } as const;
    const asked = m.start({ kind: 'model-dma', bdf: PROBE, operation: 'translate', data: undefined, translated: false, ...at });
    expect(serve()).toEqual(UPDATE);
    expect([asked.reply, entry]).toMatchObject([{ grants: [{ access: 3 }] }, CLEAN | ACCESSED | DIRTY]);
  });
});
