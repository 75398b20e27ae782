/** What a reset leaves behind, and faults on purpose that act on some resets and not on others. */
import { describe, expect, it } from 'vitest';
import { CoreMachine, PROBE, READ_WRITE, REMOTE, probe, remote } from '../../../kit/core-machine.ts';

const IOVA = 0x1_0000;

function mapped(options: ConstructorParameters<typeof CoreMachine>[0] = {}): CoreMachine {
  const m = new CoreMachine(options);
  m.call('ok', {
    kind: 'map',
    target: { bdf: PROBE, pasid: -1 as never },
    iova: BigInt(IOVA),
    address: m.allocPage(),
    bytes: 4096n,
    access: READ_WRITE,
  });
  return m;
}

const failed = (m: CoreMachine): boolean => m.reset(PROBE).reply?.kind === 'refused';

describe('a fault on purpose acts on resets from `first` on, `count` of them', () => {
  it('never-ready: the second reset fails, and the third does not', () => {
    const m = mapped();
    m.arm(PROBE, 'never-ready', { first: 2, count: 1 });
    expect([failed(m), failed(m), failed(m)]).toEqual([false, true, false]);
  });

  it('never-ready: disarmed, the function gets ready', () => {
    const m = mapped();
    m.arm(PROBE, 'never-ready');
    expect(failed(m)).toBe(true);
    expect(m.start({ kind: 'region-read', bdf: PROBE, region: 7, offset: 0, bytes: 4 }).reply).toMatchObject({ valueLow: 0xffff_ffff });
    m.call('ok', { kind: 'fault-disarm', bdf: PROBE, fault: 'never-ready' });
    expect(m.start({ kind: 'region-read', bdf: PROBE, region: 7, offset: 0, bytes: 4 }).reply).not.toMatchObject({ valueLow: 0xffff_ffff });
  });

  it('atc-survives-reset: only in the resets that it names', () => {
    const m = mapped({ behaviour: 'linux-7.1' });
    m.arm(PROBE, 'atc-survives-reset', { first: 2, count: 1 });
    const grants: number[] = [];
    for (let resets = 0; resets < 4; resets++) {
      expect(m.outcome(PROBE, IOVA, 'x', { translated: true })).toBe('performed');
      grants.push(m.traced('ats-granted', PROBE).length);
      m.reset(PROBE, false);
    }
    // A new grant for the first use, and after each reset but the second.
    expect(grants).toEqual([1, 2, 2, 3]);
  });
});

describe('a quarantine', () => {
  it('after a domain that could not be given back ends by a successful reset, and not by an empty window', () => {
    const m = mapped();
    m.prepare(PROBE);
    m.arm(PROBE, 'attach-fails');
    expect(m.done(PROBE).warning).toContain('could not be given back');
    m.prepare(PROBE, 'again');
    m.done(PROBE, 'again');
    expect(m.info(PROBE).blocked).toBe(true);
    m.reset(PROBE);
    expect(m.info(PROBE).blocked).toBe(false);
  });

  it('after a failed reset ends also where the successful one was a configuration write with a window round it', () => {
    const m = mapped();
    m.arm(PROBE, 'never-ready');
    expect(failed(m)).toBe(true);
    m.call('ok', { kind: 'fault-disarm', bdf: PROBE, fault: 'never-ready' });
    expect(m.info(PROBE).blocked).toBe(true);
    m.prepare(PROBE, 'mine');
    m.call('ok', { kind: 'reset-trigger', bdf: PROBE, method: 'flr' });
    m.done(PROBE, 'mine');
    expect(m.info(PROBE).blocked).toBe(false);
  });
});

describe('the window of a reset', () => {
  it("is its own, whatever tokens a host's windows have", () => {
    const m = mapped();
    const tokens = Array.from({ length: 40 }, (_, i) => `reset-${i}`);
    for (const token of tokens) m.prepare(PROBE, token);
    expect(m.reset(PROBE).reply).toMatchObject({ kind: 'reset', depth: 40 });
    expect(m.info(PROBE)).toMatchObject({ blocked: true, resetDepth: 40 });
  });
});

describe('a trigger without a reset round it', () => {
  it('leaves the registers as they are after FLR', () => {
    const m = mapped();
    const command = (): number => m.call('region-read', { kind: 'region-read', bdf: PROBE, region: 7, offset: 4, bytes: 2 }).valueLow;
    expect(command() & 4).toBe(4);
    m.call('ok', { kind: 'reset-trigger', bdf: PROBE, method: 'flr' });
    expect(command()).toBe(0);
    expect(m.outcome(PROBE, IOVA)).toBe('gate-closed');
  });
});

describe('while the function resets', () => {
  it('a BAR read that waited for posted writes is answered with all ones', () => {
    const m = mapped({ clock: 'manual' });
    m.call('ok', { kind: 'region-write', bdf: PROBE, region: 7, offset: 4, bytes: 2, valueLow: 6, valueHigh: 0 });
    m.write(PROBE, IOVA, 'x', { hold: 'translated' });
    const read = m.start({ kind: 'region-read', bdf: PROBE, region: 0, offset: 0, bytes: 4 });
    expect(read.reply).toBeUndefined();
    m.start({ kind: 'reset-trigger', bdf: PROBE, method: 'flr' });
    m.release(PROBE);
    expect(read.reply).toMatchObject({ valueLow: 0xffff_ffff });
  });

  it('a second reset of a remote function is not ended by the answer to the first', () => {
    const m = new CoreMachine({ clock: 'manual', functions: [probe(PROBE), remote(REMOTE)] });
    const emulator = m.attachPeer({ device: true });
    m.start({ kind: 'device-claim', bdf: REMOTE }, emulator.id);
    const first = m.reset(REMOTE);
    m.advance(100_000, true);
    expect(first.reply).toMatchObject({ kind: 'refused', code: 'ENOTTY' });
    m.reset(REMOTE);
    expect(emulator.calls.map(({ call }) => call.kind)).toEqual(['device-reset', 'device-reset']);
    m.advance(100, true);
    m.answer(emulator, emulator.calls[0]!.token, { kind: 'ok' });
    expect(m.traced('function-ready', REMOTE)).toHaveLength(0);
    m.answer(emulator, emulator.calls[1]!.token, { kind: 'ok' });
    expect(m.traced('function-ready', REMOTE)).toHaveLength(1);
  });
});
