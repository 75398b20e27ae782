/** What the kernel's iommufd self-tests assert (tools/testing/selftests/iommu/iommufd.c), as far as the objects are here: docs/iommufd-scenarios.md. */
import { expect } from 'vitest';
import type { FunctionHandle, Ioas } from '../../client/src/index.ts';
import { refusal, scenario, settled, type ScenarioMachine } from '../kit/scenario.ts';

const PAGE = 4096n;
const LAST = 2n ** 64n - 1n;
/** Where four-level x86-64 ends its lower half. */
const APERTURE_LAST = 2n ** 47n - 1n;
const MSI = { first: 0xfee0_0000n, last: 0xfeef_ffffn };
/** RAM is from 1 GiB on. */
const MEMORY = 0x4000_0000n;
const BASE = 0x100_0000n;

async function claimed(m: ScenarioMachine, bdf = '00:02.0'): Promise<FunctionHandle> {
  const dev = m.function(bdf);
  await dev.claimOwner();
  return dev;
}

/** A function that is attached to a new address space. */
async function attached(m: ScenarioMachine): Promise<{ readonly dev: FunctionHandle; readonly ioas: Ioas }> {
  const dev = await claimed(m);
  const ioas = await m.ioas.create();
  await dev.attach(ioas);
  return { dev, ioas };
}

function mapAt(ioas: Ioas, iova: bigint, pages = 1n, address = MEMORY) {
  return ioas.map({ iova, address, bytes: pages * PAGE, access: 'rw' });
}

scenario('ioas_destroy: it is busy while a domain stands for it, and goes with its areas', {}, async (m) => {
  const { dev, ioas } = await attached(m);
  await mapAt(ioas, BASE);
  expect(await refusal(ioas.free())).toBe('EBUSY');
  await dev.detach();
  await ioas.free();
  expect(await refusal(ioas.free())).toBe('ENOENT');
  expect(await refusal(ioas.unmap())).toBe('ENOENT');
});

scenario('hwpt_attach: a domain that was made for it has its areas, those from before and from after', {}, async (m) => {
  const dev = await claimed(m);
  const ioas = await m.ioas.create();
  await mapAt(ioas, BASE);
  const domain = await m.domains.alloc({ ioas });
  await dev.attach(domain);
  expect((await dev.info()).logicalDomain?.domain).toBe(domain.id);
  await mapAt(ioas, BASE + PAGE, 1n, MEMORY + PAGE);
  expect(await dev.model.write(BASE, 'one')).toMatchObject({ outcome: 'performed' });
  expect(await dev.model.write(BASE + PAGE, 'two')).toMatchObject({ outcome: 'performed' });
  expect([await m.text(MEMORY, 3), await m.text(MEMORY + PAGE, 3)]).toEqual(['one', 'two']);
  expect(await refusal(domain.map({ iova: 0x1000, address: MEMORY, bytes: 4096, access: 'r' }))).toBe('EOPNOTSUPP');
  expect(await refusal(domain.unmap({ iova: BASE, bytes: PAGE }))).toBe('EOPNOTSUPP');
  expect(await refusal(domain.free())).toBe('EBUSY');
  await dev.detach();
  expect(await refusal(ioas.free())).toBe('EBUSY');
  await domain.free();
  await ioas.free();
});

