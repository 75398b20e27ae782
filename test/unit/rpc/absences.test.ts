/** The grace time of what peers have left, by wall clock. */
import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest';
import type { Absent } from '../../../server/src/core/machine/index.ts';
import { Absences } from '../../../server/src/rpc/absences.ts';

const GRACE_MS = 30_000;

beforeEach(() => void vi.useFakeTimers());
afterEach(() => void vi.useRealTimers());

function watching(): { absent: Absent[]; over: (readonly Absent[])[]; absences: Absences } {
  const absent: Absent[] = [];
  const over: (readonly Absent[])[] = [];
  return { absent, over, absences: new Absences({ absent: () => absent }, GRACE_MS, (what) => void over.push(what)) };
}
const left = (bdf: number, peer: number): Absent => ({ bdf: bdf as never, peer });

describe('what a peer has left', () => {
  it('is over when its time is, all at once, and not before', () => {
    const { absent, over, absences } = watching();
    absent.push(left(0x20, 3), { address: 0x8000_0000n, peer: 3 });
    absences.watch();
    vi.advanceTimersByTime(GRACE_MS - 1);
    expect(over).toEqual([]);
    vi.advanceTimersByTime(1);
    expect(over).toEqual([[left(0x20, 3), { address: 0x8000_0000n, peer: 3 }]]);
  });

  it('is not over where it was claimed again, also by one that then vanished', () => {
    const { absent, over, absences } = watching();
    absent.push(left(0x20, 3), left(0x28, 3));
    absences.watch();
    vi.advanceTimersByTime(20_000);
    absent.splice(0, 2, left(0x20, 4));
    absences.watch();
    vi.advanceTimersByTime(10_000);
    expect(over).toEqual([]);
    vi.advanceTimersByTime(20_000);
    expect(over).toEqual([[left(0x20, 4)]]);
  });

  it('is not over when the machine ends', () => {
    const { absent, over, absences } = watching();
    absent.push(left(0x20, 3));
    absences.watch();
    absences.stop();
    vi.advanceTimersByTime(2 * GRACE_MS);
    expect(over).toEqual([]);
  });
});
