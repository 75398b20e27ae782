/** Memory whose owner vanishes: absent for a while, then another's, or gone. */
import { describe, expect, it } from 'vitest';
import { Machine, graceOver } from '../../../../server/src/core/machine/index.ts';
import { CoreMachine, PROBE, type Pending, type TestPeer } from '../../../kit/core-machine.ts';
import { TABLES, ownedTables, serveTables } from '../../../kit/owned-tables.ts';

const OWNED = 0x8000_0000n;
const BYTES = 0x4000n;
const IOVA = 0x2_0000;
const PRESENT = 7n;

interface Bench {
  readonly m: CoreMachine;
  readonly owner: TestPeer;
}

function bench(): Bench {
  const m = new CoreMachine();
  const owner = m.attachPeer({ memory: true });
  own(m, owner);
  m.map(PROBE, IOVA, OWNED);
  return { m, owner };
}

function own(m: CoreMachine, { id }: TestPeer, address = OWNED, bytes = BYTES): Pending {
  return m.start({ kind: 'memory-claim', address, bytes, depth: 4 }, id);
}

function over(m: CoreMachine): void {
  m.call('ok', graceOver(m.machine.absent()));
}

const changes = (m: CoreMachine): string[] =>
  m.events.flatMap((event) => (event.kind === 'memory' ? [`${event.change} ${event.peer} ${event.address.toString(16)}`] : []));

const hostRead = (m: CoreMachine): unknown => m.start({ kind: 'memory-read', address: OWNED + 8n, bytes: 4 }).reply;
const busRead = (m: CoreMachine, bytes: number): unknown => m.start({ kind: 'bus-read', space: 'memory', address: OWNED, bytes }).reply;

