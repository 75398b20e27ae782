/** Interrupts over the wire: what a driver programs, and what comes to it. Offsets, bits and addresses are restated here. */
import { expect } from 'vitest';
import type { FunctionHandle, Interrupt } from '../../client/src/index.ts';
import { untilInFlight } from '../kit/in-flight.ts';
import { refusal, scenario, type ScenarioMachine } from '../kit/scenario.ts';

const COMMAND = 4;
const INTERRUPT_DISABLE = 0x400;
const BUS_MASTER_AND_MEMORY = 6;
const CAPABILITIES = 0x34;
const MSIX = 0x11;
const TABLE_BAR = 2;
const PENDING = 0x8000;
const X86 = 0xfee0_0000;
const HOST_BRIDGE = { address: '00:00.0', model: 'host-bridge' };
const ONE = { schema: 'iommud.topology/v1', functions: [HOST_BRIDGE, { address: '00:02.0', model: 'dma-probe', interruptPin: 'A' }] };

async function enableMsix(dev: FunctionHandle, control = 0x8000): Promise<void> {
  let at = await dev.config.read(CAPABILITIES, 1);
  while ((await dev.config.read(at, 1)) !== MSIX) at = await dev.config.read(at + 1, 1);
  await dev.config.write(at + 2, 2, control);
}

async function program(dev: FunctionHandle, vector: number, address: number, data: number): Promise<void> {
  const table = dev.bar(TABLE_BAR);
  await table.write(16 * vector, 8, address);
  await table.write(16 * vector + 8, 4, data);
  await mask(dev, vector, false);
}

function mask(dev: FunctionHandle, vector: number, on: boolean): Promise<unknown> {
  return dev.bar(TABLE_BAR).write(16 * vector + 12, 4, on ? 1 : 0);
}

const data = (m: ScenarioMachine): number[] => m.interrupts.take().map((event: Interrupt) => event.data);

scenario('a masked vector is pending, and comes once when it is unmasked', { topology: ONE }, async (m) => {
  const dev = m.function('00:02.0');
  await enableMsix(dev);
  await program(dev, 3, X86, 0x43);
  expect(await dev.model.interrupt(3)).toBe('sent');
  expect(m.interrupts.take()).toMatchObject([
    { function: '00:02.0', address: 0xfee0_0000n, data: 0x43, sourceVector: 3, remapped: undefined },
  ]);
  await mask(dev, 3, true);
  expect([await dev.model.interrupt(3), await dev.model.interrupt(3)]).toEqual(['pending', 'pending']);
  expect(await dev.bar(TABLE_BAR).read64(PENDING)).toBe(8n);
  expect(await dev.irqs()).toEqual([
    { index: 'intx', count: 1, granted: 1, enabled: false, maskable: true, pending: [] },
    { index: 'msix', count: 32, granted: 32, enabled: true, maskable: true, pending: [3] },
  ]);
  expect(data(m)).toEqual([]);
  await mask(dev, 3, false);
  expect(data(m)).toEqual([0x43]);
  expect(await dev.bar(TABLE_BAR).read64(PENDING)).toBe(0n);
});

scenario('Function Mask holds every vector back', { topology: ONE }, async (m) => {
  const dev = m.function('00:02.0');
  await enableMsix(dev, 0xc000);
  await program(dev, 0, X86, 0x40);
  await program(dev, 1, X86, 0x41);
  expect([await dev.model.interrupt(1), await dev.model.interrupt(0)]).toEqual(['pending', 'pending']);
  expect(data(m)).toEqual([]);
  await enableMsix(dev);
  expect(data(m)).toEqual([0x40, 0x41]);
});

