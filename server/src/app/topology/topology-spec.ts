// long: a document is read from top to bottom
/** A topology document made into what a machine is built from. */
import { ModelError, busOf, deviceOf, formatBdf, hex, type Bdf } from '../../core/base/index.ts';
import type {
  DirectRegion,
  FunctionSpec,
  IommuSpec,
  MachineSpec,
  MemoryRangeSpec,
  ModelName,
  ReservedRegion,
} from '../../core/machine/index.ts';
import {
  ConfigSpace,
  EDU_BAR_BYTES,
  bridgeConfig,
  claimsOf,
  dmaProbeConfig,
  eduConfig,
  hostBridgeConfig,
  pciBridgeConfig,
  probeBarBytes,
  remoteConfig,
  type AddressClaim,
  type CapabilityChoices,
} from '../../core/pci/index.ts';
import { BAR_WINDOW, assignBarAddresses, type BarAddresses } from './bar-addresses.ts';
import { CONVENTIONAL, conventionalBridge, placeFunctions, type PlacedFunction } from './bus-numbers.ts';
import { readCapabilities } from './capabilities.ts';
import { clashes } from './checks.ts';
import { readDeclared } from './declared.ts';
import { readAliases } from './dma-aliases.ts';
import { readDocument, valueSource, type TopologyFormat } from './document.ts';
import { readEcam } from './ecam.ts';
import { readHexConfig } from './hex-config.ts';
import { readInterrupts } from './interrupts.ts';
import { refuse, type Path, type Source } from './place.ts';
import { readDurationNs } from './quantities.ts';
import { readRange } from './ranges.ts';
import { LINK_SPEEDS, resetSpec } from './resets.ts';
import {
  DEFAULT_INVALIDATION_TIMEOUT,
  DEFAULT_MEMORY,
  INTERRUPT_PINS,
  PAGE_REQUEST_QUEUE_MAX,
  type FunctionModel,
  type FunctionNode,
  type TopologyDocument,
} from './schema.ts';
import { validate } from './validate.ts';

/** What a topology says of a machine; name, seed, clock and behaviour come from the request that creates it. */
export type TopologySpec = Pick<MachineSpec, 'memory' | 'ecam' | 'iommu' | 'functions'>;

export interface NamedTopology extends TopologySpec {
  /** The document's own name; undefined when it has none. */
  readonly name: string | undefined;
}

/** From the BARs to the end of 32 bits there is no RAM: BARs, I/O APIC, MSI. */
const NO_RAM = { base: BigInt(BAR_WINDOW.base), end: 1n << 32n } as const;

const LABELS: Readonly<Record<FunctionModel, string>> = {
  'host-bridge': 'Host bridge: iommud host bridge',
  'root-port': 'PCI bridge: iommud root port',
  'upstream-port': 'PCI bridge: iommud switch upstream port',
  'downstream-port': 'PCI bridge: iommud switch downstream port',
  'pcie-to-pci-bridge': 'PCI bridge: iommud PCIe-to-PCI bridge',
  'pci-bridge': 'PCI bridge: iommud PCI bridge',
  'dma-probe': 'Unassigned class [ff00]: iommud dma-probe (rev 01)',
  edu: 'Unclassified device [00ff]: QEMU edu (rev 10)',
  remote: 'Unassigned class [ff00]: iommud remote function (rev 01)',
  replay: '',
};

/** Reads a document. Whatever is wrong with it is `EINVAL` that begins with its line: `line 4: address is the number 2; write "00:02.0"`. */
export function parseTopology(text: string, format: TopologyFormat = 'auto'): NamedTopology {
  return topologyOf(readDocument(text, format));
}

/** The same for a document that came as a value, in the body of a request; a refusal names the key instead of the line. */
export function topologyFromValue(value: unknown): NamedTopology {
  return topologyOf(valueSource(value));
}

function topologyOf(source: Source): NamedTopology {
  const document = validate(source);
  const memory = readMemory(source, document);
  const iommu = readIommu(source, document);
  const functions = readFunctions(source, document);
  const placed = functions.map(({ bdf, config, barBytes }) => ({
    bdf,
    config: new ConfigSpace(config, barBytes === undefined ? {} : { barBytes }),
  }));
  const clash = clashes(placed, memory)[0];
  if (clash !== undefined) refuse(source, ['functions'], clash);
  const ecam = readEcam(source, document, memory, placed);
  return { name: document.name, memory, functions, ...(ecam === undefined ? {} : { ecam }), ...(iommu === undefined ? {} : { iommu }) };
}

