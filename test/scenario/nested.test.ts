/** Nested translation: a guest's first-stage tables, below which the host's second stage translates. */
import { expect } from 'vitest';
import type { Domain, FunctionHandle } from '../../client/src/index.ts';
import { untilInFlight } from '../kit/in-flight.ts';
import { refusal, scenario, type ScenarioMachine } from '../kit/scenario.ts';

const IOVA = 0x40_3000n;
/** Where the guest believes its memory to be, and where its tables and its page stand in that. */
const GUEST = 0x1_0000_0000n;
const PAGE = 4096n;
const DATA = GUEST + 4n * PAGE;

/** x86-64: present, writable, user, accessed and, in a leaf, dirty. */
const TABLE = 0x27n;
const LEAF = 0x67n;

/** A little-endian table entry. */
function entry(value: bigint): Uint8Array {
  const bytes = new Uint8Array(8);
  new DataView(bytes.buffer).setBigUint64(0, value, true);
  return bytes;
}

interface Guest {
  readonly dev: FunctionHandle;
  readonly host: Domain;
  readonly nested: Domain;
  /** Physical address of the guest's memory: 4 tables from the root down, a data page, and one more. */
  readonly memory: bigint;
  /** Where the leaf's entry stands. */
  readonly leafAt: bigint;
}

/** A guest with six pages of memory, one of which its x86-64 tables map at IOVA. */
async function guest(
  m: ScenarioMachine,
  fields: { second?: string; leaf?: bigint; accessedDirty?: boolean; dirtyTracking?: boolean } = {},
): Promise<Guest> {
  const { second = 'vtd-second-stage-4level', leaf = DATA | LEAF, ...options } = fields;
  const { accessedDirty = false, dirtyTracking = false } = options;
  const dev = m.function('00:02.0');
  // An odd page, so that the second stage has pages of 4 KiB.
  const memory = (await m.pages(7)) | PAGE;
  const host = await m.domains.alloc({ format: second, dirtyTracking });
  await host.map({ iova: GUEST, address: memory, bytes: 6n * PAGE, access: 'rw' });
  const index = (level: bigint): bigint => (IOVA >> (9n * level)) & 0xff8n;
  for (const level of [4n, 3n, 2n]) {
    const at = 4n - level;
    await m.memory.write(memory + at * PAGE + index(level), entry((GUEST + (at + 1n) * PAGE) | TABLE));
  }
  const leafAt = memory + 3n * PAGE + index(1n);
  await m.memory.write(leafAt, entry(leaf));
  const nested = await m.domains.alloc({ format: 'x86-64', root: GUEST, parent: host, accessedDirty });
  await dev.attach(nested);
  return { dev, host, nested, memory, leafAt };
}

for (const second of ['vtd-second-stage-3level', 'amd-v1-4level']) {
  scenario(`DMA goes through both stages, x86-64 above ${second}`, {}, async (m) => {
    const { dev, host, nested, memory } = await guest(m, { second });
    expect((await dev.model.write(IOVA, 'both')).outcome).toBe('performed');
    expect(await m.text(memory + 4n * PAGE, 4)).toBe('both');
    expect(await nested.iovaToPhys(IOVA + 5n)).toBe(memory + 4n * PAGE + 5n);
    expect((await dev.model.write(IOVA, 'granted', { translated: true })).outcome).toBe('performed');
    expect(await m.text(memory + 4n * PAGE, 7)).toBe('granted');
    expect((await dev.model.write(IOVA + PAGE, 'x')).outcome).toBe('not-present');
    expect(await m.faults.next()).toMatchObject({ cause: 'not-present', stage: 1, text: '00:02.0 write 0x404000: not present' });

    expect(await refusal(nested.map({ iova: 0, address: memory, bytes: 4096, access: 'r' }))).toBe('EOPNOTSUPP');
    expect(await refusal(nested.setDirtyTracking(true))).toBe('EOPNOTSUPP');
    expect(await refusal(host.free())).toBe('EBUSY');
    await dev.detach();
    expect(await refusal(host.free())).toBe('EBUSY');
    await nested.free();
    await host.free();
  });
}

scenario('an unmap in the second stage takes what is cached of the first, in the IOTLB and in ATCs', { clock: 'manual' }, async (m) => {
  const { dev, host, memory } = await guest(m);
  expect((await dev.model.write(IOVA, 'x')).outcome).toBe('performed');
  expect((await dev.model.write(IOVA, 'x', { translated: true })).outcome).toBe('performed');
  const held = dev.model.write(IOVA, 'late', { hold: 'translated' });
  await untilInFlight(dev);
  let unmapped = false;
  const unmap = host.unmap({ iova: DATA, bytes: PAGE }).then((report) => ((unmapped = true), report));
  await m.clock.info();
  expect(unmapped).toBe(false);
  await dev.release();
  expect((await held).outcome).toBe('performed');
  expect(await unmap).toMatchObject({ bytes: PAGE, timedOut: 0 });
  expect(await m.text(memory + 4n * PAGE, 4)).toBe('late');
  expect((await dev.model.write(IOVA, 'x')).outcome).toBe('not-present');
  expect((await dev.model.write(IOVA, 'x', { translated: true })).outcome).toBe('no-access');
  expect(await m.faults.next()).toMatchObject({ cause: 'not-present', stage: 2, iova: IOVA });

  await host.map({ iova: DATA, address: memory + 5n * PAGE, bytes: PAGE, access: 'r' });
  expect((await dev.model.read(IOVA, 4)).outcome).toBe('performed');
  expect((await dev.model.write(IOVA, 'x')).outcome).toBe('not-permitted');
  expect(await m.faults.next()).toMatchObject({
    cause: 'not-permitted',
    stage: 2,
    text: '00:02.0 write 0x403000: not permitted (stage 2)',
  });
});

