/** Requests that go on although they have no way left, on functions that no machine shows. */
import { describe, expect, it } from 'vitest';
import { NO_PASID, bdf, type TraceRecord } from '../../../server/src/core/base/index.ts';
import type { InspectedFunction, ModelDma } from '../../../server/src/core/machine/index.ts';
import { OnTheWay } from '../../../server/src/scenario/on-the-way.ts';
import type { Done } from '../../../server/src/scenario/stage.ts';
import type { Statement } from '../../../server/src/scenario/syntax.ts';

const FUNCTION = bdf(0, 0, 2, 0);
const BLOCKING = { id: 1, type: 'blocked' } as const;
const DEFAULT = { id: 2, type: 'paging' } as const;
const WINDOW = { id: 3, type: 'paging' } as const;
const DIRECT_PAGE = 0x5_0000;

function inspected(fields: Partial<InspectedFunction>): InspectedFunction {
  const counts = { id: 0, members: 1, inWindow: 0, recoveryCount: 0, owned: false, busy: true };
  return {
    bdf: FUNCTION,
    blocked: false,
    quarantined: false,
    resetDepth: 0,
    attachDeferred: false,
    atsEnabled: true,
    atcFenced: false,
    translatedRefused: false,
    gateOpen: true,
    physical: DEFAULT,
    windowDomain: WINDOW,
    directRegions: [{ address: BigInt(DIRECT_PAGE) * 4096n, bytes: 4096n, relaxable: false }],
    pasids: [{ pasid: 5 as never, logical: DEFAULT, physical: DEFAULT }],
    itags: 0,
    inFlight: 0,
    group: { ...counts, domain: DEFAULT, defaultDomain: DEFAULT, restDomain: DEFAULT, blockingDomain: BLOCKING },
    ...fields,
  };
}

const record = (kind: TraceRecord['kind'], b: number, c: number): TraceRecord => ({ kind, timeNs: 0, a: FUNCTION, b, c, d: 0 });
const ISSUED = record('dma-issued', 7, 1);
const PASSED = record('dma-translated', 7, 0x40);

function write(fields: Partial<ModelDma>): Done {
  const place = { bdf: FUNCTION, iovaLow: 0x1000, iovaHigh: 0, bytes: 1, pasid: NO_PASID } as const;
  const command = {
    kind: 'model-dma',
    operation: 'write',
    data: undefined,
    translated: true,
    hold: undefined,
    holdNs: 0,
    ...place,
    ...fields,
  };
  return { statement: {} as Statement, command: command as ModelDma, outcome: { word: 'pending', fields: {} }, wrong: [] };
}

/** The invariant that is broken in the last of these steps, in which the function is so before and after. */
function broken(
  fn: Partial<InspectedFunction>,
  steps: readonly { readonly trace: readonly TraceRecord[]; readonly done?: Done }[],
): number | undefined {
  const onTheWay = new OnTheWay();
  let invariant: number | undefined;
  for (const [at, { trace, done }] of steps.entries()) {
    const now = { functions: [inspected(at === steps.length - 1 ? fn : {})], nextAlarmNs: undefined };
    invariant = onTheWay.after(trace, done === undefined ? [] : [done], now, now)?.invariant;
  }
  return invariant;
}

describe('through a closed gate', () => {
  it.each([
    ['nothing is issued', { gateOpen: false }, 1, false, 17],
    ['nothing is issued for a direct region either, before the RID was moved', { gateOpen: false }, DIRECT_PAGE, false, 17],
    ['a request for a direct region is, when the window leaves it', { gateOpen: false, physical: WINDOW }, DIRECT_PAGE, false, undefined],
    ['no translated one is', { gateOpen: false, physical: WINDOW }, DIRECT_PAGE, true, 17],
    ['it is no matter where the gate is open', {}, 1, true, undefined],
  ] as const)('%s', (_name, fn, page, translated, expected) => {
    expect(broken(fn, [{ trace: [record('dma-issued', 7, page)], done: write({ translated }) }])).toBe(expected);
  });
});

describe('a translated request', () => {
  it.each([
    ['passes where its context honours ATS', {}, {}, undefined],
    ['does not pass on a blocked context', { physical: BLOCKING }, {}, 17],
    ['of a PASID is no matter of the RID', { physical: BLOCKING }, { pasid: 5 as never }, undefined],
    ['does not pass after a timeout', { translatedRefused: true }, {}, 17],
    ['does not pass behind a fence', { atcFenced: true }, { pasid: 5 as never }, 17],
    ['is told from an untranslated one', { physical: BLOCKING }, { translated: false }, undefined],
  ] as const)('%s', (_name, fn, fields, expected) => {
    expect(broken(fn, [{ trace: [ISSUED], done: write(fields) }, { trace: [PASSED] }])).toBe(expected);
  });

  it('of a statement that was not seen to begin is left alone', () => {
    expect(broken({ physical: BLOCKING }, [{ trace: [ISSUED] }, { trace: [PASSED] }])).toBeUndefined();
  });
});

it('a translation is not granted behind a fence', () => {
  expect(broken({ atcFenced: true }, [{ trace: [record('ats-granted', 1, 0x40)] }])).toBe(17);
  expect(broken({}, [{ trace: [record('ats-granted', 1, 0x40)] }])).toBeUndefined();
});