scenario('area: unmap of nothing and of a part is ENOENT, a second map is EEXIST, unmap-all is never refused', {}, async (m) => {
  const { ioas } = await attached(m);
  expect(await refusal(ioas.unmap({ iova: BASE, bytes: PAGE }))).toBe('ENOENT');
  for (let i = 0n; i < 10n; i++) await mapAt(ioas, BASE + i * 16n * PAGE, i + 1n);
  for (let i = 0n; i < 10n; i++) {
    const iova = BASE + i * 16n * PAGE;
    expect(await refusal(mapAt(ioas, iova, 1n))).toBe('EEXIST');
    expect(await refusal(ioas.unmap({ iova: iova + PAGE / 2n, bytes: PAGE }))).toBe('ENOENT');
    if (i > 0n) {
      expect(await refusal(ioas.unmap({ iova, bytes: PAGE }))).toBe('ENOENT');
      expect(await refusal(ioas.unmap({ iova: iova + PAGE, bytes: i * PAGE }))).toBe('ENOENT');
    }
    expect(await refusal(mapAt(ioas, iova - PAGE, 2n))).toBe('EEXIST');
  }
  expect((await ioas.unmap()).bytes).toBe(55n * PAGE);
  expect((await ioas.unmap()).bytes).toBe(0n);
  expect(await refusal(ioas.unmap({ iova: LAST, bytes: 2 }))).toBe('EOVERFLOW');
  expect(await refusal(ioas.unmap({ iova: BASE, bytes: 0 }))).toBe('EINVAL');
});

scenario('unmap_fully_contained: all areas in the range go, and what stands before one that is cut goes too', {}, async (m) => {
  const { dev, ioas } = await attached(m);
  for (let i = 0n; i < 4n; i++) await mapAt(ioas, BASE + i * 10n * PAGE, 2n);
  await dev.model.write(BASE, 'warm');
  expect(await refusal(ioas.unmap({ iova: BASE, bytes: 11n * PAGE }))).toBe('ENOENT');
  expect(await dev.model.write(BASE, 'gone')).toMatchObject({ outcome: 'not-present' });
  expect(await dev.model.write(BASE + 10n * PAGE, 'here')).toMatchObject({ outcome: 'performed' });
  expect((await ioas.unmap({ iova: BASE, bytes: 100n * PAGE })).bytes).toBe(6n * PAGE);
});

scenario('area_auto_iova: naturally aligned, apart, not where it is reserved, only where it is allowed', {}, async (m) => {
  const { ioas } = await attached(m);
  const given: { readonly first: bigint; readonly last: bigint }[] = [];
  for (let i = 0; i < 10; i++) {
    const bytes = PAGE * BigInt(i + 1);
    const { iova } = await ioas.map({ address: MEMORY, bytes, access: 'r' });
    expect(iova % (bytes & -bytes)).toBe(0n);
    expect(given.every(({ first, last }) => iova > last || iova + bytes <= first)).toBe(true);
    given.push({ first: iova, last: iova + bytes - 1n });
  }
  for (const { first, last } of given) await ioas.unmap({ iova: first, bytes: last - first + 1n });
  const allowed = { first: MSI.first - 16n * PAGE, last: MSI.first - 1n };
  await ioas.allow([allowed]);
  for (let i = 0n; i < 16n; i++) {
    expect((await ioas.map({ address: MEMORY, bytes: PAGE, access: 'r' })).iova).toBe(allowed.first + i * PAGE);
  }
  expect(await refusal(ioas.map({ address: MEMORY, bytes: PAGE, access: 'r' }))).toBe('ENOSPC');
  // An address that is named need not be in an allowed range.
  await mapAt(ioas, BASE);
  await ioas.allow([]);
  expect((await ioas.map({ address: MEMORY, bytes: PAGE, access: 'r' })).iova).toBe(PAGE);
});

scenario('area_allowed: allowed and reserved exclude each other, whichever was first', {}, async (m) => {
  const { dev, ioas } = await attached(m);
  expect(await refusal(ioas.allow([MSI]))).toBe('EADDRINUSE');
  expect(await refusal(mapAt(ioas, MSI.first))).toBe('EINVAL');
  await dev.detach();
  await ioas.allow([MSI]);
  expect(await refusal(dev.attach(ioas))).toBe('EADDRINUSE');
  await ioas.allow([]);
  await mapAt(ioas, MSI.last - PAGE + 1n);
  expect(await refusal(dev.attach(ioas))).toBe('EADDRINUSE');
  await ioas.unmap();
  await dev.attach(ioas);
});