function readMemory(source: Source, document: TopologyDocument): MemoryRangeSpec[] {
  const ranges: MemoryRangeSpec[] = [];
  for (const [i, range] of (document.memory ?? [DEFAULT_MEMORY]).entries()) {
    const path = ['memory', i];
    const { address, bytes } = readRange(source, path, range, 'memory');
    const end = address + bytes;
    if (address < NO_RAM.end && end > NO_RAM.base) {
      refuse(
        source,
        path,
        `memory ${hex(address)} to ${hex(end - 1n)} meets ${hex(NO_RAM.base)} to ${hex(NO_RAM.end - 1n)}, where BARs and interrupts are`,
      );
    }
    const other = ranges.findIndex((r) => address < r.address + r.bytes && r.address < end);
    if (other >= 0) refuse(source, path, `memory at ${hex(address)} overlaps the range on ${source.locate(['memory', other])}`);
    ranges.push({ address, bytes });
  }
  return ranges;
}

function readIommu(source: Source, document: TopologyDocument): IommuSpec | undefined {
  if (document.iommu === 'none') return undefined;
  const text = document.iommu?.invalidationTimeout ?? DEFAULT_INVALIDATION_TIMEOUT;
  const path = ['iommu', 'invalidationTimeout'];
  const { pageRequestQueue: queue, dmaFlush, isolation, blockedDomain, defaultDomain } = document.iommu ?? {};
  if (queue !== undefined && !(Number.isInteger(queue) && queue >= 1 && queue <= PAGE_REQUEST_QUEUE_MAX)) {
    const allowed = `an integer from 1 to ${PAGE_REQUEST_QUEUE_MAX}`;
    refuse(source, ['iommu', 'pageRequestQueue'], `pageRequestQueue is ${queue}; it is ${allowed}`);
  }
  const interrupts = readInterrupts(source, document.iommu ?? {});
  return {
    invalidationTimeoutNs: duration(source, path, text, true),
    ...(queue === undefined ? {} : { pageRequestQueue: queue }),
    ...(dmaFlush === undefined ? {} : { dmaFlush }),
    ...(isolation === undefined ? {} : { isolation }),
    ...(blockedDomain === undefined ? {} : { blockedDomain }),
    ...(defaultDomain === undefined ? {} : { defaultDomain }),
    ...(interrupts === undefined ? {} : { interrupts }),
  };
}

function duration(source: Source, path: readonly (string | number)[], text: string, positive: boolean): number {
  const ns = readDurationNs(text);
  if (ns === undefined) refuse(source, path, `"${text}" is not a time; write it as "60s" or "250ns"`);
  if (positive && ns === 0) refuse(source, path, 'must be longer than 0');
  return ns;
}

function readFunctions(source: Source, document: TopologyDocument): FunctionSpec[] {
  return specsOf(source, placeFunctions(source, document.functions), BAR_WINDOW);
}

/** Of functions that have their places. BARs get addresses in `space`; undefined: none. */
export function specsOf(
  source: Source,
  placed: readonly PlacedFunction[],
  space: { readonly base: number; readonly end: number } | undefined,
): FunctionSpec[] {
  const choices = new Map<Bdf, CapabilityChoices>();
  for (const fn of placed) {
    checkOptions(source, fn);
    const chosen = readCapabilities(source, fn, placed);
    const declared = readDeclared(source, fn);
    if (chosen !== undefined || declared !== undefined) choices.set(fn.bdf, { ...chosen, ...declared });
  }
  const roots = placed.filter((fn) => fn.parent === undefined || !placed.includes(fn.parent));
  const addresses =
    space === undefined
      ? NO_ADDRESSES
      : assignBarAddresses(
          source,
          roots,
          choices,
          placed.flatMap((fn) => broughtClaims(source, fn)),
          space,
        );
  const all: Whole = { placed, choices, addresses };
  return placed.map((fn) => readFunction(source, fn, all));
}

const NO_ADDRESSES: BarAddresses = { bars: new Map(), windows: new Map() };

/** What is read of all functions before any of them is built. */
interface Whole {
  readonly placed: readonly PlacedFunction[];
  readonly choices: ReadonlyMap<Bdf, CapabilityChoices>;
  readonly addresses: BarAddresses;
}

/** What capabilities say that is no part of configuration space. */
function besidesConfig(choices: CapabilityChoices | undefined): Pick<FunctionSpec, 'virtualMsix' | 'vitalProductData'> {
  const msix = choices?.sriov ? choices.sriov.msix : undefined;
  const data = choices?.vitalProductData ? choices.vitalProductData.data : undefined;
  return { ...(msix === undefined ? {} : { virtualMsix: msix }), ...(data === undefined ? {} : { vitalProductData: data }) };
}

