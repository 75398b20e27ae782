/** A topology as a tree for people. */
import { formatBdf, hex, hexDigits, type Bdf } from '../../core/base/index.ts';
import { Machine, type FunctionSpec } from '../../core/machine/index.ts';
import { ConfigSpace, PORT_TYPE, Topology } from '../../core/pci/index.ts';
import { formatDurationNs, formatSize } from './quantities.ts';
import type { TopologySpec } from './topology-spec.ts';

interface Described {
  readonly spec: FunctionSpec;
  readonly config: ConfigSpace;
  readonly resets: readonly string[];
}

/** Memory, IOMMU, and each function indented below its bridge: address, what it is, its buses, its group and what it can do. */
export function describeTopology(spec: TopologySpec): string {
  const byBdf = new Map<Bdf, Described>();
  const resets = resetsOf(spec);
  for (const fn of spec.functions) {
    const config = new ConfigSpace(fn.config, fn.barBytes === undefined ? {} : { barBytes: fn.barBytes });
    byBdf.set(fn.bdf, { spec: fn, config, resets: resets.get(fn.bdf) ?? [] });
  }
  const topology = new Topology([...byBdf].map(([bdf, { config }]) => ({ bdf, config })));
  const groups = spec.iommu === undefined ? [] : topology.isolationGroups();
  const lines = spec.memory.map(({ address, bytes }) => `memory  ${hex(address)} to ${hex(address + bytes - 1n)} (${formatSize(bytes)})`);
  for (const { segment, base, firstBus, lastBus } of spec.ecam ?? []) {
    lines.push(`ecam    ${hex(base)}, segment ${segment}, buses ${hexDigits(firstBus, 2)} to ${hexDigits(lastBus, 2)}`);
  }
  lines.push(`iommu   ${describeIommu(spec.iommu)}`);
  const visit = (at: Bdf, depth: number): void => {
    const fn = byBdf.get(at);
    if (fn === undefined) return;
    lines.push(
      `${'  '.repeat(depth)}${formatBdf(at)}  ${describe(
        fn,
        groups.findIndex((group) => group.includes(at)),
      )}`,
    );
    for (const child of topology.children(at)) visit(child, depth + 1);
  };
  for (const at of [...byBdf.keys()].sort((a, b) => a - b)) if (topology.parentBridge(at) === undefined) visit(at, 0);
  return `${lines.join('\n')}\n`;
}

function describeIommu(iommu: TopologySpec['iommu']): string {
  if (iommu === undefined) return 'none';
  const facts = [`invalidation timeout ${formatDurationNs(iommu.invalidationTimeoutNs)}`];
  if (iommu.isolation !== undefined && iommu.isolation !== 'blocked') facts.push(`isolation ${iommu.isolation}`);
  if (iommu.blockedDomain === false) facts.push('no blocked domain');
  return facts.join(', ');
}

/** The reset methods of each function: a machine of it finds them, because what is round a function counts too. */
function resetsOf({ memory, functions, iommu }: TopologySpec): ReadonlyMap<Bdf, readonly string[]> {
  const world = { memory, functions, ...(iommu === undefined ? {} : { iommu }) };
  const machine = new Machine({ ...world, name: '', seed: 0, clock: 'manual', behaviour: 'strict' }, { hashed: false });
  for (const { bdf } of functions) machine.submit(0, bdf, { kind: 'function-info', bdf });
  const found = new Map<Bdf, readonly string[]>();
  for (const item of machine.takeOutbox()) {
    if (item.type === 'reply' && item.reply.kind === 'function-info') found.set(item.reply.function.bdf, item.reply.function.resetMethods);
  }
  return found;
}

function describe({ spec, config, resets }: Described, group: number): string {
  const facts = [what(spec, config)];
  if (config.isBridge) facts.push(`buses ${hexDigits(config.secondaryBus, 2)}-${hexDigits(config.subordinateBus, 2)}`);
  if (group >= 0) facts.push(`group ${group}`);
  if (config.atsSupported) facts.push('ATS');
  if (config.pasidSupported) facts.push(`PASID ${config.pasidWidth} bits`);
  if (resets.length > 0) facts.push(`reset ${resets.join(' ')}`);
  return facts.join(', ');
}

const PORTS: Readonly<Record<number, string>> = {
  [PORT_TYPE.rootPort]: 'root port',
  [PORT_TYPE.upstreamPort]: 'upstream port',
  [PORT_TYPE.downstreamPort]: 'downstream port',
  [PORT_TYPE.expressToPci]: 'PCIe-to-PCI bridge',
};

function what(spec: FunctionSpec, config: ConfigSpace): string {
  if (spec.model === 'replay')
    return `replay of ${hexDigits(config.vendor, 4)}:${hexDigits(config.device, 4)}${spec.label === '' ? '' : ` "${spec.label}"`}`;
  if (spec.model !== 'bridge') return spec.model;
  return PORTS[config.portType] ?? (config.isBridge ? 'PCI bridge' : 'host bridge');
}