scenario('copy_area, copy_sweep: all of the source is mapped, or it is ENOENT; and not more may be written', {}, async (m) => {
  const { dev, ioas } = await attached(m);
  const source = await m.ioas.create();
  await mapAt(source, BASE, 2n);
  await mapAt(source, BASE + 2n * PAGE, 1n, MEMORY + 8n * PAGE);
  const copy = { from: source, access: 'rw' } as const;
  for (let at = -2n; at <= 4n; at++) {
    const fromIova = BASE + at * PAGE;
    const inside = at >= 0n && at + 2n <= 3n;
    const copied = ioas.copy({ ...copy, fromIova, iova: BASE, bytes: 2n * PAGE });
    if (!inside) {
      expect(await refusal(copied)).toBe('ENOENT');
      continue;
    }
    await copied;
    await dev.model.write(BASE + PAGE, `at ${at}`);
    expect(await m.text(MEMORY + (at === 0n ? 1n : 8n) * PAGE, 4)).toBe(`at ${at}`);
    expect((await ioas.unmap({ iova: BASE, bytes: 2n * PAGE })).bytes).toBe(2n * PAGE);
  }
  expect(await refusal(ioas.copy({ ...copy, fromIova: BASE + 1n, bytes: PAGE }))).toBe('EINVAL');
  const { iova } = await ioas.copy({ ...copy, fromIova: BASE, bytes: 3n * PAGE });
  expect(await refusal(ioas.copy({ ...copy, fromIova: BASE, iova: iova + PAGE, bytes: PAGE }))).toBe('EEXIST');
  await source.map({ iova: 0, address: MEMORY, bytes: PAGE, access: 'r' });
  expect(await refusal(ioas.copy({ ...copy, fromIova: 0, bytes: PAGE }))).toBe('EPERM');
  await ioas.copy({ ...copy, fromIova: 0, bytes: PAGE, access: 'r' });
  expect(await refusal(ioas.copy({ ...copy, fromIova: LAST, bytes: 2 }))).toBe('EOVERFLOW');
});

scenario(
  'iova_ranges: everything without a domain; with one what it and its functions leave; too little room is EMSGSIZE',
  {},
  async (m) => {
    const ioas = await m.ioas.create();
    expect(await ioas.ranges()).toEqual({ ranges: [{ first: 0n, last: LAST }], count: 1, alignment: 1n, error: undefined });
    const dev = await claimed(m);
    await dev.attach(ioas);
    const below = { first: 0n, last: MSI.first - 1n };
    const above = { first: MSI.last + 1n, last: APERTURE_LAST };
    expect(await ioas.ranges()).toEqual({ ranges: [below, above], count: 2, alignment: PAGE, error: undefined });
    expect(await ioas.ranges({ max: 1 })).toEqual({ ranges: [below], count: 2, alignment: PAGE, error: 'EMSGSIZE' });
    expect(await ioas.ranges({ max: 2 })).toMatchObject({ count: 2, error: undefined });
    await mapAt(ioas, BASE, 2n);
    expect((await ioas.ranges({ unmapped: true })).ranges).toEqual([
      { first: 0n, last: BASE - 1n },
      { first: BASE + 2n * PAGE, last: MSI.first - 1n },
      above,
    ]);
    await dev.detach();
    expect((await ioas.ranges()).ranges).toEqual([{ first: 0n, last: LAST }]);
  },
);

scenario('iova_alloc, align_change: any byte without a domain, whole pages with one', {}, async (m) => {
  const dev = await claimed(m);
  const ioas = await m.ioas.create();
  const odd = { address: MEMORY + 16n, bytes: 48, access: 'rw' } as const;
  expect((await ioas.map(odd)).iova % 16n).toBe(0n);
  expect(await refusal(dev.attach(ioas))).toBe('EADDRINUSE');
  expect(await refusal(m.domains.alloc({ ioas }))).toBe('EADDRINUSE');
  await ioas.unmap();
  await dev.attach(ioas);
  expect(await refusal(ioas.map(odd))).toBe('EINVAL');
  expect(await refusal(ioas.map({ iova: BASE + 1n, address: MEMORY, bytes: PAGE, access: 'r' }))).toBe('EINVAL');
  expect(await refusal(ioas.map({ address: MEMORY, bytes: 0, access: 'r' }))).toBe('EINVAL');
  expect(await refusal(ioas.map({ address: MEMORY, bytes: PAGE, access: 'x' }))).toBe('EINVAL');
  expect(await refusal(ioas.map({ address: MEMORY, bytes: 2n ** 63n, access: 'r' }))).toBe('EOVERFLOW');
});