describe('memory whose owner has vanished', () => {
  it('is absent: what meets it completes at once without it, names the owner, and mappings stand', () => {
    const { m, owner } = bench();
    m.detachPeer(owner);
    expect(m.machine.absent()).toEqual([{ address: OWNED, peer: owner.id }]);
    expect(m.write(PROBE, IOVA, 'x').reply).toMatchObject({ outcome: 'completer-abort', bytesDone: 0, absentOwner: owner.id });
    expect(m.write(PROBE, IOVA, 'old', { operation: 'read' }).reply).toMatchObject({ outcome: 'completer-abort', absentOwner: owner.id });
    expect(hostRead(m)).toMatchObject({ kind: 'refused', code: 'EIO', message: expect.stringContaining(`peer ${owner.id}, is gone`) });
    expect([busRead(m, 2), busRead(m, 8)]).toMatchObject([
      { valueLow: 0xffff, valueHigh: 0 },
      { valueLow: 0xffff_ffff, valueHigh: -1 },
    ]);
    const write = { kind: 'bus-write', space: 'memory', address: OWNED, bytes: 4, valueLow: 1, valueHigh: 0 } as const;
    expect(m.start(write).reply).toMatchObject({ kind: 'ok' });
    expect(m.call('machine-status', { kind: 'machine-status' })).toMatchObject({
      clockWaitsFor: [],
      memory: [{ address: OWNED, bytes: BYTES, peer: owner.id, absent: true }],
    });
    expect(m.events.filter((event) => event.kind === 'fault')).toEqual([]);
  });

  it('names no owner where something else fails before it', () => {
    const { m, owner } = bench();
    m.detachPeer(owner);
    const { reply } = m.write(PROBE, IOVA - 4, 'before, and in it');
    expect(reply).toMatchObject({ outcome: 'not-present', bytesDone: 0, absentOwner: undefined });
  });

  it('is back with what is mapped to it when a peer claims the same range', () => {
    const { m, owner } = bench();
    m.detachPeer(owner);
    const again = m.attachPeer({ memory: true });
    expect(own(m, again).reply).toMatchObject({ kind: 'ok' });
    expect(m.machine.absent()).toEqual([]);
    const write = m.write(PROBE, IOVA, 'new');
    const { token, call } = again.calls[0]!;
    expect(call).toMatchObject({ kind: 'memory-write', address: OWNED });
    m.answer(again, token, { kind: 'ok' });
    expect(write.reply).toMatchObject({ outcome: 'performed' });
    expect(changes(m)).toEqual([`owned ${owner.id} 80000000`, `absent ${owner.id} 80000000`, `back ${again.id} 80000000`]);
    // The end of a grace time that it has outlived changes nothing.
    m.call('ok', { kind: 'grace-over', functions: [], memory: [OWNED] });
    expect(m.write(PROBE, IOVA, 'x').reply).toBeUndefined();
  });

  it.each([
    ['a part of it', OWNED, BYTES / 2n],
    ['more than it', OWNED, BYTES * 2n],
    ['its end', OWNED + BYTES - 0x1000n, 0x2000n],
  ])('is claimed as a whole: %s is EBUSY', (_, address, bytes) => {
    const { m, owner } = bench();
    m.detachPeer(owner);
    const other = m.attachPeer({ memory: true });
    expect(own(m, other, address, bytes).reply).toMatchObject({
      code: 'EBUSY',
      message: expect.stringContaining(`0x80000000+0x4000, whose owner, peer ${owner.id}, is absent`),
    });
    expect(m.machine.absent()).toHaveLength(1);
  });

  it('is EADDRINUSE where its owner is there', () => {
    const { m } = bench();
    expect(own(m, m.attachPeer({ memory: true })).reply).toMatchObject({ code: 'EADDRINUSE' });
  });

  it('is gone when the time is over: nobody decodes its addresses, and anybody may own them', () => {
    const { m, owner } = bench();
    m.detachPeer(owner);
    over(m);
    expect(m.machine.absent()).toEqual([]);
    expect(m.write(PROBE, IOVA, 'x').reply).toMatchObject({ outcome: 'unsupported-request', absentOwner: undefined });
    expect(hostRead(m)).toMatchObject({ code: 'EFAULT' });
    expect(changes(m).at(-1)).toBe(`gone ${owner.id} 80000000`);
    expect(m.logs()).toContain('memory 0x80000000+0x4000 is gone: nobody came back for it');
    expect(own(m, m.attachPeer({ memory: true }), OWNED, BYTES / 2n).reply).toMatchObject({ kind: 'ok' });
  });

  it('has no grace time where it was given up', () => {
    const { m, owner } = bench();
    m.call('ok', { kind: 'memory-release', address: OWNED }, owner.id);
    m.detachPeer(owner);
    expect(m.machine.absent()).toEqual([]);
    expect(changes(m).at(-1)).toBe(`released ${owner.id} 80000000`);
    expect(m.write(PROBE, IOVA, 'x').reply).toMatchObject({ outcome: 'unsupported-request' });
  });

  it('ends what it owed, and what waited for its credit', () => {
    const { m, owner } = bench();
    const sent = Array.from({ length: 4 }, () => m.write(PROBE, IOVA, 'sent'));
    const waiting = m.write(PROBE, IOVA, 'waiting');
    expect(owner.calls).toHaveLength(4);
    m.detachPeer(owner);
    for (const { reply } of sent) expect(reply).toMatchObject({ outcome: 'indeterminate', absentOwner: owner.id });
    expect(waiting.reply).toMatchObject({ outcome: 'completer-abort', absentOwner: owner.id });
  });

  it('with page tables in it gives no entry', () => {
    const tables = ownedTables({ guest: { format: 'x86-64' }, bytes: 0x10000n, clock: 'auto' });
    const { m, owner, domain } = tables;
    const waiting = m.write(PROBE, IOVA, 'x');
    expect(owner.calls).toHaveLength(1);
    m.detachPeer(owner);
    expect(waiting.reply).toMatchObject({ outcome: 'external-abort' });
    expect(m.outcome(PROBE, IOVA)).toBe('external-abort');
    expect(m.start({ kind: 'iova-to-phys', target: { domain }, iova: BigInt(IOVA) }).reply).toMatchObject({
      code: 'EIO',
      message: expect.stringContaining('its owner is gone'),
    });
    const again = m.attachPeer({ memory: true });
    own(m, again, TABLES, 0x10000n);
    const write = m.write(PROBE, IOVA, 'x');
    const next = TABLES + 0x1000n;
    const words = new Map([0n, 1n, 2n, 3n].map((level) => [TABLES + level * 0x1000n, (next + level * 0x1000n) | PRESENT]));
    words.set(TABLES + 0x3000n + 8n * BigInt(IOVA >> 12), tables.page | PRESENT);
    serveTables({ ...tables, owner: again }, words);
    expect(write.reply).toMatchObject({ outcome: 'performed' });
  });

  it('is absent in a machine of a snapshot, whoever was there when it was saved', () => {
    const { m, owner } = bench();
    const second = m.attachPeer({ memory: true });
    own(m, second, OWNED + BYTES, 0x1000n);
    m.detachPeer(owner);
    const restored = Machine.restore(m.machine.save());
    expect(restored.absent()).toEqual([
      { address: OWNED, peer: owner.id },
      { address: OWNED + BYTES, peer: second.id },
    ]);
    const host = restored.peerAttach({ host: true, device: false, memory: false, observer: false });
    const memory = restored.peerAttach({ host: false, device: false, memory: true, observer: false });
    restored.submit(memory, 1, { kind: 'memory-claim', address: OWNED, bytes: BYTES, depth: 1 });
    restored.submit(0, 2, graceOver(restored.absent()));
    restored.takeOutbox();
    restored.submit(host, 3, { kind: 'memory-read', address: OWNED, bytes: 4 });
    restored.submit(host, 4, { kind: 'memory-read', address: OWNED + BYTES, bytes: 4 });
    expect(restored.takeOutbox()).toMatchObject([
      { type: 'call', to: memory, call: { kind: 'memory-read', address: OWNED } },
      { type: 'reply', token: 4, reply: { code: 'EFAULT' } },
    ]);
  });
});

it('equal inputs give equal hashes, the grace time too', () => {
  const hash = (ended: boolean): string => {
    const { m, owner } = bench();
    m.detachPeer(owner);
    if (ended) over(m);
    return m.hash();
  };
  expect(hash(true)).toBe(hash(true));
  expect(hash(false)).not.toBe(hash(true));
});
