/** A function is reported broken between any two steps of a call: it is blocked at once, and the call opens it no more. */
import { describe, expect, it } from 'vitest';
import type { CallName, Command } from '../../server/src/core/machine/index.ts';
import { CoreMachine, FIRST, SECOND, SIBLINGS } from '../kit/core-machine.ts';

const IOVA = 0x1_0000;
/** More than any call has. */
const STEPS_MAX = 60;

const CALLS: Readonly<Partial<Record<CallName, (m: CoreMachine) => Command>>> = {
  attach: (m) => m.attach(FIRST, m.allocDomain()),
  detach: (m) => {
    m.call('ok', m.attach(FIRST, m.allocDomain()));
    return { kind: 'domain-detach', bdf: FIRST };
  },
  claim: () => ({ kind: 'owner-claim', bdf: FIRST }),
  release: (m) => {
    m.call('ok', { kind: 'owner-claim', bdf: FIRST });
    return { kind: 'owner-release', bdf: FIRST };
  },
  'pasid-attach': (m) => m.attachPasid(FIRST, 5, m.allocDomain()),
  'pasid-detach': (m) => {
    m.call('ok', m.attachPasid(FIRST, 5, m.allocDomain()));
    return m.detachPasid(FIRST, 5);
  },
  prepare: (m) => {
    m.call('ok', m.attachPasid(FIRST, 5, m.allocDomain()));
    return { kind: 'reset-prepare', bdf: FIRST, token: 'w', deadlineNs: 10_000_000, onDeadline: 'abort' };
  },
  done: (m) => {
    m.call('ok', m.attachPasid(FIRST, 5, m.allocDomain()));
    m.prepare(FIRST);
    return { kind: 'reset-done', bdf: FIRST, token: 'w', all: false };
  },
};

/** What is otherwise than a blocked function has it. */
function opened(m: CoreMachine): readonly string[] {
  const fn = m.machine.inspect().functions.find(({ bdf }) => bdf === FIRST)!;
  const open = fn.pasids.filter(({ physical }) => physical !== undefined && physical.type !== 'blocked');
  return [
    ...(fn.blocked ? [] : ['not blocked']),
    ...(fn.physical.type === 'blocked' ? [] : ['its RID is open']),
    ...open.map(({ pasid }) => `its PASID ${pasid} is open`),
    ...(fn.atsEnabled ? ['its ATS Enable is set'] : []),
  ];
}

/** Reports it before the k-th step; undefined when the call has no such step. */
function reportedAt(
  call: CallName,
  k: number,
  siblingFails: boolean,
): { readonly step: string; readonly wrong: readonly string[] } | undefined {
  const m = new CoreMachine({ functions: SIBLINGS, clock: 'manual' });
  m.map(FIRST, IOVA, m.allocPage());
  m.outcome(FIRST, IOVA, 'x', { translated: true });
  const command = CALLS[call]!(m);
  if (siblingFails) m.arm(SECOND, 'attach-fails', { count: 0 });
  const { hold } = m.call('call-hold', { kind: 'call-hold', call, step: '', bdf: undefined, count: 0 });
  const pending = m.start(command);
  for (let passed = 0; passed < k && m.machine.stopped().length > 0; passed++) {
    m.start({ kind: 'call-release', hold, stopped: 0, keep: true });
  }
  const [held] = m.machine.stopped();
  if (held === undefined) return undefined;
  const sent = m.traced('invalidation-sent', FIRST).length;
  m.call('ok', { kind: 'report-broken', bdf: FIRST });
  const atOnce = opened(m);
  m.start({ kind: 'call-release', hold, stopped: 0, keep: false });
  const afterwards = opened(m);
  m.advance(2000);
  const asked = m.traced('invalidation-sent', FIRST).length > sent ? ['it was asked to invalidate'] : [];
  return {
    step: held.step,
    wrong: [...atOnce, ...afterwards, ...asked, ...(pending.reply === undefined ? ['the call is never answered'] : [])],
  };
}

describe('a function that is reported broken while a call stands between two steps', () => {
  for (const call of Object.keys(CALLS) as CallName[]) {
    for (const siblingFails of call === 'prepare' || call === 'done' ? [false] : [false, true]) {
      it(`40 is blocked at once, and stays so: ${call}${siblingFails ? ', of which a sibling refuses its part' : ''}`, () => {
        const wrong: string[] = [];
        let places = 0;
        for (let k = 0; k < STEPS_MAX; k++) {
          const reported = reportedAt(call, k, siblingFails);
          if (reported === undefined) break;
          places++;
          wrong.push(...reported.wrong.map((text) => `before ${reported.step} (step ${k}): ${text}`));
        }
        expect(wrong).toEqual([]);
        expect(places).toBeGreaterThan(3);
      });
    }
  }
});
