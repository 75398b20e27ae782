import { describe, expect, it } from 'vitest';
import { bdf } from '../../../server/src/core/base/index.ts';
import { chooseDefault } from '../../../server/src/core/iommu/index.ts';

const wish = (wants?: 'identity' | 'dma', untrusted = false) => ({ bdf: bdf(0, 0, 2, 0), wants, untrusted });
const UNTRUSTED = wish(undefined, true);
const NONE = wish();

describe('chooseDefault', () => {
  it.each([
    ['nobody insists', [NONE, NONE], 'dma'],
    ['one insists on identity', [NONE, wish('identity')], 'identity'],
    ['one insists on translation', [NONE, wish('dma')], 'dma'],
    ['they differ: identity wins', [wish('dma'), wish('identity')], 'identity'],
    ['one is untrusted', [NONE, UNTRUSTED], 'dma'],
    ['one is untrusted, and insists on translation', [wish('dma', true)], 'dma'],
    ['an untrusted one meets a wish for identity', [UNTRUSTED, wish('identity')], undefined],
  ] as const)('%s', (_why, members, chosen) => {
    for (const booted of ['dma', 'dma-fq', 'identity'] as const) {
      const free = members.every(({ wants, untrusted }) => wants === undefined && !untrusted);
      expect(chooseDefault(members, undefined, booted)).toBe(free ? booted : chosen);
    }
  });

  it('what is asked for wins over how the machine was booted, and loses against a member', () => {
    for (const asked of ['identity', 'dma', 'dma-fq'] as const) {
      expect(chooseDefault([NONE], asked, 'dma')).toBe(asked);
      expect(chooseDefault([wish('identity')], asked, 'dma')).toBe(asked === 'identity' ? asked : undefined);
      expect(chooseDefault([UNTRUSTED], asked, 'identity')).toBe(asked === 'dma' ? asked : undefined);
    }
  });
});
