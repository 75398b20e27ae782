/** Domains whose tables have another format, and domains whose tables a guest wrote. */
import { expect } from 'vitest';
import { refusal, scenario } from '../kit/scenario.ts';

const IOVA = 0x10000;

const FORMATS = [
  ['x86-64-5level', 1n << 55n, 1n << 56n],
  ['vtd-second-stage-3level', (1n << 39n) - 4096n, 1n << 39n],
  ['amd-v1-6level', (1n << 64n) - 4096n, undefined],
  ['riscv-sv39', (1n << 38n) - 4096n, 1n << 38n],
  ['riscv-sv48x4', (1n << 50n) - 4096n, 1n << 50n],
  ['arm-s1-4k-39', (1n << 39n) - 4096n, 1n << 39n],
  ['arm-s2-4k-40', (1n << 40n) - 4096n, 1n << 40n],
] as const;

for (const [format, last, beyond] of FORMATS) {
  scenario(`DMA through ${format}: up to its last page, and not beyond`, {}, async (m) => {
    const dev = m.function('00:02.0');
    const domain = await m.domains.alloc({ format });
    const page = await m.memory.alloc(4096);
    await domain.map({ iova: last, address: page.address, bytes: 4096, access: 'rw' });
    await domain.map({ iova: IOVA, address: page.address, bytes: 4096, access: 'r' });
    await dev.attach(domain);
    expect(await dev.model.write(last, format)).toMatchObject({ outcome: 'performed' });
    expect(await m.text(page.address, format.length)).toBe(format);
    expect(await dev.model.write(IOVA, 'no')).toMatchObject({ outcome: 'not-permitted' });
    expect(await dev.model.read(IOVA, 4)).toMatchObject({ outcome: 'performed' });
    if (beyond !== undefined) {
      expect(await refusal(domain.map({ iova: beyond, address: page.address, bytes: 4096, access: 'r' }))).toBe('EINVAL');
      expect((await dev.model.write(beyond, 'no')).outcome).toMatch(/too-wide|not-canonical/);
    }
    expect(await domain.unmap({ iova: last, bytes: 4096 })).toMatchObject({ bytes: 4096n });
    expect(await dev.model.write(last, 'gone')).toMatchObject({ outcome: 'not-present' });
  });
}

scenario('a granule of 64 KiB maps in 64 KiB', {}, async (m) => {
  const dev = m.function('00:02.0');
  const domain = await m.domains.alloc({ format: 'arm-s1-64k-42' });
  const memory = await m.memory.alloc(0x30000);
  const address = (memory.address + 0xffffn) & ~0xffffn;
  expect(await refusal(domain.map({ iova: 0x1000, address, bytes: 0x10000, access: 'rw' }))).toBe('EINVAL');
  expect(await refusal(domain.map({ iova: 0, address, bytes: 0x1000, access: 'rw' }))).toBe('EINVAL');
  await domain.map({ iova: 0x10000, address, bytes: 0x10000, access: 'rw' });
  await dev.attach(domain);
  expect(await dev.model.write(0x1fffc, 'last')).toMatchObject({ outcome: 'performed' });
  expect(await m.text(address + 0xfffcn, 4)).toBe('last');
  expect(await dev.model.write(0x20000, 'over')).toMatchObject({ outcome: 'not-present' });
});

/** A little-endian table entry. */
function entry(value: bigint): Uint8Array {
  const bytes = new Uint8Array(8);
  new DataView(bytes.buffer).setBigUint64(0, value, true);
  return bytes;
}

