/** Reads the key `capabilities` of a function into what its image is built from. */
import { bdfFromNumber, busOf, formatBdf, functionOf, hexDigits, segmentOf } from '../../core/base/index.ts';
import { DEVICE, RESIZABLE_BAR_INDEX, type CapabilityChoices } from '../../core/pci/index.ts';
import { conventionalBridge, type PlacedFunction } from './bus-numbers.ts';
import { CapabilityReader } from './capability-reader.ts';
import { EXTENDED_KEYS, type CapabilitiesNode, type CapabilityKey } from './capability-schema.ts';
import { refuse, type Path, type Source } from './place.ts';
import type { FunctionModel } from './schema.ts';

const FUNCTIONS: readonly FunctionModel[] = ['dma-probe', 'remote'];
const PORTS: readonly FunctionModel[] = ['root-port', 'upstream-port', 'downstream-port'];
const SLOT_PORTS: readonly FunctionModel[] = ['root-port', 'downstream-port'];

/** Whose a capability can be, where it is not everybody's. */
const ONLY_FOR: Readonly<Partial<Record<CapabilityKey, readonly FunctionModel[]>>> = {
  ...Object.fromEntries(
    ['msix', 'af', 'pcix', 'ats', 'pri', 'pasid', 'ari', 'sriov', 'resizableBar', 'flr', 'express', 'ea'].map((key) => [key, FUNCTIONS]),
  ),
  acs: [...FUNCTIONS, ...SLOT_PORTS],
  slot: SLOT_PORTS,
  dpc: SLOT_PORTS,
  rrsVisibility: ['root-port'],
};

/** What the function's document chooses; `all`: every function of the document. A value that its register cannot hold is refused later. */
export function readCapabilities(source: Source, fn: PlacedFunction, all: readonly PlacedFunction[]): CapabilityChoices | undefined {
  const { node } = fn;
  if (node.capabilities === undefined) return undefined;
  const bridge = conventionalBridge(fn);
  const given: CapabilitiesNode = bridge === undefined ? node.capabilities : { ...node.capabilities, express: false };
  const path = [...fn.path, 'capabilities'];
  const why = bridge === undefined ? 'express: false' : `the conventional bus below ${formatBdf(bridge.bdf)}`;
  for (const key of Object.keys(given) as CapabilityKey[]) {
    const models = ONLY_FOR[key] ?? [...FUNCTIONS, ...PORTS];
    if (!models.includes(node.model))
      refuse(source, [...path, key], `${key} means nothing for ${node.model}; it is for ${models.join(', ')}`, true);
    if (given.express === false && EXTENDED_KEYS.includes(key) && given[key] !== false) {
      refuse(source, [...path, key], `${key} is an extended capability, and ${why} leaves no place for it`, true);
    }
  }
  refuseContradictions(source, path, fn, given);
  const choices = choicesOf(new CapabilityReader(source, path), fn, given, all);
  if (choices.sriov) checkVirtualFunctions(source, [...path, 'sriov'], fn, all, choices.sriov);
  return choices;
}

function refuseContradictions(source: Source, path: Path, { node }: PlacedFunction, given: CapabilitiesNode): void {
  const twice: readonly (readonly [CapabilityKey, 'ats' | 'acs'])[] = [
    ['ats', 'ats'],
    ['pri', 'ats'],
    ['pasid', 'ats'],
    ['acs', 'acs'],
  ];
  for (const [key, own] of twice) {
    if (given[key] !== undefined && node[own] !== undefined) {
      refuse(source, [...path, key], `${key} is said by the function's own "${own}" too; leave one of the two out`, true);
    }
  }
  if (given.pcix !== undefined && given.pcix !== false && given.express !== false) {
    refuse(source, [...path, 'pcix'], 'pcix is for a conventional function: add express: false', true);
  }
  if (given.express === false && given.flr === true) {
    refuse(source, [...path, 'flr'], 'flr is of PCI Express; a conventional function has af', true);
  }
  if (given.ats === false && given.pri !== undefined && given.pri !== false) {
    refuse(source, [...path, 'pri'], 'pri asks for translations, and ats: false leaves none to ask for', true);
  }
}

