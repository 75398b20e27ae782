/** Invariants 17 and 49: page requests of a blocked function are refused, and whoever goes has its pending ones answered Invalid Request. */
import { describe, expect, it } from 'vitest';
import { bdf, type Bdf } from '../../server/src/core/base/index.ts';
import type { Behaviour } from '../../server/src/core/machine/index.ts';
import { CoreMachine, PROBE, REMOTE, probe, remote, type Pending, type TestPeer } from '../kit/core-machine.ts';
import type { PageFields } from '../kit/page-requests.ts';

const IOVA = 0x4_0000;
const OTHER = bdf(0, 0, 6, 0);
/** Where PAGE_ANSWERS has them, as traces say. */
const [SUCCESS, INVALID] = [0, 1];
const BEHAVIOURS: readonly Behaviour[] = ['strict', 'linux-7.1', 'linux-7.0'];

/** A function in a fault-capable domain of its own. */
function faulting(options: ConstructorParameters<typeof CoreMachine>[0] = {}, at: Bdf = PROBE): { m: CoreMachine; domain: number } {
  const m = new CoreMachine(options);
  const domain = m.allocFaultDomain();
  m.call('ok', m.attach(at, domain));
  return { m, domain };
}

/** A page request with its last that waits for its answer. */
function asked(m: CoreMachine, fields: PageFields = {}, at: Bdf = PROBE): Pending {
  const before = m.pageFaults().length;
  const pending = m.requestPages(at, { iova: IOVA, ...fields });
  expect([pending.reply, m.pageFaults().length]).toEqual([undefined, before + 1]);
  return pending;
}

/** Answers that the function took, and those that came for a group that it does not know. */
function answers(m: CoreMachine, at: Bdf = PROBE): { readonly taken: readonly number[]; readonly late: readonly number[] } {
  return { taken: m.traced('page-response', at).map(({ c }) => c), late: m.traced('page-response-late', at).map(({ c }) => c) };
}

function pendingFaults(m: CoreMachine): readonly number[] {
  return m.call('page-faults', { kind: 'page-faults' }).faults.map(({ number }) => number);
}

describe('49 a function that is removed', () => {
  function claimed(): { m: CoreMachine; peer: TestPeer } {
    const { m } = faulting({ functions: [remote(REMOTE), probe(OTHER)] }, REMOTE);
    const peer = m.attachPeer({ device: true });
    expect(m.start({ kind: 'device-claim', bdf: REMOTE }, peer.id).reply).toMatchObject({ kind: 'device-claim' });
    return { m, peer };
  }

  it('49 with its peer has every pending page request answered Invalid Request, each once', () => {
    const { m, peer } = claimed();
    for (const iova of [0x1000, 0x2000, 0x3000]) m.requestPages(REMOTE, { iova }, 'page-request', peer.id);
    expect(pendingFaults(m)).toEqual([1, 2, 3]);
    m.detachPeer(peer);
    expect(answers(m, REMOTE)).toEqual({ taken: [INVALID, INVALID, INVALID], late: [] });
    expect(pendingFaults(m)).toEqual([]);
    for (const fault of [1, 2, 3]) expect(m.respond(fault, 'success').reply).toMatchObject({ kind: 'refused', code: 'EINVAL' });
    expect(answers(m, REMOTE).taken).toHaveLength(3);
  });

  it('49 by its own peer too, whose calls are answered so', () => {
    const { m, peer } = claimed();
    const call = m.requestPages(REMOTE, { iova: IOVA }, 'page-request', peer.id);
    expect(m.start({ kind: 'device-release', bdf: REMOTE }, peer.id).reply).toMatchObject({ kind: 'ok' });
    expect(call.reply).toMatchObject({ kind: 'page-request', answer: 'invalid' });
  });

  it('49 leaves parts of a group to nobody: the next one with its index has pages of its own only', () => {
    const { m, peer } = claimed();
    m.requestPages(REMOTE, { iova: 0x1000, group: 4, last: false }, 'page-request', peer.id);
    m.detachPeer(peer);
    const next = m.attachPeer({ device: true });
    m.start({ kind: 'device-claim', bdf: REMOTE }, next.id);
    // It is reset as it comes, where it can be.
    for (const { token } of next.calls) m.answer(next, token, { kind: 'ok' });
    m.requestPages(REMOTE, { iova: 0x9000, group: 4 }, 'page-request', next.id);
    expect(m.pageFaults().at(-1)).toMatchObject({ group: 4, ranges: [{ iova: 0x9000n, pages: 1 }] });
  });

  it('49 answers nobody else: the page fault of another function waits on', () => {
    const { m, peer } = claimed();
    const domain = m.allocFaultDomain();
    m.call('ok', m.attach(OTHER, domain));
    m.requestPages(REMOTE, { iova: IOVA }, 'page-request', peer.id);
    const other = asked(m, {}, OTHER);
    m.detachPeer(peer);
    expect(pendingFaults(m)).toEqual([2]);
    expect(other.reply).toBeUndefined();
    m.respond(2, 'success');
    expect(other.reply).toMatchObject({ answer: 'success' });
  });
});

