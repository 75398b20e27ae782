/**
 * Which function is below which bridge, by what requester IDs the IOMMU knows it, and which functions an IOMMU cannot tell or keep apart. What is
 * wired to what is as bridges' bus numbers say it at power-up: writing others moves no function (config-route.ts goes by these).
 */
import { ModelError, bdf, bdfFromNumber, busOf, formatBdf, functionOf, segmentOf, type Bdf, type StateFields } from '../base/index.ts';
import { PORT_TYPE } from './capability-body.ts';
import type { ConfigSpace } from './config-space.ts';

export interface TopologyFunction {
  readonly bdf: Bdf;
  readonly config: ConfigSpace;
  /** Requester IDs on its bus that it uses in place of its own, the first for all that it issues (pci_add_dma_alias). */
  readonly dmaAliases?: readonly Bdf[];
}

const FUNCTIONS_PER_DEVICE = 8;

export class Topology {
  readonly #functions: readonly TopologyFunction[];
  readonly #byBdf = new Map<Bdf, TopologyFunction>();
  /** Of bridges, at power-up. */
  readonly #buses = new Map<Bdf, { readonly secondary: number; readonly subordinate: number }>();
  /** Key: segment and bus, packed as in a Bdf. */
  readonly #bridgeOfBus = new Map<number, TopologyFunction | undefined>();
  readonly #paths = new Map<Bdf, readonly Bdf[]>();
  /** By the bridge above; the key of a root bus's functions is {@link rootKey}. */
  readonly #below = new Map<number, TopologyFunction[]>();
  #onRoots: readonly TopologyFunction[] | undefined;

  /** In any order; two functions at one address are `EINVAL`. Bridges that `before` has are wired as there. */
  constructor(functions: readonly TopologyFunction[], before?: Topology) {
    this.#functions = [...functions].sort((a, b) => a.bdf - b.bdf);
    for (const fn of this.#functions) {
      if (this.#byBdf.has(fn.bdf)) {
        throw new ModelError('EINVAL', `two functions at ${formatBdf(fn.bdf)}; an address holds one`, 'functions');
      }
      this.#byBdf.set(fn.bdf, fn);
      const { isBridge, secondaryBus: secondary, subordinateBus: subordinate } = fn.config;
      if (isBridge) this.#buses.set(fn.bdf, before?.busesAt(fn.bdf) ?? { secondary, subordinate });
    }
    for (const fn of this.#functions) {
      const key = this.#parent(fn.bdf)?.bdf ?? rootKey(fn.bdf);
      const list = this.#below.get(key);
      if (list === undefined) this.#below.set(key, [fn]);
      else list.push(fn);
    }
  }

  /** Of a bridge, as wired. */
  busesAt(at: Bdf): { readonly secondary: number; readonly subordinate: number } | undefined {
    return this.#buses.get(at);
  }

