/**
 * A machine as the folders that `/sys/bus/pci` and `/sys/kernel/iommu_groups` would have on it. The top is `/sys/bus/pci` for who looks for `devices`
 * there (`lspci -O sysfs.path=…`), and by `bus/pci`, which leads back to it, the root of a sysfs too.
 */
import { posix } from 'node:path';
import { busOf, hexDigits, segmentOf, type Bdf } from '../core/base/index.ts';
import { ConfigSpace, Topology, sysfsFiles, sysfsName, sysfsSlot, type SysfsFunction, type SysfsRegion } from '../core/pci/index.ts';
import { place } from './submit.ts';

/** One function, its address as text. */
export interface ShownFunction {
  /** `00:02.0`. */
  readonly function: string;
  readonly config: Uint8Array;
  readonly regions: readonly SysfsRegion[];
  readonly resetMethods: readonly string[];
  /** Of a virtual function: the physical one, `00:02.0`. */
  readonly physicalFunction?: string | undefined;
  /** Undefined: the machine has no IOMMU. */
  readonly group: number | undefined;
  readonly reservedRegions: readonly { readonly address: bigint; readonly bytes: bigint; readonly type: string }[];
}

export interface ShownGroup {
  readonly group: number;
  /** As a group's `type` has it, in lower case; undefined without a default domain. */
  readonly defaultType: string | undefined;
}

/** What is at a path: a file's contents, or where a link leads. Folders follow from the paths. */
export type SysfsEntry =
  | { readonly path: string; readonly contents: string | Uint8Array; readonly writeOnly: boolean }
  | { readonly path: string; readonly link: string };

/** Every file and link, files of a folder before the links to it. */
export function sysfsTree(functions: readonly ShownFunction[], groups: readonly ShownGroup[]): readonly SysfsEntry[] {
  const shown = functions.map((fn) => {
    const physical = functions.find((other) => other.function === fn.physicalFunction)?.config;
    return { ...fn, bdf: place(fn.function), ...(physical === undefined ? {} : { physical }) };
  });
  const folderOf = folders(shown);
  const entries: SysfsEntry[] = [link('bus/pci', '.')];
  for (const fn of shown) {
    const folder = folderOf(fn.bdf);
    for (const [name, contents] of sysfsFiles(fn)) entries.push(file(`${folder}/${name}`, contents, name === 'reset'));
    entries.push(link(`devices/${sysfsName(fn.bdf)}`, folder), link(`${folder}/subsystem`, 'bus/pci'));
    if (fn.group !== undefined) {
      const group = `kernel/iommu_groups/${fn.group}`;
      entries.push(link(`${folder}/iommu_group`, group), link(`${group}/devices/${sysfsName(fn.bdf)}`, folder));
    }
  }
  for (const group of groups) entries.push(...groupFiles(group, shown));
  return [...entries, ...virtualLinks(shown, folderOf), ...slotFiles(shown)];
}

/** `physfn` of a virtual function, and back `virtfnN` by number (drivers/pci/iov.c). */
function virtualLinks(functions: readonly (ShownFunction & SysfsFunction)[], folderOf: (at: Bdf) => string): readonly SysfsEntry[] {
  const counts = new Map<string, number>();
  return functions.flatMap(({ bdf, physicalFunction }) => {
    if (physicalFunction === undefined) return [];
    const physical = folderOf(place(physicalFunction));
    const number = counts.get(physicalFunction) ?? 0;
    counts.set(physicalFunction, number + 1);
    return [link(`${folderOf(bdf)}/physfn`, physical), link(`${physical}/virtfn${number}`, folderOf(bdf))];
  });
}

/** A number that a second slot has too gets a suffix (drivers/pci/slot.c, make_slot_name). */
function slotFiles(functions: readonly SysfsFunction[]): readonly SysfsEntry[] {
  const taken = new Map<number, number>();
  return functions.flatMap((fn) => {
    const found = sysfsSlot(fn);
    if (found === undefined) return [];
    const { slot, address } = found;
    const before = taken.get(slot) ?? 0;
    taken.set(slot, before + 1);
    return [file(`slots/${slot}${before === 0 ? '' : `-${before}`}/address`, `${address}\n`)];
  });
}

/** A folder within that of the bridge above, as in `/sys/devices`: programs read the hierarchy off a function's real path. */
function folders(functions: readonly SysfsFunction[]): (at: Bdf) => string {
  const topology = new Topology(functions.map(({ bdf, config }) => ({ bdf, config: new ConfigSpace(config) })));
  return (at) => {
    const path = [at, ...topology.pathUp(at)].toReversed();
    const top = path[0] ?? at;
    return [`pci${hexDigits(segmentOf(top), 4)}:${hexDigits(busOf(top), 2)}`, ...path.map(sysfsName)].join('/');
  };
}

/** `type` and `reserved_regions` (drivers/iommu/iommu.c); regions that members share are told once. */
function groupFiles({ group, defaultType }: ShownGroup, functions: readonly ShownFunction[]): readonly SysfsEntry[] {
  const hex = (value: bigint): string => `0x${value.toString(16).padStart(16, '0')}`;
  const regions = functions
    .filter((fn) => fn.group === group)
    .flatMap((fn) => fn.reservedRegions)
    .toSorted((a, b) => (a.address < b.address ? -1 : a.address > b.address ? 1 : a.type < b.type ? -1 : 1))
    .map(({ address, bytes, type }) => `${hex(address)} ${hex(address + bytes - 1n)} ${type}\n`);
  const folder = `kernel/iommu_groups/${group}`;
  return [
    file(`${folder}/reserved_regions`, [...new Set(regions)].join('')),
    file(
      `${folder}/type`,
      `${defaultType === undefined ? 'unknown' : defaultType === 'identity' ? 'identity' : defaultType.toUpperCase()}\n`,
    ),
  ];
}

function file(path: string, contents: string | Uint8Array, writeOnly = false): SysfsEntry {
  return { path, contents, writeOnly };
}

/** Relative, so that the tree may be moved. */
function link(path: string, to: string): SysfsEntry {
  return { path, link: posix.relative(posix.dirname(path), to) };
}
