import { expect, it } from 'vitest';
import { recordingTimeline } from '../../../server/src/app/recording-timeline.ts';
import { VERSION } from '../../../server/src/app/version.ts';
import type { Recording } from '../../../server/src/rpc/index.ts';
import { PROBE, probe, specOf } from '../../kit/core-machine.ts';
import { RecordedMachine, settle } from '../../kit/recorded-machine.ts';
import { readTimeline } from '../../kit/timeline-schema.ts';

const OWNED = { low: 0x4000_0000, high: 0 };
const PAGE = { low: 0x1000, high: 0 };

/** Two DMA writes at once to memory that a peer owns, and one that is refused. */
async function recorded(): Promise<Recording> {
  const machine = new RecordedMachine(specOf({ functions: [probe(PROBE)] }));
  const { stop } = machine.record();
  const owner = await machine.join('memory');
  const host = await machine.join('host');
  owner.call(2, 'memoryClaim', { address: OWNED, bytes: PAGE, depth: 4 }).send();
  await owner.replyTo(2);
  host.call(2, 'dmaMap', { function: PROBE, iova: { low: 0x1_0000, high: 0 }, address: OWNED, bytes: PAGE, access: 3 });
  for (const [id, low] of [
    [3, 0x1_0000],
    [4, 0x1_0040],
    [5, 0x9_0000],
  ] as const)
    host.call(id, 'modelDma', { function: PROBE, iova: { low, high: 0 }, operation: 2, bytes: 4 }, Uint8Array.of(1, 2, 3, 4));
  host.send();
  for (let answered = 0; answered < 2; answered++) {
    await owner.until(() => owner.calls().length > answered, 'a write');
    owner.reply(owner.calls()[answered]!.id, 'memoryWriteReply').send();
  }
  await host.replyTo(5);
  host.close();
  await settle();
  return stop();
}

it('has an arrow from a DMA request to the call that asks its owner, and counters', async () => {
  const recording = await recorded();
  const { arrows, slices, counters, instants } = readTimeline(
    recordingTimeline({ ...recording, start: { ...recording.start, productVersion: VERSION } }),
  );
  expect(arrows).toHaveLength(2);
  for (const { name, from, to } of arrows) {
    expect(name).toBe('asks the owner');
    expect(from).toMatch(/^00:02\.0 .* \| at its owner( 2)? \| request \d+ at peer 1$/);
    expect(to).toMatch(/^peer 1 test 0 \| asked( 2)? \| memoryWrite$/);
  }
  expect(slices.filter(({ track }) => track.startsWith('asked'))).toHaveLength(2);
  const named = new Set(counters.map(({ process, name }) => `${process} | ${name}`));
  expect([...named]).toEqual(expect.arrayContaining(['machine test | wall clock, ms']));
  expect(instants.map(({ name }) => name)).toContain('closed 1000');
});
