// long: the invariants of the window once more, for one choice of the machine
/**
 * Isolation `direct-regions`, a choice of the machine: in its window a function has a paging domain of its own that holds its direct regions and nothing
 * else. The invariants of the window hold with it.
 */
import { describe, expect, it } from 'vitest';
import { NO_PASID } from '../../server/src/core/base/index.ts';
import type { Behaviour, FunctionSpec } from '../../server/src/core/machine/index.ts';
import { CoreMachine, FIRST, PROBE, RAM, REMOTE, SECOND, probe, remote, type Options } from '../kit/core-machine.ts';

const IOVA = 0x1_0000;
/** Firmware's, and one that the driver could do without; then another function's. */
const REGION = RAM + 0x8_0000n;
const RELAXABLE = RAM + 0x9_0000n;
const OTHERS = RAM + 0xa_0000n;
const at = Number(REGION);
const translate = { operation: 'translate', bytes: 1, data: undefined } as const;

function withRegions(fn: FunctionSpec): FunctionSpec {
  return {
    ...fn,
    directRegions: [{ address: REGION, bytes: 0x2000n, relaxable: false }],
    reservedRegions: [
      { address: RELAXABLE, bytes: 0x1000n, type: 'direct-relaxable' },
      { address: OTHERS + 0x1000n, bytes: 0x1000n, type: 'reserved' },
    ],
  };
}
const REGIONS = withRegions(probe(PROBE));
const ONE_GROUP: readonly FunctionSpec[] = [
  withRegions(probe(FIRST, { multiFunction: true })),
  { ...probe(SECOND, { multiFunction: true }), directRegions: [{ address: OTHERS, bytes: 0x1000n, relaxable: false }] },
];

function machine(behaviour: Behaviour, options: Options = {}): { m: CoreMachine; page: bigint } {
  const m = new CoreMachine({ behaviour, isolation: 'direct-regions', functions: [REGIONS], ...options });
  const page = m.allocPage();
  m.map(options.functions?.[0]?.bdf ?? PROBE, IOVA, page);
  return { m, page };
}

/** How an untranslated request elsewhere ends, and every other one. */
const STOPPED = {
  strict: { refused: 'gate-closed', forbidden: 'gate-closed' },
  'linux-7.1': { refused: 'not-present', forbidden: 'ats-forbidden' },
} as const;
const EACH = ['strict', 'linux-7.1'] as const;

describe.each(EACH)('%s: a window that leaves direct regions open', (behaviour) => {
  const { refused, forbidden } = STOPPED[behaviour];

  it('2 the physical domain is a paging domain that is not the logical one, and no host knows it', () => {
    const { m, page } = machine(behaviour);
    const { logicalDomain } = m.info(PROBE);
    m.prepare(PROBE);
    const inside = m.info(PROBE);
    expect(inside).toMatchObject({ blocked: true, logicalDomain, physicalDomain: { type: 'paging' }, atsEnabled: false });
    const { id } = inside.physicalDomain!;
    expect(id).not.toBe(logicalDomain?.id);
    expect(() => m.start(m.mapCommand({ domain: id }, IOVA, page))).toThrow(`no domain ${id}`);
  });

  it('17 untranslated requests reach its direct regions, and nothing else', () => {
    const { m, page } = machine(behaviour);
    m.prepare(PROBE);
    expect(m.outcome(PROBE, at, 'inside')).toBe('performed');
    expect(m.text(REGION, 6)).toBe('inside');
    expect(m.outcome(PROBE, at + 0x1ffc, 'last')).toBe('performed');
    expect(m.outcome(PROBE, Number(RELAXABLE), 'loose')).toBe('performed');
    for (const elsewhere of [IOVA, Number(page), at - 0x1000, at + 0x2000, Number(OTHERS), Number(OTHERS) + 0x1000]) {
      expect(m.outcome(PROBE, elsewhere, 'x'), elsewhere.toString(16)).toBe(refused);
    }
    expect(m.text(page, 1)).toBe('\0');
    // The first page that it may not reach stops a request that runs over the end.
    expect(m.outcome(PROBE, at + 0x1ffe, 'over')).toBe(refused);
  });

  it('17 translation requests and translated requests are refused there too, and what it holds is worth nothing', () => {
    const { m } = machine(behaviour);
    expect(m.outcome(PROBE, at, 'before', { translated: true })).toBe('performed');
    m.prepare(PROBE);
    expect(m.info(PROBE).atsEnabled).toBe(false);
    expect(m.outcome(PROBE, at, '', translate)).toBe(forbidden);
    expect(m.outcome(PROBE, at, 'inside', { translated: true })).toBe(forbidden);
    expect(m.text(REGION, 6)).toBe('before');
  });

  it('3 every PASID is blocked, its direct regions too', () => {
    const { m } = machine(behaviour);
    const domain = m.allocDomain();
    m.map({ domain }, at, REGION);
    m.call('ok', m.attachPasid(PROBE, 5, domain));
    m.prepare(PROBE);
    expect(m.info(PROBE).pasids).toMatchObject([{ pasid: 5, physicalDomain: { type: 'blocked' } }]);
    expect(m.outcome(PROBE, at, 'x', { pasid: 5 })).toBe(behaviour === 'strict' ? 'gate-closed' : 'blocked-domain');
    m.done(PROBE);
    expect(m.outcome(PROBE, at, 'x', { pasid: 5 })).toBe('performed');
  });
});