function readFunction(source: Source, fn: PlacedFunction, all: Whole): FunctionSpec {
  const { node, path, bdf } = fn;
  const built =
    node.model === 'replay' || (node.model === 'remote' && node.config !== undefined)
      ? givenConfig(source, fn)
      : builtConfig(source, fn, all);
  const reset = resetSpec(node.reset, (key, text) => duration(source, [...path, 'reset', key], text, false));
  const sized = node.model === 'dma-probe' || (node.model === 'remote' && node.config === undefined);
  return {
    bdf,
    model: modelOf(node.model),
    config: built,
    ...(sized ? { barBytes: probeBarBytes(all.choices.get(bdf)) } : node.model === 'edu' ? { barBytes: EDU_BAR_BYTES } : {}),
    ...besidesConfig(all.choices.get(bdf)),
    label: node.label ?? LABELS[node.model],
    latencyNs: duration(source, [...path, 'latency'], node.latency ?? '0s', false),
    ...(node.directRegions === undefined
      ? {}
      : { directRegions: node.directRegions.map((one, i) => directRegion(source, [...path, 'directRegions', i], one)) }),
    ...(node.reservedRegions === undefined
      ? {}
      : { reservedRegions: node.reservedRegions.map((one, i) => reservedRegion(source, [...path, 'reservedRegions', i], one)) }),
    ...(node.deferAttach === undefined ? {} : { deferAttach: node.deferAttach }),
    ...(node.defaultDomain === undefined ? {} : { defaultDomain: node.defaultDomain }),
    ...(node.dmaAliases === undefined ? {} : { dmaAliases: readAliases(source, fn, all.placed) }),
    ...(node.untrusted === undefined ? {} : { untrusted: node.untrusted }),
    ...(reset === undefined ? {} : { reset }),
  };
}

function directRegion(source: Source, path: Path, region: NonNullable<FunctionNode['directRegions']>[number]): DirectRegion {
  const { address, bytes } = readRange(source, path, region, 'a direct region');
  return { address, bytes, relaxable: region.relaxable ?? false };
}

function reservedRegion(source: Source, path: Path, region: NonNullable<FunctionNode['reservedRegions']>[number]): ReservedRegion {
  return { ...readRange(source, path, region, 'a reserved region'), type: region.type };
}

function modelOf(model: FunctionModel): ModelName {
  return model === 'dma-probe' || model === 'edu' || model === 'remote' || model === 'replay' ? model : 'bridge';
}

function givenConfig(source: Source, fn: PlacedFunction): Uint8Array {
  const path = [...fn.path, 'config'];
  if (fn.node.config === undefined)
    refuse(source, [...fn.path, 'model'], 'a replay function needs config: the bytes that "lspci -xxxx" prints');
  const config = readHexConfig(fn.node.config);
  if (typeof config === 'string') refuse(source, path, config);
  return config;
}

/** Memory that a function with bytes of its own takes from power-up on. */
function broughtClaims(source: Source, fn: PlacedFunction): AddressClaim[] {
  if (fn.node.config === undefined || (fn.node.model !== 'replay' && fn.node.model !== 'remote')) return [];
  return claimsOf(fn.bdf, new ConfigSpace(givenConfig(source, fn)), 'memory');
}

/** What the builder refuses is about `capabilities`: whatever else it is given has been checked. */
function builtConfig(source: Source, fn: PlacedFunction, all: Whole): Uint8Array {
  try {
    return imageOf(fn, all);
  } catch (error) {
    if (error instanceof ModelError) refuse(source, [...fn.path, 'capabilities'], error.message, true);
    throw error;
  }
}

