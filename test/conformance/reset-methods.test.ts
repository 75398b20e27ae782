/** Invariants 29 to 34 and 41 for every way to reset a function: the walk over the methods, their override, and what a probe does. */
import { describe, expect, it } from 'vitest';
import { RESET_METHODS } from '../../server/src/core/base/index.ts';
import { MS, PROBE, REMOTE, remote } from '../kit/core-machine.ts';
import { ANNOUNCED, CHILD, CXL, FORGETS, PORT, ResetMachine, below, resettable } from '../kit/reset-machine.ts';

const IOVA = 0x1_0000;
const COMMAND = 4;
const BUS_MASTER = 4;
/** In the PCI Express capability at 0x48. */
const ROOT_CONTROL = 0x48 + 0x1c;
const ALL = { acpi: 'works', deviceSpecific: 'plain' } as const;
const BOTH = ['strict', 'linux-7.1'] as const;

/** Below a CXL port every method is there, and `bus` is masked; below another one `cxl_bus` is not there. */
function every(options: ConstructorParameters<typeof ResetMachine>[1] = {}, { cxl = true } = {}): ResetMachine {
  const m = new ResetMachine(below(ALL, ANNOUNCED, cxl ? { capabilities: CXL } : {}), options);
  m.map(CHILD, IOVA, m.allocPage());
  return m;
}

describe('29 a prepare that fails', () => {
  it.each(BOTH)('29 %s: nothing is triggered, no other method is tried, and the driver hears the end', (behaviour) => {
    const m = every({ behaviour });
    const before = m.config(CHILD, COMMAND);
    m.arm(CHILD, 'attach-fails', { count: 0 });
    const { reply } = m.resetBy(CHILD);
    expect(reply).toMatchObject({ kind: 'refused', code: 'EIO' });
    expect(m.resets(CHILD)).toBe(0);
    expect(m.config(CHILD, COMMAND)).toBe(before);
    expect(m.callbacks()).toEqual(['reset-prepare', 'reset-done']);
  });

  it.each(BOTH)('29 %s: the inner one of two: the outer window is closed, and depth and gate are as before', (behaviour) => {
    const m = new ResetMachine([resettable(PROBE, { deviceSpecific: 'flr-then-firmware' })], { behaviour });
    m.map(PROBE, IOVA, m.allocPage());
    expect(m.resetBy(PROBE, 'device_specific').reply).toMatchObject({ kind: 'reset', depth: 0 });
    m.arm(PROBE, 'attach-fails');
    expect(m.resetBy(PROBE, 'device_specific').reply).toMatchObject({ kind: 'refused', code: 'EIO' });
    expect(m.info(PROBE)).toMatchObject({ blocked: false, resetDepth: 0, windows: [] });
    expect(m.outcome(PROBE, IOVA)).toBe('performed');
  });

  it('29 a driver is told also where the reset itself failed', () => {
    const m = every();
    m.arm(CHILD, 'never-ready', { count: 0 });
    expect(m.resetBy(CHILD, 'flr').reply).toMatchObject({ code: 'ENOTTY' });
    expect(m.callbacks()).toEqual(['reset-prepare', 'reset-done']);
  });
});