scenario('an interrupt is told after the bytes that it is about', { topology: ONE }, async (m) => {
  const dev = m.function('00:02.0');
  const address = await m.mapped(dev, 0x10_0000);
  await enableMsix(dev);
  await program(dev, 0, X86, 0x40);
  const write = dev.model.write(0x10_0000, 'done', { hold: 'issued' });
  await untilInFlight(dev);
  expect(await dev.model.interrupt(0)).toBe('sent');
  expect((await dev.ledger()).map((entry) => entry.operation)).toEqual(['write', 'msi']);
  expect(data(m)).toEqual([]);
  await dev.release();
  expect(await write).toMatchObject({ outcome: 'performed' });
  expect([data(m), await m.text(address, 4)]).toEqual([[0x40], 'done']);
});

scenario('a blocked domain stops no interrupt; a reset window does, and forgets none that was masked', { topology: ONE }, async (m) => {
  const dev = m.function('00:02.0');
  await enableMsix(dev);
  await program(dev, 0, X86, 0x40);
  await dev.attach(await m.domains.alloc({ type: 'blocked' }));
  expect([await dev.model.interrupt(0), data(m)]).toEqual(['sent', [0x40]]);
  await dev.detach();
  const window = await dev.resetPrepare({ deadlineMs: 10 });
  expect([await dev.model.interrupt(0), data(m)]).toEqual(['dropped', []]);
  await mask(dev, 0, true);
  expect(await dev.model.interrupt(0)).toBe('pending');
  await mask(dev, 0, false);
  expect(data(m)).toEqual([]);
  await window.done();
  expect(data(m)).toEqual([0x40]);
});

scenario('a reset forgets what is pending, and gives the table back with the rest', { topology: ONE }, async (m) => {
  const dev = m.function('00:02.0');
  await enableMsix(dev);
  await program(dev, 0, X86, 0x40);
  await mask(dev, 0, true);
  await dev.model.interrupt(0);
  await dev.reset({ method: 'flr', deadlineMs: 10 });
  await mask(dev, 0, false);
  expect(data(m)).toEqual([]);
  expect([await dev.model.interrupt(0), data(m)]).toEqual(['sent', [0x40]]);
  await dev.resetTrigger('flr');
  await dev.config.write(COMMAND, 2, BUS_MASTER_AND_MEMORY);
  expect(await dev.irqs()).toMatchObject([
    { index: 'intx', enabled: true },
    { index: 'msix', enabled: false, pending: [] },
  ]);
  await enableMsix(dev);
  expect([await dev.model.interrupt(0), data(m)]).toEqual(['pending', []]);
});

const REMAPPING = {
  schema: 'iommud.topology/v1',
  iommu: { interruptRemapping: true },
  functions: [HOST_BRIDGE, { address: '00:02.0', model: 'dma-probe' }, { address: '00:03.0', model: 'dma-probe' }],
};
/** Bit 4: remappable; bit 3: the data adds a subhandle; the handle is from bit 5 on. */
const handle = (number: number, subhandle = false): number => X86 | 0x10 | (subhandle ? 8 : 0) | (number << 5);

scenario('with interrupt remapping a message goes by its entry', { topology: REMAPPING }, async (m) => {
  const dev = m.function('00:02.0');
  await enableMsix(dev);
  await program(dev, 0, handle(7, true) >>> 0, 1);
  await m.remapInterrupt(8, { vector: 0x61, destination: 2, source: '00:02.0' });
  expect(await dev.model.interrupt(0)).toBe('sent');
  expect(m.interrupts.take()).toMatchObject([
    { function: '00:02.0', data: 1, sourceVector: 0, remapped: { index: 8, vector: 0x61, destination: 2 } },
  ]);
  await m.remapInterrupt(8, undefined);
  await dev.model.interrupt(0);
  expect(await m.faults.next()).toMatchObject({
    function: '00:02.0',
    cause: 'interrupt-absent',
    access: 'w',
    iova: BigInt(handle(7, true) >>> 0),
  });
  expect(data(m)).toEqual([]);
});

