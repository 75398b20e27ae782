/** The same calls give the same trace hash, however they travelled and whoever watched. */
import { setImmediate } from 'node:timers/promises';
import { expect } from 'vitest';
import { scenario, type ScenarioMachine } from '../kit/scenario.ts';

const IOVA = 0x10000;

async function story(m: ScenarioMachine, inOneTick: boolean): Promise<string> {
  const dev = m.function('00:02.0');
  const calls: (() => Promise<unknown>)[] = [
    () => m.memory.alloc(4096),
    () => dev.dma.map({ iova: IOVA, address: 0x4000_0000, bytes: 4096, access: 'rw' }),
    ...Array.from({ length: 20 }, (_, i) => () => dev.model.write(IOVA + i, `write ${i}`, { translated: i % 2 === 0 })),
    () => dev.model.write(IOVA, 'late', { hold: 'translated' }),
    () => dev.reset({ method: 'flr', deadlineMs: 3 }),
    () => dev.config.read(0, 4),
  ];
  if (inOneTick) {
    await Promise.all(calls.map((call) => call()));
  } else {
    const pending: Promise<unknown>[] = [];
    for (const call of calls) {
      pending.push(call());
      // A tick of its own for each, so that each travels in a packet of its own.
      await setImmediate();
    }
    await Promise.all(pending);
  }
  return m.traceHash();
}

const hashes = new Set<string>();

for (const watched of [false, true]) {
  for (const inOneTick of [false, true]) {
    const title = `a story ${inOneTick ? 'in one packet' : 'in many packets'}, ${watched ? 'watched' : 'unwatched'}, has the same hash as all others`;
    // Another program is another input.
    scenario(title, { seed: 7, played: 'none' }, async (m) => {
      if (watched) {
        const observer = await m.connect(['observer']);
        await observer.machine.subscribe(['trace', 'fault']);
        await observer.machine.functions();
      }
      hashes.add(await story(m, inOneTick));
      expect(hashes.size).toBe(1);
    });
  }
}