describe.each(EACH)('%s: the ends of a window that leaves direct regions open', (behaviour) => {
  it('4 where the hardware refuses it: depth, blocked, count and RID domain are as before', () => {
    const { m } = machine(behaviour);
    const before = m.info(PROBE);
    m.arm(PROBE, 'attach-fails');
    expect(m.startPrepare(PROBE).reply).toMatchObject({ kind: 'refused', code: 'EIO' });
    expect(m.info(PROBE)).toEqual(before);
    expect(m.outcome(PROBE, IOVA, 'alive')).toBe('performed');
  });

  it('13 done gives the function what is current then, and nothing of the window is left', () => {
    const { m, page } = machine(behaviour);
    const other = m.allocDomain();
    m.map({ domain: other }, at, page);
    m.call('ok', m.attach(PROBE, other));
    m.prepare(PROBE);
    expect(m.outcome(PROBE, at, 'firmware')).toBe('performed');
    m.done(PROBE);
    expect(m.info(PROBE)).toMatchObject({ physicalDomain: { id: other }, blocked: false, atsEnabled: true });
    expect(m.outcome(PROBE, at, 'driver')).toBe('performed');
    expect([m.text(REGION, 8), m.text(page, 6)]).toEqual(['firmware', 'driver']);
    m.prepare(PROBE);
    m.call('ok', { kind: 'domain-detach', bdf: PROBE });
    m.done(PROBE);
    expect(m.outcome(PROBE, IOVA, 'default')).toBe('performed');
  });

  it('13 done awaits what was let through in the window', () => {
    const { m, page } = machine(behaviour, { clock: 'manual' });
    const other = m.allocDomain();
    m.map({ domain: other }, at, page);
    m.call('ok', m.attach(PROBE, other));
    m.prepare(PROBE);
    const held = m.write(PROBE, at, 'firmware', { hold: 'translated' });
    const done = m.start({ kind: 'reset-done', bdf: PROBE, token: 'w', all: false });
    expect(done.reply).toBeUndefined();
    m.release(PROBE);
    expect(held.reply).toMatchObject({ outcome: 'performed' });
    expect(done.reply).toMatchObject({ kind: 'reset-done', depth: 0, warning: '' });
    expect(m.text(REGION, 8)).toBe('firmware');
  });

  it('18 unmap of the retained domain works in the window, and is not seen by it', () => {
    const { m } = machine(behaviour);
    m.prepare(PROBE);
    expect(m.startUnmap(PROBE, at).reply).toMatchObject({ kind: 'unmap', bytes: 4096n, timedOut: 0 });
    expect(m.outcome(PROBE, at, 'inside')).toBe('performed');
    m.done(PROBE);
    expect(m.outcome(PROBE, at, 'after')).toBe('not-present');
  });
});

