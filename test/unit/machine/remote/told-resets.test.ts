/** What the peer that plays a function is told of its resets. */
import { describe, expect, it } from 'vitest';
import { REMOTE } from '../../../kit/core-machine.ts';
import { asked, remoteBench } from '../../../kit/remote-function.ts';

const FLR = { kind: 'reset-trigger', bdf: REMOTE, method: 'flr' } as const;

describe('a reset', () => {
  it('is told by its method, and with the time that the claim allows for the answer', () => {
    const { m, emulator } = remoteBench({ resetDeadlineMs: 1500 });
    m.start(FLR);
    expect(asked(emulator).map(({ call }) => call)).toEqual([{ kind: 'device-reset', bdf: REMOTE, method: 'flr', deadlineMs: 1500 }]);
  });

  it('has none of its own where the claim says nothing', () => {
    const { m, emulator } = remoteBench();
    m.start(FLR);
    expect(asked(emulator).map(({ call }) => call)).toEqual([{ kind: 'device-reset', bdf: REMOTE, method: 'flr' }]);
  });
});
