/**
 * The emulator, the owner of the memory, and the host that resets each die at each step of a reset window: the function never comes back open by it, nobody
 * waits for ever, and another host can end the window.
 */
import { expect } from 'vitest';
import type { ClaimedFunction, Connection, DmaResult } from '../../client/src/index.ts';
import { CALL_STEPS } from '../../server/src/core/machine/index.ts';
import { eventually, scenario, settled, type ScenarioMachine } from '../kit/scenario.ts';

const BDF = '00:05.0';
const OWNED_IOVA = 0x20000;
const RAM_IOVA = 0x30000;
const OWNED = 0x8000_0000n;
const PAGE = 4096;
const SLOW_MS = 5;
const TOPOLOGY = {
  schema: 'iommud.topology/v1',
  functions: [{ address: BDF, model: 'remote', capabilities: { flr: true, ats: { queueDepth: 4 }, pasid: { width: 8 } } }],
};
const VICTIMS = ['emulator', 'owner', 'host'] as const;
type Victim = (typeof VICTIMS)[number];

interface Cast {
  readonly connections: Readonly<Record<Victim, Connection>>;
  readonly fn: ClaimedFunction;
}

async function own(connection: Connection): Promise<void> {
  await connection.serveMemory(
    { address: OWNED, bytes: PAGE },
    {
      read: (_address, bytes) => new Uint8Array(bytes),
      write: () =>
        new Promise((resolve) => {
          setTimeout(resolve, SLOW_MS);
        }),
    },
  );
}

async function raise(m: ScenarioMachine): Promise<Cast> {
  const [emulator, owner, host] = [await m.connect(['device']), await m.connect(['memory']), await m.connect(['host'])];
  await own(owner);
  const dev = m.function(BDF);
  const fn = await emulator.claimDevice(BDF, {}, { atc: 'peer' });
  await dev.config.write(4, 2, 0x0406);
  await dev.dma.map({ iova: OWNED_IOVA, address: OWNED, bytes: PAGE, access: 'rw' });
  await m.mapped(dev, RAM_IOVA);
  await dev.pasid(7).attach(await m.domains.alloc());
  await fn.ats.translate(RAM_IOVA, { write: true });
  return { connections: { emulator, owner, host }, fn };
}

/** Whoever dies, its calls end: with an answer, or with ECONNRESET. */
async function ended(call: Promise<unknown>): Promise<void> {
  await call.catch((error: unknown) => expect(error).toMatchObject({ code: expect.stringMatching(/^(ECONNRESET|ENODEV|EPERM)$/) }));
}

async function isHeld(m: ScenarioMachine, step: string): Promise<void> {
  await eventually(async () => expect(await m.calls.held()).toMatchObject([{ step, function: BDF }]));
}

/** What the function can do in its window, by whoever plays it. */
async function expectShut(m: ScenarioMachine, { fn }: Cast, victim: Victim): Promise<void> {
  expect(await m.function(BDF).info()).toMatchObject({ blocked: true, gateOpen: false });
  if (victim === 'emulator') return;
  for (const iova of [RAM_IOVA, OWNED_IOVA]) {
    const { outcome } = await fn.dma.write(iova, Uint8Array.of(1));
    expect(['gate-closed', 'blocked-domain']).toContain(outcome);
  }
}

/** Another host ends what is open, and the function works again: the same emulator's, or a new one's. */
async function expectBack(m: ScenarioMachine, { fn }: Cast, victim: Victim): Promise<void> {
  const dev = m.function(BDF);
  await dev.resetDone({ all: true });
  const player = victim === 'emulator' ? await (await m.connect(['device'])).claimDevice(BDF, {}, { atc: 'peer' }) : fn;
  const write = (iova: number): Promise<DmaResult> => player.dma.write(iova, Uint8Array.of(2));
  await eventually(async () => expect(await write(RAM_IOVA)).toMatchObject({ outcome: 'performed' }));
  expect(await dev.info()).toMatchObject({ blocked: false, gateOpen: true, resetDepth: 0 });
  if (victim === 'owner') {
    expect(await write(OWNED_IOVA)).toMatchObject({ outcome: 'completer-abort', absentOwner: expect.any(Number) });
    await own(await m.connect(['memory']));
  }
  expect(await write(OWNED_IOVA)).toMatchObject({ outcome: 'performed' });
}

for (const victim of VICTIMS) {
  for (const step of new Set(CALL_STEPS.prepare)) {
    scenario(`the ${victim} dies before step ${step} of prepare`, { topology: TOPOLOGY }, async (m) => {
      const cast = await raise(m);
      const { connections, fn } = cast;
      const inFlight = ended(fn.dma.write(OWNED_IOVA, Uint8Array.of(3)));
      const hold = await m.calls.hold('prepare', step, { function: BDF, count: 1 });
      const prepare = connections.host.machine.function(BDF).resetPrepare({ deadlineMs: 1, onDeadline: 'abort' });
      const over = ended(prepare);
      await isHeld(m, step);
      await connections[victim].close();
      await hold.release();
      await over;
      await inFlight;
      // A host's call goes on without it.
      await eventually(async () => expect((await m.function(BDF).info()).resetDepth).toBe(1));
      await expectShut(m, cast, victim);
      await expectBack(m, cast, victim);
    });
  }
  // From a blocking domain nothing is in the IOTLB.
  for (const step of CALL_STEPS.done.filter((each) => each !== 'iotlb')) {
    scenario(`the ${victim} dies before step ${step} of done`, { topology: TOPOLOGY }, async (m) => {
      const cast = await raise(m);
      const { connections } = cast;
      const window = await connections.host.machine.function(BDF).resetPrepare({ deadlineMs: 1, onDeadline: 'abort' });
      await expectShut(m, cast, 'host');
      const hold = await m.calls.hold('done', step, { function: BDF, count: 1 });
      const done = window.done();
      const over = ended(done);
      await isHeld(m, step);
      await connections[victim].close();
      // Nothing of the function comes through before its gate opens, which is the last thing but the answer.
      if (victim !== 'emulator') {
        const { outcome } = await cast.fn.dma.write(RAM_IOVA, Uint8Array.of(1));
        expect(outcome === 'performed').toBe(step === 'unlock');
      }
      expect(await settled(over, m)).toBe(victim === 'host');
      await hold.release();
      await over;
      await eventually(async () => expect((await m.function(BDF).info()).resetDepth).toBe(0));
      await expectBack(m, cast, victim);
    });
  }
}
