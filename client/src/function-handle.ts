import { ask, type CallOptions } from './ask.ts';
import { bdfText } from './bdf.ts';
import type { Channel } from './channel.ts';
import { functionInfo, groupInfo, ledgerEntry, regionInfo } from './descriptions.ts';
import type { FunctionInfo, GroupInfo, LedgerEntry, RegionInfo } from './descriptions.ts';
import { attachedTo, type Domain } from './domains.ts';
import { invalid } from './errors.ts';
import { FaultInjection } from './fault-injection.ts';
import { unplug, type UnplugOptions, type UnplugReport } from './hotplug.ts';
import { irq, type Irq } from './interrupts.ts';
import type { Ioas } from './ioas.ts';
import { Mappings } from './mappings.ts';
import { Model } from './model.ts';
import { DEFAULT_DOMAIN_TYPE, type DefaultDomainType, type ResetMethod } from './names.ts';
import { u32 } from './numbers.ts';
import { PasidHandle } from './pasid.ts';
import { Recovery } from './recovery.ts';
import { CONFIG, ROM, Region } from './region.ts';
import {
  Reset,
  type BusResetOptions,
  type BusResetReport,
  type DoneReport,
  type PrepareOptions,
  type ResetMethods,
  type ResetOptions,
  type ResetReport,
  type ResetWindow,
} from './reset.ts';
import { Slot } from './slot.ts';
import { Sriov } from './sriov.ts';
import { waited, type Waited } from './waited.ts';

/** One function of a machine. Making a handle asks nothing: a call tells when there is no such function (ENODEV). */
export class FunctionHandle {
  /** `00:02.0`. */
  readonly bdf: string;
  /** Configuration space. */
  readonly config: Region;
  /** The expansion ROM. */
  readonly rom: Region;
  /** The mappings of the domain that it has attached. */
  readonly dma: Mappings;
  /** What a `dma-probe` is made to do. */
  readonly model: Model;
  readonly faults: FaultInjection;
  /** Its virtual functions. */
  readonly sriov: Sriov;
  /** Of a port: the slot below it. */
  readonly slot: Slot;
  /** Recovery from errors on the bus. */
  readonly recovery: Recovery;
  readonly #channel: Channel;
  readonly #at: { readonly function: number };
  readonly #reset: Reset;

