/** Privileged Mode Requested and Execute Requested, which stand beside a PASID. */
import { expect } from 'vitest';
import { refusal, scenario, type ScenarioMachine } from '../kit/scenario.ts';

const GIB = 1n << 30n;
const IOVA = 0x10_0000n;
const PAGE = 4096n;

/** Puts an Sv39 page of 1 GiB into a root table: the one that `address` lies in, at the GiB of `iova`. */
async function mapGib(m: ScenarioMachine, table: bigint, iova: bigint, address: bigint, bits: bigint): Promise<void> {
  await m.memory.write(table + (iova / GIB) * 8n, entry(((address / GIB) << 28n) | bits));
}

/** A little-endian table entry. */
function entry(value: bigint): Uint8Array {
  const bytes = new Uint8Array(8);
  new DataView(bytes.buffer).setBigUint64(0, value, true);
  return bytes;
}

scenario('a supervisor page is for privileged requests, and a page without X for none that execute', {}, async (m) => {
  const dev = m.function('00:02.0');
  const table = await m.pages(1);
  const user = await m.pages(1);
  const supervisor = user + GIB;
  await mapGib(m, table, user, user, 0xdfn);
  await mapGib(m, table, supervisor, user, 0xc7n);
  const domain = await m.domains.alloc({ format: 'riscv-sv39', root: table });
  await dev.pasid(5).attach(domain);
  const write = async (iova: bigint, privileged: boolean): Promise<string> =>
    (await dev.model.write(iova, 'x', { pasid: 5, privileged })).outcome;
  expect([await write(user, false), await write(user, true)]).toEqual(['performed', 'not-permitted']);
  expect([await write(supervisor, false), await write(supervisor, true)]).toEqual(['not-permitted', 'performed']);
  const execute = { pasid: 5, execute: true };
  expect((await dev.model.read(user, 4, execute)).outcome).toBe('performed');
  expect((await dev.model.read(supervisor, 4, { ...execute, privileged: true })).outcome).toBe('not-permitted');
  expect((await dev.model.translate(user, 1, execute)).grant).toMatchObject({ access: 'rx' });
  expect((await dev.model.translate(user, 1, { pasid: 5 })).grant).toMatchObject({ access: 'r' });

  const { records } = await m.faultRecords();
  expect(
    records.map(({ text, stage, privileged, execute: executes }) => [
      text.split('PASID 5 ')[1]?.split(' 0x')[0],
      stage,
      privileged,
      executes,
    ]),
  ).toEqual([
    ['privileged write', 1, true, false],
    ['write', 1, false, false],
    ['privileged execute', 1, true, true],
  ]);
});

scenario('what is granted to privileged mode serves no other request of the PASID', {}, async (m) => {
  const dev = m.function('00:02.0');
  const table = await m.pages(1);
  const page = await m.pages(1);
  await mapGib(m, table, page, page, 0xc7n);
  const domain = await m.domains.alloc({ format: 'riscv-sv39', root: table });
  await dev.pasid(5).attach(domain);
  const write = (fields: object): Promise<{ outcome: string }> => dev.model.write(page, 'x', { pasid: 5, translated: true, ...fields });
  expect(await write({ privileged: true })).toMatchObject({ outcome: 'performed' });
  expect((await dev.model.translate(page, 1, { pasid: 5, privileged: true })).grant).toMatchObject({ access: 'r' });
  expect(await write({})).toMatchObject({ outcome: 'no-access' });
});

const refused = (asked: Promise<unknown>): Promise<unknown> => asked.catch((error: unknown) => error);

scenario('mode without a PASID is refused by name', {}, async (m) => {
  const dev = m.function('00:02.0');
  expect(await refused(dev.model.read(0, 4, { privileged: true }))).toMatchObject({ code: 'EINVAL', about: 'privileged' });
  expect(await refused(dev.model.read(0, 4, { execute: true }))).toMatchObject({ code: 'EINVAL', about: 'execute' });
  expect(await refused(dev.model.write(0, 'x', { privileged: true }))).toMatchObject({ code: 'EINVAL', about: 'privileged' });
  expect(await refused(dev.model.atomic(0, { fetchAdd: 1 }, { privileged: true }))).toMatchObject({ code: 'EINVAL', about: 'privileged' });
});

// A device role cannot say that of a write.
scenario('executing what is written is refused by name', { played: 'none' }, async (m) => {
  const dev = m.function('00:02.0');
  expect(await refused(dev.model.write(0, 'x', { execute: true, pasid: 5 }))).toMatchObject({ code: 'EINVAL', about: 'execute' });
  expect(await refusal(dev.model.atomic(0, { fetchAdd: 1 }, { execute: true, pasid: 5 }))).toBe('EINVAL');
});

scenario('one translation request is for several pages', {}, async (m) => {
  const dev = m.function('00:02.0');
  const page = await m.pages(3);
  await dev.dma.map({ iova: IOVA, address: page + PAGE, bytes: PAGE, access: 'rw' });
  await dev.dma.map({ iova: IOVA + PAGE, address: page, bytes: PAGE, access: 'r' });
  await dev.dma.map({ iova: IOVA + 2n * PAGE, address: page + 2n * PAGE, bytes: PAGE, access: 'rw' });
  const { outcome, requests, grant, grants } = await dev.model.translate(IOVA, 1, { translations: 8, write: true });
  expect([outcome, requests, grant]).toEqual(['performed', 1, grants?.[0]]);
  expect(grants).toEqual([
    { address: page + PAGE, bytes: PAGE, access: 'rw' },
    { address: page, bytes: PAGE, access: 'r' },
    { address: page + 2n * PAGE, bytes: PAGE, access: 'rw' },
  ]);
  expect((await dev.model.translate(IOVA)).grants).toHaveLength(1);
  await expect(dev.model.translate(IOVA, 1, { translations: 9 })).rejects.toMatchObject({ code: 'EINVAL' });
});
