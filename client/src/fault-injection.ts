import { ask, type CallOptions } from './ask.ts';
import type { Channel } from './channel.ts';
import { FAULT_KIND, REQUEST_POINT, type FaultKind, type HoldPoint } from './names.ts';
import { nsOfMs, u32 } from './numbers.ts';

export interface ArmOptions extends CallOptions {
  /** The first occurrence that it acts on; 1, the next, when absent. */
  readonly first?: number;
  /** On how many; 0 without end; 1 when absent. */
  readonly count?: number;
  /** Of `hold`: where. */
  readonly point?: HoldPoint;
  /** Of `late-invalidations`: how late, on the machine's clock. Of `coalesced-completions`: when they go though not all have come. */
  readonly delayMs?: number;
}

/** Faults on purpose, of one function by its packed place. */
export class FaultInjection {
  readonly #channel: Channel;
  readonly #function: number;

  constructor(channel: Channel, fn: number) {
    this.#channel = channel;
    this.#function = fn;
  }

  /** Errors: ENODEV, EINVAL (`hold` without a point; `coalesced-completions` without end and without a delay). */
  async arm(fault: FaultKind, options?: ArmOptions): Promise<void> {
    const request = {
      function: this.#function,
      fault: FAULT_KIND.numberOf(fault, 'fault'),
      first: options?.first === undefined ? null : u32(options.first, 'first'),
      count: options?.count === undefined ? null : u32(options.count, 'count'),
      point: options?.point === undefined ? null : REQUEST_POINT.numberOf(options.point, 'point'),
      delayNs: options?.delayMs === undefined ? null : nsOfMs(options.delayMs, 'delayMs'),
    };
    await ask(this.#channel, 'faultArm', request, options);
  }

  /** Errors: ENODEV. */
  async disarm(fault: FaultKind, options?: CallOptions): Promise<void> {
    await ask(this.#channel, 'faultDisarm', { function: this.#function, fault: FAULT_KIND.numberOf(fault, 'fault') }, options);
  }
}
