/** Who takes messages of interrupts, as a document says it. */
import { PHYSICAL_BITS, hex } from '../../core/base/index.ts';
import type { InterruptSpec } from '../../core/machine/index.ts';
import { refuse, type Source } from './place.ts';
import { readAddress } from './quantities.ts';
import { DEFAULT_DOORBELL, type TopologyDocument } from './schema.ts';

const PAGE = 4096n;

type Keys = Exclude<NonNullable<TopologyDocument['iommu']>, 'none'>;

/** Undefined where nothing is said. */
export function readInterrupts(source: Source, keys: Keys): InterruptSpec | undefined {
  const { interrupts, doorbell, interruptRemapping, compatibilityInterrupts } = keys;
  const path = (key: keyof Keys): readonly string[] => ['iommu', key];
  if (interrupts === 'translated') {
    if (interruptRemapping === true)
      refuse(source, path('interruptRemapping'), 'interruptRemapping is of interrupts x86; leave one out', true);
    return { at: 'translated', doorbell: readDoorbell(source, path('doorbell'), doorbell ?? DEFAULT_DOORBELL) };
  }
  if (doorbell !== undefined) refuse(source, path('doorbell'), 'doorbell means nothing unless interrupts is translated', true);
  if (compatibilityInterrupts !== undefined && interruptRemapping !== true) {
    refuse(source, path('compatibilityInterrupts'), 'compatibilityInterrupts means nothing without interruptRemapping', true);
  }
  if (interrupts === undefined && interruptRemapping === undefined) return undefined;
  return { at: 'x86', remapping: interruptRemapping !== true ? 'off' : compatibilityInterrupts === true ? 'compatibility' : 'on' };
}

function readDoorbell(source: Source, path: readonly string[], text: string): bigint {
  const address = readAddress(text);
  if (address === undefined) refuse(source, path, `"${text}" is not an address; write it as "${DEFAULT_DOORBELL}"`);
  if (address >> BigInt(PHYSICAL_BITS) !== 0n) refuse(source, path, `${hex(address)} is wider than ${PHYSICAL_BITS} bits`);
  if (address % PAGE !== 0n) refuse(source, path, `${hex(address)} is not a multiple of 4 KiB`);
  return address;
}
