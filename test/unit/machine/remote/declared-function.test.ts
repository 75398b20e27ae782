/** A claim that says what the function is. */
import { describe, expect, it } from 'vitest';
import { readPluggedFunctions } from '../../../../server/src/app/topology/index.ts';
import { BELOW, CoreMachine, PORT, PROBE, REMOTE, port, probe, remote, type TestPeer } from '../../../kit/core-machine.ts';
import { answerAll, asked, claim, startRead } from '../../../kit/remote-function.ts';

const text = (fields: object = {}, address = '00:04.0'): string =>
  JSON.stringify({
    functions: [{ address, model: 'remote', vendor: '0x1af4', device: '0x1041', bars: [{ bar: 0, size: '16KiB' }], ...fields }],
  });

function machine(behaviour: 'strict' | 'linux-7.1' = 'strict'): { m: CoreMachine; emulator: TestPeer } {
  const m = new CoreMachine({ functions: [probe(PROBE), remote(REMOTE), port()], behaviour }, { readFunctions: readPluggedFunctions });
  return { m, emulator: m.attachPeer({ device: true }) };
}
const vendor = (m: CoreMachine, at = REMOTE): unknown => startRead(m, 7, 0, 4, at).reply;
const plugged = (m: CoreMachine): readonly string[] =>
  m.events.flatMap((event) => (event.kind === 'hotplug' ? [`${event.present ? '+' : '-'}${event.bdf} ${event.reason}`] : []));

describe('in a slot', () => {
  it.each(['strict', 'linux-7.1'] as const)('it takes the place of what stands there, as a hot plug (%s)', (behaviour) => {
    const { m, emulator } = machine(behaviour);
    expect(claim(m, emulator, { declare: text() })).toMatchObject({ kind: 'device-claim', bdf: REMOTE, restarted: false });
    expect(vendor(m)).toMatchObject({ valueLow: 0x1041_1af4 });
    expect(plugged(m)).toEqual([`-${REMOTE} surprise`, `+${REMOTE} plugged`]);
    expect(m.info(REMOTE)).toMatchObject({ absent: false, group: expect.any(Number), gate: 'open' });
    const read = startRead(m, 0, 0x3ffc);
    answerAll(m, emulator, 5);
    expect(read.reply).toMatchObject({ valueLow: 5 });
    expect(() => startRead(m, 0, 0x4000)).toThrow('beyond the 16384 bytes');
  });

  it('what stands there already is not plugged again', () => {
    const { m, emulator } = machine();
    claim(m, emulator, { declare: text() });
    m.start({ kind: 'device-release', bdf: REMOTE }, emulator.id);
    m.events.length = 0;
    expect(claim(m, emulator, { declare: text() })).toMatchObject({ kind: 'device-claim' });
    expect(plugged(m)).toEqual([]);
    m.start({ kind: 'device-release', bdf: REMOTE }, emulator.id);
    expect(claim(m, emulator, { declare: text({ device: '0x1042' }) })).toMatchObject({ kind: 'device-claim' });
    expect(plugged(m)).toHaveLength(2);
  });

  it('is refused as a topology is, and nothing has changed', () => {
    const { m, emulator } = machine();
    const wrong =
      (declare: string): unknown =>
      () =>
        claim(m, emulator, { declare });
    expect(
      wrong(
        text({
          bars: [
            { bar: 0, size: '4KiB', kind: 'memory64' },
            { bar: 1, size: '4KiB' },
          ],
        }),
      ),
    ).toThrow('BAR 1 is the upper half of BAR 0');
    expect(wrong(text({ capabilities: { msi: { at: '0x60' }, vpd: { at: '0x64' } } }))).toThrow('overlaps the');
    expect(wrong(text({ model: 'edu', vendor: undefined, device: undefined, bars: undefined }))).toThrow('what is claimed is remote');
    expect(wrong(text({}, '00:05.0'))).toThrow('00:05.0 is declared, and 00:04.0 is claimed');
    expect(wrong(JSON.stringify({ functions: [] }))).toThrow('one function, not 0');
    expect(wrong('no document')).toThrow('functions');
    expect(m.info(REMOTE)).toMatchObject({ absent: true, vendor: 0x1234 });
    expect(plugged(m)).toEqual([]);
  });

  it('is for slots of the topology, and of a machine that reads one', () => {
    const { m, emulator } = machine();
    expect(() => m.start({ kind: 'device-claim', bdf: 0x30 as never, declare: text({}, '00:06.0') }, emulator.id)).toThrow(
      'no slot at 00:06.0',
    );
    expect(() => claim(m, emulator, { declare: text({}, '00:02.0') }, PROBE)).toThrow('only a remote function can be claimed');
    const bare = new CoreMachine({ functions: [remote(REMOTE)] });
    const peer = bare.attachPeer({ device: true });
    expect(() => claim(bare, peer, { declare: text() })).toThrow('reads no topology');
  });
});

