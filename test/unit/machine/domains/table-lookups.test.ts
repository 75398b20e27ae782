/** What tables in memory that a peer owns map an address to, for a host that asks. */
import { beforeEach, describe, expect, it } from 'vitest';
import { PROBE, type CoreMachine, type Pending, type TestPeer } from '../../../kit/core-machine.ts';
import { TABLES, ownedTables, serveTables, type OwnedTables } from '../../../kit/owned-tables.ts';

const IOVA = 0x1000n;
/** Two tables of Sv39 that a walk goes through in the owner's memory, and the last in RAM. */
const VALID = 1n;
const LEAF = 0xdfn;

let given: OwnedTables;
let m: CoreMachine;
let owner: TestPeer;
let domain: number;
let page: bigint;
let words: Map<bigint, bigint>;

beforeEach(() => {
  const guest = { format: 'riscv-sv39', accessedDirty: true } as const;
  given = ownedTables({ guest, bytes: 0x3000n, depth: 1, attached: false });
  ({ m, owner, domain, page } = given);
  words = new Map([
    [TABLES, ((TABLES + 0x1000n) >> 2n) | VALID],
    [TABLES + 0x1000n, ((TABLES + 0x2000n) >> 2n) | VALID],
    [TABLES + 0x2008n, (page >> 2n) | LEAF],
  ]);
});

function phys(iova = IOVA, peer = 0): Pending {
  return m.start({ kind: 'iova-to-phys', target: { domain }, iova }, peer);
}
const serve = (most?: number): readonly bigint[] => serveTables(given, words, most);

describe('a lookup in tables that a peer has', () => {
  it('asks for one entry after the other, and sets no flag', () => {
    words.set(TABLES + 0x2008n, (page >> 2n) | 0x1fn);
    const found = phys(IOVA + 5n);
    expect([found.reply, owner.calls.length]).toEqual([undefined, 1]);
    expect(serve()).toEqual([TABLES, TABLES + 0x1000n, TABLES + 0x2008n]);
    expect(found.reply).toEqual({ kind: 'iova-to-phys', mapped: true, address: page + 5n });
  });

  it('says that nothing is mapped when the owner has said so', () => {
    const none = phys(0x2000n);
    expect(serve()).toHaveLength(3);
    expect(none.reply).toMatchObject({ mapped: false });
    const above = phys(1n << 30n);
    expect([serve(), above.reply]).toMatchObject([[TABLES + 8n], { mapped: false }]);
    // No address of the format: nobody is asked.
    expect(phys(1n << 60n).reply).toMatchObject({ mapped: false });
  });

  it('goes on with several, and beside a walk, whatever the credit is', () => {
    m.call('ok', m.attach(PROBE, domain));
    const write = m.write(PROBE, Number(IOVA), 'x');
    const both = [phys(), phys(IOVA + 1n)];
    expect(owner.calls).toHaveLength(3);
    serve();
    expect([...both, write].map(({ reply }) => reply)).toMatchObject([{ address: page }, { address: page + 1n }, { outcome: 'performed' }]);
  });

  it('begins anew after an invalidation', () => {
    m.call('ok', m.attach(PROBE, domain));
    const found = phys();
    serve(2);
    const fresh = m.allocPage();
    words.set(TABLES + 0x2008n, (fresh >> 2n) | LEAF);
    m.start({ kind: 'unmap', target: { domain }, iova: IOVA, bytes: 4096n });
    expect(serve()).toEqual([TABLES + 0x2008n, TABLES, TABLES + 0x1000n, TABLES + 0x2008n]);
    expect(found.reply).toMatchObject({ address: fresh });
  });

  it('is refused where the owner errs, is silent or is gone', () => {
    const erred = phys();
    m.answer(owner, owner.calls.shift()!.token, { kind: 'error', code: 'EFAULT', message: 'no' });
    expect(erred.reply).toMatchObject({ kind: 'refused', code: 'EIO', about: 'iova' });
    const silent = phys();
    m.silence(owner);
    expect([silent, phys()].map(({ reply }) => reply)).toMatchObject([{ code: 'ETIMEDOUT' }, { code: 'ETIMEDOUT' }]);
    // Late, its answer is used for nothing; and it is asked again.
    serve();
    const gone = phys();
    expect(owner.calls).toHaveLength(1);
    m.detachPeer(owner);
    expect([gone, phys()].map(({ reply }) => reply)).toMatchObject([{ code: 'EIO' }, { code: 'EIO' }]);
  });

  it('keeps its domain', () => {
    const found = phys();
    expect(m.refusal({ kind: 'domain-free', domain })).toBe('EBUSY');
    serve();
    expect(found.reply).toMatchObject({ mapped: true });
    m.call('ok', { kind: 'domain-free', domain });
  });

  it('is refused to a peer that only observes: nobody is asked for it', () => {
    const observer = m.attachPeer({ observer: true });
    expect([phys(IOVA, observer.id).reply, owner.calls]).toMatchObject([{ kind: 'refused', code: 'EPERM' }, []]);
  });
});
