/** Which pages of a domain functions have written: iommufd's dirty tracking. */
import { expect } from 'vitest';
import { untilInFlight } from '../kit/in-flight.ts';
import { refusal, scenario } from '../kit/scenario.ts';

const IOVA = 0x20_0000;
const PAGE = 4096;
const FORMATS = ['x86-64', 'vtd-second-stage-4level', 'amd-v1-4level', 'riscv-sv48', 'riscv-sv39x4', 'arm-s1-4k-48', 'arm-s2-4k-40'];

function bits(bitmap: Uint8Array): number[] {
  return [...bitmap].flatMap((byte, i) => Array.from({ length: 8 }, (_none, bit) => i * 8 + bit).filter((bit) => (byte >> (bit & 7)) & 1));
}

for (const format of FORMATS) {
  scenario(`${format}: what is written is dirty until it is read, and only that`, {}, async (m) => {
    const dev = m.function('00:02.0');
    const domain = await m.domains.alloc({ format, dirtyTracking: true });
    // An odd page, so that no larger page fits.
    const memory = (await m.pages(40)) & ~0x1000n;
    await domain.map({ iova: IOVA + PAGE, address: memory, bytes: 16 * PAGE, access: 'rw' });
    await dev.attach(domain);
    const range = { iova: IOVA, bytes: 32 * PAGE };
    const dirty = async (fields = {}): Promise<number[]> => bits((await domain.readDirty({ ...range, ...fields })).bitmap);

    expect((await dev.model.write(IOVA + PAGE, 'before')).outcome).toBe('performed');
    expect(await refusal(domain.readDirty(range))).toBe('EINVAL');
    await domain.setDirtyTracking(true);
    expect(await dirty()).toEqual([]);
    expect((await dev.model.read(IOVA + 2 * PAGE, 4)).outcome).toBe('performed');
    expect(await dirty()).toEqual([]);

    // Cached by the read, and written all the same.
    expect((await dev.model.write(IOVA + 3 * PAGE - 2, 'across')).outcome).toBe('performed');
    expect((await dev.model.write(IOVA + 9 * PAGE, 'more')).outcome).toBe('performed');
    expect(await dirty({ noClear: true })).toEqual([2, 3, 9]);
    expect(await dirty()).toEqual([2, 3, 9]);
    expect(await dirty()).toEqual([]);

    // What was cleared is walked for again.
    expect((await dev.model.write(IOVA + 3 * PAGE, 'again')).outcome).toBe('performed');
    expect(await dirty({ iova: IOVA + 3 * PAGE, bytes: PAGE })).toEqual([0]);
    expect((await dev.model.write(IOVA + 17 * PAGE, 'beyond')).outcome).toBe('not-present');
    expect(await dirty()).toEqual([]);

    await domain.setDirtyTracking(false);
    expect((await dev.model.write(IOVA + 4 * PAGE, 'unseen')).outcome).toBe('performed');
    expect(await refusal(domain.readDirty(range))).toBe('EINVAL');
    await domain.setDirtyTracking(true);
    expect(await dirty()).toEqual([]);
  });
}

scenario('an atomic makes its page dirty in every format', {}, async (m) => {
  const dev = m.function('00:02.0');
  for (const format of FORMATS) {
    const domain = await m.domains.alloc({ format, dirtyTracking: true });
    await domain.map({ iova: IOVA, address: await m.pages(1), bytes: PAGE, access: 'rw' });
    await dev.attach(domain);
    await domain.setDirtyTracking(true);
    expect((await dev.model.atomic(IOVA, { fetchAdd: 1 })).outcome).toBe('performed');
    expect([format, bits((await domain.readDirty({ iova: IOVA, bytes: PAGE })).bitmap)]).toEqual([format, [0]]);
  }
});

scenario('a large page is dirty as a whole, and cleared as a whole', {}, async (m) => {
  const dev = m.function('00:02.0');
  const domain = await m.domains.alloc({ format: 'vtd-second-stage-4level', dirtyTracking: true });
  const memory = ((await m.pages(1024)) + 0x1f_ffffn) & ~0x1f_ffffn;
  await domain.map({ iova: IOVA, address: memory, bytes: 0x20_0000, access: 'rw' });
  await dev.attach(domain);
  await domain.setDirtyTracking(true);
  await dev.model.write(IOVA + 5 * PAGE, 'x');
  expect(bits((await domain.readDirty({ iova: IOVA - 0x1000, bytes: 0x3000, noClear: true })).bitmap)).toEqual([1, 2]);
  expect((await domain.readDirty({ iova: 0, bytes: 0x60_0000, pageBytes: 0x20_0000, noClear: true })).bitmap).toEqual(Uint8Array.of(2));
  expect(bits((await domain.readDirty({ iova: IOVA + 0x10_0000, bytes: PAGE })).bitmap)).toEqual([0]);
  expect((await domain.readDirty({ iova: IOVA, bytes: 0x20_0000 })).bitmap).toEqual(new Uint8Array(64));
});

