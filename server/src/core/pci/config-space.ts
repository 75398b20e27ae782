// long: every register that other rooms read by name has its view here
/**
 * The configuration space of one function: bytes, and what may be done to them. The masks come from the tables; nothing here knows a
 * register but those that the views decode.
 */
import { ModelError, type ResetMethod, type StateFields } from '../base/index.ts';
import { ROM_ENABLE, VF_BAR_INDEX, alignBar, applyBars, barAddress, type Bar } from './bars.ts';
import { bridgeWindows } from './bridge-windows.ts';
import type { Capability } from './capabilities.ts';
import { PORT_TYPE } from './capability-body.ts';
import { EXPRESS_FLR, POWER, TRANSACTIONS_PENDING, hasPowerState } from './capability-table.ts';
import { CONFIG_SIZES } from './config-access.ts';
import { layOutConfig, resizedBars, type Places } from './config-layout.ts';
import { EXPRESS } from './express-registers.ts';
import { ACS_ISOLATION, ATS_CONTROL, ATS_ENABLE, EXTENDED_CAPABILITY } from './extended-capability-table.ts';
import { COMMAND, HEADER, HEADER_TYPE, STATUS_INTERRUPT } from './header.ts';
import { MsiRegisters, MsixRegisters } from './interrupt-registers.ts';
import { PageRequestRegisters } from './page-request-registers.ts';
import { copyMasks, CONFIG_EFFECT, resetBytes, restoreBytes, writtenByte, type Masks, type ResetKind } from './register-table.ts';

export interface ConfigSpaceOptions {
  /** Who this is, in front of each warning: `00:02.0`. */
  readonly name?: string;
  /** BAR sizes in bytes by index, 6 the ROM, from 7 on those of virtual functions, 0 for unknown: see {@link findBars}. */
  readonly barBytes?: readonly bigint[];
  /** Of a virtual function: whose it is, and its number from 0. */
  readonly virtual?: { readonly physical: ConfigSpace; readonly index: number };
}

/** AF Control, with AF Status after it. */
const ADVANCED_CONTROL = 4;
const ADVANCED_TRANSACTIONS_PENDING = 1;
/** SR-IOV Control: VF Enable and VF Memory Space Enable (PCIe Base r6.0 §9.3.3.3). */
const SRIOV_CONTROL = 8;
const VF_DECODES = 9;

/** Egress Control Vector, from the ACS capability; Port Number, from the PCI Express capability; bit 5 of Device Control 2. */
const ACS_EGRESS = 8;
const PORT_NUMBER = 0xf;
const ARI_FORWARDING = 0x20;

const NO_BAR_BYTES: readonly bigint[] = [];

export class ConfigSpace {
  readonly bytes: number;
  readonly warnings: readonly string[];
  readonly capabilities: readonly Capability[];
  readonly vendor: number;
  readonly device: number;
  /** 24 bits: base class, sub-class, programming interface. */
  readonly classCode: number;
  /** 0 endpoint, 1 bridge, 2 CardBus bridge. */
  readonly headerType: number;
  readonly multiFunction: boolean;
  /** Has buses of its own: header type 1 or 2. */
  readonly isBridge: boolean;
  /** A {@link PORT_TYPE}. */
  readonly portType: number;
  readonly atsSupported: boolean;
  /** Invalidate requests that the function can hold: 1 to 32; 0 without ATS. */
  readonly atsQueueDepth: number;
  readonly pasidSupported: boolean;
  /** Bits of a PASID; 0 without the capability. */
  readonly pasidWidth: number;
  readonly acsCapable: boolean;
  /** Undefined without the Page Request capability. */
  readonly pageRequests: PageRequestRegisters | undefined;
  /** Undefined without the capability, as the next. */
  readonly msi: MsiRegisters | undefined;
  readonly msix: MsixRegisters | undefined;
  /** 1 to 4: INTA to INTD; 0: the function has none. */
  readonly interruptPin: number;

  /** Bytes that were written otherwise than they were, restorations and resets; and resets alone. */
  changes = 0;
  resets = 0;