scenario('with interrupt remapping no function interrupts as another, nor as it likes', { topology: REMAPPING }, async (m) => {
  const rogue = m.function('00:03.0');
  await m.remapInterrupt(8, { vector: 0x61, source: '00:02.0' });
  // By its table, and by DMA of its own.
  await enableMsix(rogue);
  await program(rogue, 0, handle(8) >>> 0, 0);
  await rogue.model.interrupt(0);
  expect(await m.faults.next()).toMatchObject({ function: '00:03.0', cause: 'interrupt-source' });
  const write = (address: number, bytes: Uint8Array): Promise<{ outcome: string }> => rogue.model.write(address >>> 0, bytes);
  expect(await write(handle(8), Uint8Array.of(0, 0, 0, 0))).toMatchObject({ outcome: 'interrupt-source', bytes: 0 });
  expect(await write(X86, Uint8Array.of(0x61, 0, 0, 0))).toMatchObject({ outcome: 'interrupt-compatibility' });
  expect(await write(handle(8), Uint8Array.of(0x61))).toMatchObject({ outcome: 'interrupt-reserved' });
  expect(data(m)).toEqual([]);
  expect(await refusal(m.remapInterrupt(65_536, { vector: 1 }))).toBe('EINVAL');
  expect(await refusal(m.remapInterrupt(0, { vector: 256 }))).toBe('EINVAL');
  expect(await refusal(m.remapInterrupt(0, { vector: 1, source: '00:09.0' }))).toBe('ENODEV');
});

const COMPATIBLE = { ...REMAPPING, iommu: { interruptRemapping: true, compatibilityInterrupts: true } };
scenario('where the machine allows it, messages that are not remappable pass', { topology: COMPATIBLE }, async (m) => {
  expect(await m.function('00:02.0').model.write(X86, Uint8Array.of(0x61, 0, 0, 0))).toMatchObject({ outcome: 'performed' });
  expect(m.interrupts.take()).toMatchObject([{ data: 0x61, remapped: undefined, sourceVector: undefined }]);
});

scenario('without remapping there is no table', { topology: ONE }, async (m) => {
  expect(await refusal(m.remapInterrupt(0, { vector: 1 }))).toBe('EOPNOTSUPP');
});

const DOORBELL = 0x809_0000;
const ARM = { ...ONE, iommu: { interrupts: 'translated' } };

scenario('where interrupts are translated, the doorbell is reached by a mapping, and by nothing else', { topology: ARM }, async (m) => {
  const dev = m.function('00:02.0');
  expect((await dev.info()).reservedRegions).toEqual([{ address: 0x800_0000n, bytes: 0x10_0000n, type: 'msi' }]);
  await enableMsix(dev);
  await program(dev, 0, 0x800_0040, 5);
  await dev.model.interrupt(0);
  expect(await m.faults.next()).toMatchObject({ cause: 'not-present', iova: 0x800_0040n, access: 'w' });
  await dev.dma.map({ iova: 0x800_0000, address: DOORBELL, bytes: 4096, access: 'w' });
  expect(await dev.model.interrupt(0)).toBe('sent');
  expect(m.interrupts.take()).toMatchObject([{ address: 0x800_0040n, data: 5, sourceVector: 0 }]);
  // 0xfee00000 is an IOVA as any other there.
  const address = await m.mapped(dev, X86);
  expect(await dev.model.write(X86, 'page')).toMatchObject({ outcome: 'performed' });
  expect([await m.text(address, 4), data(m)]).toEqual(['page', []]);
  await dev.attach(await m.domains.alloc({ type: 'blocked' }));
  await dev.model.interrupt(0);
  expect(await m.faults.next()).toMatchObject({ cause: 'blocked-domain' });
});

const below = (address: string, fn: string): unknown => ({
  address,
  model: 'downstream-port',
  children: [{ address: fn, model: 'dma-probe', interruptPin: 'A' }],
});
const SWITCH = {
  schema: 'iommud.topology/v1',
  functions: [
    HOST_BRIDGE,
    {
      address: '00:1c.0',
      model: 'root-port',
      bus: '01',
      children: [
        {
          address: '00.0',
          model: 'upstream-port',
          bus: '02',
          children: [below('00.0', '00.0'), below('01.0', '00.0'), below('04.0', '00.0')],
        },
      ],
    },
  ],
};