scenario('a guest writes its own tables, and invalidates what it changed', {}, async (m) => {
  const dev = m.function('00:02.0');
  const tables = await m.pages(3);
  const [first, second] = [await m.pages(1), await m.pages(1)];
  // Sv39: root, middle, leaf table.
  await m.memory.write(tables, entry(((tables + 0x1000n) >> 2n) | 1n));
  await m.memory.write(tables + 0x1000n, entry(((tables + 0x2000n) >> 2n) | 1n));
  const leaf = tables + 0x2000n + 0x10n * 8n;
  await m.memory.write(leaf, entry((first >> 2n) | 0xdfn));
  const domain = await m.domains.alloc({ format: 'riscv-sv39', root: tables });
  await dev.attach(domain);

  expect(await dev.model.write(IOVA, 'guest')).toMatchObject({ outcome: 'performed' });
  expect(await m.text(first, 5)).toBe('guest');
  expect(await dev.model.write(IOVA + 0x1000, 'none')).toMatchObject({ outcome: 'not-present' });

  await m.memory.write(leaf, entry((second >> 2n) | 0xdfn));
  expect(await dev.model.write(IOVA, 'stale')).toMatchObject({ outcome: 'performed' });
  expect(await m.text(first, 5)).toBe('stale');
  expect(await domain.unmap({ iova: IOVA, bytes: 4096 })).toMatchObject({ bytes: 4096n });
  expect(await dev.model.write(IOVA, 'fresh')).toMatchObject({ outcome: 'performed' });
  expect([await m.text(first, 5), await m.text(second, 5)]).toEqual(['stale', 'fresh']);

  await m.memory.write(leaf, entry((first >> 2n) | 0x9fn));
  await domain.unmap({ iova: IOVA, bytes: 4096 });
  expect(await dev.model.write(IOVA, 'no A')).toMatchObject({ outcome: 'access-flag' });
  expect(await m.faults.next()).toMatchObject({ cause: 'not-present' });
  expect(await m.faults.next()).toMatchObject({ cause: 'access-flag', text: '00:02.0 write 0x10000: access flag' });
});

scenario('tables of a guest that lead nowhere, in circles, or to nonsense that a peer has end in a fault', {}, async (m) => {
  const dev = m.function('00:02.0');
  const owner = await m.connect(['memory']);
  await owner.serveMemory(
    { address: 1n << 40n, bytes: 4096 },
    { read: (_address, bytes) => new Uint8Array(bytes).fill(0xff), write: () => undefined },
  );
  const table = await m.pages(1);
  const domain = await m.domains.alloc({ format: 'x86-64', root: table });
  await dev.attach(domain);
  const outcomeWith = async (first: bigint): Promise<string> => {
    await m.memory.write(table, entry(first));
    await domain.unmap({ iova: 0, bytes: 1n << 47n });
    return (await dev.model.read(0, 4)).outcome;
  };
  expect(await outcomeWith(0n)).toBe('not-present');
  expect(await outcomeWith((1n << 45n) | 0x67n)).toBe('external-abort');
  // The owner's entries are all ones.
  expect(await outcomeWith((1n << 40n) | 0x67n)).toBe('reserved-bits');
  expect(await outcomeWith(0xa7n)).toBe('reserved-bits');
  // Every level is this table; its own first entry is the page.
  expect(await outcomeWith(table | 0x67n)).toBe('performed');

  const outside = await m.domains.alloc({ format: 'x86-64', root: 1n << 50n });
  await dev.attach(outside);
  expect((await dev.model.read(0, 4)).outcome).toBe('external-abort');
});

scenario('tables that cannot be are refused by name', {}, async (m) => {
  const refused = (domain: Parameters<typeof m.domains.alloc>[0]): Promise<unknown> =>
    m.domains.alloc(domain).catch((error: unknown) => error);
  expect(await refused({ format: 'x86-32' })).toMatchObject({
    code: 'EINVAL',
    about: 'format',
    message: expect.stringContaining('"x86-32"; there are x86-64') as string,
  });
  expect(await refused({ format: 'amd-v1-4level', root: 0x1001 })).toMatchObject({ code: 'EINVAL', about: 'root' });
  expect(await refused({ root: 1n << 60n })).toMatchObject({ code: 'EINVAL', about: 'root' });
  expect(await refused({ type: 'identity', format: 'x86-64' })).toMatchObject({ code: 'EINVAL', about: 'format' });
  expect(await refused({ type: 'blocked', root: 0x1000 })).toMatchObject({ code: 'EINVAL', about: 'root' });
  const domain = await m.domains.alloc({ root: 0x1000 });
  expect(await domain.map({ iova: 0, address: 0, bytes: 4096, access: 'r' }).catch((error: unknown) => error)).toMatchObject({
    code: 'EOPNOTSUPP',
    message: expect.stringContaining('a guest writes its tables') as string,
  });
});
