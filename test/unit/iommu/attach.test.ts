import { describe, expect, it } from 'vitest';
import { NO_PASID, Trace, bdf } from '../../../server/src/core/base/index.ts';
import { planDeferredAttach } from '../../../server/src/core/iommu/attach.ts';
import { FIX_NAMES, INTERRUPT_REGION, Iommu, type GroupDevice } from '../../../server/src/core/iommu/index.ts';
import { GuestMemory } from '../../../server/src/core/memory/index.ts';
import { Translation } from '../../../server/src/core/translation/index.ts';

const AT = bdf(0, 0, 2, 0);

function probed(): { readonly device: GroupDevice; readonly translation: Translation } {
  const translation = new Translation({ trace: new Trace(() => 0), now: () => 0, memory: new GuestMemory([]) });
  const iommu = new Iommu({
    translation,
    policy: {
      atsOffFirst: true,
      staysBlockedOnFailure: false,
      restsOnBlocking: false,
      looksAgain: false,
      fencesNewMembers: false,
      fixes: new Set(FIX_NAMES),
    },
    defaultType: 'dma',
    blockedDomain: true,
    isolation: 'blocked',
    hostWindows: [],
    interruptRegion: INTERRUPT_REGION.x86,
    attachFails: () => false,
  });
  const device = { bdf: AT, pasidsMax: 0, atsSupported: true, atsWanted: true, invalidateQueueDepth: 32 };
  const wish = { bdf: AT, wants: undefined, untrusted: false };
  iommu.addGroup([{ ...device, dmaAliases: [], directRegions: [], reservedRegions: [], deferAttach: true, noDefaultDomain: false, wish }]);
  return { device: iommu.device(AT)!, translation };
}

describe('a deferred attach', () => {
  // A window leaves a deferral only where the group rested on blocking when the function was probed: no machine begins so.
  it('42 is EBUSY on a blocked function that is still deferred, and changes nothing', () => {
    const { device, translation } = probed();
    device.blocked = true;
    for (const looksAgain of [true, false]) expect(planDeferredAttach(device, looksAgain, () => true)).toEqual({ error: -16, steps: [] });
    expect(device.attachDeferred).toBe(true);
    expect(translation.contextSpace(AT, NO_PASID)).toBeUndefined();
  });
});