describe('in the empty slot of a port', () => {
  const plug = (m: CoreMachine, emulator: TestPeer, fields: object = {}): unknown =>
    m.start({ kind: 'device-claim', port: PORT, declare: text(fields, '00.0') }, emulator.id).reply;

  it('it comes with the claim, and answers when its link is up', () => {
    const { m, emulator } = machine();
    expect(plug(m, emulator)).toMatchObject({ kind: 'device-claim', bdf: BELOW });
    expect(plugged(m)).toEqual([`+${BELOW} plugged`]);
    expect(m.vendor(BELOW)).toBe(0x1af4);
    expect(plug(m, emulator)).toMatchObject({ kind: 'refused', code: 'EBUSY' });
  });

  it('goes when it is released', () => {
    const { m, emulator } = machine();
    plug(m, emulator);
    expect(m.start({ kind: 'device-release', bdf: BELOW }, emulator.id).reply).toMatchObject({ kind: 'function-unplug' });
    expect(plugged(m).at(-1)).toBe(`-${BELOW} surprise`);
    expect(() => m.info(BELOW)).toThrow('no function');
    expect(plug(m, emulator)).toMatchObject({ kind: 'device-claim' });
  });

  it('that has vanished comes back to whoever plugs the same in, and goes when nobody does', () => {
    const { m, emulator } = machine();
    plug(m, emulator);
    answerAll(m, emulator);
    m.detachPeer(emulator);
    m.events.length = 0;
    const again = m.attachPeer({ device: true });
    expect(plug(m, again)).toMatchObject({ kind: 'device-claim', bdf: BELOW, restarted: true });
    for (let calls = emulator.calls.length; calls >= 0; calls--) answerAll(m, again);
    expect(plugged(m)).toEqual([]);
    expect(m.info(BELOW)).toMatchObject({ blocked: false, absent: false });
    m.detachPeer(again);
    m.start({ kind: 'grace-over', functions: [BELOW] });
    expect(plugged(m)).toEqual([`-${BELOW} surprise`]);
    // It was the claim's and no slot of the topology.
    const last = m.attachPeer({ device: true });
    expect(() => claim(m, last, {}, BELOW)).toThrow('no function at 01:00.0');
  });

  it('needs a port that is one, and a place below it', () => {
    const { m, emulator } = machine();
    const into =
      (at: number, address: string): unknown =>
      () =>
        m.start({ kind: 'device-claim', port: at as never, declare: text({}, address) }, emulator.id);
    expect(into(PROBE, '00.0')).toThrow('is no port');
    expect(into(0xff, '00.0')).toThrow('no port at');
    expect(into(PORT, '00:07.0')).toThrow(/below|bus/);
    expect(() => m.start({ kind: 'device-claim', declare: text() }, emulator.id)).toThrow('say the slot');
    expect(asked(emulator)).toEqual([]);
  });
});
