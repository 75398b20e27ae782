/**
 * A function's files as Linux shows them in `/sys/bus/pci/devices` (drivers/pci/pci-sysfs.c): what follows from configuration space and the sizes
 * of its base address registers. What a running kernel alone would know (drivers, CPUs, DMA masks) has no file.
 */
import { busOf, deviceOf, functionOf, hexDigits, segmentOf, type Bdf } from '../base/index.ts';
import type { BarKind } from './bars.ts';
import { walkCapabilities, type Capability } from './capabilities.ts';
import { PORT_TYPE } from './capability-body.ts';
import { CAPABILITY, POWER } from './capability-table.ts';
import { EXPRESS } from './express-registers.ts';
import { COMMAND, HEADER, HEADER_TYPE } from './header.ts';
import { sriovOf } from './sriov.ts';

/** A base address register or the ROM: where software has put it. */
export interface SysfsRegion {
  /** 0 to 5, 6 the ROM. */
  readonly region: number;
  readonly kind: BarKind;
  readonly prefetchable: boolean;
  readonly address: bigint;
  /** Undefined where nothing tells it: its line says nothing then. */
  readonly bytes: bigint | undefined;
}

export interface SysfsFunction {
  readonly bdf: Bdf;
  readonly config: Uint8Array;
  readonly regions: readonly SysfsRegion[];
  /** In the order in which Linux tries them. */
  readonly resetMethods: readonly string[];
  /** Configuration space of the physical function, where this one is virtual: its identity is there (PCIe Base r6.0 §9.3.4.1). */
  readonly physical?: Uint8Array;
}

/** `include/linux/ioport.h`. */
const RESOURCE = { io: 0x100, memory: 0x200, prefetch: 0x2000, readOnly: 0x4000, sizeAlign: 0x4_0000, memory64: 0x10_0000 } as const;
/** BARs, the ROM and six BARs of virtual functions; a bridge has four windows besides (`include/linux/pci.h`, PCI_BRIDGE_RESOURCES). */
const RESOURCES = { endpoint: 13, bridge: 17 } as const;
const NO_RESOURCE = line(0n, 0n, 0);

/** `pcie_link_speed`: by the code in Link Capabilities and Link Status. */
const SPEEDS = [
  'Unknown',
  '2.5 GT/s PCIe',
  '5.0 GT/s PCIe',
  '8.0 GT/s PCIe',
  '16.0 GT/s PCIe',
  '32.0 GT/s PCIe',
  '64.0 GT/s PCIe',
] as const;
const POWER_STATES = ['D0', 'D1', 'D2', 'D3hot'] as const;
/** Slot Implemented, in PCI Express Capabilities (PCIe Base r6.0 §7.5.3.2). */
const SLOT_IMPLEMENTED = 0x100;

/** A function's name there: `0000:00:02.0`. */
export function sysfsName(at: Bdf): string {
  return `${sysfsDevice(at)}.${functionOf(at)}`;
}

function sysfsDevice(at: Bdf): string {
  return `${hexDigits(segmentOf(at), 4)}:${hexDigits(busOf(at), 2)}:${hexDigits(deviceOf(at), 2)}`;
}

/** Contents by file name; text ends in a newline. */
export function sysfsFiles(fn: SysfsFunction): ReadonlyMap<string, string | Uint8Array> {
  const view = new Space(fn.config, fn.physical === undefined ? undefined : new Space(fn.physical));
  const files = new Map<string, string | Uint8Array>([
    ['class', `0x${hexDigits(view.classCode, 6)}\n`],
    ['config', fn.config],
    ['device', `0x${hexDigits(view.device, 4)}\n`],
    ['driver_override', '(null)\n'],
    // As after pci_enable_device() by whoever has set a decode or Bus Master Enable.
    ['enable', (view.u16(HEADER.command) & (COMMAND.io | COMMAND.memory | COMMAND.busMaster)) === 0 ? '0\n' : '1\n'],
    ['irq', `${view.u8(0x3d) === 0 ? 0 : view.u8(0x3c)}\n`],
    ['modalias', `${modalias(view)}\n`],
    ['numa_node', '-1\n'],
    ['resource', resources(view, fn.regions)],
    ['revision', `0x${hexDigits(view.u8(HEADER.revision), 2)}\n`],
    ['subsystem_device', `0x${hexDigits(view.subsystem.device, 4)}\n`],
    ['subsystem_vendor', `0x${hexDigits(view.subsystem.vendor, 4)}\n`],
    ['uevent', uevent(fn.bdf, view)],
    ['vendor', `0x${hexDigits(view.vendor, 4)}\n`],
  ]);
  if (view.isBridge) {
    files.set('secondary_bus_number', `${view.u8(HEADER.secondaryBus)}\n`);
    files.set('subordinate_bus_number', `${view.u8(HEADER.subordinateBus)}\n`);
  }
  const power = view.find(CAPABILITY.powerManagement);
  if (power !== undefined) files.set('power_state', `${POWER_STATES[(view.u8(power.offset + 4) & POWER.state) as 0 | 1 | 2 | 3]}\n`);
  for (const [name, text] of linkFiles(view)) files.set(name, text);
  const sriov = sriovOf(view);
  if (sriov !== undefined) {
    files.set('sriov_numvfs', `${sriov.enabled ? sriov.functions : 0}\n`);
    files.set('sriov_totalvfs', `${sriov.totalFunctions}\n`);
  }
  if (fn.resetMethods.length > 0) {
    files.set('reset', '');
    files.set('reset_method', `${fn.resetMethods.join(' ')}\n`);
  }
  return files;
}