scenario('mock_domain all_aligns: what is mapped is what functions reach, and after unmap nothing', {}, async (m) => {
  const { dev, ioas } = await attached(m);
  for (const [iova, pages] of [
    [BASE, 1n],
    [0x20_0000n, 513n],
    [0x4000_0000n - PAGE, 2n],
  ] as const) {
    await mapAt(ioas, iova, pages);
    for (const at of [0n, pages - 1n]) {
      expect(await dev.model.write(iova + at * PAGE, `p${at}`, { translated: true })).toMatchObject({ outcome: 'performed' });
      expect(await m.text(MEMORY + at * PAGE, 2)).toBe(`p${at}`.slice(0, 2));
    }
    expect(await dev.model.write(iova - 1n, 'x')).toMatchObject({ outcome: 'not-present' });
    expect(await dev.model.write(iova + pages * PAGE, 'x')).toMatchObject({ outcome: 'not-present' });
    expect((await ioas.unmap({ iova, bytes: pages * PAGE })).bytes).toBe(pages * PAGE);
    expect(await dev.model.write(iova, 'x', { translated: true })).toMatchObject({ outcome: 'no-access' });
  }
});

scenario(
  'mock_domain replace: the domain that an attach made goes with its last function; the same target again changes nothing',
  {},
  async (m) => {
    const { dev, ioas } = await attached(m);
    const made = (await dev.info()).logicalDomain!.domain;
    await dev.attach(ioas);
    expect((await dev.info()).logicalDomain?.domain).toBe(made);
    const other = await m.ioas.create();
    await dev.attach(other);
    expect(await refusal(m.domains.get(made).free())).toBe('ENOENT');
    await ioas.free();
    const domain = await m.domains.alloc({ ioas: other });
    await dev.attach(domain);
    await dev.attach(domain);
    await dev.detach();
    await domain.free();
    await other.free();
  },
);

scenario('device_pasid: a PASID has an address space too, and what the function reserves does not count', {}, async (m) => {
  const dev = await claimed(m);
  const ioas = await m.ioas.create();
  await ioas.allow([MSI]);
  const pasid = dev.pasid(5);
  await pasid.attach(ioas);
  expect(await refusal(pasid.attach(ioas))).toBe('EBUSY');
  await ioas.map({ address: MEMORY, bytes: PAGE, access: 'rw' });
  expect(await dev.model.write(MSI.first + 8n, 'msi?', { pasid: 5 })).not.toMatchObject({ outcome: 'blocked-domain' });
  await pasid.detach();
  await ioas.free();
});

scenario('an unmap waits for the functions, and its addresses are taken until then', { clock: 'manual' }, async (m) => {
  const { dev, ioas } = await attached(m);
  await mapAt(ioas, BASE, 2n);
  await dev.model.write(BASE, 'warm', { translated: true });
  await dev.faults.arm('late-invalidations', { delayMs: 100 });
  const unmap = ioas.unmap({ iova: BASE, bytes: 2n * PAGE });
  expect(await settled(unmap, m)).toBe(false);
  expect(await refusal(mapAt(ioas, BASE))).toBe('EEXIST');
  expect(await refusal(ioas.unmap({ iova: BASE, bytes: 2n * PAGE }))).toBe('EBUSY');
  expect(await refusal(ioas.copy({ from: ioas, fromIova: BASE, bytes: PAGE, access: 'r' }))).toBe('ENOENT');
  await m.clock.advance({ ms: 100 });
  expect(await unmap).toMatchObject({ bytes: 2n * PAGE, timedOut: 0 });
  await mapAt(ioas, BASE);
});
