import fc from 'fast-check';
import { expect, it } from 'vitest';
import { KIND } from '../../proto/index.ts';
import { EXAMPLES, EXAMPLE_NAMES } from '../unit/rpc/calls.ts';
import { setup } from '../unit/rpc/setup.ts';

/** Its reply has bytes, for which control calls have no credits: only one at a time, and the packets decide how many that are. */
const ALONE = 'dirtyRead';
const NAMES = EXAMPLE_NAMES.filter((name) => name !== ALONE);

/** A call, and whether the packet ends after it. */
const steps = fc.array(fc.record({ name: fc.constantFrom(...NAMES), posted: fc.boolean() }), { minLength: 1, maxLength: 40 });

async function run(
  calls: readonly { name: (typeof EXAMPLE_NAMES)[number]; posted: boolean }[],
  ends: readonly boolean[],
): Promise<unknown> {
  const { machine, greeted } = setup();
  const peer = await greeted('host', 'device', 'memory', 'observer');
  for (const [i, { name, posted }] of calls.entries()) {
    const { body, data } = EXAMPLES[name];
    peer.call(posted ? 0 : 10 + i, name, body, data);
    if (ends[i % ends.length] === true) peer.send();
  }
  peer.call(9, 'clockInfo', {}).send();
  await peer.replyTo(9);
  const replies = peer.got.filter((frame) => frame.kind === KIND.reply).map((frame) => [frame.id, frame.number, frame.data]);
  return [machine.submitted, replies];
}

it('the same calls in other packets are the same commands in the same order, with the same replies', async () => {
  const splits = fc.array(fc.boolean(), { minLength: 1, maxLength: 12 });
  await fc.assert(
    fc.asyncProperty(steps, splits, async (calls, ends) => {
      const together = await run(calls, [false]);
      expect(await run(calls, ends)).toEqual(together);
      expect(await run(calls, [true])).toEqual(together);
    }),
    { numRuns: 60 },
  );
});
