/** The function that a claim declares: read as a topology's, and held to the place where it comes. */
import { ModelError, busOf, formatBdf, segmentOf, type Bdf } from '../../base/index.ts';
import type { DeviceClaim } from '../command.ts';
import { placeOf } from '../hierarchy/plug-place.ts';
import { slotRefusal } from '../hierarchy/plug.ts';
import type { Parts } from '../parts.ts';
import type { FunctionSpec } from '../spec.ts';
import type { FunctionState } from '../state.ts';

export interface Declared {
  readonly spec: FunctionSpec;
  /** The port whose slot it comes into. */
  readonly port: Bdf | undefined;
  /** It comes with its claim, and goes with it. */
  readonly plugged: boolean;
}

/** BAR registers of a type 0 header, whose addresses are the machine's to give. */
const BARS = { from: 0x10, to: 0x28 } as const;
const BAR_TYPE = 0xf;

/** ModelError EINVAL for what cannot be, as a topology is refused; EOPNOTSUPP where this machine reads none. */
export function declaredFunction(m: Parts, { bdf, port }: DeviceClaim, text: string): Declared {
  if (m.readFunctions === undefined) throw new ModelError('EOPNOTSUPP', 'this machine reads no topology', 'declare');
  const there = bdf === undefined ? undefined : m.functions.get(bdf);
  // The slots of a conventional bus are the topology's too; only into those of a port can something be plugged.
  const above = bdf === undefined ? undefined : m.functionList.find((one) => isAbove(m, one, bdf));
  const specs = m.readFunctions(text, placeOf(m, port, above, there));
  const [spec] = specs;
  if (spec === undefined || specs.length > 1)
    throw new ModelError('EINVAL', `a claim declares one function, not ${specs.length}`, 'declare');
  const name = formatBdf(spec.bdf);
  if (spec.model !== 'remote') throw new ModelError('EINVAL', `${name} is declared as ${spec.model}; what is claimed is remote`, 'declare');
  if (bdf !== undefined && bdf !== spec.bdf) {
    throw new ModelError('EINVAL', `${name} is declared, and ${formatBdf(bdf)} is claimed`, 'declare');
  }
  if (bdf === undefined && port === undefined)
    throw new ModelError('EINVAL', 'say the slot (function) or the port that it comes into', 'port');
  if (there === undefined && port === undefined && !m.spec.functions.some((one) => one.bdf === spec.bdf && one.model === 'remote')) {
    throw new ModelError('ENODEV', `no slot at ${name} in machine "${m.spec.name}"; name a port to plug it in`, 'function');
  }
  return { spec, port, plugged: port !== undefined };
}

/** Its secondary bus, as the topology has it, is that of the slot. */
function isAbove(m: Parts, { bdf, config }: FunctionState, at: Bdf): boolean {
  return config.isBridge && segmentOf(bdf) === segmentOf(at) && m.topology.busesAt(bdf)?.secondary === busOf(at);
}

/** Why it cannot come into its port's slot now. */
export function refuseComing(m: Parts, { spec, port, plugged }: Declared): string | undefined {
  return port === undefined || !plugged ? undefined : slotRefusal(m, port, [spec]);
}

/** What stands there is what is declared: where its BARs are is not its own to say. */
export function isAsDeclared({ spec: there }: FunctionState, spec: FunctionSpec): boolean {
  if (there.config.length !== spec.config.length) return false;
  const sizes = Math.max(there.barBytes?.length ?? 0, spec.barBytes?.length ?? 0);
  for (let i = 0; i < sizes; i++) if ((there.barBytes?.[i] ?? 0n) !== (spec.barBytes?.[i] ?? 0n)) return false;
  return there.config.every((byte, at) => {
    const other = spec.config[at]!;
    if (at < BARS.from || at >= BARS.to) return byte === other;
    return at % 4 !== 0 || (byte & BAR_TYPE) === (other & BAR_TYPE);
  });
}