describe('30 where prepare is', () => {
  it.each(['flr', 'af_flr'] as const)('30 %s waits for pending transactions first, and opens its window only then', (method) => {
    const m = every();
    m.write(CHILD, IOVA, '', { operation: 'read', bytes: 8, data: undefined, hold: 'translated' });
    expect(m.resetBy(CHILD, method).reply).toMatchObject({ pendingTimedOut: true, aborted: 1 });
    const open = m.events.find((event) => event.kind === 'window');
    expect(open).toMatchObject({ open: true, timeNs: 710 * MS });
  });

  it.each(['device_specific', 'acpi', 'pm', 'bus', 'cxl_bus'] as const)('30 %s opens its window at once', (method) => {
    const m = every({}, { cxl: method === 'cxl_bus' });
    m.write(CHILD, IOVA, '', { operation: 'read', bytes: 8, data: undefined, hold: 'translated' });
    expect(m.resetBy(CHILD, method, { deadlineNs: 0 }).reply).toMatchObject({ kind: 'reset', pendingTimedOut: false, aborted: 1 });
    expect(m.events.find((event) => event.kind === 'window')).toMatchObject({ open: true, timeNs: 0 });
  });

  it.each(RESET_METHODS)('30 %s: prepare, trigger, readiness, done, in this order', (method) => {
    const m = every({}, { cxl: method !== 'bus' });
    expect(m.resetBy(CHILD, method).reply).toMatchObject({ kind: 'reset', method });
    const order = m.trace
      .filter((one) => ['drained', 'function-reset', 'function-ready', 'done'].includes(one.kind))
      .map((one) => one.kind);
    expect(order).toEqual(['drained', 'function-reset', 'function-ready', 'done']);
    expect(m.windows(CHILD)).toEqual(['open', 'closed']);
  });

  it.each(BOTH)(
    '30 %s: a window inside another is closed with the outer one: cxl_bus has that of bus, a quirk that of FLR',
    (behaviour) => {
      const m = every({ behaviour });
      {
        expect(m.resetBy(CHILD, 'cxl_bus').reply).toMatchObject({ kind: 'reset', depth: 0 });
        expect(m.windows(CHILD)).toEqual(['open', 'closed']);
      }
      const quirk = new ResetMachine([resettable(PROBE, { deviceSpecific: 'flr-then-firmware', firmwareNs: 250 * MS })], { behaviour });
      expect(quirk.resetBy(PROBE).reply).toMatchObject({ kind: 'reset', method: 'device_specific', elapsedNs: 350 * MS });
      // Until its firmware was waited for.
      expect(quirk.events.filter((event) => event.kind === 'window').map((event) => event.timeNs)).toEqual([0, 350 * MS]);
    },
  );
});

describe('31 the walk', () => {
  it.each(BOTH)('31 %s: the first that does not answer ENOTTY decides, and no other is tried', (behaviour) => {
    const m = new ResetMachine(below({ acpi: 'fails' }, ANNOUNCED), { behaviour });
    const { reply } = m.resetBy(CHILD);
    expect(reply).toMatchObject({ kind: 'reset', method: 'flr', tried: [{ method: 'acpi', error: 'ENOTTY' }, { method: 'flr' }] });
    expect(m.resets(CHILD)).toBe(1);
  });

  it.each(BOTH)(
    '31 %s: a method that has reset a function which is not ready answers ENOTTY too, and the next one is tried',
    (behaviour) => {
      const m = new ResetMachine(below({}, ANNOUNCED), { behaviour });
      m.arm(CHILD, 'never-ready', { count: 1 });
      const { reply } = m.resetBy(CHILD);
      expect(reply).toMatchObject({ kind: 'reset', method: 'af_flr', tried: [{ method: 'flr', error: 'ENOTTY' }, { method: 'af_flr' }] });
      expect(m.info(CHILD)).toMatchObject({ blocked: false, busMaster: true });
      expect(m.resets(CHILD)).toBe(2);
    },
  );

  it('31 another error stops it: pm of a function that is not in D0 is EINVAL, and bus is not tried', () => {
    const m = new ResetMachine(below({}, { ...FORGETS, flr: false }));
    expect(m.methods(CHILD)).toEqual(['pm', 'bus']);
    m.writeConfig(CHILD, 0x44, 2, 3);
    expect(m.start({ kind: 'reset-trigger', bdf: CHILD, method: undefined }).reply).toMatchObject({ kind: 'refused', code: 'EINVAL' });
    expect(m.resets(CHILD)).toBe(0);
    m.writeConfig(CHILD, 0x44, 2, 0);
    expect(m.resets(CHILD)).toBe(1);
  });

  it.each(BOTH)('31 %s: when none has done it, ENOTTY', (behaviour) => {
    const m = new ResetMachine(below({ acpi: 'fails' }, ANNOUNCED), { behaviour });
    m.arm(CHILD, 'never-ready', { count: 0 });
    expect(m.resetBy(CHILD).reply).toMatchObject({ kind: 'refused', code: 'ENOTTY' });
    // FLR, AF FLR, bus; it does not answer when its power state is to be changed.
    expect(m.resets(CHILD)).toBe(3);
    expect(m.callbacks()).toEqual(['reset-prepare', 'reset-done']);
  });
});

