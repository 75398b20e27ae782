// long: one short method for each capability
/** Reads single capabilities of a document: defaults filled in, numbers and bytes read. */
import type {
  AllocationSpec,
  AcsSpec,
  AtsSpec,
  CapabilitySet,
  DpcSpec,
  LtrSpec,
  MsiSpec,
  MsixSpec,
  Placed,
  PowerSpec,
  ResizableSpec,
  SlotSpec,
  SriovSpec,
} from '../../core/pci/index.ts';
import { VPD_BYTES_MAX } from '../../core/pci/index.ts';
import type { CapabilitiesNode } from './capability-schema.ts';
import { refuse, type Path, type Source } from './place.ts';
import { readAddress, readDurationNs, readSize } from './quantities.ts';

/** A key of `capabilities`; `true` means an object without keys. */
type Node<K extends keyof CapabilitiesNode> = CapabilitiesNode[K];
type Read<T> = T | false | undefined;
type NumberNode = number | string;

const PAGE_LG2 = 12;
/** Where functions have their MSI-X table, and virtual ones theirs. */
const MSIX_BAR = 2;
const MSIX_BAR_LG2 = 16;
/** LTR counts in 2^(5 × scale) ns, with 10 bits of value (PCIe Base r6.0 §7.8.2). */
const LTR_VALUE_MAX = 1023;
const LTR_SCALE_MAX = 5;
/** Dwords of the RP PIO log of our root ports: header, implementation-specific, one prefix. */
const ROOT_PORT_LOG = 6;

export class CapabilityReader {
  readonly #source: Source;
  readonly #path: Path;

  constructor(source: Source, path: Path) {
    this.#source = source;
    this.#path = path;
  }