scenario('functions behind a switch share a line, which is asserted until each has let it go', { topology: SWITCH }, async (m) => {
  const [first, other, second] = ['03:00.0', '04:00.0', '05:00.0'].map((bdf) => m.function(bdf)) as [
    FunctionHandle,
    FunctionHandle,
    FunctionHandle,
  ];
  expect([await first.model.interrupt(0), await second.model.line(true), await other.model.line(true)]).toEqual([
    'asserted',
    'asserted',
    'asserted',
  ]);
  const line = { device: '00:1c', pin: 'A', asserted: true };
  expect(m.intx.take()).toEqual([
    expect.objectContaining({ function: '03:00.0', pin: 'A', asserted: true, line: { ...line, sources: 1 } }),
    expect.objectContaining({ function: '05:00.0', asserted: true, line: { ...line, sources: 2 } }),
    // Device 1 of the switch: its pin comes out one further on.
    expect.objectContaining({ function: '04:00.0', pin: 'A', line: { ...line, pin: 'B', sources: 1 } }),
  ]);
  expect(await first.model.line(false)).toBe('idle');
  await second.config.write(COMMAND, 2, BUS_MASTER_AND_MEMORY | INTERRUPT_DISABLE);
  expect(m.intx.take()).toMatchObject([
    { function: '03:00.0', asserted: false, line: { pin: 'A', asserted: true, sources: 1 } },
    { function: '05:00.0', asserted: false, line: { pin: 'A', asserted: false, sources: 0 } },
  ]);
});

const REMOTE = { schema: 'iommud.topology/v1', functions: [HOST_BRIDGE, { address: '00:04.0', model: 'remote', interruptPin: 'B' }] };

scenario('a function that a program plays interrupts by the masks that the server has', { topology: REMOTE }, async (m) => {
  const device = await m.connect(['device']);
  const seen: number[] = [];
  const mine = await device.claimDevice('00:04.0', {
    onRegionRead: ({ offset }) => {
      seen.push(offset);
      return 0;
    },
  });
  const dev = m.function('00:04.0');
  expect(await mine.interrupt(0)).toBe('asserted');
  await enableMsix(dev);
  expect(m.intx.take().map(({ pin, asserted }) => [pin, asserted])).toEqual([
    ['B', true],
    ['B', false],
  ]);
  await program(dev, 31, X86, 0x51);
  await mask(dev, 31, true);
  expect(await mine.interrupt(31)).toBe('pending');
  expect(await dev.bar(TABLE_BAR).read(PENDING, 4)).toBe(0x8000_0000);
  await mask(dev, 31, false);
  expect([data(m), seen]).toEqual([[0x51], []]);
  expect(await refusal(mine.interrupt(32))).toBe('EINVAL');
  expect(await refusal(dev.model.interrupt(0))).toBe('EOPNOTSUPP');
  await mine.line(true);
  expect(await dev.irqs()).toMatchObject([{ index: 'intx', pending: [0] }, {}]);
  await mine.release();
  expect(await dev.irqs()).toMatchObject([{ index: 'intx', pending: [] }, {}]);
});

// About the calls that a model of the server's has.
scenario('an interrupt is a vector or the line, and one that the function has', { topology: ONE, played: 'none' }, async (m) => {
  const { connection } = m;
  const fn = 0x10;
  expect(await refusal(connection.call('modelInterrupt', { function: fn }))).toBe('EINVAL');
  expect(await refusal(connection.call('modelInterrupt', { function: fn, vector: 0, line: true }))).toBe('EINVAL');
  expect(await refusal(m.function('00:02.0').model.interrupt(32))).toBe('EINVAL');
  expect(await refusal(m.function('00:00.0').model.interrupt(0))).toBe('EOPNOTSUPP');
  expect(await m.function('00:00.0').irqs()).toEqual([]);
});
