/** Where configuration space is in memory, as documents write it. */
import { ModelError, hex } from '../../core/base/index.ts';
import { checkEcam, type EcamSpec, type MemoryRangeSpec } from '../../core/machine/index.ts';
import { claimText, claimsOf, type TopologyFunction } from '../../core/pci/index.ts';
import { BAR_WINDOW } from './bar-addresses.ts';
import { refuse, type Source } from './place.ts';
import { readAddress } from './quantities.ts';
import type { TopologyDocument } from './schema.ts';

const BUS_BYTES = 1n << 20n;
const END_OF_32_BITS = 1n << 32n;
const BUS_LAST = 255;

/** Refuses what meets memory, BARs, or another one, naming both. */
export function readEcam(
  source: Source,
  document: Pick<TopologyDocument, 'ecam'>,
  memory: readonly MemoryRangeSpec[],
  functions: readonly TopologyFunction[],
): readonly EcamSpec[] | undefined {
  if (document.ecam === undefined) return undefined;
  const ranges: EcamSpec[] = [];
  for (const [i, { address, segment = 0, firstBus = 0, lastBus = BUS_LAST }] of document.ecam.entries()) {
    const path = ['ecam', i];
    const base = readAddress(address);
    if (base === undefined) refuse(source, [...path, 'address'], `"${address}" is not an address; write it as "0xb0000000"`);
    ranges.push({ segment, base, firstBus, lastBus });
    try {
      checkEcam({ memory, ecam: ranges });
    } catch (error) {
      if (error instanceof ModelError) refuse(source, path, error.message);
      throw error;
    }
    const clash = clashWith(base + BigInt(firstBus) * BUS_BYTES, base + BigInt(lastBus + 1) * BUS_BYTES, functions);
    if (clash !== undefined) refuse(source, path, `the ECAM of segment ${segment} meets ${clash}`);
  }
  return ranges;
}

/** What of a range that ends before `end` is taken. */
function clashWith(first: bigint, end: bigint, functions: readonly TopologyFunction[]): string | undefined {
  const base = BigInt(BAR_WINDOW.base);
  if (first < END_OF_32_BITS && base < end) return `${hex(base)} to ${hex(END_OF_32_BITS - 1n)}, where BARs and interrupts are`;
  const claims = functions.flatMap(({ bdf, config }) => claimsOf(bdf, config, 'memory'));
  const claim = claims.find((one) => one.first < end && first <= one.last);
  return claim === undefined ? undefined : claimText(claim);
}