scenario('a write that an ATC was granted is dirty from the grant, and not hidden by the ATC afterwards', {}, async (m) => {
  const dev = m.function('00:02.0');
  const domain = await m.domains.alloc({ format: 'vtd-second-stage-4level', dirtyTracking: true });
  const memory = await m.pages(2);
  await domain.map({ iova: IOVA, address: memory, bytes: 2 * PAGE, access: 'rw' });
  await dev.attach(domain);
  const dirty = async (): Promise<number[]> => bits((await domain.readDirty({ iova: IOVA, bytes: 2 * PAGE })).bitmap);

  // Granted before tracking: turning it on takes the grant back.
  expect((await dev.model.write(IOVA, 'one', { translated: true })).outcome).toBe('performed');
  await domain.setDirtyTracking(true);
  expect(await dirty()).toEqual([]);
  expect((await dev.model.read(IOVA, 1, { translated: true })).outcome).toBe('performed');
  expect((await dev.model.translate(IOVA + PAGE)).grant).toMatchObject({ access: 'r' });
  expect(await dirty()).toEqual([]);

  expect((await dev.model.write(IOVA, 'two', { translated: true })).outcome).toBe('performed');
  expect(await dirty()).toEqual([0]);
  expect(await dirty()).toEqual([]);
  expect((await dev.model.write(IOVA, 'three', { translated: true })).outcome).toBe('performed');
  expect(await dirty()).toEqual([0]);
  expect((await m.faultRecords()).records).toEqual([]);
});

scenario('a read that clears waits for writes in flight, and says which functions may write unseen', { clock: 'manual' }, async (m) => {
  const dev = m.function('00:02.0');
  const domain = await m.domains.alloc({ format: 'arm-s2-4k-40', dirtyTracking: true });
  const memory = await m.pages(1);
  await domain.map({ iova: IOVA, address: memory, bytes: PAGE, access: 'rw' });
  await dev.attach(domain);
  await domain.setDirtyTracking(true);

  const held = dev.model.write(IOVA, 'late', { hold: 'translated' });
  await untilInFlight(dev);
  let told = false;
  expect((await domain.readDirty({ iova: IOVA, bytes: PAGE, noClear: true })).bitmap).toEqual(Uint8Array.of(1));
  const read = domain.readDirty({ iova: IOVA, bytes: PAGE }).then((report) => ((told = true), report));
  await m.clock.info();
  expect(told).toBe(false);
  await dev.release();
  expect(await held).toMatchObject({ outcome: 'performed' });
  expect(await read).toMatchObject({ timedOut: 0, bitmap: Uint8Array.of(1) });
  expect(await m.text(memory, 4)).toBe('late');

  await dev.model.write(IOVA, 'held', { translated: true });
  await dev.faults.arm('ignore-invalidations');
  const unanswered = domain.readDirty({ iova: IOVA, bytes: PAGE });
  await m.clock.advance({ ms: 90_000 });
  expect(await unanswered).toMatchObject({ timedOut: 1, bitmap: Uint8Array.of(1) });
});

scenario('what cannot be tracked or read is refused by name', {}, async (m) => {
  const refused = (asked: Promise<unknown>): Promise<unknown> => asked.catch((error: unknown) => error);
  const plain = await m.domains.alloc();
  expect(await refused(plain.setDirtyTracking(true))).toMatchObject({ code: 'EOPNOTSUPP', about: 'domain' });
  expect(await refused(plain.readDirty({ iova: 0, bytes: PAGE }))).toMatchObject({ code: 'EOPNOTSUPP' });
  const identity = await m.domains.alloc({ type: 'identity' });
  expect(await refused(identity.setDirtyTracking(true))).toMatchObject({ code: 'EOPNOTSUPP' });
  expect(await refused(m.domains.alloc({ type: 'identity', dirtyTracking: true }))).toMatchObject({
    code: 'EINVAL',
    about: 'dirty_tracking',
  });
  expect(await refused(m.domains.alloc({ root: 0x1000, dirtyTracking: true }))).toMatchObject({
    code: 'EOPNOTSUPP',
    about: 'dirty_tracking',
  });
  expect(await refused(m.domains.alloc({ accessedDirty: true }))).toMatchObject({ code: 'EINVAL', about: 'accessed_dirty' });
  expect(await refused(m.domains.get(4095).setDirtyTracking(true))).toMatchObject({ code: 'ENOENT' });

  const domain = await m.domains.alloc({ format: 'arm-s1-64k-42', dirtyTracking: true });
  await domain.setDirtyTracking(true);
  const read = (fields: object): Promise<unknown> => refused(domain.readDirty({ iova: 0, bytes: 0x10000, ...fields }));
  expect(await read({})).toMatchObject({ bitmap: new Uint8Array(2) });
  expect(await read({ bytes: 0 })).toMatchObject({ code: 'EINVAL', about: 'iova' });
  expect(await read({ bytes: 0x1800 })).toMatchObject({ code: 'EINVAL', about: 'iova' });
  expect(await read({ iova: 0x1000 })).toMatchObject({ code: 'EINVAL', about: 'iova' });
  expect(await read({ pageBytes: 0x3000 })).toMatchObject({ code: 'EINVAL', about: 'page_bytes' });
  expect(await read({ pageBytes: 0x800 })).toMatchObject({ code: 'EINVAL', about: 'page_bytes' });
  expect(await read({ pageBytes: 0 })).toMatchObject({ code: 'EINVAL', about: 'page_bytes' });
  expect(await read({ bytes: 1n << 40n })).toMatchObject({ code: 'EINVAL', about: 'bytes' });
  expect(await read({ iova: 1n << 42n })).toMatchObject({ code: 'EINVAL', about: 'iova' });
  expect(await read({ bytes: 1n << 35n, pageBytes: 1n << 16n })).toMatchObject({ bitmap: new Uint8Array(1 << 16) });
});
