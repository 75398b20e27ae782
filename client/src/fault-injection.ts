import type { Calls } from '../../proto/index.ts';
import { ask, type CallOptions } from './ask.ts';
import { bdfText, packBdf } from './bdf.ts';
import type { Channel } from './channel.ts';
import { FAULT_KIND, MEMORY_ERROR, REQUEST_POINT, type FaultKind, type HoldPoint, type MemoryError } from './names.ts';
import { bigintOf, msOfNs, nsOfMs, numberOf, u32, u64 } from './numbers.ts';

export interface ArmOptions extends CallOptions {
  /** The first occurrence that it acts on; 1, the next, when absent. */
  readonly first?: number;
  /** On how many; 0 without end; 1 when absent. */
  readonly count?: number;
  /** Of `hold`: where. */
  readonly point?: HoldPoint;
  /** Of what comes late: how late, on the machine's clock. Of `coalesced-completions`: when they go though not all have come. */
  readonly delayMs?: number;
  /** In force from then on the machine's clock, and until then, when it is disarmed; absent: at once, and without end. */
  readonly fromMs?: number;
  readonly untilMs?: number;
}

/** Of memory, by physical range. */
export interface ArmMemoryOptions extends Omit<ArmOptions, 'point'> {
  readonly address: bigint | number;
  readonly bytes: bigint | number;
  /** Of `memory-errors`; `completer-abort` when absent. */
  readonly error?: MemoryError;
  /** What hosts read and write too, which ends with EIO, or comes late; not with `function`. */
  readonly hosts?: boolean;
  /** Only the DMA of this function. */
  readonly function?: { readonly bdf: string };
}
export type MemoryFaultKind = Extract<FaultKind, 'memory-errors' | 'memory-stalls'>;

/** A fault on purpose that is armed. */
export interface ArmedFault {
  /** Its number, for {@link ArmedFaults.disarm}. */
  readonly armed: number;
  readonly fault: FaultKind;
  /** Undefined for one of memory that acts on every function's DMA. */
  readonly function: string | undefined;
  readonly address: bigint | undefined;
  readonly bytes: bigint | undefined;
  readonly error: MemoryError | undefined;
  /** Occurrences that it lets pass yet. */
  readonly passes: number;
  readonly acted: number;
  /** How often it will act yet; undefined without end. */
  readonly left: number | undefined;
  readonly point: HoldPoint | undefined;
  readonly delayMs: number;
  readonly fromMs: number;
  readonly untilMs: number | undefined;
  readonly inForce: boolean;
  /** It acts on accesses of hosts too. */
  readonly hosts: boolean;
  readonly text: string;
}

function requestOf(fn: number | null, fault: FaultKind, options: ArmOptions | undefined): Calls['faultArm']['request'] {
  const { first, count, point, delayMs, fromMs, untilMs } = options ?? {};
  return {
    function: fn,
    fault: FAULT_KIND.numberOf(fault, 'fault'),
    first: first === undefined ? null : u32(first, 'first'),
    count: count === undefined ? null : u32(count, 'count'),
    point: point === undefined ? null : REQUEST_POINT.numberOf(point, 'point'),
    delayNs: delayMs === undefined ? null : nsOfMs(delayMs, 'delayMs'),
    fromNs: fromMs === undefined ? null : nsOfMs(fromMs, 'fromMs'),
    untilNs: untilMs === undefined ? null : nsOfMs(untilMs, 'untilMs'),
  };
}

/** Faults on purpose, of one function by its packed place. */
export class FaultInjection {
  readonly #channel: Channel;
  readonly #function: number;

  constructor(channel: Channel, fn: number) {
    this.#channel = channel;
    this.#function = fn;
  }

  /**
   * Arms a fault, in place of one of the same kind; its number. Errors: ENODEV, EINVAL (`hold` without a point; `coalesced-completions` without end and without
   * a delay; an end that is not after now and the beginning).
   */
  async arm(fault: Exclude<FaultKind, MemoryFaultKind>, options?: ArmOptions): Promise<number> {
    return (await ask(this.#channel, 'faultArm', requestOf(this.#function, fault, options), options)).body.armed;
  }

  /** Errors: ENODEV. */
  async disarm(fault: FaultKind, options?: CallOptions): Promise<void> {
    await ask(this.#channel, 'faultDisarm', { function: this.#function, fault: FAULT_KIND.numberOf(fault, 'fault') }, options);
  }
}

/** All faults on purpose of a machine, and those of its memory. */
export class ArmedFaults {
  readonly #channel: Channel;

  constructor(channel: Channel) {
    this.#channel = channel;
  }

  /** By number. */
  async list(options?: CallOptions): Promise<ArmedFault[]> {
    return (await ask(this.#channel, 'faultList', {}, options)).body.faults.map(armedFault);
  }

  /** Memory that errs, or stalls; its number. Errors: EINVAL (an empty range, or one beyond what is addressed), ENODEV. */
  async armMemory(fault: MemoryFaultKind, options: ArmMemoryOptions): Promise<number> {
    const request = {
      ...requestOf(options.function === undefined ? null : packBdf(options.function.bdf), fault, options),
      address: u64(options.address, 'address'),
      bytes: u64(options.bytes, 'bytes'),
      error: options.error === undefined ? null : MEMORY_ERROR.numberOf(options.error, 'error'),
      hosts: options.hosts ?? null,
    };
    return (await ask(this.#channel, 'faultArm', request, options)).body.armed;
  }

  /** Takes the fault with this number away. Errors: ENOENT (it is over, or never was). */
  async disarm(armed: number, options?: CallOptions): Promise<void> {
    await ask(this.#channel, 'faultDisarm', { armed: u32(armed, 'armed') }, options);
  }
}

type Body = Calls['faultList']['reply']['faults'][number];

function armedFault(body: Body): ArmedFault {
  return {
    armed: body.armed,
    fault: FAULT_KIND.nameOf(body.fault),
    function: body.function === null ? undefined : bdfText(body.function),
    address: body.address === null ? undefined : bigintOf(body.address),
    bytes: body.bytes === null ? undefined : bigintOf(body.bytes),
    error: body.error === 0 ? undefined : MEMORY_ERROR.nameOf(body.error),
    passes: body.passes,
    acted: body.acted,
    left: body.left ?? undefined,
    point: body.point === 0 ? undefined : (REQUEST_POINT.nameOf(body.point) as HoldPoint),
    delayMs: msOfNs(numberOf(body.delayNs)),
    fromMs: msOfNs(numberOf(body.fromNs)),
    untilMs: body.untilNs === null ? undefined : msOfNs(numberOf(body.untilNs)),
    inForce: body.inForce,
    hosts: body.hosts,
    text: body.text,
  };
}