describe.each(EACH)('%s: who has direct regions in a window, and who has none', (behaviour) => {
  const { refused } = STOPPED[behaviour];

  it('20 a sibling has regions of its own, and goes on with its domain', () => {
    const { m } = machine(behaviour, { functions: ONE_GROUP });
    m.prepare(FIRST);
    expect(m.outcome(FIRST, Number(OTHERS), 'x')).toBe(refused);
    for (const iova of [IOVA, at, Number(OTHERS)]) expect(m.outcome(SECOND, iova, 'x')).toBe('performed');
    m.prepare(SECOND);
    expect(m.outcome(SECOND, Number(OTHERS), 'x')).toBe('performed');
    expect(m.outcome(SECOND, at, 'x')).toBe(refused);
  });

  it('22 nobody else is let in by it: what has a direct region cannot be claimed', () => {
    const { m } = machine(behaviour);
    expect(m.refusal({ kind: 'owner-claim', bdf: PROBE })).toBe('EINVAL');
  });

  it('2 a window opens nothing that was shut: not in a group that its owner has blocked', () => {
    const relaxed = { ...probe(PROBE), directRegions: [{ address: REGION, bytes: 0x1000n, relaxable: true }] };
    const { m } = machine(behaviour, { functions: [relaxed] });
    m.call('ok', { kind: 'owner-claim', bdf: PROBE });
    m.prepare(PROBE);
    expect(m.info(PROBE).physicalDomain?.type).toBe('blocked');
    expect(m.outcome(PROBE, at, 'inside')).not.toBe('performed');
    m.call('ok', { kind: 'owner-release', bdf: PROBE });
    m.done(PROBE);
    expect(m.outcome(PROBE, at, 'after')).toBe('performed');
  });
});

describe.each(EACH)('%s: a window that leaves direct regions open, and other calls', (behaviour) => {
  const { refused } = STOPPED[behaviour];

  it('12 an owner that detaches in the window gets it blocked by done', () => {
    const relaxed = { ...probe(PROBE), directRegions: [{ address: REGION, bytes: 0x1000n, relaxable: true }] };
    const { m } = machine(behaviour, { functions: [relaxed] });
    m.call('ok', { kind: 'owner-claim', bdf: PROBE });
    m.call('ok', m.attach(PROBE, m.allocDomain()));
    m.prepare(PROBE);
    expect(m.outcome(PROBE, at, 'inside')).toBe('performed');
    m.call('ok', { kind: 'domain-detach', bdf: PROBE });
    expect(m.done(PROBE)).toMatchObject({ warning: '' });
    expect(m.info(PROBE)).toMatchObject({ blocked: false, physicalDomain: { type: 'blocked' } });
    expect(m.outcome(PROBE, at, 'after')).toBe('blocked-domain');
  });

  it('25 a function whose domain the hardware refuses at done is blocked, its direct regions too', () => {
    const { m } = machine(behaviour);
    m.prepare(PROBE);
    m.arm(PROBE, 'attach-fails');
    expect(m.done(PROBE).warning).not.toBe('');
    expect(m.info(PROBE).physicalDomain?.type).toBe('blocked');
    expect(m.outcome(PROBE, at, 'after')).not.toBe('performed');
    expect(m.group(PROBE).recoveryCount).toBe(0);
    expect(m.reset(PROBE).reply).toMatchObject({ kind: 'reset' });
    expect(m.outcome(PROBE, at, 'again')).toBe('performed');
  });

  it('23 works where the driver has no blocked domain, too', () => {
    const { m } = machine(behaviour, { blockedDomain: false });
    m.prepare(PROBE);
    expect(m.outcome(PROBE, at, 'inside')).toBe('performed');
    expect(m.outcome(PROBE, IOVA, 'inside')).toBe(refused);
    m.done(PROBE);
    expect(m.outcome(PROBE, IOVA, 'after')).toBe('performed');
  });

  it('24 a group with no domain stays blocked', () => {
    const m = new CoreMachine({ behaviour, isolation: 'direct-regions', functions: [{ ...REGIONS, defaultDomain: 'none' }] });
    m.prepare(PROBE);
    expect(m.outcome(PROBE, at, 'inside')).not.toBe('performed');
    expect(m.done(PROBE).warning).toBe('');
    expect(m.outcome(PROBE, at, 'after')).toBe('blocked-domain');
  });

  it('16 a function without direct regions has nothing in its window', () => {
    const { m, page } = machine(behaviour, { functions: [probe(PROBE)] });
    expect(m.outcome(PROBE, IOVA, 'before', { translated: true })).toBe('performed');
    expect(m.prepare(PROBE)).toMatchObject({ completed: 1, timedOut: 0 });
    expect(m.outcome(PROBE, IOVA, 'inside')).toBe(refused);
    expect(m.text(page, 6)).toBe('before');
    m.done(PROBE);
    expect(m.outcome(PROBE, IOVA, 'after!')).toBe('performed');
  });

  it('17 a device role is let through as a model is', () => {
    const { m } = machine(behaviour, { functions: [withRegions(remote(REMOTE))] });
    const peer = m.attachPeer({ device: true });
    m.call('device-claim', { kind: 'device-claim', bdf: REMOTE }, peer.id);
    m.prepare(REMOTE);
    const write = { kind: 'dma-write', bdf: REMOTE, pasid: NO_PASID, iovaHigh: 0, data: new TextEncoder().encode('peer') } as const;
    expect(m.call('dma', { ...write, iovaLow: at }, peer.id).outcome).toBe('performed');
    expect(m.call('dma', { ...write, iovaLow: IOVA }, peer.id).outcome).toBe(refused);
    expect(m.text(REGION, 4)).toBe('peer');
  });
});