describe('32 the order', () => {
  it("32 is Linux's where nothing says otherwise", () => {
    expect(every().methods(CHILD)).toEqual(['device_specific', 'acpi', 'flr', 'af_flr', 'pm', 'bus', 'cxl_bus']);
  });

  it.each(BOTH)('32 %s: an override says which and in which order; default is all again', (behaviour) => {
    const m = every({ behaviour });
    expect(m.setMethods(CHILD, 'pm  flr').reply).toMatchObject({ kind: 'reset-methods', methods: ['pm', 'flr'] });
    expect(m.methods(CHILD)).toEqual(['pm', 'flr']);
    expect(m.resetBy(CHILD).reply).toMatchObject({ method: 'pm' });
    m.setMethods(CHILD, 'default');
    expect(m.methods(CHILD)).toEqual([...RESET_METHODS]);
    expect(m.resetBy(CHILD).reply).toMatchObject({ method: 'device_specific' });
  });

  it.each(BOTH)('32 %s: an empty one disables resets: ENOTTY, and nothing is touched', (behaviour) => {
    const m = every({ behaviour });
    expect(m.setMethods(CHILD, '').reply).toMatchObject({ methods: [] });
    const before = m.config(CHILD, COMMAND);
    expect(m.resetBy(CHILD).reply).toMatchObject({ kind: 'refused', code: 'ENOTTY' });
    expect([m.resets(CHILD), m.config(CHILD, COMMAND), m.callbacks()]).toEqual([0, before, []]);
  });

  it('32 a name that is none, or a method that the function lacks, is EINVAL, and the override stays', () => {
    const m = new ResetMachine(below({}, FORGETS));
    m.setMethods(CHILD, 'pm');
    expect(m.setMethods(CHILD, 'flr af_flr').reply).toMatchObject({ kind: 'refused', code: 'EINVAL' });
    expect(() => m.setMethods(CHILD, 'flr kick')).toThrow(/"kick" is none of/);
    expect(m.methods(CHILD)).toEqual(['pm']);
  });

  it('32 what is known not to work is not among them', () => {
    const all = below({ ...ALL, noFlr: true, noPm: true, noBus: true }, ANNOUNCED);
    expect(new ResetMachine(all).methods(CHILD)).toEqual(['device_specific', 'acpi']);
  });
});

const EACH = BOTH.flatMap((behaviour) => RESET_METHODS.map((method) => [behaviour, method] as const));

describe('33 from save to restore', () => {
  it.each(EACH)('33 %s: %s: not a bus master, so that no DMA is between done and restore', (behaviour, method) => {
    const m = every({ behaviour, clock: 'manual' }, { cxl: method !== 'bus' });
    const reset = m.resetBy(CHILD, method);
    for (let steps = 0; reset.reply === undefined && steps < 1000; steps++) {
      expect(m.outcome(CHILD, IOVA)).not.toBe('performed');
      m.advance(1);
    }
    expect(reset.reply).toMatchObject({ kind: 'reset', method });
    expect(m.config(CHILD, COMMAND) & BUS_MASTER).toBe(BUS_MASTER);
    expect(m.outcome(CHILD, IOVA)).toBe('performed');
  });
});

