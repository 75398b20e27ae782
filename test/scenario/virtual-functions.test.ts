/** SR-IOV from a host's side: virtual functions come, work in groups of their own, and go, also in the middle of a window. */
import { expect } from 'vitest';
import { refusal, scenario } from '../kit/scenario.ts';

const PHYSICAL = '01:00.0';
const FIRST = '01:00.1';
const SECOND = '01:00.2';
const IOVA = 0x10_000n;

const topology = {
  schema: 'iommud.topology/v1',
  functions: [
    {
      address: '00:1c.0',
      model: 'root-port',
      children: [{ address: '00.0', model: 'dma-probe', capabilities: { sriov: { vfs: 4 } } }],
    },
  ],
};

/** The virtual functions of a slot are slots, which nobody plays here. */
const UNPLAYED = { topology, played: 'none' } as const;

scenario('virtual functions come up, do DMA in groups of their own, and go', UNPLAYED, async (m) => {
  const physical = m.function(PHYSICAL);
  expect(await physical.sriov.info()).toMatchObject({ enabled: false, functions: 0, totalFunctions: 4 });
  expect(await physical.sriov.enable(2)).toEqual([FIRST, SECOND]);
  expect(await refusal(physical.sriov.enable(1))).toBe('EBUSY');
  expect(await m.hotplug.next()).toMatchObject({ function: FIRST, present: true, reason: 'vf-enabled' });
  const groups = new Set<number | undefined>();
  for (const at of [FIRST, SECOND]) {
    const fn = m.function(at);
    const info = await fn.info();
    expect(info).toMatchObject({ physicalFunction: PHYSICAL, vendor: 0x1234, atsSupported: true });
    groups.add(info.group);
    await fn.config.write(4, 2, 4);
    const memory = await m.memory.alloc(4096);
    await fn.dma.map({ iova: IOVA, address: memory.address, bytes: 4096, access: 'rw' });
    expect(await fn.model.write(IOVA, at, { translated: true })).toMatchObject({ outcome: 'performed' });
    expect(await m.text(memory.address, at.length)).toBe(at);
    expect(await fn.bar(0).read(0, 4)).toBe(0x4252_5044);
  }
  groups.add((await physical.info()).group);
  expect(groups.size).toBe(3);
  await physical.sriov.disable();
  expect((await m.functions()).map((fn) => fn.function)).toEqual(['00:1c.0', PHYSICAL]);
  expect(await refusal(m.function(FIRST).info())).toBe('ENODEV');
});

scenario('VF Enable is cleared in the middle of a window and of DMA: both end', UNPLAYED, async (m) => {
  const physical = m.function(PHYSICAL);
  await physical.sriov.enable(2);
  const [first, second] = [m.function(FIRST), m.function(SECOND)];
  await second.config.write(4, 2, 4);
  const memory = await m.memory.alloc(4096);
  await second.dma.map({ iova: IOVA, address: memory.address, bytes: 4096, access: 'rw' });
  const held = second.model.write(IOVA, new Uint8Array(8), { hold: 'translated' });
  await first.resetPrepare({ deadlineMs: 10 });
  await physical.sriov.disable();
  expect(await held).toMatchObject({ outcome: 'aborted' });
  expect((await m.functions()).length).toBe(2);
  expect(await physical.sriov.enable(4)).toHaveLength(4);
  expect(await m.function(FIRST).info()).toMatchObject({ blocked: false, resetDepth: 0 });
});