scenario('a first stage that forbids is the one that refuses', {}, async (m) => {
  const { dev } = await guest(m, { leaf: DATA | 0x25n });
  expect((await dev.model.read(IOVA, 4)).outcome).toBe('performed');
  expect((await dev.model.write(IOVA, 'x')).outcome).toBe('not-permitted');
  expect(await m.faults.next()).toMatchObject({ cause: 'not-permitted', stage: 1 });
});

scenario(
  'first-stage tables that the second stage does not map, or that lead nowhere, end in a fault of the right stage',
  {},
  async (m) => {
    const { dev, host, nested, memory, leafAt } = await guest(m);
    const outcome = async (): Promise<unknown[]> => {
      await nested.unmap({ iova: 0, bytes: 1n << 47n });
      const { outcome: ended } = await dev.model.read(IOVA, 4);
      if (ended === 'performed') return [ended];
      const { cause, stage } = await m.faults.next();
      expect(cause).toBe(ended);
      return [ended, stage];
    };
    expect(await outcome()).toEqual(['performed']);
    // A table outside what the second stage maps; a page there; beyond the width of the second stage; in no memory at all.
    await m.memory.write(memory + 2n * PAGE + ((IOVA >> 18n) & 0xff8n), entry((GUEST + 16n * PAGE) | TABLE));
    expect(await outcome()).toEqual(['not-present', 2]);
    await m.memory.write(memory + 2n * PAGE + ((IOVA >> 18n) & 0xff8n), entry((1n << 50n) | TABLE));
    expect(await outcome()).toEqual(['too-wide', 2]);
    await m.memory.write(memory + 2n * PAGE + ((IOVA >> 18n) & 0xff8n), entry((GUEST + 3n * PAGE) | TABLE));
    await m.memory.write(leafAt, entry((GUEST + 16n * PAGE) | LEAF));
    expect(await outcome()).toEqual(['not-present', 2]);
    await m.memory.write(leafAt, entry(0n));
    expect(await outcome()).toEqual(['not-present', 1]);
    await host.map({ iova: GUEST + 16n * PAGE, address: 1n << 45n, bytes: PAGE, access: 'rw' });
    await m.memory.write(memory + 2n * PAGE + ((IOVA >> 18n) & 0xff8n), entry((GUEST + 16n * PAGE) | TABLE));
    expect(await outcome()).toEqual(['external-abort', 1]);
    // Every level is the root, in which the way ends as any way does.
    const loop = await m.pages(1);
    await host.map({ iova: GUEST + 32n * PAGE, address: loop, bytes: PAGE, access: 'rw' });
    for (let i = 0n; i < 512n; i += 1n) await m.memory.write(loop + i * 8n, entry((GUEST + 32n * PAGE) | LEAF));
    const round = await m.domains.alloc({ format: 'x86-64-5level', root: GUEST + 32n * PAGE, parent: host });
    await dev.attach(round);
    expect(await round.iovaToPhys(IOVA)).toBe(loop);
    expect(await outcome()).toEqual(['performed']);
    const outside = await m.domains.alloc({ root: 0x1000, parent: host });
    await dev.attach(outside);
    expect(await outcome()).toEqual(['not-present', 2]);
  },
);

scenario('table entries are read with the right to read, and flags in them written with the right to write', {}, async (m) => {
  const { dev, host, memory, leafAt } = await guest(m, { leaf: DATA | 0x7n, accessedDirty: true });
  const flags = async (): Promise<number> => ((await m.memory.read(leafAt, 1))[0] ?? 0) & 0x60;
  expect((await dev.model.read(IOVA, 4)).outcome).toBe('performed');
  expect(await flags()).toBe(0x20);
  expect((await dev.model.write(IOVA, 'x')).outcome).toBe('performed');
  expect(await flags()).toBe(0x60);

  // The tables are read-only in the second stage: a walk that has a flag to set cannot.
  await host.unmap({ iova: GUEST, bytes: 4n * PAGE });
  await host.map({ iova: GUEST, address: memory, bytes: 4n * PAGE, access: 'r' });
  expect((await dev.model.write(IOVA, 'x')).outcome).toBe('performed');
  await m.memory.write(leafAt, entry(DATA | 0x27n));
  await host.unmap({ iova: GUEST + 5n * PAGE, bytes: PAGE });
  expect((await dev.model.write(IOVA, 'x')).outcome).toBe('not-permitted');
  expect(await m.faults.next()).toMatchObject({ cause: 'not-permitted', stage: 2 });
  expect(await flags()).toBe(0x20);
  expect((await dev.model.read(IOVA, 4)).outcome).toBe('performed');

  // Write-only: not even read.
  await host.unmap({ iova: GUEST, bytes: 4n * PAGE });
  await host.map({ iova: GUEST, address: memory, bytes: 4n * PAGE, access: 'w' });
  expect((await dev.model.read(IOVA, 4)).outcome).toBe('not-permitted');
  expect(await m.faults.next()).toMatchObject({ stage: 2 });
});

