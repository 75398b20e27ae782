/** An emulator that vanishes: absent for a while, then back, or pulled out. */
import { describe, expect, it } from 'vitest';
import { NO_PASID } from '../../../../server/src/core/base/index.ts';
import { CoreMachine, PORT, BELOW, REMOTE, port, remote, type TestPeer } from '../../../kit/core-machine.ts';
import { answerAll, asked, claim, remoteBench, startRead, startWrite } from '../../../kit/remote-function.ts';

const IOVA = 0x1_0000;
const COMMAND = 4;
const MASTER_MEMORY = 6;

const over = (m: CoreMachine, ...functions: readonly number[]): unknown =>
  m.start({ kind: 'grace-over', functions: functions as never }).reply;
const hotplugs = (m: CoreMachine): unknown[] => m.events.filter((event) => event.kind === 'hotplug');
function dma(m: CoreMachine, { id }: TestPeer, at = REMOTE): string {
  const { reply } = m.start({ kind: 'dma-write', bdf: at, iovaLow: IOVA, iovaHigh: 0, data: Uint8Array.of(1), pasid: NO_PASID }, id);
  return reply?.kind === 'dma' ? reply.outcome : String(reply?.kind);
}

describe('a function whose emulator has vanished', () => {
  it('is absent: all ones, writes vanish, and what it was asked ends', () => {
    const { m, emulator } = remoteBench();
    const [read, write] = [startRead(m, 0, 0), startWrite(m, 0, 0, 1)];
    m.detachPeer(emulator);
    expect(read.reply).toMatchObject({ kind: 'refused', code: 'EIO' });
    expect(write.reply).toMatchObject({ kind: 'refused', code: 'EIO' });
    expect(startRead(m, 0, 0).reply).toMatchObject({ valueLow: 0xffff_ffff });
    expect(startRead(m, 7, 0, 2).reply).toMatchObject({ valueLow: 0xffff });
    expect(startWrite(m, 7, COMMAND, 0, 2).reply).toMatchObject({ kind: 'ok' });
    expect(m.machine.absent()).toEqual([{ bdf: REMOTE, peer: emulator.id }]);
    expect(hotplugs(m)).toEqual([]);
  });

  it('comes back within its grace time as it was set up, and its driver sees a reset', () => {
    const { m, emulator } = remoteBench({}, { clock: 'auto' });
    m.map(REMOTE, IOVA, m.allocPage());
    startWrite(m, 7, 0x3c, 0x2a, 1);
    m.detachPeer(emulator);
    const again = m.attachPeer({ device: true });
    const reply = claim(m, again);
    expect(reply).toMatchObject({ kind: 'device-claim', restarted: true });
    expect(reply?.kind === 'device-claim' && reply.config[0x3c]).toBe(0x2a);
    expect(m.machine.absent()).toEqual([]);
    expect(asked(again).map(({ call, token }) => (m.answer(again, token, { kind: 'ok' }), call))).toMatchObject([
      { kind: 'device-reset', method: 'flr' },
    ]);
    const told = m.events.flatMap((event) => (event.kind === 'driver-callback' ? [event.callback] : []));
    expect(told).toEqual(['reset-prepare', 'reset-done']);
    expect(hotplugs(m)).toEqual([]);
    expect(startRead(m, 7, COMMAND, 2).reply).toMatchObject({ valueLow: MASTER_MEMORY });
    expect(startRead(m, 7, 0x3c, 1).reply).toMatchObject({ valueLow: 0x2a });
    expect(m.info(REMOTE)).toMatchObject({ blocked: false, gate: 'open', absent: false });
    expect(dma(m, again)).toBe('performed');
    // The end of a grace time that it has outlived changes nothing.
    expect(over(m, REMOTE)).toMatchObject({ kind: 'ok' });
    expect(dma(m, again)).toBe('performed');
  });

  it('is pulled out when the time is over, and its slot can be claimed again', () => {
    const { m, emulator } = remoteBench();
    m.detachPeer(emulator);
    over(m, REMOTE);
    expect(hotplugs(m)).toMatchObject([{ bdf: REMOTE, present: false, reason: 'surprise' }]);
    expect(() => m.info(REMOTE)).toThrow('no function');
    expect(m.logs()).toContain('00:04.0 has not come back: it is pulled out');
    const again = m.attachPeer({ device: true });
    expect(claim(m, again)).toMatchObject({ kind: 'device-claim', restarted: false });
    expect(hotplugs(m)).toMatchObject([{}, { bdf: REMOTE, present: true, reason: 'plugged' }]);
    expect(m.vendor(REMOTE)).toBe(0x1234);
  });

  it('is not pulled out where its emulator has given it up', () => {
    const { m, emulator } = remoteBench();
    m.start({ kind: 'device-release', bdf: REMOTE }, emulator.id);
    expect(m.machine.absent()).toEqual([]);
    over(m, REMOTE);
    expect(m.info(REMOTE).absent).toBe(true);
  });

  it('a claim in an open window finds it blocked, is reset, and the window is ended by any host', () => {
    const { m, emulator } = remoteBench();
    m.map(REMOTE, IOVA, m.allocPage());
    m.prepare(REMOTE, 'w');
    m.detachPeer(emulator);
    const again = m.attachPeer({ device: true });
    claim(m, again);
    answerAll(m, again);
    expect(m.info(REMOTE)).toMatchObject({ blocked: true, resetDepth: 1 });
    expect(dma(m, again)).toBe('gate-closed');
    expect(m.done(REMOTE, 'w').depth).toBe(0);
    expect(dma(m, again)).toBe('performed');
  });

  it('a reset that ran when it vanished ends, and the next life is reset anew', () => {
    const { m, emulator } = remoteBench();
    const reset = m.reset(REMOTE);
    expect(reset.reply).toBeUndefined();
    m.detachPeer(emulator);
    expect(reset.reply).toMatchObject({ kind: 'refused', code: 'ENOTTY' });
    const again = m.attachPeer({ device: true });
    claim(m, again);
    answerAll(m, again);
    expect(m.info(REMOTE)).toMatchObject({ blocked: false, resetDepth: 0 });
  });

  it('of a function behind a port: the port and its neighbours stand', () => {
    const m = new CoreMachine({ functions: [port(), remote(BELOW), remote(REMOTE)] });
    const [one, two] = [m.attachPeer({ device: true }), m.attachPeer({ device: true })];
    claim(m, one, {}, BELOW);
    claim(m, two);
    m.map(REMOTE, IOVA, m.allocPage());
    m.detachPeer(one);
    over(m, BELOW);
    expect(dma(m, two)).toBe('performed');
    expect(m.vendor(PORT)).not.toBe(0xffff);
  });
});

it('equal inputs give equal hashes, the grace time too', () => {
  const hash = (): string => {
    const { m, emulator } = remoteBench();
    m.detachPeer(emulator);
    over(m, REMOTE);
    return m.hash();
  };
  expect(hash()).toBe(hash());
  const { m, emulator } = remoteBench();
  m.detachPeer(emulator);
  expect(m.hash()).not.toBe(hash());
});
