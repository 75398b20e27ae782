/** Who plays a remote function. */
import { describe, expect, it } from 'vitest';
import { CoreMachine, PROBE, REMOTE, probe, remote } from '../../../kit/core-machine.ts';
import { claim, remoteBench, startRead } from '../../../kit/remote-function.ts';

describe('a claim', () => {
  it('is of a remote function that nobody plays, and brings configuration space as it stands', () => {
    const m = new CoreMachine({ functions: [remote(REMOTE), probe(PROBE)] });
    const [one, two] = [m.attachPeer({ device: true }), m.attachPeer({ device: true })];
    m.call('ok', { kind: 'region-write', bdf: PROBE, region: 7, offset: 4, bytes: 2, valueLow: 0, valueHigh: 0 });
    const reply = claim(m, one);
    expect(reply).toMatchObject({ kind: 'device-claim' });
    const image = reply?.kind === 'device-claim' ? reply.config : new Uint8Array(0);
    expect([image.length, image[0], image[1]]).toEqual([4096, 0x34, 0x12]);
    expect(claim(m, two)).toMatchObject({ kind: 'refused', code: 'EBUSY' });
    expect(() => claim(m, two, {}, PROBE)).toThrow('only a remote function can be claimed');
  });

  it('ends with its release, by its peer alone', () => {
    const { m, emulator } = remoteBench({ config: 'emulator' });
    const other = m.attachPeer({ device: true });
    expect(() => m.start({ kind: 'device-release', bdf: REMOTE }, other.id)).toThrow('not claimed by this peer');
    expect(m.start({ kind: 'device-release', bdf: REMOTE }, emulator.id).reply).toMatchObject({ kind: 'ok' });
    expect(m.info(REMOTE).absent).toBe(true);
    expect(startRead(m, 7, 0, 2).reply).toMatchObject({ valueLow: 0xffff });
    // The terms go with it.
    expect(claim(m, other)).toMatchObject({ kind: 'device-claim' });
    expect(startRead(m, 7, 0, 2).reply).toMatchObject({ valueLow: 0x1234 });
  });

  it('ends with its peer', () => {
    const { m, emulator } = remoteBench();
    m.detachPeer(emulator);
    expect(m.info(REMOTE).absent).toBe(true);
    expect(m.logs()).toContain('00:04.0 is absent: its peer is gone');
  });
});