  /** `fn` is a packed place. */
  constructor(channel: Channel, fn: number, nextToken: () => string) {
    this.bdf = bdfText(fn);
    this.#channel = channel;
    this.#at = { function: fn };
    this.config = new Region(channel, fn, CONFIG);
    this.rom = new Region(channel, fn, ROM);
    this.dma = new Mappings(channel, this.#at);
    this.model = new Model(channel, fn);
    this.sriov = new Sriov(this.config, this.bdf);
    this.slot = new Slot(channel, fn, this.config);
    this.faults = new FaultInjection(channel, fn);
    this.recovery = new Recovery(channel, fn);
    this.#reset = new Reset(channel, fn, nextToken);
  }

  /** The base address register with this number, 0 to 5. */
  bar(index: number): Region {
    if (!Number.isInteger(index) || index < 0 || index >= ROM) throw invalid('region', `there is no BAR ${index}`);
    return new Region(this.#channel, this.#at.function, index);
  }

  pasid(pasid: number): PasidHandle {
    return new PasidHandle(this.#channel, this.#at.function, pasid);
  }

  async info(options?: CallOptions): Promise<FunctionInfo> {
    return functionInfo((await ask(this.#channel, 'functionInfo', this.#at, options)).body);
  }

  /** Where its base address registers are, and how large. */
  async regions(options?: CallOptions): Promise<RegionInfo[]> {
    return (await ask(this.#channel, 'functionRegions', this.#at, options)).body.regions.map(regionInfo);
  }

  /** The ways in which it interrupts, and how they stand. */
  async irqs(options?: CallOptions): Promise<Irq[]> {
    return (await ask(this.#channel, 'irqInfo', this.#at, options)).body.irqs.map(irq);
  }

  /** Its IOMMU group. Errors: EOPNOTSUPP (no IOMMU). */
  async group(options?: CallOptions): Promise<GroupInfo> {
    return groupInfo((await ask(this.#channel, 'groupInfo', this.#at, options)).body);
  }

  /**
   * Attaches its whole group. Errors: ENOENT, EBUSY (a window is open in the group), EIO (the hardware refused); of an I/O address space EINVAL (nobody
   * has claimed the group), EADDRINUSE (an area is in a reserved region).
   */
  async attach(to: Domain | Ioas, options?: CallOptions): Promise<Waited> {
    return waited((await ask(this.#channel, 'domainAttach', { ...this.#at, ...attachedTo(to) }, options)).body.elapsedNs);
  }

  /** Back to the group's default domain. */
  async detach(options?: CallOptions): Promise<Waited> {
    return waited((await ask(this.#channel, 'domainDetach', this.#at, options)).body.elapsedNs);
  }

  /** Takes the group out of the kernel's hands: it rests on its blocking domain. Errors: EBUSY. */
  async claimOwner(options?: CallOptions): Promise<Waited> {
    return waited((await ask(this.#channel, 'ownerClaim', this.#at, options)).body.elapsedNs);
  }

  /**
   * Says that the function's driver is about to use it (iommu_deferred_attach). Errors: EBUSY (in a reset window, and still deferred when it looked), EIO (the hardware
   * refused).
   */
  async deferredAttach(options?: CallOptions): Promise<Waited> {
    return waited((await ask(this.#channel, 'deferredAttach', this.#at, options)).body.elapsedNs);
  }

  /**
   * Says that the function no longer behaves: it is blocked at once, until a reset of it succeeds. Errors: EOPNOTSUPP (only `strict` has this).
   */
  async reportBroken(options?: CallOptions): Promise<Waited> {
    return waited((await ask(this.#channel, 'reportBroken', this.#at, options)).body.elapsedNs);
  }

  /** Gives the group back to its default domain. Errors: EINVAL (not claimed). */
  async releaseOwner(options?: CallOptions): Promise<Waited> {
    return waited((await ask(this.#channel, 'ownerRelease', this.#at, options)).body.elapsedNs);
  }

  /**
   * Gives its group another default domain, as sysfs `type` does; `auto`: the one that is chosen when a group is probed. Errors: EINVAL (no default domain; a
   * member insists on another type, or is untrusted), EPERM (claimed, or another domain or a PASID is attached), EBUSY (a window is open), ENOMEM.
   */
  async setDefaultDomain(type: DefaultDomainType, options?: CallOptions): Promise<Waited> {
    const request = { ...this.#at, type: DEFAULT_DOMAIN_TYPE.numberOf(type, 'type') };
    return waited((await ask(this.#channel, 'defaultDomainSet', request, options)).body.elapsedNs);
  }

  /** What it has in flight, in issue order. */
  async ledger(options?: CallOptions): Promise<LedgerEntry[]> {
    return (await ask(this.#channel, 'ledger', this.#at, options)).body.entries.map(ledgerEntry);
  }

  /** Lets a held request go on, by its number in the ledger, or all that are held. Errors: ENOENT (none is held). */
  async release(request?: number, options?: CallOptions): Promise<Waited> {
    const body = { ...this.#at, request: request === undefined ? null : u32(request, 'request') };
    return waited((await ask(this.#channel, 'dmaRelease', body, options)).body.elapsedNs);
  }

  /**
   * Opens a reset window: closes the gate, drains, fences. Errors: EINVAL, ETIMEDOUT (`fail`: nothing was changed), EIO (the IOMMU refused
   * the blocking domain).
   */
  resetPrepare(options: PrepareOptions): Promise<ResetWindow> {
    return this.#reset.prepare(options);
  }

  /**
   * The reset itself, with no window of its own, until the function is ready. Without a method: those that are enabled, one after the other.
   * Errors: ENOTTY (no such method, or not ready in 60 s), EINVAL (`pm`, and not in D0).
   */
  resetTrigger(method?: ResetMethod, options?: CallOptions): Promise<Waited> {
    return this.#reset.trigger(method, options);
  }

  /** Closes a window by its token, or all of them, also those of a host that is gone. What went wrong is its `warning`. Errors: EINVAL. */
  resetDone(which: { readonly token: string } | { readonly all: true }, options?: CallOptions): Promise<DoneReport> {
    return this.#reset.done(which, options);
  }

  /**
   * Takes it out, with what is below it; of a root or downstream port what is below, and the port stays. Returns when it is gone. Errors: ENODEV, EBUSY
   * (it is leaving already).
   */
  unplug(options: UnplugOptions = {}): Promise<UnplugReport> {
    return unplug(this.#channel, this.#at.function, options);
  }

  /** The reset methods that a probe finds. In `linux-7.1` looking may open and close a window. Errors: ENODEV. */
  resetProbe(options?: CallOptions): Promise<ResetMethods> {
    return this.#reset.probe(options);
  }

  /**
   * Writes `reset_method`: which methods a reset tries that names none, and in which order; `'default'` for all that a probe finds, `''` for none.
   * Errors: EINVAL (an unknown name, or one that it does not support: nothing was changed).
   */
  setResetMethods(methods: string | readonly ResetMethod[], options?: CallOptions): Promise<ResetMethods> {
    return this.#reset.setMethods(methods, options);
  }

  /** Resets everything below this bridge at once (pci_reset_bus). Errors: ENOTTY, EAGAIN (`tryLock`), in `strict` as {@link resetPrepare}. */
  resetBus(options: BusResetOptions = {}): Promise<BusResetReport> {
    return this.#reset.bus(options);
  }

  /** Power goes off and on below this port. Nobody is asked. Errors: EINVAL (not a bridge). */
  coldReset(options?: CallOptions): Promise<Waited> {
    return this.#reset.cold(options);
  }

  /** The whole of Linux's pci_reset_function. Errors as {@link resetPrepare}, {@link resetTrigger} and {@link resetDone}. */
  reset(options: ResetOptions): Promise<ResetReport> {
    return this.#reset.whole(options);
  }
}