/** Where a port has a slot: its number, and the address of the device in it as `/sys/bus/pci/slots/N/address` has it, without a function. */
export function sysfsSlot({ bdf, config }: SysfsFunction): { readonly slot: number; readonly address: string } | undefined {
  const view = new Space(config);
  const express = view.find(CAPABILITY.express);
  if (express === undefined || (view.u16(express.offset + EXPRESS.flags) & SLOT_IMPLEMENTED) === 0) return undefined;
  const slot = view.u32(express.offset + 0x14) >>> 19;
  return { slot, address: `${hexDigits(segmentOf(bdf), 4)}:${hexDigits(view.u8(HEADER.secondaryBus), 2)}:00` };
}

/** Reads of one image; what is beyond its end is zero. */
class Space {
  readonly #bytes: Uint8Array;
  readonly capabilities: readonly Capability[];
  readonly #physical: Space | undefined;

  constructor(bytes: Uint8Array, physical?: Space) {
    this.#bytes = bytes;
    this.#physical = physical;
    this.capabilities = walkCapabilities(bytes).capabilities;
  }

  read(at: number, bytes: number): number {
    return bytes === 1 ? this.u8(at) : bytes === 2 ? this.u16(at) : this.u32(at);
  }
  u8(at: number): number {
    return this.#bytes[at] ?? 0;
  }
  u16(at: number): number {
    return this.u8(at) | (this.u8(at + 1) << 8);
  }
  u32(at: number): number {
    return (this.u16(at) | (this.u16(at + 2) << 16)) >>> 0;
  }
  find(id: number): Capability | undefined {
    return this.capabilities.find((one) => one.id === id && !one.extended);
  }
  get vendor(): number {
    return this.#physical?.vendor ?? this.u16(HEADER.vendor);
  }
  /** Of virtual functions the SR-IOV capability has it. */
  get device(): number {
    return (this.#physical === undefined ? undefined : sriovOf(this.#physical)?.device) ?? this.u16(HEADER.device);
  }
  get type(): number {
    return this.u8(HEADER.headerType) & 0x7f;
  }
  get isBridge(): boolean {
    return this.type === HEADER_TYPE.bridge || this.type === HEADER_TYPE.cardbus;
  }
  get classCode(): number {
    return this.u16(HEADER.classCode) | (this.u8(HEADER.classCode + 2) << 16);
  }
  /** In the header, or of a bridge in a capability; 0 where there is none. */
  get subsystem(): { readonly vendor: number; readonly device: number } {
    const bridge = this.find(CAPABILITY.subsystem);
    const at =
      this.type === HEADER_TYPE.endpoint ? 0x2c : this.type === HEADER_TYPE.cardbus ? 0x40 : bridge === undefined ? -1 : bridge.offset + 4;
    return at < 0 ? { vendor: 0, device: 0 } : { vendor: this.u16(at), device: this.u16(at + 2) };
  }
}

function modalias(view: Space): string {
  const { vendor, device } = view.subsystem;
  const wide = (value: number): string => hexDigits(value, 8).toUpperCase();
  const narrow = (shift: number): string => hexDigits((view.classCode >>> shift) & 0xff, 2).toUpperCase();
  const ids = `v${wide(view.vendor)}d${wide(view.device)}sv${wide(vendor)}sd${wide(device)}`;
  return `pci:${ids}bc${narrow(16)}sc${narrow(8)}i${narrow(0)}`;
}

function uevent(at: Bdf, view: Space): string {
  const pair = (one: number, other: number): string => `${hexDigits(one, 4)}:${hexDigits(other, 4)}`.toUpperCase();
  const { vendor, device } = view.subsystem;
  return [
    `PCI_CLASS=${view.classCode.toString(16).toUpperCase()}`,
    `PCI_ID=${pair(view.vendor, view.device)}`,
    `PCI_SUBSYS_ID=${pair(vendor, device)}`,
    `PCI_SLOT_NAME=${sysfsName(at)}`,
    `MODALIAS=${modalias(view)}`,
    '',
  ].join('\n');
}

/** An integrated endpoint has no link, and a conventional function no capability that tells. */
function linkFiles(view: Space): readonly (readonly [string, string])[] {
  const express = view.find(CAPABILITY.express);
  if (express === undefined) return [];
  const portType = view.u8(express.offset + EXPRESS.flags) >> 4;
  if (portType === PORT_TYPE.integratedEndpoint || portType === PORT_TYPE.eventCollector) return [];
  const capabilities = view.u32(express.offset + 0xc);
  const status = view.u16(express.offset + 0x12);
  const speed = (code: number): string => `${SPEEDS[code] ?? SPEEDS[0]}\n`;
  return [
    ['current_link_speed', speed(status & 0xf)],
    ['current_link_width', `${(status >> 4) & 0x3f}\n`],
    ['max_link_speed', speed(capabilities & 0xf)],
    ['max_link_width', `${(capabilities >>> 4) & 0x3f}\n`],
  ];
}

function resources(view: Space, regions: readonly SysfsRegion[]): string {
  const lines = Array.from({ length: view.isBridge ? RESOURCES.bridge : RESOURCES.endpoint }, () => NO_RESOURCE);
  for (const region of regions) {
    const { address, bytes } = region;
    if (bytes !== undefined) lines[region.region] = line(address, address + bytes - 1n, barFlags(region));
  }
  if (view.type === HEADER_TYPE.bridge) lines.splice(RESOURCES.endpoint, 3, ...windows(view));
  return lines.join('');
}

/** `decode_bar()` in drivers/pci/probe.c: the type bits of the register are the low bits of the flags. */
function barFlags({ kind, prefetchable }: SysfsRegion): number {
  if (kind === 'io') return RESOURCE.io | RESOURCE.sizeAlign | 1;
  if (kind === 'rom') return RESOURCE.memory | RESOURCE.prefetch | RESOURCE.readOnly | RESOURCE.sizeAlign;
  const prefetch = prefetchable ? RESOURCE.prefetch | 8 : 0;
  return RESOURCE.memory | RESOURCE.sizeAlign | prefetch | (kind === 'memory64' ? RESOURCE.memory64 | 4 : 0);
}

/** I/O, memory and prefetchable memory, each where it is open (drivers/pci/probe.c, pci_read_bridge_bases). */
function windows(view: Space): readonly string[] {
  const upper = (at: number, wide: boolean): bigint => (wide ? BigInt(view.u32(at)) << 32n : 0n);
  const ioType = view.u8(0x1c) & 0xf;
  const io = (low: number, high: number): bigint =>
    BigInt(((view.u8(low) & 0xf0) << 8) | (ioType === 1 ? view.u16(high) << 16 : 0)) & 0xffff_ffffn;
  const memory = (at: number): bigint => BigInt(view.u16(at) & 0xfff0) << 16n;
  const prefetchType = view.u16(0x24) & 0xf;
  const wide = prefetchType === 1;
  return [
    window(io(0x1c, 0x30), io(0x1d, 0x32) | 0xfffn, RESOURCE.io | ioType),
    window(memory(0x20), memory(0x22) | 0xf_ffffn, RESOURCE.memory),
    window(
      memory(0x24) | upper(0x28, wide),
      memory(0x26) | 0xf_ffffn | upper(0x2c, wide),
      RESOURCE.memory | RESOURCE.prefetch | prefetchType | (wide ? RESOURCE.memory64 : 0),
    ),
  ];
}

/** A window whose base is above its limit is closed. */
function window(base: bigint, limit: bigint, flags: number): string {
  return base > limit ? NO_RESOURCE : line(base, limit, flags);
}

function line(start: bigint, end: bigint, flags: number): string {
  return `${[start, end, BigInt(flags)].map((value) => `0x${value.toString(16).padStart(16, '0')}`).join(' ')}\n`;
}
