/** Where functions may come that are plugged in, for whoever reads what they are. */
import { ModelError, formatBdf, segmentOf, type Bdf } from '../../base/index.ts';
import { PORT_TYPE, type ConfigSpace } from '../../pci/index.ts';
import type { Parts } from '../parts.ts';
import type { PlugPlace, PlugPort } from '../spec.ts';
import type { FunctionState } from '../state.ts';

const END_OF_32_BITS = 2 ** 32;
/** Memory Base and Memory Limit of a bridge (PCIe Base r6.0 §7.5.1.3.8): 1 MiB each, in bits 15:4. */
const MEMORY_BASE = 0x20;
const MEMORY_LIMIT = 0x22;

/** A root or downstream port: ENODEV for none, EINVAL for a function that is something else. */
export function portAt(m: Parts, port: Bdf): FunctionState {
  const fn = m.functions.get(port);
  const name = formatBdf(port);
  if (fn === undefined) throw new ModelError('ENODEV', `no port at ${name}`, 'port');
  const { isBridge, portType } = fn.config;
  if (!isBridge || (portType !== PORT_TYPE.rootPort && portType !== PORT_TYPE.downstreamPort)) {
    throw new ModelError('EINVAL', `${name} is no port: only root ports and downstream ports have slots`, 'port');
  }
  return fn;
}

/** The same below a bridge, whichever it is. `replaced`: a function that goes when they come. */
export function placeOf(m: Parts, port: Bdf | undefined, above?: FunctionState, replaced?: FunctionState): PlugPlace {
  const taken = m.functionList
    .filter((fn) => fn !== replaced)
    .flatMap(memoryOf)
    .toSorted((a, b) => a.base - b.base);
  const into = port === undefined ? above : portAt(m, port);
  if (into === undefined) return { segment: 0, port: undefined, taken };
  const { bdf, config } = into;
  const { secondary, subordinate } = m.topology.busesAt(bdf) ?? { secondary: 0, subordinate: 0 };
  return {
    segment: segmentOf(bdf),
    port: {
      bdf,
      kind: kindOf(config),
      secondary,
      subordinate,
      window: memoryWindowOf(config),
    },
    taken,
  };
}

function kindOf({ portType }: ConfigSpace): PlugPort['kind'] {
  if (portType === PORT_TYPE.rootPort) return 'root-port';
  if (portType === PORT_TYPE.downstreamPort) return 'downstream-port';
  return portType === PORT_TYPE.expressToPci ? 'pcie-to-pci-bridge' : 'pci-bridge';
}

function memoryOf({ config }: FunctionState): PlugPlace['taken'] {
  const memoryWindow = memoryWindowOf(config);
  const ranges = memoryWindow === undefined ? [] : [memoryWindow];
  for (const bar of config.bars()) {
    if (bar.kind === 'io' || bar.sizeLg2 < 0) continue;
    const base = Number(config.barAddress(bar));
    if (base !== 0 && base < END_OF_32_BITS) ranges.push({ base, end: base + 2 ** bar.sizeLg2 });
  }
  return ranges;
}

/** A base above the limit is a closed window. */
function memoryWindowOf(config: ConfigSpace): { readonly base: number; readonly end: number } | undefined {
  if (config.headerType !== 1) return undefined;
  const base = (config.read(MEMORY_BASE, 2) & 0xfff0) * 0x1_0000;
  const end = ((config.read(MEMORY_LIMIT, 2) & 0xfff0) + 0x10) * 0x1_0000;
  return base < end ? { base, end } : undefined;
}
