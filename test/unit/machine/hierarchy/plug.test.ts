/** Functions that come while the machine runs: where they may be, what group they join, and what they find there. */
import { describe, expect, it } from 'vitest';
import { bdf } from '../../../../server/src/core/base/index.ts';
import { BELOW, CoreMachine, FIRST, PORT, PROBE, SECOND, SIBLINGS, port, probe, remote } from '../../../kit/core-machine.ts';

const BEHAVIOURS = ['strict', 'linux-7.1'] as const;
const IOVA = 0x4000;
const [LONE_FIRST, LONE_SECOND] = SIBLINGS;

describe('function-plug', () => {
  it('brings functions that answer 100 ms later; until then configuration reads find nothing', () => {
    const m = new CoreMachine({ clock: 'manual', functions: [port()] });
    const come = m.plug([probe(BELOW)], PORT);
    expect(come.reply).toBeUndefined();
    expect(m.events.at(-1)).toMatchObject({ kind: 'hotplug', port: PORT, bdf: BELOW, present: true, reason: 'plugged' });
    expect(m.vendor(BELOW)).toBe(0xffff);
    m.advance(99);
    expect([come.reply, m.vendor(BELOW)]).toEqual([undefined, 0xffff]);
    m.advance(1);
    expect(come.reply).toMatchObject({ kind: 'function-plug', functions: [BELOW] });
    expect(m.vendor(BELOW)).toBe(0x1234);
  });

  it('a function that has come does DMA, is reset, and goes; another comes to its place and knows nothing of it', () => {
    const m = new CoreMachine({ functions: [port()] });
    m.plug([probe(BELOW)], PORT);
    const page = m.allocPage();
    m.map(BELOW, IOVA, page);
    expect(m.outcome(BELOW, IOVA, 'first', { translated: true })).toBe('performed');
    expect(m.reset(BELOW).reply).toMatchObject({ kind: 'reset' });
    m.arm(BELOW, 'hold', { count: 5 });
    m.prepare(BELOW, 'w');
    m.unplug(BELOW, { surprise: true });
    m.plug([probe(BELOW)], PORT);
    expect(m.info(BELOW)).toMatchObject({ resetDepth: 0, windows: [], armedFaults: [], inFlight: 0, itags: 0, gate: 'open' });
    expect(m.group(BELOW)).toMatchObject({ recoveryCount: 0, members: [BELOW] });
    expect(m.outcome(BELOW, IOVA, 'x', { translated: true })).not.toBe('performed');
    m.map(BELOW, IOVA, page);
    expect(m.outcome(BELOW, IOVA, 'second', { translated: true })).toBe('performed');
    expect(m.text(page, 6)).toBe('second');
  });

  it('works without an IOMMU, and for a function that a peer plays', () => {
    const m = new CoreMachine({ iommu: false, functions: [] });
    m.plug([probe(PROBE), remote(FIRST)]);
    expect(m.outcome(PROBE, 0x10_0000, 'direct')).toBe('performed');
    const peer = m.attachPeer({ device: true });
    m.call('device-claim', { kind: 'device-claim', bdf: FIRST }, peer.id);
    expect(m.vendor(FIRST)).toBe(0x1234);
    expect(m.call('function-list', { kind: 'function-list' }).functions.map((fn) => fn.bdf)).toEqual([PROBE, FIRST]);
  });

  it('refuses what cannot be, and nothing has changed', () => {
    const m = new CoreMachine({ functions: [port(), probe(PROBE)] });
    const hash = m.machine.inspect();
    expect(() => m.plug([])).toThrow('no functions');
    expect(() => m.plug([probe(PROBE)])).toThrow('two functions at 00:02.0');
    expect(() => m.plug([probe(BELOW), probe(BELOW)], PORT)).toThrow('two functions at 01:00.0');
    expect(() => m.plug([probe(bdf(0, 3, 0, 0))], PORT)).toThrow('03:00.0 is not below 00:1c.0, whose buses are 1 to 2');
    expect(() => m.plug([probe(BELOW)], PROBE)).toThrow('00:02.0 is no port');
    expect(() => m.plug([probe(BELOW)], FIRST)).toThrow('no port at 00:05.0');
    expect(m.machine.inspect()).toEqual(hash);
    m.plug([probe(BELOW)], PORT);
    expect(m.plug([probe(bdf(0, 1, 1, 0))], PORT).reply).toMatchObject({
      kind: 'refused',
      code: 'EBUSY',
      message: expect.stringContaining('01:00.0') as string,
    });
  });

  it('alarms name functions by numbers that are not used again', () => {
    const m = new CoreMachine({ clock: 'manual', functions: [probe(PROBE), ...SIBLINGS] });
    const reset = m.reset(PROBE);
    m.unplug(FIRST);
    m.plug([probe(FIRST)]);
    m.unplug(SECOND);
    m.plug([probe(SECOND)]);
    m.advance(100);
    expect(reset.reply).toMatchObject({ kind: 'reset' });
    expect([PROBE, FIRST, SECOND].map((at) => m.vendor(at))).toEqual([0x1234, 0x1234, 0x1234]);
  });
});