scenario('what the second stage refuses to write leaves the first clean, and both are dirty after a write', {}, async (m) => {
  const { dev, host, memory, leafAt } = await guest(m, { leaf: DATA | 0x27n, accessedDirty: true, dirtyTracking: true });
  await host.setDirtyTracking(true);
  const dirtyHost = async (): Promise<Uint8Array> => (await host.readDirty({ iova: GUEST, bytes: 8n * PAGE })).bitmap;
  const isDirty = async (): Promise<boolean> => (((await m.memory.read(leafAt, 1))[0] ?? 0) & 0x40) !== 0;
  expect((await dev.model.read(IOVA, 4)).outcome).toBe('performed');
  expect([await dirtyHost(), await isDirty()]).toEqual([Uint8Array.of(0), false]);
  expect((await dev.model.write(IOVA, 'x')).outcome).toBe('performed');
  // The data, and the leaf table that the first stage's flag was written into.
  expect([await dirtyHost(), await isDirty()]).toEqual([Uint8Array.of(0b01_1000), true]);
  expect((await dev.model.write(IOVA, 'x', { translated: true })).outcome).toBe('performed');
  expect(await dirtyHost()).toEqual(Uint8Array.of(0b01_0000));
  expect((await dev.model.write(IOVA, 'x', { translated: true })).outcome).toBe('performed');
  expect(await dirtyHost()).toEqual(Uint8Array.of(0b01_0000));

  await host.unmap({ iova: DATA, bytes: PAGE });
  await host.map({ iova: DATA, address: memory + 4n * PAGE, bytes: PAGE, access: 'r' });
  await m.memory.write(leafAt, entry(DATA | 0x27n));
  expect((await dev.model.write(IOVA, 'x')).outcome).toBe('not-permitted');
  expect([await dirtyHost(), await isDirty()]).toEqual([Uint8Array.of(0), false]);
});

scenario('nested domains that cannot be are refused by name', {}, async (m) => {
  const refused = (domain: Parameters<typeof m.domains.alloc>[0]): Promise<unknown> =>
    m.domains.alloc(domain).catch((error: unknown) => error);
  const host = await m.domains.alloc({ format: 'vtd-second-stage-4level' });
  const nested = await m.domains.alloc({ root: 0x1000, parent: host });
  const message = (text: string): unknown => expect.stringContaining(text) as unknown;
  expect(await refused({ root: 0x1000, parent: nested })).toMatchObject({
    code: 'EINVAL',
    about: 'parent',
    message: message('is nested itself'),
  });
  expect(await refused({ root: 0x1000, parent: 4095 })).toMatchObject({ code: 'ENOENT', about: 'parent' });
  expect(await refused({ parent: host })).toMatchObject({ code: 'EINVAL', about: 'root' });
  for (const type of ['identity', 'blocked'] as const) {
    expect(await refused({ root: 0x1000, parent: await m.domains.alloc({ type }) })).toMatchObject({ code: 'EINVAL', about: 'parent' });
    expect(await refused({ type, parent: host })).toMatchObject({ code: 'EINVAL', about: 'parent' });
  }
  expect(await refused({ root: 0x1000, parent: await m.domains.alloc() })).toMatchObject({ code: 'EINVAL', about: 'parent' });
  expect(await refused({ root: 0x1000, format: 'riscv-sv39', parent: host })).toMatchObject({ code: 'EINVAL', about: 'parent' });
  expect(await refused({ root: 0x1000, format: 'vtd-second-stage-4level', parent: host })).toMatchObject({
    code: 'EINVAL',
    about: 'parent',
  });
  expect(await refused({ root: 0x1000, parent: host, dirtyTracking: true })).toMatchObject({ code: 'EOPNOTSUPP', about: 'dirty_tracking' });
  for (const [format, parent] of [
    ['riscv-sv39', 'riscv-sv48x4'],
    ['arm-s1-4k-48', 'arm-s2-64k-42'],
    ['x86-64-5level', 'amd-v1-6level'],
  ]) {
    const below = await m.domains.alloc({ format: parent ?? '' });
    await (await m.domains.alloc({ format: format ?? '', root: 0x1000, parent: below })).free();
    await below.free();
  }
});
