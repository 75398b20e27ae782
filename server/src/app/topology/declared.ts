/** What the document of a `remote` function declares of it: what it is, and its BARs in place of those that it has by default. */
import type { CapabilityChoices } from '../../core/pci/index.ts';
import type { PlacedFunction } from './bus-numbers.ts';
import { refuse, type Source } from './place.ts';
import { readSize } from './quantities.ts';
import type { FunctionNode } from './schema.ts';

type Declared = Pick<CapabilityChoices, 'identity' | 'bars'>;
type BarNode = NonNullable<FunctionNode['bars']>[number];

/** Undefined where it declares neither. BARs that overlap are `EINVAL` naming both. */
export function readDeclared(source: Source, { node, path }: PlacedFunction): Declared | undefined {
  const { vendor, device, class: classCode, revision, bars } = node;
  const given = [vendor, device, classCode, revision].some((one) => one !== undefined);
  if (!given && bars === undefined) return undefined;
  return {
    ...(given
      ? {
          identity: {
            ...(vendor === undefined ? {} : { vendor: Number(vendor) }),
            ...(device === undefined ? {} : { device: Number(device) }),
            ...(classCode === undefined ? {} : { classCode: Number(classCode) }),
            ...(revision === undefined ? {} : { revision: Number(revision) }),
          },
        }
      : {}),
    ...(bars === undefined ? {} : { bars: bars.map((bar, i) => readBar(source, [...path, 'bars', i], bar, bars.slice(0, i))) }),
  };
}

function readBar(
  source: Source,
  path: readonly (string | number)[],
  bar: BarNode,
  before: readonly BarNode[],
): NonNullable<Declared['bars']>[number] {
  const { bar: index, size, kind = 'memory32', prefetchable = false } = bar;
  const bytes = readSize(size);
  if (bytes === undefined) refuse(source, [...path, 'size'], `"${size.slice(0, 40)}" is not a size; write it as "64KiB"`);
  const lowest = kind === 'io' ? 4n : 16n;
  if (bytes < lowest || (bytes & (bytes - 1n)) !== 0n) {
    refuse(source, [...path, 'size'], `"${size}" is no size of a BAR: a power of two, at least ${lowest} bytes`);
  }
  for (const other of before) {
    const [low, high] = other.bar <= index ? [other, bar] : [bar, other];
    const reach = low.bar + (low.kind === 'memory64' ? 1 : 0);
    if (high.bar > reach) continue;
    const why = low.bar === high.bar ? 'is there twice' : `is the upper half of BAR ${low.bar}, which is 64 bits wide`;
    refuse(source, path, low.bar === high.bar ? `BAR ${index} ${why}` : `BAR ${high.bar} ${why}: the two overlap`);
  }
  if (kind === 'memory64' && index === 5) refuse(source, path, 'BAR 5 is 32 bits wide: a wide one takes the next BAR too');
  return { index, bytes, kind, prefetchable };
}