describe('the group that it joins', () => {
  it("is one of its own where it is kept apart, and its port's where the port does not isolate", () => {
    const apart = new CoreMachine({ functions: [port()] });
    apart.plug([probe(BELOW)], PORT);
    expect(apart.group(BELOW).members).toEqual([BELOW]);
    const together = new CoreMachine({ functions: [port({ acs: false })] });
    const before = together.group(PORT).group;
    together.plug([probe(BELOW)], PORT);
    expect(together.group(BELOW)).toMatchObject({ group: before, members: [PORT, BELOW] });
  });

  it('has a domain already: the new member gets it', () => {
    const m = new CoreMachine({ functions: [LONE_FIRST!] });
    const domain = m.allocDomain();
    const page = m.allocPage();
    m.map({ domain }, IOVA, page);
    m.call('ok', m.attach(FIRST, domain));
    m.plug([LONE_SECOND!]);
    expect(m.info(SECOND).physicalDomain?.id).toBe(domain);
    expect(m.outcome(SECOND, IOVA, 'both', { translated: true })).toBe('performed');
    expect(m.text(page, 4)).toBe('both');
  });

  it('numbers of groups that are gone are not used again', () => {
    const m = new CoreMachine({ functions: [probe(PROBE), LONE_FIRST!] });
    const gone = m.group(PROBE).group;
    m.unplug(PROBE);
    m.plug([probe(PROBE)]);
    expect(m.group(PROBE).group).not.toBe(gone);
    expect(m.group(PROBE).group).not.toBe(m.group(FIRST).group);
  });
});

describe.each(BEHAVIOURS)('%s: a group in a reset window', (behaviour) => {
  const windowed = (): CoreMachine => {
    const m = new CoreMachine({ behaviour, functions: [LONE_FIRST!, probe(PROBE)] });
    m.map(FIRST, IOVA, m.allocPage());
    m.prepare(FIRST);
    m.plug([LONE_SECOND!]);
    return m;
  };

  it(behaviour === 'strict' ? 'keeps the new member blocked until the last window closes' : 'lets the new member straight through', () => {
    const m = windowed();
    const blocked = behaviour === 'strict';
    expect(m.info(SECOND)).toMatchObject({ blocked, resetDepth: 0, gate: blocked ? 'closed' : 'open' });
    expect(m.group(FIRST).recoveryCount).toBe(1);
    expect(m.outcome(SECOND, IOVA)).toBe(blocked ? 'gate-closed' : 'performed');
    expect(m.refusal(m.attach(SECOND, m.allocDomain()))).toBe('EBUSY');
    m.done(FIRST);
    expect(m.info(SECOND)).toMatchObject({ blocked: false, gate: 'open' });
    expect(m.outcome(SECOND, IOVA, 'x', { translated: true })).toBe('performed');
    expect(m.group(FIRST).recoveryCount).toBe(0);
  });

  it('a window of the new member ends as any, whichever closes last', () => {
    for (const order of [
      [FIRST, SECOND],
      [SECOND, FIRST],
    ] as const) {
      const m = windowed();
      m.prepare(SECOND);
      expect(m.group(FIRST).recoveryCount).toBe(2);
      for (const at of order) m.done(at);
      for (const at of order) {
        expect(m.info(at)).toMatchObject({ blocked: false, gate: 'open', resetDepth: 0 });
        expect(m.outcome(at, IOVA)).toBe('performed');
      }
      expect(m.group(FIRST).recoveryCount).toBe(0);
    }
  });

  it('the member in the window goes: the new one has the domain then', () => {
    const m = windowed();
    m.unplug(FIRST, { surprise: true });
    expect(m.info(SECOND)).toMatchObject({ blocked: false, gate: 'open' });
    expect(m.outcome(SECOND, IOVA)).toBe('performed');
  });
});

it.each(['strict', 'linux-7.1'] as const)(
  '%s: one that comes to a group has none of its PASIDs until they are attached again, or its own window closes',
  (behaviour) => {
    const m = new CoreMachine({ behaviour, functions: [probe(FIRST, { multiFunction: true })] });
    const [first, second] = [m.allocDomain(), m.allocDomain()];
    m.call('ok', m.attachPasid(FIRST, 5, first));
    m.plug([probe(SECOND, { multiFunction: true })]);
    expect(m.group(SECOND).members).toEqual([FIRST, SECOND]);
    const pasids = (at = SECOND): unknown => m.info(at).pasids.map(({ pasid, physicalDomain }) => [pasid, physicalDomain?.id]);
    expect([pasids(FIRST), pasids()]).toEqual([[[5, first]], [[5, undefined]]]);
    m.call('ok', m.attachPasid(FIRST, 6, second));
    expect(pasids()).toEqual([
      [5, undefined],
      [6, second],
    ]);
    m.prepare(SECOND);
    m.done(SECOND);
    expect(pasids()).toEqual([
      [5, first],
      [6, second],
    ]);
  },
);