describe('34 readiness', () => {
  it.each(BOTH)('34 %s: one that is ready immediately is not waited for', (behaviour) => {
    const m = new ResetMachine([resettable(PROBE, {}, { immediateReadiness: true })], { behaviour });
    expect(m.resetBy(PROBE).reply).toMatchObject({ kind: 'reset', method: 'flr', elapsedNs: 0 });
  });

  it.each(BOTH)('34 %s: one that is disconnected is given up at once', (behaviour) => {
    const m = new ResetMachine([remote(REMOTE)], { behaviour });
    const { reply } = m.resetBy(REMOTE, 'flr');
    expect(reply).toMatchObject({ kind: 'refused', code: 'ENOTTY', elapsedNs: 100 * MS });
    expect(m.logs().some((line) => line.includes('disconnected'))).toBe(true);
  });

  it.each(BOTH)('34 %s: longer than a second, and the log says so', (behaviour) => {
    const m = new ResetMachine([resettable(PROBE)], { behaviour, clock: 'manual' });
    m.arm(PROBE, 'never-ready', { count: 0 });
    const reset = m.resetBy(PROBE);
    m.advance(100 + 1023 + 10);
    const info = m.events.filter((event) => event.kind === 'log' && event.level === 'info');
    expect(info.map((event) => event.kind === 'log' && event.text)).toEqual([expect.stringContaining('not ready 1023 ms after flr')]);
    m.call('ok', { kind: 'fault-disarm', bdf: PROBE, fault: 'never-ready' });
    m.advance(1024);
    expect(reset.reply).toMatchObject({ kind: 'reset' });
  });

  it.each(BOTH)('34 %s: until then the root port shows that the function retries, and everything else reads as ones', (behaviour) => {
    const m = new ResetMachine(below({}, {}, { capabilities: { rrsVisibility: true } }), { behaviour, clock: 'manual' });
    m.resetBy(CHILD, 'flr');
    expect(m.config(CHILD, 0, 4) >>> 0).toBe(0xffff_ffff);
    // RRS Software Visibility Enable.
    m.writeConfig(PORT, ROOT_CONTROL, 2, 0x10);
    expect([m.config(CHILD, 0, 4) >>> 0, m.config(CHILD, 0, 2), m.config(CHILD, 4, 2), m.config(CHILD, 0, 1)]).toEqual([
      0xffff_0001, 0x0001, 0xffff, 0xff,
    ]);
    m.advance(100);
    expect(m.config(CHILD, 0, 2)).toBe(0x1234);
  });
});

describe('34 never ready', () => {
  /** Until the function is asked first: FLR, twice 10 ms of pm, 2 ms of a bus and 120 of its link. */
  const FIRST_MS = { device_specific: 100, acpi: 100, flr: 100, af_flr: 100, pm: 20, bus: 122, cxl_bus: 122 } as const;

  it.each(EACH)('34 %s: %s: the wait doubles from 1 ms, and 65536 ms would be past a minute: ENOTTY', (behaviour, method) => {
    const m = every({ behaviour }, { cxl: method !== 'bus' });
    m.arm(CHILD, 'never-ready', { count: 0 });
    const { reply } = m.resetBy(CHILD, method);
    expect(reply).toMatchObject({ kind: 'refused', code: 'ENOTTY', elapsedNs: (FIRST_MS[method] + 65_535) * MS });
    expect(m.info(CHILD).blocked).toBe(behaviour === 'strict');
  });
});

describe('41 a probe', () => {
  it('41 strict: finds the methods and does nothing else', () => {
    const m = every();
    expect(m.start({ kind: 'reset-probe', bdf: CHILD }).reply).toMatchObject({ kind: 'reset-methods', methods: [...RESET_METHODS] });
    m.setMethods(CHILD, 'bus device_specific');
    expect([m.windows(CHILD), m.resets(CHILD), m.traced('prepare')]).toEqual([[], 0, []]);
  });

  it('41 linux-7.1: device_specific and bus open a window and close it, where they only look', () => {
    const m = every({ behaviour: 'linux-7.1' });
    expect(m.start({ kind: 'reset-probe', bdf: CHILD }).reply).toMatchObject({ methods: [...RESET_METHODS] });
    expect(m.windows(CHILD)).toEqual(['open', 'closed', 'open', 'closed']);
    expect(m.resets(CHILD)).toBe(0);
    m.setMethods(CHILD, 'pm bus');
    expect(m.windows(CHILD)).toHaveLength(6);
  });

  it('41 linux-7.1: a function that is alone on no bus is blocked for a moment too', () => {
    const m = new ResetMachine([resettable(PROBE)], { behaviour: 'linux-7.1' });
    expect(m.start({ kind: 'reset-probe', bdf: PROBE }).reply).toMatchObject({ methods: ['flr'] });
    expect(m.windows(PROBE)).toEqual(['open', 'closed']);
  });
});
