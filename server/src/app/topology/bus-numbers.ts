/**
 * Gives every port its bus numbers and every function its address, depth first in the order of addresses, as an enumerating kernel
 * does; so the order of the document does not matter.
 */
import { bdf, formatBdf, hexDigits, type Bdf } from '../../core/base/index.ts';
import type { PlugPort } from '../../core/machine/index.ts';
import { refuse, type Path, type Source } from './place.ts';
import type { FunctionModel, FunctionNode } from './schema.ts';

export interface PlacedFunction {
  readonly bdf: Bdf;
  readonly node: FunctionNode;
  readonly path: Path;
  /** The port above; undefined on a root bus. */
  readonly parent: PlacedFunction | undefined;
  /** By address. */
  readonly children: readonly PlacedFunction[];
  /** Of a port; 0 otherwise. */
  readonly secondary: number;
  readonly subordinate: number;
}

/** Bridges below which is conventional PCI. */
export const CONVENTIONAL: readonly FunctionModel[] = ['pcie-to-pci-bridge', 'pci-bridge'];

/** The bridge whose conventional bus the function is on, if it is. */
export function conventionalBridge({ parent }: PlacedFunction): PlacedFunction | undefined {
  return parent !== undefined && CONVENTIONAL.includes(parent.node.model) ? parent : undefined;
}

interface Entry {
  readonly node: FunctionNode;
  readonly path: Path;
  readonly segment: number | undefined;
  readonly bus: number | undefined;
  readonly device: number;
  readonly fn: number;
}

/** Models that may be directly below each port. A link leads to one device, so below a link everything is device 0. */
const BELOW: Readonly<Partial<Record<FunctionModel, readonly FunctionModel[]>>> = {
  'root-port': ['upstream-port', 'pcie-to-pci-bridge', 'dma-probe', 'edu', 'remote', 'replay'],
  'downstream-port': ['upstream-port', 'pcie-to-pci-bridge', 'dma-probe', 'edu', 'remote', 'replay'],
  'upstream-port': ['downstream-port'],
  'pcie-to-pci-bridge': ['pci-bridge', 'dma-probe', 'edu', 'remote', 'replay'],
  'pci-bridge': ['pci-bridge', 'dma-probe', 'edu', 'remote', 'replay'],
};
const ON_ROOT_BUS: readonly FunctionModel[] = ['host-bridge', 'root-port', 'pci-bridge', 'dma-probe', 'edu', 'remote', 'replay'];
/** Ports whose secondary side is a link. */
const ABOVE_LINK: readonly FunctionModel[] = ['root-port', 'downstream-port'];

const BUS_MAX = 0xff;
const ADDRESS = /^(?:(?:([0-9a-f]{4}):)?([0-9a-f]{2}):)?([01][0-9a-f])\.([0-7])$/i;

/** Every function of the document, parents before children. What cannot be is `EINVAL` naming the lines. */
export function placeFunctions(source: Source, nodes: readonly FunctionNode[]): PlacedFunction[] {
  return new Placing(source).run(nodes);
}

/** The same of functions below a port that there is. Buses beyond the port's are `EINVAL` naming both. */
export function placeBelow(source: Source, nodes: readonly FunctionNode[], segment: number, port: PlugPort): PlacedFunction[] {
  return new Placing(source).runBelow(nodes, segment, port);
}

class Placing {
  readonly #source: Source;
  readonly #placed: PlacedFunction[] = [];
  readonly #pathOf = new Map<Bdf, Path>();
  /** Buses of the document's first level: segment and bus, packed as in a Bdf. */
  readonly #rootBuses = new Map<number, Path>();
  /** Highest bus number given so far. */
  #last = 0;
  /** Whose it is; undefined: a root bus. */
  #lastPort: Bdf | undefined;

  constructor(source: Source) {
    this.#source = source;
  }

