/** Functions that come and go while hosts look on: plugged in, pulled out in the middle of what they do, and nothing hangs. */
import { expect } from 'vitest';
import { IommudError } from '../../client/src/index.ts';
import { scenario } from '../kit/scenario.ts';

const PORT = '00:1c.0';
const BELOW = '01:00.0';
const PROBE = '00:02.0';
const IOVA = 0x10_000n;

const topology = {
  schema: 'iommud.topology/v1',
  functions: [
    { address: PROBE, model: 'dma-probe' },
    { address: PORT, model: 'root-port', slot: { memory: '2MiB', buses: 2 } },
  ],
};
const card = [{ address: '00.0', model: 'dma-probe' }];

scenario('a card is plugged in, does DMA, and is taken out', { topology }, async (m) => {
  const come = await m.plug({ port: PORT, functions: card });
  expect(come).toMatchObject({ functions: [BELOW], elapsedMs: 100 });
  expect(await m.hotplug.next()).toMatchObject({ function: BELOW, port: PORT, present: true, reason: 'plugged' });
  const fn = m.function(BELOW);
  expect(await fn.config.read(0, 2)).toBe(0x1234);
  const memory = await m.memory.alloc(4096);
  await fn.dma.map({ iova: IOVA, address: memory.address, bytes: 4096, access: 'rw' });
  expect(await fn.model.write(IOVA, new TextEncoder().encode('card'))).toMatchObject({ outcome: 'performed' });
  const [bar] = await fn.regions();
  expect(bar?.address).toBeGreaterThan(0n);
  expect(await fn.bar(0).read(0, 4)).toBe(0x4252_5044);
  expect(await fn.unplug()).toMatchObject({ functions: [BELOW], timedOut: 0 });
  expect(await m.hotplug.next()).toMatchObject({ function: BELOW, port: PORT, present: false, reason: 'unplugged' });
  await expect(fn.info()).rejects.toMatchObject({ code: 'ENODEV' });
  expect((await m.functions()).map((one) => one.function)).toEqual([PROBE, PORT]);
});

scenario(
  'a card is pulled out in the middle of its DMA: nothing hangs, and reads are all ones until it is gone',
  { topology, clock: 'manual' },
  async (m) => {
    const come = m.plug({ port: PORT, functions: card });
    await m.clock.advance({ ms: 100 });
    await come;
    const fn = m.function(BELOW);
    const memory = await m.memory.alloc(4096);
    await fn.dma.map({ iova: IOVA, address: memory.address, bytes: 4096, access: 'rw' });
    const write = fn.model.write(IOVA, new Uint8Array(64), { hold: 'translated' });
    const hold = await m.calls.hold('leave', 'unlock', { function: BELOW });
    const gone = fn.unplug({ surprise: true });
    expect(await write).toMatchObject({ outcome: 'aborted' });
    expect(await fn.config.read(0, 4)).toBe(0xffff_ffff);
    expect(await fn.info()).toMatchObject({ linkDown: true, inFlight: 0 });
    expect(await fn.model.write(IOVA, new Uint8Array(4))).toMatchObject({ outcome: 'gate-closed' });
    await hold.release();
    expect(await gone).toMatchObject({ functions: [BELOW], aborted: 1, drained: 0 });
    await expect(fn.config.read(0, 4)).rejects.toMatchObject({ code: 'ENODEV' });
  },
);

scenario('what cannot be plugged in is refused with its line, and both that clash', { topology }, async (m) => {
  const refused = async (port: string | undefined, functions: readonly object[] | string): Promise<string> => {
    const error: unknown = await m.plug({ ...(port === undefined ? {} : { port }), functions }).catch((thrown: unknown) => thrown);
    expect(error).toBeInstanceOf(IommudError);
    return error instanceof IommudError ? `${error.code} ${error.message}` : '';
  };
  expect(await refused(PORT, 'functions:\n  - address: "05:00.0"\n    model: dma-probe\n')).toContain(
    'EINVAL line 2: 05:00.0 is not on bus 01, which is below 00:1c.0',
  );
  expect(await refused(PORT, [{ address: '01.0', model: 'dma-probe' }])).toContain('at the end of a link');
  expect(await refused(PORT, 'memory: []\nfunctions: []\n')).toContain("the machine's own");
  expect(await refused(undefined, [{ address: PROBE, model: 'dma-probe' }])).toContain('two functions at 00:02.0');
  expect(await refused(PROBE, card)).toContain('00:02.0 is no port');
  expect(await refused('00:05.0', card)).toContain('ENODEV');
  const deep = {
    address: '00.0',
    model: 'upstream-port',
    children: Array.from({ length: 3 }, (_, i) => ({ address: `0${i}.0`, model: 'downstream-port' })),
  };
  expect(await refused(PORT, [deep])).toContain('buses up to 05; those of 00:1c.0 end with 03');
  await m.plug({ port: PORT, functions: card });
  expect(await refused(PORT, card)).toMatch(/EBUSY .*00:1c\.0 has 01:00\.0/);
});

scenario('the same plugging and unplugging gives the same trace hash', { topology }, async (m) => {
  const play = async (): Promise<void> => {
    await m.plug({ port: PORT, functions: card });
    const fn = m.function(BELOW);
    const memory = await m.memory.alloc(4096);
    await fn.dma.map({ iova: IOVA, address: memory.address, bytes: 4096, access: 'rw' });
    await fn.model.write(IOVA, new Uint8Array(8), { translated: true });
    await fn.unplug({ surprise: true });
  };
  await play();
  const first = await m.traceHash();
  await play();
  expect(await m.traceHash()).not.toBe(first);
  expect((await m.functions()).length).toBe(2);
});

scenario(
  'a slot is turned on for a card, and its button asks for the card back',
  {
    topology: {
      ...topology,
      functions: topology.functions.map((fn) => (fn.address === PORT ? { ...fn, capabilities: { slot: { number: 3 } } } : fn)),
    },
  },
  async (m) => {
    const { slot } = m.function(PORT);
    expect(await slot.info()).toEqual({ present: false, powered: false, linkActive: false, events: [] });
    await m.plug({ port: PORT, functions: card });
    const fn = m.function(BELOW);
    expect(await slot.info()).toEqual({ present: true, powered: false, linkActive: false, events: ['presence'] });
    expect(await fn.config.read(0, 2)).toBe(0xffff);
    await slot.power(true);
    expect(await fn.config.read(0, 2)).toBe(0x1234);
    expect(await slot.info()).toMatchObject({ powered: true, linkActive: true, events: ['presence', 'command-completed', 'link'] });
    await slot.clear();
    await slot.signal('attention-button');
    expect((await slot.info()).events).toEqual(['attention-button']);
    await expect(slot.signal('latch-opened')).rejects.toMatchObject({ code: 'EOPNOTSUPP' });
    await expect(fn.slot.info()).rejects.toMatchObject({ code: 'EOPNOTSUPP', message: `${BELOW} has no slot` });
  },
);