  readonly #image: Uint8Array;
  readonly #options: ConfigSpaceOptions;
  readonly #virtual: ConfigSpaceOptions['virtual'];
  readonly #data: Uint8Array;
  readonly #view: DataView;
  /** Shared with other functions of the same image until a BAR of this one changes its size. */
  #masks: Masks;
  #bars: readonly Bar[];
  readonly #vfBars: readonly Bar[];
  readonly #at: Places;

  #busMaster = false;
  #memorySpace = false;
  #ioSpace = false;
  readonly #expressStatusWord: number;
  readonly #advancedStatusWord: number;
  #maxPayloadBytes = 128;
  #maxReadRequestBytes = 512;
  #atsEnabled = false;
  #unitPagesLg2 = 0;
  #pasidEnabled = false;
  #powerState = 0;
  #secondaryBus = 0;
  #subordinateBus = 0;
  #acsEnabledRedirect = false;
  #acsControl = 0;
  #ariForwarding = false;
  /** First and last page of each memory window of a bridge that is open; undefined: to be read anew. */
  #windowPages: readonly number[] | undefined;

  /** `image`: the bytes at power-up, copied; a length that is none of {@link CONFIG_SIZES} is `EINVAL`. */
  constructor(image: Uint8Array, options: ConfigSpaceOptions = {}) {
    if (!CONFIG_SIZES.includes(image.length)) {
      throw new ModelError('EINVAL', `${image.length} bytes of configuration space; it has 64, 128 (CardBus), 256 or 4096`, 'config');
    }
    this.bytes = image.length;
    this.#image = image;
    this.#options = options;
    this.#data = new Uint8Array(image);
    this.#view = new DataView(this.#data.buffer);
    const layout = layOutConfig(image, options.barBytes ?? NO_BAR_BYTES);
    this.capabilities = layout.capabilities;
    this.warnings = options.name === undefined ? layout.warnings : layout.warnings.map((text) => `${options.name}: ${text}`);
    this.#masks = layout.masks;
    this.#bars = layout.bars;
    this.#vfBars = layout.vfBars;
    this.#at = layout.places;
    const { express, advancedFeatures } = layout.places;
    // Each is the upper half, or the second byte, of an aligned dword; -1, which no access begins at, for none.
    this.#expressStatusWord = express < 0 ? -1 : express + EXPRESS.deviceControl;
    this.#advancedStatusWord = advancedFeatures < 0 ? -1 : advancedFeatures + ADVANCED_CONTROL;
    this.portType = layout.portType;
    this.vendor = this.#u16(HEADER.vendor);
    this.device = this.#u16(HEADER.device);
    this.classCode = this.#u16(HEADER.classCode) | (image[HEADER.classCode + 2]! << 16);
    this.headerType = image[HEADER.headerType]! & 0x7f;
    this.multiFunction = (image[HEADER.headerType]! & 0x80) !== 0;
    this.isBridge = this.headerType === HEADER_TYPE.bridge || this.headerType === HEADER_TYPE.cardbus;
    this.atsSupported = this.#at.ats >= 0;
    const { virtual } = options;
    this.#virtual = virtual;
    const depth = this.atsSupported ? image[this.#at.ats + 4]! & 0x1f || 32 : 0;
    // What a virtual function shares with its physical one is that one's: invalidate queue, PASIDs, page requests (PCIe Base r6.0 §9.3.7).
    this.atsQueueDepth = this.atsSupported ? (virtual?.physical.atsQueueDepth ?? depth) : 0;
    this.pasidSupported = virtual?.physical.pasidSupported ?? this.#at.pasid >= 0;
    this.pasidWidth = virtual?.physical.pasidWidth ?? (this.pasidSupported ? image[this.#at.pasid + 5]! & 0x1f : 0);
    this.acsCapable = this.#at.acs >= 0;
    const own = this.#at.pri >= 0 ? new PageRequestRegisters(this.#data, this.#at.pri) : undefined;
    this.pageRequests = virtual === undefined ? own : virtual.physical.pageRequests;
    this.msi = this.#at.msi >= 0 ? new MsiRegisters(this.#data, this.#at.msi) : undefined;
    this.msix = this.#at.msix >= 0 ? new MsixRegisters(this.#data, this.#at.msix) : undefined;
    this.interruptPin = image[HEADER.interruptPin]! <= 4 ? image[HEADER.interruptPin]! : 0;
    this.#decode();
    if (options.virtual !== undefined) this.#bars = options.virtual.physical.virtualBars;
  }

  get busMaster(): boolean {
    return this.#busMaster;
  }
  get memorySpace(): boolean {
    return this.#memorySpace;
  }
  /** Interrupt Disable of the Command register: no INTx is asserted. */
  get interruptDisable(): boolean {
    return (this.#u16(HEADER.command) & COMMAND.interruptDisable) !== 0;
  }
  /** MPS in force, in bytes; 128 without a PCI Express capability. */
  get maxPayloadBytes(): number {
    return this.#maxPayloadBytes;
  }
  /** MRRS in force, in bytes; 512 without a PCI Express capability. */
  get maxReadRequestBytes(): number {
    return this.#maxReadRequestBytes;
  }
  get atsEnabled(): boolean {
    return this.#atsEnabled;
  }
  /** log2 of the pages (4 KiB) of the Smallest Translation Unit. */
  get unitPagesLg2(): number {
    return this.#virtual?.physical.unitPagesLg2 ?? this.#unitPagesLg2;
  }
  get pasidEnabled(): boolean {
    return this.#virtual?.physical.pasidEnabled ?? this.#pasidEnabled;
  }
  get priEnabled(): boolean {
    return this.pageRequests?.enabled ?? false;
  }
  /** 0 to 3: D0 to D3hot. */
  get powerState(): number {
    return this.#powerState;
  }
  /** Of a bridge; 0 otherwise. */
  get secondaryBus(): number {
    return this.#secondaryBus;
  }
  /** Of a bridge; 0 otherwise. */
  get subordinateBus(): number {
    return this.#subordinateBus;
  }
  /**
   * Every isolating service that the ACS capability offers is enabled; one that it does not offer counts as hard-wired on, as in
   * Linux's pci_acs_flags_enabled. False without the capability.
   */
  get acsEnabledRedirect(): boolean {
    return this.#acsEnabledRedirect;
  }
  /** ACS Control (PCIe Base r6.0 §7.7.11.3); 0 without the capability. */
  get acsControl(): number {
    return this.#acsControl;
  }
  /** Of a port: ARI Forwarding Enable of Device Control 2 (§7.5.3.16). */
  get ariForwarding(): boolean {
    return this.#ariForwarding;
  }
  /** It has the ARI capability: all eight bits beside its bus number are its function number (§6.13). */
  get isAri(): boolean {
    return this.capabilities.some(({ id, extended }) => extended && id === EXTENDED_CAPABILITY.ari);
  }
  /** ACS Egress Control Vector: whether requests that leave by the port of this number are meant (§7.7.11.4). */
  acsEgress(port: number): boolean {
    const { acs } = this.#at;
    const byte = acs < 0 ? 0 : (this.#data[acs + ACS_EGRESS + (port >> 3)] ?? 0);
    return ((byte >> (port & 7)) & 1) === 1;
  }
  /** Port Number of Link Capabilities (§7.5.3.6); 0 without the PCI Express capability. */
  get portNumber(): number {
    return this.#at.express < 0 ? 0 : this.#data[this.#at.express + PORT_NUMBER]!;
  }

  /** Of a bridge: whether it passes requests to this page of memory from its primary side to its secondary one, as its registers stand. */
  passesPage(page: number): boolean {
    if (!this.#memorySpace || this.#powerState !== 0 || !this.isBridge) return false;
    const pages = (this.#windowPages ??= bridgeWindows(this, 'memory').flatMap(({ first, last }) => [
      Number(first >> 12n),
      Number(last >> 12n),
    ]));
    for (let i = 0; i < pages.length; i += 2) if (page >= pages[i]! && page <= pages[i + 1]!) return true;
    return false;
  }

  /** The register value, unsigned. The access must have passed {@link checkConfigAccess}. */
  read(offset: number, bytes: number): number {
    if (bytes === 4) return this.#view.getUint32(offset, true);
    if (bytes === 2) return this.#data[offset]! | (this.#data[offset + 1]! << 8);
    return this.#data[offset]!;
  }

  /** Writes what is writable and returns the {@link CONFIG_EFFECT} bits. The access must have passed {@link checkConfigAccess}. */
  write(offset: number, bytes: number, value: number): number {
    const { writable, triggers, effect, triggerEffect } = this.#masks;
    // The Smallest Translation Unit is taken only while ATS Enable is clear before the write: Linux sets both in one (pci_enable_ats).
    const fixed = this.#atsEnabled ? this.#at.ats + ATS_CONTROL : -1;
    let effects = 0;
    for (let i = 0; i < bytes; i++) {
      const at = offset + i;
      const given = (value >>> (8 * i)) & 0xff;
      const old = this.#data[at]!;
      const next = writtenByte(this.#masks, at, old, given, at === fixed ? 0 : writable[at]!);
      if ((given & triggers[at]!) !== 0) effects |= triggerEffect[at]!;
      if (next === old) continue;
      this.#data[at] =
        at === this.#at.powerControl && !hasPowerState(this.#u16(at - 2), next & POWER.state)
          ? (next & ~POWER.state) | (old & POWER.state)
          : next;
      effects |= effect[at]!;
      this.changes++;
    }
    if (effects !== 0) this.#changed(effects);
    return effects;
  }

  /** Bits of a read of these bytes that software may write. */
  writableBits(offset: number, bytes: number): number {
    let bits = 0;
    for (let i = 0; i < bytes; i++) bits |= this.#masks.writable[offset + i]! << (8 * i);
    return bits;
  }

  /** What the function itself sets, whatever software may write: bits that tell of errors. Nothing that {@link write} has an effect for. */
  put(offset: number, bytes: 2 | 4, value: number): void {
    if (bytes === 4) this.#view.setUint32(offset, value, true);
    else this.#view.setUint16(offset, value, true);
  }

  /** It gets error messages: a root port, or a Root Complex Event Collector. */
  get isErrorRoot(): boolean {
    return this.portType === PORT_TYPE.rootPort || this.portType === PORT_TYPE.eventCollector;
  }
  /** Link Capabilities bit 19: Surprise Down Error Reporting Capable. */
  get reportsSurpriseDown(): boolean {
    return this.#at.express >= 0 && (this.#data[this.#at.express + 0xe]! & 8) !== 0;
  }

  /** As a write of ATS Control's Enable bit; nothing without the capability. */
  setAtsEnable(on: boolean): void {
    if (!this.atsSupported) return;
    const control = this.#u16(this.#at.ats + ATS_CONTROL);
    this.write(this.#at.ats + ATS_CONTROL, 2, on ? control | ATS_ENABLE : control & ~ATS_ENABLE);
  }

  /** As a write of the Command register. */
  setCommand(value: number): void {
    this.write(HEADER.command, 2, value);
  }

  /** Interrupt Status of the Status register. */
  setInterruptStatus(on: boolean): void {
    const low = this.#data[HEADER.status]! & ~STATUS_INTERRUPT;
    this.#data[HEADER.status] = on ? low | STATUS_INTERRUPT : low;
  }

  /** The bits of a read of these bytes that show Transactions Pending, in Device Status and AF Status: who reads sets them while some are. */
  transactionsPendingBits(offset: number, bytes: number): number {
    const word = offset & ~3;
    let bits = 0;
    if (word === this.#expressStatusWord) bits = TRANSACTIONS_PENDING << 16;
    else if (word === this.#advancedStatusWord) bits = ADVANCED_TRANSACTIONS_PENDING << 8;
    if (bits === 0) return 0;
    const shifted = bits >>> (8 * (offset - word));
    return bytes === 4 ? shifted : shifted & ((1 << (8 * bytes)) - 1);
  }

  /** Whether a BAR that decodes memory now has a part of this page. */
  decodesPage(page: number): boolean {
    for (const bar of this.#bars) {
      if (bar.kind === 'io' || bar.sizeLg2 < 0 || !this.decodes(bar)) continue;
      const first = this.barAddress(bar);
      if (first !== 0n && Number(first >> 12n) <= page && page <= Number((first + (1n << BigInt(bar.sizeLg2)) - 1n) >> 12n)) return true;
    }
    return false;
  }

  /** Whether the function decodes what a BAR of {@link bars} or {@link vfBars} names: in D0, with the enable bits of its kind set. */
  decodes(bar: Bar): boolean {
    if (this.#powerState !== 0) return false;
    const physical = this.#virtual?.physical;
    // VF MSE of the physical function is Memory Space Enable of its virtual ones (PCIe Base r6.0 §9.3.3.3.4).
    if (physical !== undefined) return physical.decodesVirtual;
    if (bar.kind === 'io') return this.#ioSpace;
    if (bar.index >= VF_BAR_INDEX) return this.decodesVirtual;
    if (bar.kind === 'rom' && (this.#data[bar.offset]! & ROM_ENABLE) === 0) return false;
    return this.#memorySpace;
  }

  /** VF Enable and VF Memory Space Enable are set. */
  get decodesVirtual(): boolean {
    const { sriov } = this.#at;
    return sriov >= 0 && (this.#data[sriov + SRIOV_CONTROL]! & VF_DECODES) === VF_DECODES;
  }

  /** Puts reset values where `kind` reaches: not in read-only and HwInit bits, nor in what survives it. */
  reset(kind: ResetKind): void {
    this.resets++;
    this.changes++;
    resetBytes(this.#data, this.#masks, kind);
    this.#changed(CONFIG_EFFECT.barSize);
  }

  /** What pci_save_state keeps (drivers/pci/pci.c): the space as it reads now. */
  save(): Uint8Array {
    return this.image();
  }

  /**
   * As pci_restore_state: every writable bit as `saved` has it, except the power state, which stays. Status bits and what is read-only
   * stay too. Returns {@link CONFIG_EFFECT} bits. `saved` of another length is `EINVAL`.
   */
  restore(saved: Uint8Array): number {
    if (saved.length !== this.bytes) {
      throw new ModelError('EINVAL', `${saved.length} saved bytes for a space of ${this.bytes}`, 'saved');
    }
    const powerState = this.#powerState;
    const effects = restoreBytes(this.#data, this.#masks, saved);
    this.changes++;
    const { powerControl } = this.#at;
    if (powerControl >= 0) this.#data[powerControl] = (this.#data[powerControl]! & ~POWER.state) | powerState;
    if (effects !== 0) this.#changed(effects);
    return effects;
  }

  /** What it was made from comes first, so that it can be made again. */
  state(fields: StateFields): void {
    const { name, barBytes, virtual } = this.#options;
    fields.field('image', this.#image);
    fields.field('name', name);
    fields.field('barBytes', barBytes);
    fields.field('physical', virtual?.physical);
    fields.field('virtualIndex', virtual?.index);
    fields.keep('data', this.#data);
    this.changes = fields.field('changes', this.changes);
    this.resets = fields.field('resets', this.resets);
    const sizes = Uint8Array.from(this.#bars, ({ sizeLg2 }) => sizeLg2);
    fields.keep('barSizesLg2', sizes);
    if (!fields.loading) return;
    if (this.#bars.some((bar, i) => bar.sizeLg2 !== sizes[i])) this.#giveBarsSizes(sizes);
    this.#decode();
  }

  /** A copy of what is read now. */
  image(): Uint8Array {
    return this.#data.slice();
  }

  /** The base address registers that there are. */
  bars(): readonly Bar[] {
    return this.#bars;
  }

  /** The base address registers that virtual functions share, by {@link VF_BAR_INDEX} and on; empty without SR-IOV. */
  vfBars(): readonly Bar[] {
    return this.#vfBars;
  }

  /** A virtual function of SR-IOV. */
  get isVirtual(): boolean {
    return this.#virtual !== undefined;
  }

  /** What each of its virtual functions has, at the first one's places. */
  get virtualBars(): readonly Bar[] {
    return this.#vfBars.map((bar) => ({ ...bar, index: bar.index - VF_BAR_INDEX }));
  }

  /** The address in a BAR of {@link bars} or {@link vfBars}, without type bits. */
  barAddress(bar: Bar): bigint {
    const { physical, index } = this.#virtual ?? {};
    if (physical === undefined || index === undefined) return barAddress(this.#data, bar);
    return physical.barAddress(bar) + BigInt(index) * (1n << BigInt(Math.max(0, bar.sizeLg2)));
  }

  /** Methods that configuration space shows, in Linux's order (pci_reset_fn_methods). */
  resetMethods(): readonly ResetMethod[] {
    const methods: ResetMethod[] = [];
    const { express, advancedFeatures, powerControl } = this.#at;
    if (express >= 0 && (this.read(express + EXPRESS.deviceCapabilities, 4) & EXPRESS_FLR) !== 0) methods.push('flr');
    // AF Capabilities: transactions pending and FLR, both.
    if (advancedFeatures >= 0 && (this.#data[advancedFeatures + 3]! & 3) === 3) methods.push('af_flr');
    if (powerControl >= 0 && (this.#data[powerControl]! & POWER.noSoftReset) === 0) methods.push('pm');
    return methods;
  }

  #u16(offset: number): number {
    return this.#data[offset]! | (this.#data[offset + 1]! << 8);
  }

  #changed(effects: number): void {
    if ((effects & CONFIG_EFFECT.barSize) !== 0) this.#resizeBars();
    this.#decode();
  }

  #resizeBars(): void {
    const sizes = resizedBars(this.#data, this.capabilities);
    if (sizes.size === 0) return;
    this.#bars = this.#bars.map((bar) => ({ ...bar, sizeLg2: sizes.get(bar.index) ?? bar.sizeLg2 }));
    this.#masks = copyMasks(this.#masks);
    applyBars(this.#masks, this.#bars);
    for (const bar of this.#bars) if (sizes.has(bar.index)) alignBar(this.#data, this.#masks, bar);
  }

  /** The bytes have the addresses that go with them. */
  #giveBarsSizes(sizes: Uint8Array): void {
    this.#bars = this.#bars.map((bar, i) => ({ ...bar, sizeLg2: sizes[i]! }));
    this.#masks = copyMasks(this.#masks);
    applyBars(this.#masks, this.#bars);
  }

  #decode(): void {
    const at = this.#at;
    const command = this.#u16(HEADER.command);
    this.#busMaster = (command & COMMAND.busMaster) !== 0;
    this.#memorySpace = (command & COMMAND.memory) !== 0;
    this.#ioSpace = (command & COMMAND.io) !== 0;
    if (this.isBridge) {
      this.#windowPages = undefined;
      this.#secondaryBus = this.#data[HEADER.secondaryBus]!;
      this.#subordinateBus = this.#data[HEADER.subordinateBus]!;
    }
    if (at.express >= 0) {
      const control = this.#u16(at.express + EXPRESS.deviceControl);
      this.#maxPayloadBytes = 128 << ((control >> 5) & 7);
      this.#maxReadRequestBytes = 128 << ((control >> 12) & 7);
      this.#ariForwarding = at.deviceControl2 >= 0 && (this.#data[at.deviceControl2]! & ARI_FORWARDING) !== 0;
    }
    if (at.powerControl >= 0) this.#powerState = this.#data[at.powerControl]! & POWER.state;
    if (at.ats >= 0) {
      const control = this.#u16(at.ats + ATS_CONTROL);
      this.#atsEnabled = (control & ATS_ENABLE) !== 0;
      this.#unitPagesLg2 = control & 0x1f;
    }
    if (at.pasid >= 0) this.#pasidEnabled = (this.#data[at.pasid + 6]! & 1) !== 0;
    if (at.acs >= 0) {
      const needed = ACS_ISOLATION & this.#data[at.acs + 4]!;
      this.#acsEnabledRedirect = (this.#data[at.acs + 6]! & needed) === needed;
      this.#acsControl = this.#u16(at.acs + 6);
    }
  }
}
