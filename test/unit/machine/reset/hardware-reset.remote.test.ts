/** Every way to reset a function reaches the peer that plays it, and one that does not answer is named. */
import { describe, expect, it } from 'vitest';
import type { FunctionSpec } from '../../../../server/src/core/machine/index.ts';
import { PROBE_BAR_BYTES, remoteConfig } from '../../../../server/src/core/pci/index.ts';
import { BELOW, CoreMachine, MS, PORT, port, type TestPeer } from '../../../kit/core-machine.ts';
import { asked, claim, remoteBench } from '../../../kit/remote-function.ts';

const POWER = 1;
const EXPRESS = 0x10;
const BRIDGE_CONTROL = 0x3e;
const SECONDARY_BUS_RESET = 0x40;

function behindPort(): { m: CoreMachine; emulator: TestPeer } {
  const config = remoteConfig({ integrated: false, capabilities: { power: { noSoftReset: false }, advancedFeatures: {} } });
  const remote: FunctionSpec = {
    bdf: BELOW,
    model: 'remote',
    config,
    barBytes: PROBE_BAR_BYTES,
    label: '',
    latencyNs: 0,
    reset: { acpi: 'works', deviceSpecific: 'plain' },
  };
  const m = new CoreMachine({ functions: [port(), remote] });
  const emulator = m.attachPeer({ device: true });
  claim(m, emulator, {}, BELOW);
  return { m, emulator };
}

function write(m: CoreMachine, at: number, offset: number, value: number): void {
  m.call('ok', { kind: 'region-write', bdf: at as never, region: 7, offset, bytes: 2, valueLow: value, valueHigh: 0 });
}
function capability(m: CoreMachine, id: number): number {
  const byte = (offset: number): number => m.call('region-read', { kind: 'region-read', bdf: BELOW, region: 7, offset, bytes: 1 }).valueLow;
  for (let at = byte(0x34); at !== 0; at = byte(at + 1)) if (byte(at) === id) return at;
  throw new Error(`no capability ${id}`);
}
/** What came, answered until nothing more comes. */
function resets(m: CoreMachine, emulator: TestPeer): unknown[] {
  const seen: unknown[] = [];
  for (let calls = asked(emulator); calls.length > 0; calls = asked(emulator)) {
    for (const { token, call } of calls) {
      if (call.kind === 'device-reset') seen.push(call.cold === true ? `${call.method} cold` : call.method);
      m.answer(emulator, token, { kind: 'ok' });
    }
  }
  return seen;
}

describe('a reset reaches the peer', () => {
  it.each(['device_specific', 'acpi', 'flr', 'af_flr', 'pm', 'bus'] as const)('by the method %s, in a window and without', (method) => {
    for (const window of [true, false]) {
      const { m, emulator } = behindPort();
      const reset = m.start({ kind: 'reset', bdf: BELOW, method, window, deadlineNs: 10 * MS, onDeadline: 'abort' });
      expect(reset.reply).toBeUndefined();
      expect(resets(m, emulator)).toEqual([method]);
      expect(reset.reply).toMatchObject({ kind: 'reset', method });
      expect(m.info(BELOW)).toMatchObject({ blocked: false, absent: false });
    }
  });

  it('of the whole bus, of its power, and of its link', () => {
    const { m, emulator } = behindPort();
    const bus = m.start({ kind: 'bus-reset', bdf: PORT, slot: false, tryLock: false, deadlineNs: 0, onDeadline: 'abort' } as never);
    expect(resets(m, emulator)).toEqual(['bus']);
    expect(bus.reply).toMatchObject({ kind: 'bus-reset' });
    m.start({ kind: 'cold-reset', bdf: PORT });
    expect(resets(m, emulator)).toEqual(['bus cold']);
  });

  it('by registers that software writes with no window', () => {
    const { m, emulator } = behindPort();
    write(m, BELOW, capability(m, EXPRESS) + 8, 0x8000);
    expect(resets(m, emulator)).toEqual(['flr']);
    const power = capability(m, POWER) + 4;
    write(m, BELOW, power, 3);
    write(m, BELOW, power, 0);
    expect(resets(m, emulator)).toEqual(['pm']);
    write(m, PORT, BRIDGE_CONTROL, SECONDARY_BUS_RESET);
    write(m, PORT, BRIDGE_CONTROL, 0);
    expect(resets(m, emulator)).toEqual(['bus']);
  });
});

describe('a peer that does not answer a reset', () => {
  it('holds the clock until the watchdog, and is then not ready for 60 s and named', () => {
    const { m, emulator } = remoteBench();
    const reset = m.reset(0x20 as never);
    expect(reset.reply).toBeUndefined();
    expect(m.machine.nowNs).toBe(0);
    m.silence(emulator);
    expect(reset.reply).toMatchObject({
      kind: 'refused',
      code: 'ENOTTY',
      message: expect.stringMatching(
        new RegExp(`not ready \\d+ ms after flr, for peer ${emulator.id} has not answered its device_reset; giving up`),
      ),
    });
    expect(m.machine.nowNs).toBeGreaterThan(60_000 * MS);
    expect(m.info(0x20 as never).blocked).toBe(true);
    // An answer that comes after all makes it ready, and the next reset heals it.
    for (const { token } of asked(emulator)) m.answer(emulator, token, { kind: 'ok' });
    const again = m.reset(0x20 as never);
    for (const { token } of asked(emulator)) m.answer(emulator, token, { kind: 'ok' });
    expect(again.reply).toMatchObject({ kind: 'reset', method: 'flr' });
    expect(m.info(0x20 as never).blocked).toBe(false);
  });
});
