/** What the watch takes for isolated, on functions that no machine shows. */
import { describe, expect, it } from 'vitest';
import { bdf } from '../../../server/src/core/base/index.ts';
import type { InspectedFunction, InspectedGroup } from '../../../server/src/core/machine/index.ts';
import { restOf } from '../../../server/src/scenario/at-rest.ts';

const BLOCKING = { id: 1, type: 'blocked' } as const;
const DEFAULT = { id: 2, type: 'paging' } as const;
const WINDOW = { id: 3, type: 'paging' } as const;

function inspected(fields: Partial<InspectedFunction>, domain: InspectedGroup['domain'] = DEFAULT): InspectedFunction {
  const counts = { id: 0, members: 1, inWindow: 1, recoveryCount: 1, owned: false, busy: false };
  return {
    bdf: bdf(0, 0, 2, 0),
    blocked: true,
    quarantined: false,
    resetDepth: 1,
    attachDeferred: false,
    atsEnabled: false,
    atcFenced: false,
    translatedRefused: false,
    gateOpen: false,
    physical: WINDOW,
    windowDomain: BLOCKING,
    directRegions: [],
    pasids: [],
    itags: 0,
    inFlight: 0,
    group: { ...counts, domain, defaultDomain: DEFAULT, restDomain: DEFAULT, blockingDomain: BLOCKING },
    ...fields,
  };
}
const invariant = (fn: InspectedFunction): number | undefined => restOf(fn, false)?.invariant;

describe('a blocked function', () => {
  it.each([
    ['is on the blocking domain', { physical: BLOCKING }, undefined],
    ['is on no other, whatever its type', { physical: { id: 9, type: 'blocked' } }, 2],
    ['is on no paging domain where the isolation is blocked', {}, 2],
    ['may be on the domain of its window where that is another', { windowDomain: WINDOW }, undefined],
    ['may not be so on its own', { windowDomain: WINDOW, physical: DEFAULT }, 2],
    ['may not be so in quarantine, with no window', { windowDomain: WINDOW, resetDepth: 0, quarantined: true }, 2],
  ] as const)('%s', (_name, fields, expected) => {
    expect(invariant(inspected(fields))).toBe(expected);
  });
});

describe('an open function', () => {
  const open = { blocked: false, resetDepth: 0, gateOpen: true, windowDomain: WINDOW } as const;
  it('is not left on the domain of its window', () => {
    expect(invariant(inspected({ ...open, physical: WINDOW }))).toBe(13);
    expect(invariant(inspected({ ...open, physical: DEFAULT }))).toBeUndefined();
  });
  it('has its gate open', () => {
    expect(invariant(inspected({ ...open, physical: DEFAULT, gateOpen: false }))).toBe(20);
  });
  it('blocks where its group has no domain', () => {
    const none: InspectedFunction = { ...inspected(open), group: { ...inspected(open).group, domain: undefined } };
    expect(invariant({ ...none, physical: DEFAULT })).toBe(24);
    expect(invariant({ ...none, physical: BLOCKING })).toBeUndefined();
  });
});
