/**
 * Which function is below which bridge, and which functions an IOMMU cannot tell or keep apart. Bridges say it themselves, by their
 * secondary and subordinate bus numbers.
 */
import { ModelError, bdfFromNumber, busOf, formatBdf, functionOf, segmentOf, type Bdf } from '../base/index.ts';
import { PORT_TYPE } from './capability-body.ts';
import type { ConfigSpace } from './config-space.ts';

export interface TopologyFunction {
  readonly bdf: Bdf;
  readonly config: ConfigSpace;
}

const FUNCTIONS_PER_DEVICE = 8;

export class Topology {
  readonly #functions: readonly TopologyFunction[];
  readonly #byBdf = new Map<Bdf, TopologyFunction>();
  /** Key: segment and bus, packed as in a Bdf. */
  readonly #bridgeOfBus = new Map<number, TopologyFunction | undefined>();
  readonly #paths = new Map<Bdf, readonly Bdf[]>();

  /** In any order; two functions at one address are `EINVAL`. */
  constructor(functions: readonly TopologyFunction[]) {
    this.#functions = [...functions].sort((a, b) => a.bdf - b.bdf);
    for (const fn of this.#functions) {
      if (this.#byBdf.has(fn.bdf)) {
        throw new ModelError('EINVAL', `two functions at ${formatBdf(fn.bdf)}; an address holds one`, 'functions');
      }
      this.#byBdf.set(fn.bdf, fn);
    }
  }

  /** To be called when a bridge's bus numbers were written (CONFIG_EFFECT.routing). */
  refresh(): void {
    this.#bridgeOfBus.clear();
    this.#paths.clear();
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
    return this.#functions.filter((fn) => this.#parent(fn.bdf)?.bdf === bridge).map((fn) => fn.bdf);
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

  /** The bridge with the closest secondary bus among those whose range holds `bus`. */
  #findBridge(segment: number, bus: number): TopologyFunction | undefined {
    let found: TopologyFunction | undefined;
    for (const fn of this.#functions) {
      const { isBridge, secondaryBus, subordinateBus } = fn.config;
      if (!isBridge || segmentOf(fn.bdf) !== segment || secondaryBus <= busOf(fn.bdf)) continue;
      if (bus < secondaryBus || bus > subordinateBus) continue;
      if (found === undefined || secondaryBus > found.config.secondaryBus) found = fn;
    }
    return found;
  }
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