function choicesOf(read: CapabilityReader, fn: PlacedFunction, given: CapabilitiesNode, all: readonly PlacedFunction[]): CapabilityChoices {
  const { node } = fn;
  const root = node.model === 'root-port';
  const virtualDevice = node.model === 'remote' ? DEVICE.remoteVirtual : DEVICE.probeVirtual;
  const choices: Record<string, unknown> = {
    power: read.power(given.pm, given.immediateReadiness ?? false),
    msi: read.msi(given.msi),
    msix: read.msix(given.msix),
    advancedFeatures: read.plain('af', given.af),
    vitalProductData: read.vitalProductData(given.vpd),
    pcix: read.plain('pcix', given.pcix),
    subsystem: read.subsystem(given.ssvid),
    vendorSpecific: read.vendorSpecific(given.vendorSpecific),
    enhancedAllocation: read.allocation(given.ea),
    aer: read.plain('aer', given.aer),
    acs: read.acs(given.acs),
    ats: read.ats(given.ats),
    pri: given.ats === false ? false : read.pri(given.pri),
    pasid: read.pasid(given.pasid),
    ari: read.ari(given.ari ?? (given.sriov === undefined || fn.parent === undefined ? undefined : true), nextFunction(fn, all)),
    sriov: read.sriov(given.sriov, functionOf(fn.bdf), virtualDevice),
    resizableBar: read.resizable(given.resizableBar, RESIZABLE_BAR_INDEX),
    ltr: read.ltr(given.ltr),
    serialNumber: read.serialNumber(given.serialNumber),
    dpc: read.dpc(given.dpc, root),
    timeMeasurement: read.plain('ptm', given.ptm),
    designatedVendor: read.designatedVendor(given.dvsec),
    vendorExtended: read.vendorExtended(given.vsec),
    express: given.express,
    flr: given.flr,
    immediateReadiness: given.immediateReadiness,
    rrsVisibility: given.rrsVisibility,
    slot: read.slot(given.slot),
  };
  for (const [key, value] of Object.entries(choices)) if (value === undefined) delete choices[key];
  return choices;
}

/** The function of the same device with the next higher number; 0 after the last (PCIe Base r6.0 §7.8.8.2). */
function nextFunction(fn: PlacedFunction, all: readonly PlacedFunction[]): number {
  const numbers = all.filter((other) => other.bdf >>> 3 === fn.bdf >>> 3 && other.bdf > fn.bdf).map((other) => functionOf(other.bdf));
  return numbers.length === 0 ? 0 : Math.min(...numbers);
}

/** Virtual functions have routing IDs, which must be on buses that lead here and belong to no other function. */
function checkVirtualFunctions(
  source: Source,
  path: Path,
  fn: PlacedFunction,
  all: readonly PlacedFunction[],
  sriov: { readonly functions: number; readonly firstOffset: number; readonly stride: number },
): void {
  const self = formatBdf(fn.bdf);
  const first = fn.bdf + sriov.firstOffset;
  const last = first + (sriov.functions - 1) * sriov.stride;
  // Software finds a function on another bus only behind a bridge that leads there, and a root bus has no bridge above it.
  const { parent } = fn;
  const lastBus = parent === undefined ? busOf(fn.bdf) : parent.subordinate;
  if (last >>> 8 > (segmentOf(fn.bdf) << 8) + lastBus) {
    const bus = hexDigits(busOf(fn.bdf), 2);
    const where = parent === undefined ? `root bus ${bus}` : `the buses below ${formatBdf(parent.bdf)}`;
    const reach = last >>> 16 === segmentOf(fn.bdf) ? formatBdf(bdfFromNumber(last)) : 'the end of the segment';
    refuse(source, path, `the ${sriov.functions} virtual functions of ${self} reach ${reach}, which is beyond ${where}`);
  }
  for (const other of all) {
    if (other.bdf < first || other.bdf > last || (other.bdf - first) % sriov.stride !== 0) continue;
    const index = (other.bdf - first) / sriov.stride + 1;
    const there = `where ${source.locate(other.path)} has a function`;
    refuse(source, path, `virtual function ${index} of ${self} would be at ${formatBdf(other.bdf)}, ${there}`);
  }
}
