import { describe, expect, it } from 'vitest';
import { PEER_MISTAKES_MAX, PEER_REFUSALS_MAX } from '../../../proto/limits.ts';
import type { Reply } from '../../../server/src/core/machine/index.ts';
import { Conduct } from '../../../server/src/rpc/conduct.ts';

function conduct(isWorker = true): { of: Conduct; noted: string[]; closed: unknown[] } {
  const noted: string[] = [];
  const closed: unknown[] = [];
  const of = new Conduct({
    noted: (why, count) => void noted.push(`${count} ${why}`),
    close: (code, why) => void closed.push([code, why]),
  });
  of.isWorker = isWorker;
  return { of, noted, closed };
}

describe('wrong answers', () => {
  it('are noted one by one, and the last that is allowed ends the connection with 1002', () => {
    const { of, noted, closed } = conduct();
    for (let i = 1; i < PEER_MISTAKES_MAX; i++) of.mistake('odd');
    expect([noted.length, noted[1], closed]).toEqual([PEER_MISTAKES_MAX - 1, '2 odd', []]);
    of.mistake('the end');
    expect(closed).toEqual([[1002, `${PEER_MISTAKES_MAX} wrong answers; the last: the end`]]);
    expect(of.mistakes).toBe(PEER_MISTAKES_MAX);
  });
});

describe('calls that are refused', () => {
  const refuse = (of: Conduct, times: number, code = 'EPERM'): void => {
    for (let i = 0; i < times; i++) of.answered(code, 'not claimed');
  };

  it('end the connection of a worker with 1008 when so many are in a row', () => {
    const { of, closed } = conduct();
    refuse(of, PEER_REFUSALS_MAX - 1);
    expect(closed).toEqual([]);
    refuse(of, 1);
    expect(closed).toEqual([[1008, `${PEER_REFUSALS_MAX} calls in a row were refused; the last: not claimed`]]);
  });

  it('are also DMA that a function may not do, but no other outcome', () => {
    const { of, closed } = conduct();
    const dma = (outcome: 'gate-closed' | 'not-present', times: number): void => {
      for (let i = 0; i < times; i++) of.replied({ kind: 'dma', outcome } as unknown as Reply);
    };
    dma('not-present', 2 * PEER_REFUSALS_MAX);
    dma('gate-closed', PEER_REFUSALS_MAX - 1);
    dma('not-present', 1);
    dma('gate-closed', PEER_REFUSALS_MAX - 1);
    expect(closed).toEqual([]);
    of.replied({ kind: 'refused', code: 'EPERM', message: 'not claimed', about: '', elapsedNs: 0 });
    expect(closed).toEqual([[1008, `${PEER_REFUSALS_MAX} calls in a row were refused; the last: not claimed`]]);
  });

  it('are also lists of DMA of which nothing may be done', () => {
    const { of, closed } = conduct();
    const list = (...outcomes: string[]): Reply =>
      ({ kind: 'dma-list', results: outcomes.map((outcome) => ({ outcome })) }) as unknown as Reply;
    for (let i = 1; i < PEER_REFUSALS_MAX; i++) of.replied(list('gate-closed', 'gate-closed'));
    of.replied(list('gate-closed', 'performed'));
    for (let i = 1; i < PEER_REFUSALS_MAX; i++) of.replied(list('gate-closed'));
    expect(closed).toEqual([]);
    of.replied(list('gate-closed'));
    expect(closed).toHaveLength(1);
  });

  it('are counted by the machine where no reply says so, and end the connection of a worker at the same number', () => {
    const { of, closed } = conduct();
    of.unserved(undefined);
    of.unserved({ unserved: PEER_REFUSALS_MAX - 1, unservedWhy: 'blocked' });
    expect(closed).toEqual([]);
    of.unserved({ unserved: PEER_REFUSALS_MAX, unservedWhy: 'blocked' });
    expect(closed).toEqual([[1008, `${PEER_REFUSALS_MAX} calls in a row came to nothing; the last: blocked`]]);
    const host = conduct(false);
    host.of.unserved({ unserved: 2 * PEER_REFUSALS_MAX, unservedWhy: 'blocked' });
    expect(host.closed).toEqual([]);
  });

  it('are forgiven by one that is served', () => {
    const { of, closed } = conduct();
    refuse(of, PEER_REFUSALS_MAX - 1);
    of.answered();
    refuse(of, PEER_REFUSALS_MAX - 1);
    expect(closed).toEqual([]);
  });

  it('are nothing where asking again is the cure, and nothing of a host', () => {
    const { of, closed } = conduct();
    refuse(of, 2 * PEER_REFUSALS_MAX, 'EAGAIN');
    const host = conduct(false);
    refuse(host.of, 2 * PEER_REFUSALS_MAX);
    expect([closed, host.closed]).toEqual([[], []]);
  });
});