function imageOf(fn: PlacedFunction, { placed, choices, addresses }: Whole): Uint8Array {
  const { node, bdf, parent } = fn;
  const siblings = placed.some((other) => other !== fn && other.bdf >>> 3 === bdf >>> 3);
  const multiFunction = node.multifunction ?? siblings;
  const window = addresses.windows.get(bdf);
  const capabilities = choices.get(bdf) ?? {};
  switch (node.model) {
    case 'host-bridge':
      return hostBridgeConfig({ multiFunction });
    case 'root-port':
    case 'upstream-port':
    case 'downstream-port':
      return bridgeConfig({
        kind: node.model,
        primary: busOf(bdf),
        secondary: fn.secondary,
        subordinate: fn.subordinate,
        multiFunction,
        acs: node.acs ?? true,
        portNumber: node.model === 'upstream-port' ? 0 : deviceOf(bdf),
        empty: fn.children.length === 0,
        capabilities,
        ...(node.linkSpeed === undefined ? {} : { speed: 1 + LINK_SPEEDS.indexOf(node.linkSpeed) }),
        ...(window === undefined ? {} : { window }),
      });
    case 'edu': {
      const address = addresses.bars.get(bdf)?.[0];
      return eduConfig({ multiFunction, ...(address === undefined ? {} : { address }) });
    }
    case 'pcie-to-pci-bridge':
    case 'pci-bridge':
      return pciBridgeConfig({
        kind: node.model,
        primary: busOf(bdf),
        secondary: fn.secondary,
        subordinate: fn.subordinate,
        multiFunction,
        ...(window === undefined ? {} : { window }),
      });
    case 'dma-probe':
    case 'remote':
    case 'replay': {
      const bars = addresses.bars.get(bdf);
      const build = node.model === 'remote' ? remoteConfig : dmaProbeConfig;
      return build({
        integrated: parent === undefined,
        multiFunction,
        acs: node.acs ?? false,
        ats: node.ats ?? true,
        capabilities: conventionalBridge(fn) !== undefined ? { advancedFeatures: {}, ...capabilities, express: false } : capabilities,
        ...(node.interruptPin === undefined ? {} : { interruptPin: INTERRUPT_PINS.indexOf(node.interruptPin) + 1 }),
        ...(bars === undefined ? {} : { addresses: bars }),
      });
    }
  }
}

const PORTS: readonly FunctionModel[] = ['root-port', 'upstream-port', 'downstream-port', ...CONVENTIONAL];

/** Keys that mean something for some models only. */
const ONLY_FOR: readonly { readonly key: keyof FunctionNode; readonly models: readonly FunctionModel[] }[] = [
  { key: 'config', models: ['replay', 'remote'] },
  { key: 'ats', models: ['dma-probe', 'remote'] },
  { key: 'capabilities', models: ['dma-probe', 'remote', 'root-port', 'upstream-port', 'downstream-port'] },
  { key: 'acs', models: ['dma-probe', 'remote', 'root-port', 'downstream-port'] },
  { key: 'interruptPin', models: ['dma-probe', 'remote'] },
  { key: 'directRegions', models: ['dma-probe', 'edu', 'remote', 'replay'] },
  { key: 'reservedRegions', models: ['dma-probe', 'edu', 'remote', 'replay'] },
  { key: 'deferAttach', models: ['dma-probe', 'edu', 'remote', 'replay'] },
  { key: 'defaultDomain', models: ['dma-probe', 'edu', 'remote', 'replay'] },
  { key: 'untrusted', models: ['dma-probe', 'edu', 'remote', 'replay'] },
  { key: 'reset', models: ['dma-probe', 'edu', 'remote', 'replay', 'root-port', 'upstream-port', 'downstream-port'] },
  { key: 'linkSpeed', models: ['root-port', 'downstream-port'] },
  { key: 'latency', models: ['dma-probe', 'edu', 'remote', 'replay'] },
  { key: 'slot', models: ['root-port', 'downstream-port'] },
  { key: 'dmaAliases', models: ['dma-probe', 'edu', 'remote', 'replay'] },
  { key: 'window', models: PORTS },
  { key: 'vendor', models: ['remote'] },
  { key: 'device', models: ['remote'] },
  { key: 'class', models: ['remote'] },
  { key: 'revision', models: ['remote'] },
  { key: 'bars', models: ['remote'] },
];

/** What the bytes of `config` say already. */
const IN_CONFIG = ['ats', 'acs', 'multifunction', 'capabilities', 'interruptPin', 'vendor', 'device', 'class', 'revision', 'bars'] as const;

function checkOptions(source: Source, fn: PlacedFunction): void {
  const { node, path } = fn;
  for (const { key, models } of ONLY_FOR) {
    if (node[key] !== undefined && !models.includes(node.model)) {
      refuse(source, [...path, key], `${key} means nothing for ${node.model}; it is for ${models.join(', ')}`, true);
    }
  }
  const bridge = conventionalBridge(fn);
  if (bridge !== undefined) {
    for (const key of ['ats', 'acs'] as const) {
      if (node[key] === true)
        refuse(
          source,
          [...path, key],
          `${key} needs PCI Express, and ${formatBdf(fn.bdf)} is on a conventional bus below ${formatBdf(bridge.bdf)}`,
          true,
        );
    }
  }
  if (node.config === undefined) return;
  for (const key of IN_CONFIG) {
    if (node[key] !== undefined) refuse(source, [...path, key], `${key} is in the bytes of config; leave one of the two out`, true);
  }
}