  run(nodes: readonly FunctionNode[]): PlacedFunction[] {
    const entries = nodes.map((node, i) => this.#entry(node, ['functions', i]));
    for (const entry of entries) {
      if (entry.bus === undefined) {
        refuse(
          this.#source,
          [...entry.path, 'address'],
          `${entry.node.address} has no bus; on a root bus write "00:${entry.node.address}"`,
        );
      }
      const key = ((entry.segment ?? 0) << 8) | entry.bus;
      if (!this.#rootBuses.has(key)) this.#rootBuses.set(key, [...entry.path, 'address']);
    }
    for (const key of [...this.#rootBuses.keys()].sort((a, b) => a - b)) {
      this.#last = key & BUS_MAX;
      this.#lastPort = undefined;
      const here = entries.filter((entry) => (((entry.segment ?? 0) << 8) | (entry.bus ?? 0)) === key);
      this.#placeBus(here, key >>> 8, key & BUS_MAX, undefined, []);
    }
    return this.#placed;
  }

  runBelow(nodes: readonly FunctionNode[], segment: number, port: PlugPort): PlacedFunction[] {
    const { bdf: at, kind: model, secondary, subordinate } = port;
    const entries = nodes.map((node, i) => this.#entry(node, ['functions', i]));
    for (const { bus, segment: own, path, node } of entries) {
      if ((bus === undefined || bus === secondary) && (own === undefined || own === segment)) continue;
      refuse(
        this.#source,
        [...path, 'address'],
        `${node.address} is not on bus ${hexDigits(secondary, 2)}, which is below ${formatBdf(at)}`,
      );
    }
    this.#last = secondary;
    const above = { bdf: at, node: { address: formatBdf(at), model }, path: [], parent: undefined, children: [], secondary, subordinate };
    this.#placeBus(entries, segment, secondary, above, []);
    if (this.#last > subordinate) {
      const needed = `buses up to ${hexDigits(this.#last, 2)}`;
      refuse(this.#source, ['functions'], `they need ${needed}; those of ${formatBdf(at)} end with ${hexDigits(subordinate, 2)}`);
    }
    return this.#placed;
  }

  #entry(node: FunctionNode, path: Path): Entry {
    const match = ADDRESS.exec(node.address);
    if (match === null) refuse(this.#source, [...path, 'address'], `"${node.address}" is not an address; write it as "00:02.0"`);
    const number = (text: string | undefined): number | undefined => (text === undefined ? undefined : Number.parseInt(text, 16));
    return { node, path, segment: number(match[1]), bus: number(match[2]), device: number(match[3]) ?? 0, fn: number(match[4]) ?? 0 };
  }

  #placeBus(entries: readonly Entry[], segment: number, bus: number, parent: PlacedFunction | undefined, siblings: PlacedFunction[]): void {
    const ordered = [...entries].sort((a, b) => a.device - b.device || a.fn - b.fn);
    for (const entry of ordered) this.#claim(entry, segment, bus);
    for (const entry of ordered) {
      this.#checkPlace(entry, parent, ordered);
      siblings.push(this.#place(entry, segment, bus, parent));
    }
  }

  #claim(entry: Entry, segment: number, bus: number): void {
    const at = bdf(segment, bus, entry.device, entry.fn);
    const other = this.#pathOf.get(at);
    const path = [...entry.path, 'address'];
    if (other !== undefined)
      refuse(this.#source, path, `${formatBdf(at)} is already on ${this.#source.locate(other)}; an address holds one function`);
    this.#pathOf.set(at, path);
  }

  #place(entry: Entry, segment: number, bus: number, parent: PlacedFunction | undefined): PlacedFunction {
    const { node, path } = entry;
    const at = bdf(segment, bus, entry.device, entry.fn);
    if (BELOW[node.model] === undefined) {
      if (node.children !== undefined) refuse(this.#source, [...path, 'children'], `${node.model} is no port; it has no children`, true);
      if (node.bus !== undefined) refuse(this.#source, [...path, 'bus'], `${node.model} is no port; it has no secondary bus`, true);
      const leaf = { bdf: at, node, path, parent, children: [], secondary: 0, subordinate: 0 };
      this.#placed.push(leaf);
      return leaf;
    }
    const entries = (node.children ?? []).map((child, i) => this.#entry(child, [...path, 'children', i]));
    const secondary = this.#secondaryBus(entry, entries, segment);
    this.#last = secondary;
    this.#lastPort = at;
    const children: PlacedFunction[] = [];
    const port = { bdf: at, node, path, parent, children, secondary, subordinate: secondary };
    this.#placed.push(port);
    this.#placeBus(entries, segment, secondary, port, children);
    this.#last = Math.max(this.#last, secondary + (node.slot?.buses ?? 0));
    if (this.#last > BUS_MAX) refuse(this.#source, [...path, 'slot', 'buses'], 'no bus numbers are left for this slot; a segment has 256');
    port.subordinate = this.#last;
    return port;
  }

  /** The port's own wish, else that of its children's addresses, else the next number. */
  #secondaryBus(port: Entry, children: readonly Entry[], segment: number): number {
    let wish = port.node.bus === undefined ? undefined : Number.parseInt(port.node.bus, 16);
    let path: Path = [...port.path, port.node.bus === undefined ? 'model' : 'bus'];
    for (const child of children) {
      if (child.segment !== undefined && child.segment !== segment) {
        refuse(this.#source, [...child.path, 'address'], `${child.node.address} is in another segment than the port above it`);
      }
      if (child.bus === undefined) continue;
      if (wish !== undefined && child.bus !== wish) {
        refuse(
          this.#source,
          [...child.path, 'address'],
          `${child.node.address} is below a port whose secondary bus is ${hexDigits(wish, 2)}`,
        );
      }
      if (wish === undefined) path = [...child.path, 'address'];
      wish = child.bus;
    }
    const bus = wish ?? this.#last + 1;
    if (bus > BUS_MAX) refuse(this.#source, path, 'no bus number is left for this port; a segment has 256');
    if (bus <= this.#last) {
      refuse(
        this.#source,
        path,
        `bus ${hexDigits(bus, 2)} is not above ${hexDigits(this.#last, 2)}, the last one given${this.#lastText()}; ports are numbered depth first`,
      );
    }
    for (let between = this.#last + 1; between <= bus; between++) {
      const root = this.#rootBuses.get((segment << 8) | between);
      if (root === undefined) continue;
      refuse(
        this.#source,
        path,
        `bus ${hexDigits(between, 2)} would be below this port, but ${this.#source.locate(root)} has it as a root bus; move that function into children`,
      );
    }
    return bus;
  }

  #lastText(): string {
    const path = this.#lastPort === undefined ? undefined : this.#pathOf.get(this.#lastPort);
    return path === undefined || this.#lastPort === undefined ? '' : ` (to ${formatBdf(this.#lastPort)} on ${this.#source.locate(path)})`;
  }

  #checkPlace(entry: Entry, parent: PlacedFunction | undefined, onBus: readonly Entry[]): void {
    const { node, path } = entry;
    const allowed = parent === undefined ? ON_ROOT_BUS : (BELOW[parent.node.model] ?? []);
    if (!allowed.includes(node.model)) {
      const where = parent === undefined ? 'on a root bus' : `below ${article(parent.node.model)}`;
      refuse(this.#source, [...path, 'model'], `${article(node.model)} cannot be ${where}; what can is ${allowed.join(', ')}`);
    }
    if (parent !== undefined && ABOVE_LINK.includes(parent.node.model) && entry.device !== 0) {
      refuse(this.#source, [...path, 'address'], `${node.address} is at the end of a link, where everything is device 00`);
    }
    if (entry.fn > 0 && !onBus.some((other) => other.device === entry.device && other.fn === 0)) {
      refuse(this.#source, [...path, 'address'], `${node.address} has no function 0 beside it; software finds no device without one`);
    }
    if (node.multifunction === false && onBus.some((other) => other.device === entry.device && other !== entry)) {
      refuse(this.#source, [...path, 'multifunction'], `${node.address} has other functions beside it and must be multifunction`);
    }
  }
}

function article(model: FunctionModel): string {
  return `${model === 'upstream-port' ? 'an' : 'a'} ${model}`;
}