describe('49 a domain that goes', () => {
  it('49 by a detach has its page faults answered Invalid Request', () => {
    const { m } = faulting();
    const [first, second] = [asked(m), asked(m, { iova: 0x9000, pages: 3 })];
    m.call('ok', { kind: 'domain-detach', bdf: PROBE });
    expect([first.reply, second.reply]).toMatchObject([{ answer: 'invalid' }, { answer: 'invalid' }]);
    expect(answers(m)).toEqual({ taken: [INVALID, INVALID], late: [] });
    expect(m.respond(1, 'success').reply).toMatchObject({ code: 'EINVAL' });
  });

  it('49 in favour of another that can fault: what was for the old one is answered, what is for the new one waits', () => {
    const { m } = faulting();
    const before = asked(m);
    m.call('ok', m.attach(PROBE, m.allocFaultDomain()));
    expect(before.reply).toMatchObject({ answer: 'invalid' });
    const after = asked(m);
    expect(after.reply).toBeUndefined();
    expect(pendingFaults(m)).toEqual([2]);
  });

  it('49 by a claim of ownership, which blocks the group', () => {
    const m = new CoreMachine();
    const domain = m.allocFaultDomain();
    m.call('ok', { kind: 'owner-claim', bdf: PROBE });
    m.call('ok', m.attach(PROBE, domain));
    const pending = asked(m);
    m.call('ok', { kind: 'domain-detach', bdf: PROBE });
    expect(pending.reply).toMatchObject({ answer: 'invalid' });
  });

  it('49 from a PASID leaves other PASIDs and requests without one alone', () => {
    const { m } = faulting();
    const domain = m.allocFaultDomain();
    for (const number of [5, 6]) m.call('ok', m.attachPasid(PROBE, number, domain));
    const [plain, five, six] = [asked(m), asked(m, { pasid: 5 }), asked(m, { pasid: 6 })];
    m.call('ok', m.detachPasid(PROBE, 5));
    expect([plain.reply, six.reply]).toEqual([undefined, undefined]);
    expect(five.reply).toMatchObject({ answer: 'invalid' });
    m.call('ok', m.attachPasid(PROBE, 6, m.allocFaultDomain(), true));
    expect(six.reply).toMatchObject({ answer: 'invalid' });
    expect(plain.reply).toBeUndefined();
    expect(pendingFaults(m)).toEqual([1]);
  });

  it('49 finds nothing to answer where a host has answered, and a host nothing twice', () => {
    const { m } = faulting();
    const pending = asked(m);
    m.call('ok', { kind: 'page-response', fault: 1, answer: 'success' });
    expect(pending.reply).toMatchObject({ answer: 'success' });
    expect(m.respond(1, 'success').reply).toMatchObject({ kind: 'refused', code: 'EINVAL' });
    m.call('ok', { kind: 'domain-detach', bdf: PROBE });
    m.prepare(PROBE);
    expect(answers(m)).toEqual({ taken: [SUCCESS], late: [] });
  });

  it('49 in an attach that fails, and so does not go: its page faults wait on', () => {
    const { m } = faulting();
    const pending = asked(m);
    m.arm(PROBE, 'attach-fails');
    expect(m.refusal(m.attach(PROBE, m.allocDomain()))).toBe('EIO');
    expect(pending.reply).toBeUndefined();
    m.respond(1, 'success');
    expect(pending.reply).toMatchObject({ answer: 'success' });
  });
});

