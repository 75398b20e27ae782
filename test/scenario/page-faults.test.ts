/** Page requests and the page faults that they become, as a host program meets them. */
import { expect } from 'vitest';
import { eventually, refusal, scenario, settled, type ScenarioMachine } from '../kit/scenario.ts';

const IOVA = 0x4_0000;
const FAULTING = { translated: true, onFault: 'page-request' } as const;

/** The probe of the preset in a fault-capable domain. */
async function faulting(
  m: ScenarioMachine,
): Promise<{ dev: ReturnType<typeof m.function>; domain: Awaited<ReturnType<typeof m.domains.alloc>> }> {
  const dev = m.function('00:02.0');
  const domain = await m.domains.alloc({ faults: true });
  await dev.attach(domain);
  return { dev, domain };
}

scenario('a fault that is answered with a map makes the DMA land', {}, async (m) => {
  const { dev, domain } = await faulting(m);
  const page = await m.pages(1);
  const write = dev.model.write(IOVA, 'landed', FAULTING);
  const fault = await m.pageFaults.next();
  expect(fault).toMatchObject({ number: 1, function: '00:02.0', pasid: undefined, group: 0, domain: domain.id });
  expect(fault.ranges).toEqual([{ iova: BigInt(IOVA), pages: 1, access: 'w', privileged: false }]);
  expect(await settled(write, m)).toBe(false);
  await domain.map({ iova: IOVA, address: page, bytes: 4096, access: 'rw' });
  await fault.respond('success');
  expect(await write).toMatchObject({ outcome: 'performed', bytes: 6 });
  expect(await m.text(page, 6)).toBe('landed');
  expect(await refusal(fault.respond('success'))).toBe('EINVAL');
});

scenario('a fault that is answered invalid ends the DMA without its page', {}, async (m) => {
  const { dev } = await faulting(m);
  const write = dev.model.write(IOVA, 'lost', FAULTING);
  await (await m.pageFaults.next()).respond('invalid');
  expect(await write).toMatchObject({ outcome: 'no-access', bytes: 0, failedIova: BigInt(IOVA) });
});

scenario('a group has parts and a last, and one answer', {}, async (m) => {
  const { dev } = await faulting(m);
  expect(await dev.model.requestPages(0x1000, { pages: 2, group: 9, last: false })).toMatchObject({ answer: 'none', group: 9 });
  const last = dev.model.requestPages(0x8000, { group: 9, access: 'rw' });
  const fault = await m.pageFaults.next();
  expect(fault.ranges).toEqual([
    { iova: 0x1000n, pages: 2, access: 'r', privileged: false },
    { iova: 0x8000n, pages: 1, access: 'rw', privileged: false },
  ]);
  await fault.respond('success');
  expect(await last).toMatchObject({ answer: 'success', group: 9 });
  expect(m.pageFaults.length).toBe(0);
});

scenario('a process’s own address space faults with its PASID', {}, async (m) => {
  const dev = m.function('00:02.0');
  const shared = await m.domains.alloc({ sharedAddress: true });
  await dev.pasid(7).attach(shared);
  const write = dev.model.write(IOVA, 'shared', { ...FAULTING, pasid: 7 });
  const fault = await m.pageFaults.next();
  expect(fault).toMatchObject({ pasid: 7, domain: shared.id });
  const page = await m.pages(1);
  await shared.map({ iova: IOVA, address: page, bytes: 4096, access: 'rw' });
  await fault.respond('success');
  expect(await write).toMatchObject({ outcome: 'performed' });
  expect(await m.text(page, 6)).toBe('shared');
});

scenario('a reset in the middle of a group answers it, and the function starts anew', {}, async (m) => {
  const { dev } = await faulting(m);
  await dev.model.requestPages(0x1000, { group: 3, last: false });
  const pending = dev.model.requestPages(0x2000, { group: 4 });
  const fault = await m.pageFaults.next();
  expect(await dev.reset({ method: 'flr', deadlineMs: 10 })).toMatchObject({ method: 'flr' });
  expect(await pending).toMatchObject({ answer: 'invalid' });
  expect(await refusal(fault.respond('success'))).toBe('EINVAL');
  const again = dev.model.requestPages(0x9000, { group: 3 });
  const next = await m.pageFaults.next();
  expect(next.ranges).toMatchObject([{ iova: 0x9000n, pages: 1 }]);
  await next.respond('success');
  expect(await again).toMatchObject({ answer: 'success' });
});

scenario('more page requests than the queue holds are answered by the translation agent', {}, async (m) => {
  const { dev } = await faulting(m);
  expect(await dev.model.requestPages(IOVA, { pages: 200 })).toMatchObject({ answer: 'success' });
  expect(m.pageFaults.length).toBe(0);
  const pending = dev.model.requestPages(IOVA, { pages: 128 });
  const fault = await m.pageFaults.next();
  expect(fault.ranges).toMatchObject([{ pages: 128 }]);
  await fault.respond('success');
  expect(await pending).toMatchObject({ answer: 'success' });
});

scenario('a host that never answers keeps the function waiting, and another may answer in its place', {}, async (m) => {
  const { dev } = await faulting(m);
  const pending = dev.model.requestPages(IOVA);
  await m.pageFaults.next();
  await m.clock.advance({ ms: 60_000 });
  expect(await settled(pending, m)).toBe(false);
  await using later = await m.connect(['host']);
  const [fault, ...more] = await later.machine.pendingPageFaults();
  expect([fault?.function, more.length]).toEqual(['00:02.0', 0]);
  await fault?.respond('success');
  expect(await pending).toMatchObject({ answer: 'success' });
  expect(await m.pendingPageFaults()).toEqual([]);
});

scenario('a Stop Marker ends the wait for a PASID', {}, async (m) => {
  const dev = m.function('00:02.0');
  await dev.pasid(7).attach(await m.domains.alloc({ faults: true }));
  const pending = dev.model.requestPages(IOVA, { pasid: 7 });
  const fault = await m.pageFaults.next();
  expect(await dev.model.stopPasid(7)).toMatchObject({ answer: 'none' });
  expect(await pending).toMatchObject({ answer: 'forgotten' });
  expect(await fault.respond('success')).toMatchObject({});
  expect(await refusal(dev.model.requestPages(IOVA, { pages: 513 }))).toBe('EINVAL');
});

// It finds its slot by being the only one.
scenario('a device that another program plays requests pages, and loses them with its connection', { played: 'none' }, async (m) => {
  const bdf = (await m.functions()).find((fn) => fn.model === 'remote')?.function ?? expect.unreachable('the preset has a remote function');
  const domain = await m.domains.alloc({ faults: true });
  await m.function(bdf).attach(domain);
  const connection = await m.connect(['device']);
  const played = await connection.claimDevice(bdf);
  const pending = played.dma.requestPages(IOVA);
  const fault = await m.pageFaults.next();
  expect(fault).toMatchObject({ function: bdf, domain: domain.id });
  const page = await m.pages(1);
  await domain.map({ iova: IOVA, address: page, bytes: 4096, access: 'rw' });
  await fault.respond('success');
  expect(await pending).toMatchObject({ answer: 'success' });
  expect(await played.dma.write(IOVA, Uint8Array.of(1))).toMatchObject({ outcome: 'performed' });
  const lost = played.dma.requestPages(IOVA).catch((error: unknown) => (error as { code: string }).code);
  const second = await m.pageFaults.next();
  await connection.close();
  expect(await lost).toBe('ECONNRESET');
  await eventually(async () => expect(await m.pendingPageFaults()).toEqual([]));
  expect(await refusal(second.respond('success'))).toBe('EINVAL');
});