describe('strict: a window that leaves direct regions open', () => {
  it('17 does so when it drains no more: before the RID is moved, another domain may have something else there', () => {
    const { m, page } = machine('strict', { clock: 'manual' });
    const other = m.allocDomain();
    m.map({ domain: other }, at, page);
    m.call('ok', m.attach(PROBE, other));
    m.write(PROBE, at, 'held', { hold: 'translated' });
    const prepare = m.startPrepare(PROBE);
    expect(prepare.reply).toBeUndefined();
    expect(m.outcome(PROBE, at, 'early')).toBe('gate-closed');
    m.release(PROBE);
    expect(prepare.reply).toMatchObject({ kind: 'reset-prepare', drained: 1 });
    expect(m.outcome(PROBE, at, 'inside')).toBe('performed');
    expect([m.text(page, 4), m.text(REGION, 6)]).toEqual(['held', 'inside']);
  });

  it('39 a reset that failed shuts them with the rest, until one succeeds', () => {
    const { m } = machine('strict');
    m.arm(PROBE, 'never-ready');
    m.reset(PROBE);
    expect(m.info(PROBE)).toMatchObject({ blocked: true, physicalDomain: { type: 'blocked' }, resetDepth: 0 });
    expect(m.outcome(PROBE, at, 'after')).not.toBe('performed');
    // Nor does the window of the reset that is to mend it open them.
    m.prepare(PROBE);
    expect(m.info(PROBE).physicalDomain?.type).toBe('blocked');
    m.done(PROBE);
    expect(m.info(PROBE).blocked).toBe(true);
  });

  it('39 a done that leaves it blocked awaits what was let through before', () => {
    const { m } = machine('strict', { clock: 'manual' });
    m.prepare(PROBE);
    const held = m.write(PROBE, at, 'firmware', { hold: 'translated' });
    m.arm(PROBE, 'never-ready');
    m.start({ kind: 'reset-trigger', bdf: PROBE, method: 'flr' });
    m.advance(70_000);
    const done = m.start({ kind: 'reset-done', bdf: PROBE, token: 'w', all: false });
    expect([done.reply, held.reply]).toEqual([undefined, undefined]);
    m.release(PROBE);
    expect(done.reply).toMatchObject({ kind: 'reset-done', depth: 0 });
    expect(held.reply).toMatchObject({ outcome: 'performed' });
    expect(m.info(PROBE)).toMatchObject({ blocked: true, physicalDomain: { type: 'blocked' } });
  });

  it('40 a function that is reported broken in its window is shut at once, and what was let through is dropped', () => {
    const { m } = machine('strict', { clock: 'manual' });
    m.prepare(PROBE);
    const held = m.write(PROBE, at, 'firmware', { hold: 'translated' });
    m.call('ok', { kind: 'report-broken', bdf: PROBE });
    expect(held.reply).toMatchObject({ outcome: 'aborted' });
    expect(m.info(PROBE)).toMatchObject({ blocked: true, physicalDomain: { type: 'blocked' } });
    expect(m.outcome(PROBE, at, 'inside')).toBe('gate-closed');
    expect(m.done(PROBE).warning).toContain('stays blocked');
    expect(m.outcome(PROBE, at, 'after')).toBe('gate-closed');
  });

  it('33 the reset itself lets nothing through: bus mastering is off', () => {
    const { m } = machine('strict', { clock: 'manual' });
    m.reset(PROBE);
    expect(m.info(PROBE).blocked).toBe(true);
    expect(m.outcome(PROBE, at, 'inside')).toBe('gate-closed');
    m.advance(200);
    expect(m.info(PROBE).blocked).toBe(false);
    expect(m.outcome(PROBE, at, 'after')).toBe('performed');
  });
});