describe('49 and 17 a reset window', () => {
  it.each(BEHAVIOURS)('49 %s: prepare answers what is pending Invalid Request, and once', (behaviour) => {
    const { m } = faulting({ behaviour });
    const [first, second] = [asked(m), asked(m, { iova: 0x9000 })];
    m.prepare(PROBE);
    expect([first.reply, second.reply]).toMatchObject([{ answer: 'invalid' }, { answer: 'invalid' }]);
    expect(answers(m)).toEqual({ taken: [INVALID, INVALID], late: [] });
    for (const fault of [1, 2]) expect(m.respond(fault, 'success').reply).toMatchObject({ code: 'EINVAL' });
    m.done(PROBE);
    expect(answers(m).taken).toHaveLength(2);
  });

  it('49 a drain answers when it begins, not when it ends', () => {
    const { m } = faulting({ clock: 'manual' });
    const page = m.allocPage();
    m.map(PROBE, 0x8000, page);
    const pending = asked(m);
    m.write(PROBE, 0x8000, 'x', { hold: 'issued' });
    const prepare = m.startPrepare(PROBE, 'w', { deadlineMs: 10 });
    expect(prepare.reply).toBeUndefined();
    expect(pending.reply).toMatchObject({ answer: 'invalid' });
    // The message stands behind the held write, and is refused when it comes.
    const behind = m.requestPages(PROBE, { iova: IOVA });
    expect(behind.reply).toBeUndefined();
    m.advance(10);
    expect(prepare.reply).toMatchObject({ kind: 'reset-prepare' });
    expect(behind.reply).toMatchObject({ answer: 'invalid' });
    expect(m.pageFaults()).toHaveLength(1);
  });

  it('49 a drain that gives up has answered all the same, and the function may ask again', () => {
    const { m } = faulting({ clock: 'manual' });
    m.map(PROBE, 0x8000, m.allocPage());
    const pending = asked(m);
    m.write(PROBE, 0x8000, 'x', { hold: 'issued' });
    const prepare = m.startPrepare(PROBE, 'w', { deadlineMs: 10, onDeadline: 'fail' });
    m.advance(10);
    expect(prepare.reply).toMatchObject({ kind: 'refused', code: 'ETIMEDOUT' });
    expect(pending.reply).toMatchObject({ answer: 'invalid' });
    m.release(PROBE);
    asked(m);
  });

  it('49 a DMA that waits for its page ends, and does nothing in the window', () => {
    const { m, domain } = faulting();
    const page = m.allocPage();
    const write = m.write(PROBE, IOVA, 'lost', { translated: true, onFault: 'page-request' });
    m.prepare(PROBE);
    expect(write.reply).toMatchObject({ kind: 'dma', outcome: 'gate-closed', bytesDone: 0 });
    m.map({ domain }, IOVA, page);
    m.done(PROBE);
    expect(m.text(page, 4)).toBe('\0\0\0\0');
  });

  it.each(BEHAVIOURS)('17 %s: a page request of a blocked function is refused at once, and no host hears of it', (behaviour) => {
    const { m, domain } = faulting({ behaviour });
    m.prepare(PROBE);
    // Its interface is disabled with the fault-capable domain; a host that enables all by hand gets no further.
    const at = extendedCapability(m, 0x13);
    writeConfig(m, at + 0xc, 4, 8);
    writeConfig(m, at + 4, 2, 1);
    writeConfig(m, extendedCapability(m, 0xf) + 6, 2, 0x8000);
    expect(m.requestPages(PROBE, { iova: IOVA }).reply).toMatchObject({ kind: 'page-request', answer: 'invalid' });
    expect(m.requestPages(PROBE, { iova: IOVA, group: 3, last: false }).reply).toMatchObject({ answer: 'none' });
    expect([m.pageFaults(), pendingFaults(m)]).toEqual([[], []]);
    m.map({ domain }, IOVA, m.allocPage());
    m.done(PROBE);
    // Of what was asked in the window nothing is left: a group has what was asked of it since.
    asked(m, { iova: 0x9000, group: 3 });
    expect(m.pageFaults().map(({ ranges }) => ranges)).toMatchObject([[{ iova: 0x9000n, pages: 1 }]]);
  });

  it('49 an answer that comes after a reset without a window is late: it reaches no group, nor the next with its index', () => {
    const { m } = faulting();
    const before = asked(m, { group: 2 });
    const reset = m.start({ kind: 'reset-trigger', bdf: PROBE, method: 'flr' });
    expect(reset.reply).toMatchObject({ kind: 'ok' });
    expect(before.reply).toMatchObject({ answer: 'forgotten' });
    const at = extendedCapability(m, 0x13);
    writeConfig(m, extendedCapability(m, 0xf) + 6, 2, 0x8000);
    writeConfig(m, at + 0xc, 4, 8);
    writeConfig(m, at + 4, 2, 1);
    const after = asked(m, { group: 2 });
    m.call('ok', { kind: 'page-response', fault: 1, answer: 'success' });
    expect(after.reply).toBeUndefined();
    expect(answers(m)).toEqual({ taken: [], late: [SUCCESS] });
    // Unexpected Page Request Group Index.
    expect(readConfig(m, at + 6, 2) & 2).toBe(2);
    m.respond(2, 'invalid');
    expect(after.reply).toMatchObject({ answer: 'invalid' });
  });
});

function readConfig(m: CoreMachine, offset: number, bytes: number): number {
  return m.call('region-read', { kind: 'region-read', bdf: PROBE, region: 7, offset, bytes }).valueLow >>> 0;
}
function writeConfig(m: CoreMachine, offset: number, bytes: number, value: number): void {
  m.call('ok', { kind: 'region-write', bdf: PROBE, region: 7, offset, bytes, valueLow: value, valueHigh: 0 });
}
/** Where the capability with this ID is. */
function extendedCapability(m: CoreMachine, id: number): number {
  for (let at = 0x100; at !== 0; at = readConfig(m, at, 4) >>> 20) if ((readConfig(m, at, 4) & 0xffff) === id) return at;
  return expect.unreachable(`no capability ${id}`);
}
