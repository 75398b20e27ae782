/** Invariants 17, 18 and 36 with several translations in one completion: each is cached, each is a grant, and one invalidation is about all it touches. */
import { describe, expect, it } from 'vitest';
import { NO_PASID } from '../../server/src/core/base/index.ts';
import type { Command, ModelDma } from '../../server/src/core/machine/index.ts';
import { CoreMachine, PROBE, type Options } from '../kit/core-machine.ts';

const TRANSLATED = { translated: true };
const FIRST_PAGE = 8;

/** Pages 8 to 11 are mapped. */
function machine(options: Options = {}): CoreMachine {
  const m = new CoreMachine(options);
  for (let page = 0; page < 4; page++) m.map(PROBE, (FIRST_PAGE + page) * 0x1000, m.allocPage());
  return m;
}

function translate(fields: Partial<ModelDma> = {}): Command {
  const at = { iovaLow: FIRST_PAGE * 0x1000 + 8, iovaHigh: 0, bytes: 1, pasid: NO_PASID, hold: undefined, holdNs: 0 };
  const how = { data: undefined, translated: false, write: true, translations: 8 } as const;
  return { kind: 'model-dma', bdf: PROBE, operation: 'translate', ...at, ...how, ...fields };
}

function outcomes(m: CoreMachine): readonly string[] {
  return [0, 1, 2, 3].map((page) => m.outcome(PROBE, (FIRST_PAGE + page) * 0x1000, 'x', TRANSLATED));
}

describe('a translation request for several', () => {
  it('is one request, whose translations the function caches', () => {
    const m = machine();
    const { grants = [], requests } = m.call('dma', translate());
    expect([requests, grants.length]).toEqual([1, 4]);
    expect(grants[3]).toMatchObject({ bytes: 4096, access: 3 });
    expect(outcomes(m)).toEqual(['performed', 'performed', 'performed', 'performed']);
    expect(m.traced('ats-granted', PROBE)).toHaveLength(4);
    expect(m.call('dma', translate({ translations: 2 })).grants).toHaveLength(2);
  });

  it('18 loses to an unmap the one of its page, and keeps the others', () => {
    const m = machine();
    m.call('dma', translate());
    expect(m.startUnmap(PROBE, (FIRST_PAGE + 2) * 0x1000).reply).toMatchObject({ bytes: 0x1000n });
    expect(outcomes(m)).toEqual(['performed', 'performed', 'no-access', 'performed']);
    expect(m.traced('ats-granted', PROBE)).toHaveLength(4);
    expect(m.traced('stale-atc')).toEqual([]);
  });

  it('36 is not cached where an invalidation of its last range has overtaken the completion', () => {
    const m = machine({ clock: 'manual' });
    const request = m.start(translate({ hold: 'translated' }));
    m.startUnmap(PROBE, (FIRST_PAGE + 3) * 0x1000);
    m.release(PROBE);
    expect(request.reply).toMatchObject({ outcome: 'performed' });
    expect(outcomes(m)).toEqual(['performed', 'performed', 'performed', 'no-access']);
    expect(m.traced('stale-atc')).toEqual([]);
  });

  it.each([
    ['none', { translations: 0 }],
    ['more than a completion of 64 bytes has', { translations: 9 }],
    ['part of one', { translations: 1.5 }],
    ['several of what is no translation request', { operation: 'read' as const, write: false, translations: 2 }],
  ])('is refused for %s', (_, fields) => {
    expect(() => machine().start(translate(fields))).toThrow(/translation/);
  });
});