  power(node: Node<'pm'>, immediateReadiness: boolean): Read<PowerSpec> {
    return this.#each(node, ({ noSoftReset = true, d1 = false, d2 = false, pme = false, ...rest }) => ({
      ...this.#placed('pm', rest),
      noSoftReset,
      d1,
      d2,
      pme,
      immediateReadiness,
    }));
  }

  msi(node: Node<'msi'>): Read<MsiSpec> {
    return this.#each(node, ({ vectors, wide = true, perVectorMask = false, extendedData = false, ...rest }) => ({
      ...this.#placed('msi', rest),
      vectors: this.#number(['msi', 'vectors'], vectors ?? 1),
      wide,
      perVectorMask,
      extendedData,
    }));
  }

  msix(node: Node<'msix'>): Read<MsixSpec> {
    return this.#each(node, ({ vectors, ...rest }) => ({
      ...this.#placed('msix', rest),
      vectors: this.#number(['msix', 'vectors'], vectors ?? 32),
      bar: MSIX_BAR,
      tableOffset: 0,
      pendingOffset: 0x8000,
    }));
  }

  vitalProductData(node: Node<'vpd'>): Read<NonNullable<CapabilitySet['vitalProductData']>> {
    return this.#each(node, ({ data, ...rest }) => {
      if (data === undefined) return this.#placed('vpd', rest);
      const bytes = this.#bytes(['vpd', 'data'], data);
      if (bytes.length > VPD_BYTES_MAX)
        this.#refuse(['vpd', 'data'], `${bytes.length} bytes of Vital Product Data; at most ${VPD_BYTES_MAX} have an address`);
      return { ...this.#placed('vpd', rest), data: bytes };
    });
  }

  /** A capability that has nothing but its place. */
  plain<K extends 'af' | 'pcix' | 'aer' | 'ptm'>(key: K, node: Node<K>): Read<Placed> {
    if (node === undefined || node === false) return node;
    return this.#placed(key, node === true ? {} : node);
  }

  subsystem(node: Node<'ssvid'>): Read<NonNullable<CapabilitySet['subsystem']>> {
    if (node === undefined) return undefined;
    const vendor = this.#number(['ssvid', 'vendor'], node.vendor);
    return { ...this.#placed('ssvid', node), vendor, device: this.#number(['ssvid', 'device'], node.device) };
  }

  vendorSpecific(node: Node<'vendorSpecific'>): Read<NonNullable<CapabilitySet['vendorSpecific']>> {
    return this.#list('vendorSpecific', node, (one, path) => ({
      ...this.#placedAt(path, one),
      bytes: this.#bytes([...path, 'bytes'], one.bytes),
    }));
  }

  allocation(node: Node<'ea'>): Read<NonNullable<CapabilitySet['enhancedAllocation']>> {
    if (node === undefined) return undefined;
    const entries = node.entries.map((entry, i): AllocationSpec => {
      const path = ['ea', 'entries', i];
      return {
        // 7: not a BAR.
        indicator: entry.bar === undefined ? 7 : this.#within([...path, 'bar'], entry.bar, 0, 5),
        properties: ['memory', 'prefetchable', 'io'].indexOf(entry.kind ?? 'memory'),
        address: this.#address([...path, 'address'], entry.address),
        bytes: this.#size([...path, 'size'], entry.size),
      };
    });
    return { ...this.#placed('ea', node), entries };
  }

  acs(node: Node<'acs'>): Read<AcsSpec> {
    return this.#each(node, ({ offered, enabled, ...rest }) => ({
      ...this.#placed('acs', rest),
      offered: this.#number(['acs', 'offered'], offered ?? 0x5f),
      enabled: this.#number(['acs', 'enabled'], enabled ?? 0x1d),
    }));
  }

  ats(node: Node<'ats'>): Read<AtsSpec> {
    return this.#each(node, ({ queueDepth, ...rest }) => ({
      ...this.#placed('ats', rest),
      queueDepth: this.#number(['ats', 'queueDepth'], queueDepth ?? 32),
    }));
  }

  pri(node: Node<'pri'>): Read<NonNullable<CapabilitySet['pri']>> {
    return this.#each(node, ({ capacity, ...rest }) => ({
      ...this.#placed('pri', rest),
      capacity: this.#number(['pri', 'capacity'], capacity ?? 512),
    }));
  }

  pasid(node: Node<'pasid'>): Read<NonNullable<CapabilitySet['pasid']>> {
    return this.#each(node, ({ width, execute = true, privileged = true, ...rest }) => ({
      ...this.#placed('pasid', rest),
      width: this.#number(['pasid', 'width'], width ?? 20),
      execute,
      privileged,
    }));
  }

  ari(node: Node<'ari'>, next: number): Read<NonNullable<CapabilitySet['ari']>> {
    return this.#each(node, ({ nextFunction, ...rest }) => ({
      ...this.#placed('ari', rest),
      nextFunction: this.#number(['ari', 'nextFunction'], nextFunction ?? next),
    }));
  }

  /** `dependency`: the function's own number. */
  sriov(node: Node<'sriov'>, dependency: number, device: number): Read<SriovSpec> {
    if (node === undefined) return undefined;
    const bars = node.bars ?? [
      { bar: 0, size: '4KiB' },
      { bar: 2, size: '64KiB' },
    ];
    const pages = node.pageSizes?.map((size, i) => this.#lg2(['sriov', 'pageSizes', i], size, PAGE_LG2, PAGE_LG2 + 31) - PAGE_LG2) ?? [];
    const msix = this.#virtualMsix(node.msix, bars);
    return {
      ...this.#placed('sriov', node),
      ...(msix === undefined ? {} : { msix }),
      functions: this.#within(['sriov', 'vfs'], node.vfs, 1, 0xffff),
      firstOffset: this.#within(['sriov', 'firstOffset'], node.firstOffset ?? 1, 1, 0xffff),
      stride: this.#within(['sriov', 'stride'], node.stride ?? 1, 1, 0xffff),
      dependency,
      device: this.#number(['sriov', 'device'], node.device ?? device),
      bars: bars.map(({ bar, size, wide = false, prefetchable = false }, i) => ({
        index: this.#within(['sriov', 'bars', i, 'bar'], bar, 0, 5),
        bytes: 1n << BigInt(this.#lg2(['sriov', 'bars', i, 'size'], size, PAGE_LG2, wide ? 62 : 31)),
        kind: wide ? ('memory64' as const) : ('memory32' as const),
        prefetchable,
      })),
      pageSizes: pages.reduce((all, bit) => (all | (1 << bit)) >>> 0, 1),
    };
  }

  /** As the function's own: its table at the beginning of BAR 2, its Pending Bit Array 32 KiB behind. */
  #virtualMsix(node: Exclude<Node<'sriov'>, undefined>['msix'], bars: readonly { readonly bar: NumberNode; readonly size: string }[]) {
    if (node === undefined || node === false) return undefined;
    const vectors = this.#within(['sriov', 'msix', 'vectors'], node === true ? 32 : (node.vectors ?? 32), 1, 2048);
    const at = bars.findIndex(({ bar }, i) => this.#number(['sriov', 'bars', i, 'bar'], bar) === MSIX_BAR);
    const size = bars[at]?.size;
    if (size === undefined) {
      this.#refuse(['sriov', 'msix'], `msix of virtual functions has its table in VF BAR ${MSIX_BAR}, and bars has none`);
    } else if (this.#lg2(['sriov', 'bars', at, 'size'], size, PAGE_LG2, 62) < MSIX_BAR_LG2) {
      this.#refuse(['sriov', 'bars', at, 'size'], `msix of virtual functions needs 64 KiB in VF BAR ${MSIX_BAR}, and it has "${size}"`);
    }
    return { vectors, bar: MSIX_BAR, tableOffset: 0, pendingOffset: 0x8000 };
  }

  resizable(node: Node<'resizableBar'>, index: number): Read<ResizableSpec> {
    if (node === undefined) return undefined;
    const sizesLg2 = node.sizes.map((size, i) => this.#lg2(['resizableBar', 'sizes', i], size, 20, 63));
    const sizeLg2 = node.size === undefined ? Math.min(...sizesLg2) : this.#lg2(['resizableBar', 'size'], node.size, 20, 63);
    if (!sizesLg2.includes(sizeLg2)) {
      this.#refuse(['resizableBar', 'size'], `size is "${node.size}"; it is one of sizes: ${node.sizes.join(', ')}`);
    }
    return { ...this.#placed('resizableBar', node), bars: [{ index, sizesLg2, sizeLg2 }] };
  }

  ltr(node: Node<'ltr'>): Read<LtrSpec> {
    return this.#each(node, ({ maxSnoop, maxNoSnoop, ...rest }) => ({
      ...this.#placed('ltr', rest),
      maxSnoop: this.#latency(['ltr', 'maxSnoop'], maxSnoop ?? '0s'),
      maxNoSnoop: this.#latency(['ltr', 'maxNoSnoop'], maxNoSnoop ?? '0s'),
    }));
  }

  serialNumber(node: Node<'serialNumber'>): Read<NonNullable<CapabilitySet['serialNumber']>> {
    if (node === undefined) return undefined;
    const text = typeof node === 'string' ? node : node.value;
    const path = typeof node === 'string' ? ['serialNumber'] : ['serialNumber', 'value'];
    if (!/^([0-9a-f]{2}-){7}[0-9a-f]{2}$/i.test(text)) {
      this.#refuse(path, `"${text.slice(0, 40)}" is no serial number; write it as "00-11-22-33-44-55-66-77"`);
    }
    return { ...this.#placed('serialNumber', typeof node === 'string' ? {} : node), value: BigInt(`0x${text.replaceAll('-', '')}`) };
  }

  dpc(node: Node<'dpc'>, root: boolean): Read<DpcSpec> {
    return this.#each(node, (fields) => ({
      ...this.#placed('dpc', fields),
      ...(root ? { rootPortLog: ROOT_PORT_LOG } : {}),
      poisonedBlocking: true,
      softwareTrigger: true,
    }));
  }

  designatedVendor(node: Node<'dvsec'>): Read<NonNullable<CapabilitySet['designatedVendor']>> {
    return this.#list('dvsec', node, (one, path) => ({
      ...this.#vendor(path, one),
      vendor: this.#number([...path, 'vendor'], one.vendor),
    }));
  }

  vendorExtended(node: Node<'vsec'>): Read<NonNullable<CapabilitySet['vendorExtended']>> {
    return this.#list('vsec', node, (one, path) => this.#vendor(path, one));
  }

  slot(node: Node<'slot'>): SlotSpec | undefined {
    if (node === undefined || node === false) return undefined;
    const { number, mrlSensor = false, interlock = false, ...rest } = node === true ? {} : node;
    const present = {
      hotPlug: true,
      surprise: true,
      attentionButton: true,
      powerController: true,
      attentionIndicator: true,
      powerIndicator: true,
      commandCompleted: true,
    };
    return { ...present, ...rest, mrlSensor, interlock, number: this.#within(['slot', 'number'], number ?? 0, 0, 0x1fff) };
  }

  #vendor(path: Path, one: { id: NumberNode; revision?: NumberNode; bytes?: string; at?: NumberNode }) {
    return {
      ...this.#placedAt(path, one),
      id: this.#number([...path, 'id'], one.id),
      revision: this.#number([...path, 'revision'], one.revision ?? 0),
      bytes: this.#bytes([...path, 'bytes'], one.bytes ?? ''),
    };
  }

  #each<F extends object, T>(node: F | boolean | undefined, read: (fields: Partial<F>) => T): Read<T> {
    if (node === undefined || node === false) return node;
    return read(node === true ? {} : node);
  }

  #list<N extends object, T>(key: string, node: N | readonly N[] | undefined, read: (one: N, path: Path) => T): readonly T[] | undefined {
    if (node === undefined) return undefined;
    if (!Array.isArray(node)) return [read(node as N, [key])];
    return (node as readonly N[]).map((one, i) => read(one, [key, i]));
  }

  #placed(key: string, node: { readonly at?: NumberNode }): Placed {
    return this.#placedAt([key], node);
  }

  #placedAt(path: Path, { at }: { readonly at?: NumberNode }): Placed {
    return at === undefined ? {} : { at: this.#number([...path, 'at'], at) };
  }

  #number(path: Path, value: NumberNode): number {
    const read = typeof value === 'number' ? value : /^(0x[0-9a-f]{1,8}|[0-9]{1,9})$/i.test(value) ? Number(value) : -1;
    if (!Number.isInteger(read) || read < 0 || read > 0xffff_ffff) {
      this.#refuse(path, `${String(path.at(-1))} is ${JSON.stringify(value)}; write a number such as 8, or hex in quotes: "0x60"`);
    }
    return read;
  }

  #within(path: Path, value: NumberNode, low: number, high: number): number {
    const read = this.#number(path, value);
    if (read < low || read > high) this.#refuse(path, `${String(path.at(-1))} is ${read}; it is ${low} to ${high}`);
    return read;
  }

  #address(path: Path, text: string): bigint {
    return readAddress(text) ?? this.#refuse(path, `"${text.slice(0, 40)}" is not an address; write it as "0xd0000000"`);
  }

  #size(path: Path, text: string): bigint {
    return readSize(text) ?? this.#refuse(path, `"${text.slice(0, 40)}" is not a size; write it as "64KiB"`);
  }

  #lg2(path: Path, text: string, low: number, high: number): number {
    const bytes = this.#size(path, text);
    const lg2 = bytes.toString(2).length - 1;
    if (bytes === 0n || bytes !== 1n << BigInt(lg2) || lg2 < low || lg2 > high) {
      this.#refuse(path, `"${text}" is no power of two from 2^${low} to 2^${high} bytes`);
    }
    return lg2;
  }

  #bytes(path: Path, text: string): Uint8Array {
    const digits = text.replaceAll(/\s+/g, '');
    if (!/^([0-9a-f]{2})*$/i.test(digits)) this.#refuse(path, `bytes are pairs of hex digits: "01 02 a0"`);
    return Uint8Array.from(digits.match(/../g) ?? [], (pair) => Number.parseInt(pair, 16));
  }

  /** The latency that the register can say: the longest that is no longer than the one given. */
  #latency(path: Path, text: string): number {
    const ns = readDurationNs(text);
    if (ns === undefined) return this.#refuse(path, `"${text.slice(0, 40)}" is not a time; write it as "3ms"`);
    for (let scale = 0; scale <= LTR_SCALE_MAX; scale++) {
      const value = Math.floor(ns / 2 ** (5 * scale));
      if (value <= LTR_VALUE_MAX) return value | (scale << 10);
    }
    return this.#refuse(path, `"${text}" is longer than the register can say`);
  }

  #refuse(path: Path, text: string): never {
    refuse(this.#source, [...this.#path, ...path], text);
  }
}