  /** How bridges are wired; the rest follows from that and from who is there. */
  state(fields: StateFields): void {
    fields.keep('buses', this.#buses);
  }

  has(at: Bdf): boolean {
    return this.#byBdf.has(at);
  }

  /** The bridge whose secondary side the function is on; undefined on a root bus, and where no bridge claims the bus. */
  parentBridge(at: Bdf): Bdf | undefined {
    return this.#parent(at)?.bdf;
  }

  /** Bridges from the nearest to the root. */
  pathUp(at: Bdf): readonly Bdf[] {
    const known = this.#paths.get(at);
    if (known !== undefined) return known;
    const path: Bdf[] = [];
    // Ends: a parent's own bus number is below its secondary one.
    for (let bridge = this.#parent(at); bridge !== undefined; bridge = this.#parent(bridge.bdf)) path.push(bridge.bdf);
    this.#paths.set(at, path);
    return path;
  }

  /** Other functions of the same device, by number. */
  slotSiblings(at: Bdf): readonly Bdf[] {
    const siblings: Bdf[] = [];
    for (let number = 0; number < FUNCTIONS_PER_DEVICE; number++) {
      const sibling = bdfFromNumber((at & ~(FUNCTIONS_PER_DEVICE - 1)) | number);
      if (sibling !== at && this.#byBdf.has(sibling)) siblings.push(sibling);
    }
    return siblings;
  }

  /** Functions directly below a bridge, by address. */
  children(bridge: Bdf): readonly Bdf[] {
    return this.functionsBelow(bridge).map((fn) => fn.bdf);
  }

  /** The same as they are. */
  functionsBelow(bridge: Bdf): readonly TopologyFunction[] {
    return this.#below.get(bridge) ?? NO_FUNCTIONS;
  }

  /** Functions of a root bus, by address. */
  functionsOnRoot(segment: number, bus: number): readonly TopologyFunction[] {
    return this.#below.get(rootKey(bdf(segment, bus, 0, 0))) ?? NO_FUNCTIONS;
  }

  /** Functions of all root buses, by address. */
  onRoots(): readonly TopologyFunction[] {
    return (this.#onRoots ??= this.#functions.filter((fn) => this.#parent(fn.bdf) === undefined));
  }

  /** The root bus that bus numbers from `bus` down come to first, which is the one whose host bridge has them; undefined without one. */
  rootBusOf(segment: number, bus: number): number | undefined {
    let found: number | undefined;
    for (const { bdf: at } of this.onRoots()) {
      if (segmentOf(at) === segment && busOf(at) <= bus) found = busOf(at);
    }
    return found;
  }

  /**
   * Other requester IDs under which an IOMMU may meet what the function issues, in the order of Linux's pci_for_each_dma_alias: its own other ones,
   * then what bridges to conventional PCI put in their place, the topmost last.
   */
  dmaAliases(at: Bdf): readonly Bdf[] {
    const aliases = [...(this.#byBdf.get(at)?.dmaAliases ?? [])];
    for (const bridge of this.pathUp(at)) {
      const alias = this.#takenOver(bridge);
      if (alias !== undefined && alias !== at && !aliases.includes(alias)) aliases.push(alias);
    }
    return aliases;
  }

  /** What its requests bear when they come to the root: its own number, its first other one, or that of the topmost bridge which takes them over. */
  requesterId(at: Bdf): Bdf {
    let id = this.#byBdf.get(at)?.dmaAliases?.[0] ?? at;
    for (const bridge of this.pathUp(at)) id = this.#takenOver(bridge) ?? id;
    return id;
  }

  /** Buses that have functions and no bridge above them, as (segment, bus), in order. */
  rootBuses(): readonly { readonly segment: number; readonly bus: number }[] {
    const keys = new Set(this.#functions.filter((fn) => this.#parent(fn.bdf) === undefined).map((fn) => fn.bdf >>> 8));
    return [...keys].sort((a, b) => a - b).map((key) => ({ segment: key >>> 8, bus: key & 0xff }));
  }

  /**
   * Functions that must share a domain, as Linux's pci_device_group finds them (drivers/iommu/iommu.c), but by joining, so that the
   * result does not depend on the order of discovery. As there, ports of one switch are not joined for lack of ACS alone. Groups by their first member, members by address.
   */
  isolationGroups(): readonly (readonly Bdf[])[] {
    const groups = new DisjointSets(this.#functions.map((fn) => fn.bdf));
    for (const fn of this.#functions) {
      for (const alias of fn.dmaAliases ?? []) if (this.#byBdf.has(alias)) groups.join(fn.bdf, alias);
      const top = this.#joinUpstream(fn, groups);
      if (!this.#isMultiFunction(top) || this.#isolates(top)) continue;
      for (const sibling of this.slotSiblings(top.bdf)) {
        const other = this.#byBdf.get(sibling);
        if (other !== undefined && !this.#isolates(other)) groups.join(top.bdf, sibling);
      }
    }
    return groups.sets();
  }

  /**
   * Joins the function with the bridges up to where peers can no longer be reached without passing an isolating port
   * (pci_acs_path_enabled); returns the topmost one, or the function. A bridge to conventional PCI, which puts its own requester ID on
   * what passes, never isolates, so this reaches it too.
   */
  #joinUpstream(fn: TopologyFunction, groups: DisjointSets): TopologyFunction {
    let top = fn;
    const path = this.pathUp(fn.bdf).map((at) => this.#byBdf.get(at)!);
    for (const [i, bridge] of path.entries()) {
      if (path.slice(i).every((above) => this.#isolates(above))) break;
      groups.join(fn.bdf, bridge.bdf);
      top = bridge;
    }
    return top;
  }

  /** pci_acs_enabled with SV, RR, CR and UF. */
  #isolates(fn: TopologyFunction): boolean {
    switch (fn.config.portType) {
      case PORT_TYPE.none:
      case PORT_TYPE.pciToExpress:
      case PORT_TYPE.expressToPci:
      case PORT_TYPE.eventCollector:
        return false;
      case PORT_TYPE.rootPort:
      case PORT_TYPE.downstreamPort:
        return fn.config.acsEnabledRedirect;
      case PORT_TYPE.endpoint:
      case PORT_TYPE.legacyEndpoint:
      case PORT_TYPE.upstreamPort:
      case PORT_TYPE.integratedEndpoint:
        return !this.#isMultiFunction(fn) || fn.config.acsEnabledRedirect;
      default:
        return true;
    }
  }

  #isMultiFunction(fn: TopologyFunction): boolean {
    // What stands for a function number in a virtual function's routing ID says nothing of other functions (pci_iov_add_virtfn).
    return !fn.config.isVirtual && (fn.config.multiFunction || functionOf(fn.bdf) > 0);
  }

  #parent(at: Bdf): TopologyFunction | undefined {
    const key = at >>> 8;
    if (this.#bridgeOfBus.has(key)) return this.#bridgeOfBus.get(key);
    const found = this.#findBridge(segmentOf(at), busOf(at));
    this.#bridgeOfBus.set(key, found);
    return found;
  }

  /**
   * The requester ID that a bridge puts on what passes it: of PCIe to PCI its secondary bus, device 0, function 0 (PCIe to PCI/PCI-X Bridge r1.0 §2.3);
   * of a conventional bridge its own, for there is none on such a bus. Undefined: it lets them be.
   */
  #takenOver(bridge: Bdf): Bdf | undefined {
    const { portType } = this.#byBdf.get(bridge)!.config;
    if (portType === PORT_TYPE.expressToPci) return bdf(segmentOf(bridge), this.#buses.get(bridge)!.secondary, 0, 0);
    return portType === PORT_TYPE.none || portType === PORT_TYPE.pciToExpress ? bridge : undefined;
  }

  /** The bridge with the closest secondary bus among those whose range holds `bus`. */
  #findBridge(segment: number, bus: number): TopologyFunction | undefined {
    let found: TopologyFunction | undefined;
    let closest = -1;
    for (const [at, { secondary, subordinate }] of this.#buses) {
      if (segmentOf(at) !== segment || secondary <= busOf(at) || bus < secondary || bus > subordinate || secondary <= closest) continue;
      closest = secondary;
      found = this.#byBdf.get(at);
    }
    return found;
  }
}

const NO_FUNCTIONS: readonly TopologyFunction[] = [];

/** Beyond every Bdf, so that it is no bridge's key. */
function rootKey(at: Bdf): number {
  return 2 ** 32 + (at >>> 8);
}

class DisjointSets {
  readonly #parent: Map<Bdf, Bdf>;

  constructor(members: readonly Bdf[]) {
    this.#parent = new Map(members.map((at) => [at, at]));
  }

  join(a: Bdf, b: Bdf): void {
    const first = this.#root(a);
    const second = this.#root(b);
    if (first !== second) this.#parent.set(first < second ? second : first, first < second ? first : second);
  }

  sets(): readonly (readonly Bdf[])[] {
    const byRoot = new Map<Bdf, Bdf[]>();
    for (const at of this.#parent.keys()) {
      const root = this.#root(at);
      const set = byRoot.get(root);
      if (set === undefined) byRoot.set(root, [at]);
      else set.push(at);
    }
    return [...byRoot.values()];
  }

  #root(at: Bdf): Bdf {
    let root = at;
    for (let up = this.#parent.get(root)!; up !== root; up = this.#parent.get(root)!) root = up;
    return root;
  }
}
