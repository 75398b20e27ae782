/** Alarms of a function that a peer plays. */
import { describe, expect, it } from 'vitest';
import { MS, REMOTE, type CoreMachine, type TestPeer } from '../../../kit/core-machine.ts';
import { answerAll, asked, remoteBench } from '../../../kit/remote-function.ts';

const set = (m: CoreMachine, { id }: TestPeer, alarm: number, delayMs?: number): unknown =>
  m.start({ kind: 'device-alarm-set', bdf: REMOTE, alarm, delayNs: delayMs === undefined ? undefined : delayMs * MS }, id).reply;
const manual = (): ReturnType<typeof remoteBench> => remoteBench({}, { clock: 'manual' });
const alarms = (emulator: TestPeer): unknown[] => emulator.calls.filter(({ call }) => call.kind === 'device-alarm').map(({ call }) => call);

describe('an alarm', () => {
  it('comes when it is due, and the clock stands until it is answered', () => {
    const { m, emulator } = manual();
    expect(set(m, emulator, 3, 5)).toMatchObject({ kind: 'ok' });
    m.advance(4);
    expect(alarms(emulator)).toEqual([]);
    const advance = m.start({ kind: 'clock-advance', ns: 2 * MS, force: false });
    expect(alarms(emulator)).toEqual([{ kind: 'device-alarm', bdf: REMOTE, alarm: 3, nowNs: 5 * MS }]);
    expect(advance.reply).toBeUndefined();
    answerAll(m, emulator);
    expect(advance.reply).toMatchObject({ nowNs: 6 * MS });
  });

  it('is set anew, and taken back', () => {
    const { m, emulator } = manual();
    set(m, emulator, 0, 5);
    set(m, emulator, 0, 10);
    set(m, emulator, 1, 5);
    set(m, emulator, 1);
    set(m, emulator, 2);
    m.advance(9);
    expect(alarms(emulator)).toEqual([]);
    m.advance(1);
    expect(alarms(emulator)).toMatchObject([{ alarm: 0 }]);
  });

  it('that is set when one is answered comes in its time: the clock runs by itself from one to the next', () => {
    const { m, emulator } = remoteBench();
    set(m, emulator, 0, 1);
    const seen: number[] = [];
    for (let i = 0; i < 5; i++) {
      const [one] = asked(emulator);
      seen.push(one?.call.kind === 'device-alarm' ? one.call.nowNs : -1);
      set(m, emulator, 0, 1);
      m.answer(emulator, one!.token, { kind: 'ok' });
    }
    expect(seen).toEqual([1, 2, 3, 4, 5].map((ms) => ms * MS));
  });

  it('is taken back by a reset, by a release, and by the end of its peer', () => {
    for (const end of ['reset', 'release', 'gone'] as const) {
      const { m, emulator } = manual();
      set(m, emulator, 0, 5);
      if (end === 'reset')
        m.start({ kind: 'region-write', bdf: REMOTE, region: 7, offset: 0x58, bytes: 2, valueLow: 0x8000, valueHigh: 0 });
      if (end === 'reset') m.start({ kind: 'reset-trigger', bdf: REMOTE, method: 'flr' });
      if (end === 'release') m.start({ kind: 'device-release', bdf: REMOTE }, emulator.id);
      if (end === 'gone') m.detachPeer(emulator);
      asked(emulator);
      const next = end === 'reset' ? emulator : m.attachPeer({ device: true });
      m.advance(10, true);
      expect(alarms(next)).toEqual([]);
    }
  });

  it('has a number from 0 to 15, and is of a function that is claimed', () => {
    const { m, emulator } = manual();
    for (const alarm of [-1, 16, 0.5]) expect(() => set(m, emulator, alarm, 1)).toThrow('a function has 16');
    const other = m.attachPeer({ device: true });
    expect(() => set(m, other, 0, 1)).toThrow('not claimed by this peer');
  });
});
