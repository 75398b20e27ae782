/** What each fix of Linux between 7.0 and 7.1 mends: a machine with it keeps its invariants, one without it does not. */
import { describe, expect, it } from 'vitest';
import { pasid, type Bdf } from '../../server/src/core/base/index.ts';
import { FIX_NAMES, type Behaviour, type Fix } from '../../server/src/core/machine/index.ts';
import { CoreMachine, FIRST, PROBE, SECOND, SIBLINGS, type Options } from '../kit/core-machine.ts';

interface Case {
  readonly fix: Fix;
  readonly invariant: number;
  readonly what: string;
  readonly fixed: unknown;
  readonly broken: unknown;
  readonly run: (options: Options) => unknown;
}

const PASID = 5;

/** The code with which another window is refused. */
function refusedPrepare(m: CoreMachine, at: Bdf): string | undefined {
  const { reply } = m.start({ kind: 'reset-prepare', bdf: at, token: 'another', deadlineNs: 0, onDeadline: 'abort' });
  return reply?.kind === 'refused' ? reply.code : undefined;
}

const CASES: readonly Case[] = [
  {
    fix: '0d5fd7a9323c',
    invariant: 5,
    what: 'a nested prepare',
    fixed: { refused: undefined, depth: 2 },
    broken: { refused: 'EBUSY', depth: 1 },
    run: (options) => {
      const m = new CoreMachine(options);
      m.prepare(PROBE);
      return { refused: refusedPrepare(m, PROBE), depth: m.info(PROBE).resetDepth };
    },
  },
  {
    fix: 'b296ca1fb43a',
    invariant: 20,
    what: 'a window of a sibling',
    fixed: { refused: undefined, recovering: 2 },
    broken: { refused: 'EBUSY', recovering: 1 },
    run: (options) => {
      const m = new CoreMachine({ ...options, functions: SIBLINGS });
      m.prepare(FIRST);
      return { refused: refusedPrepare(m, SECOND), recovering: m.group(FIRST).recoveryCount };
    },
  },
  {
    fix: '5474e6e17a26',
    invariant: 12,
    what: 'a must-succeed detach in a window',
    fixed: 'default',
    broken: 'the old domain',
    run: (options) => {
      const m = new CoreMachine(options);
      const initial = m.group(PROBE).domain?.id;
      const domain = m.allocDomain();
      m.call('ok', { kind: 'domain-attach', bdf: PROBE, domain });
      m.prepare(PROBE);
      m.call('ok', { kind: 'domain-detach', bdf: PROBE });
      m.done(PROBE);
      const after = m.info(PROBE).physicalDomain?.id;
      return after === initial ? 'default' : after === domain ? 'the old domain' : after;
    },
  },
  {
    fix: 'fc3523b16d2b',
    invariant: 14,
    what: 'Invalidate Requests of a PASID detach in a window',
    fixed: 0,
    broken: 1,
    run: (options) => {
      const m = new CoreMachine(options);
      const domain = m.allocDomain();
      m.call('ok', m.attachPasid(PROBE, PASID, domain));
      m.prepare(PROBE);
      const before = m.trace.length;
      m.start({ kind: 'pasid-detach', bdf: PROBE, pasid: pasid(PASID) });
      return m.trace.slice(before).filter(({ kind }) => kind === 'invalidation-sent').length;
    },
  },
  {
    fix: '1615e8896a8f',
    invariant: 28,
    what: 'contexts of a sibling that the end of a window writes',
    fixed: 0,
    broken: 1,
    run: (options) => {
      const m = new CoreMachine({ ...options, functions: SIBLINGS });
      const domain = m.allocDomain();
      m.call('ok', m.attachPasid(FIRST, PASID, domain));
      m.prepare(FIRST);
      const before = m.trace.length;
      m.done(FIRST);
      return m.trace.slice(before).filter(({ kind, a }) => kind === 'context-set' && a === SECOND).length;
    },
  },
];

describe.each(CASES)('$invariant $fix: $what', ({ fix, fixed, broken, run }) => {
  it.each(['strict', 'linux-7.1'] as const)('%s keeps the invariant', (behaviour) => {
    expect(run({ behaviour })).toEqual(fixed);
  });
  it.each(['strict', 'linux-7.1'] as const)('%s breaks it without the fix, and not without the others', (behaviour) => {
    expect(run({ behaviour, withoutFixes: [fix] })).toEqual(broken);
    const others = FIX_NAMES.filter((other) => other !== fix);
    // Without the others a sibling has no window of its own, which the fix is then not about.
    expect(run({ behaviour, withoutFixes: others })).toEqual(fixed);
  });
  it('linux-7.0 breaks it, whatever else is said', () => {
    expect(run({ behaviour: 'linux-7.0' })).toEqual(broken);
    expect(run({ behaviour: 'linux-7.0', withoutFixes: [fix] })).toEqual(broken);
  });
});

describe('the table of fixes', () => {
  it('has a case for each', () => {
    expect(CASES.map(({ fix }) => fix).sort()).toEqual([...FIX_NAMES].sort());
  });

  it('20 without 1615e8896a8f the end of one window opens the PASIDs of a sibling in its own', () => {
    const physicalOf = (behaviour: Behaviour, withoutFixes: readonly Fix[]): string | undefined => {
      const m = new CoreMachine({ behaviour, withoutFixes, functions: SIBLINGS });
      m.call('ok', m.attachPasid(FIRST, PASID, m.allocDomain()));
      m.prepare(FIRST);
      m.prepare(SECOND);
      m.done(FIRST);
      return m.info(SECOND).pasids[0]?.physicalDomain?.type;
    };
    expect(physicalOf('linux-7.1', [])).toBe('blocked');
    expect(physicalOf('linux-7.1', ['1615e8896a8f'])).toBe('paging');
  });

  it('machines that differ in a fix differ in their trace hash', () => {
    const hash = (withoutFixes: readonly Fix[]): string => new CoreMachine({ withoutFixes }).hash();
    expect(new Set([hash([]), ...FIX_NAMES.map((fix) => hash([fix]))]).size).toBe(FIX_NAMES.length + 1);
    expect(hash([])).toBe(new CoreMachine().hash());
    expect(hash([...FIX_NAMES])).toBe(hash(FIX_NAMES.toReversed()));
  });
});
