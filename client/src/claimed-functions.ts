import type { Calls } from '../../proto/index.ts';
import { ask } from './ask.ts';
import { bdfText, packBdf } from './bdf.ts';
import type { Channel, PeerAnswer } from './channel.ts';
import { ClaimedFunction, type ClaimOptions, type DeviceHandlers, type RegionAccess } from './device-role.ts';
import { IommudError, isCancelled } from './errors.ts';
import { ATC_OWNER, CONFIG_KEEPER, RESET_METHOD } from './names.ts';
import { bigintOf, numberOf, u32 } from './numbers.ts';

/** The functions of one connection, and the way of a call to its function. */
export class ClaimedFunctions {
  readonly #channel: Channel;
  readonly #functions = new Map<number, ClaimedFunction>();
  readonly #coming = new Set<Promise<unknown>>();

  constructor(channel: Channel) {
    this.#channel = channel;
  }

  /** Errors: ENODEV, EBUSY (claimed by another), EOPNOTSUPP (not a remote function), EPERM (no device role), EEXIST (claimed here). */
  async claim(bdf: string, handlers: DeviceHandlers, options?: ClaimOptions): Promise<ClaimedFunction> {
    const fn = packBdf(bdf);
    if (this.#functions.has(fn))
      throw new IommudError({ code: 'EEXIST', message: `${bdf} is claimed by this connection already`, about: bdf });
    const claimed = this.#make(fn, handlers);
    // Before the claim is answered: the first access may come right behind the answer.
    this.#functions.set(fn, claimed);
    try {
      const request = { function: fn, ...termsOf(bdf, options) };
      const { body, data } = await ask(this.#channel, 'deviceClaim', request, options);
      claimed.config = data?.slice() ?? claimed.config;
      claimed.restarted = body.restarted;
    } catch (error) {
      this.#functions.delete(fn);
      // Given up is not undone: behind the claim goes what undoes it, if it had effect.
      if (isCancelled(error)) void ask(this.#channel, 'deviceRelease', { function: fn }).catch(() => undefined);
      throw error;
    }
    return claimed;
  }

  /** A function that comes with this claim, into the empty slot of a port, and goes with it. Errors: as {@link claim}; EBUSY (the slot has something), EINVAL. */
  async plug(port: string, handlers: DeviceHandlers, options: ClaimOptions & { readonly declare: object }): Promise<ClaimedFunction> {
    const request = { port: packBdf(port), ...termsOf(undefined, options) };
    const coming = ask(this.#channel, 'deviceClaim', request, options).then(({ body, data }) => {
      const claimed = this.#make(body.function, handlers);
      claimed.config = data?.slice() ?? claimed.config;
      this.#functions.set(body.function, claimed);
      return claimed;
    });
    const wait = coming.then(
      () => undefined,
      () => undefined,
    );
    this.#coming.add(wait);
    try {
      return await coming;
    } finally {
      this.#coming.delete(wait);
    }
  }

  regionRead(request: Calls['regionRead']['request']): PeerAnswer | Promise<PeerAnswer> {
    return this.#when(request.function, (fn) => fn.read(accessOf(request)));
  }

  regionWrite(request: Calls['regionWrite']['request']): PeerAnswer | Promise<PeerAnswer> {
    return this.#when(request.function, (fn) => fn.write({ ...accessOf(request), value: request.value ? bigintOf(request.value) : 0n }));
  }

  /** Each starts when the one before has settled; the first that fails is the answer. */
  async regionWriteMulti(request: Calls['regionWriteMulti']['request']): Promise<PeerAnswer> {
    const fn = this.#at(request.function);
    const answers = (request.writes ?? []).map(
      (write) => new Promise((resolve) => resolve(fn.write({ ...accessOf(write), value: write.value ? bigintOf(write.value) : 0n }))),
    );
    for (const one of await Promise.allSettled(answers)) if (one.status === 'rejected') throw one.reason;
    return {};
  }

  alarm(request: Calls['deviceAlarm']['request']): PeerAnswer | Promise<PeerAnswer> {
    return this.#when(request.function, (fn) => fn.alarm(request.alarm ?? 0));
  }

  reset(request: Calls['deviceReset']['request']): PeerAnswer | Promise<PeerAnswer> {
    return this.#when(request.function, (fn) => fn.reset(RESET_METHOD.nameOf(request.method ?? 0), request.cold ?? false));
  }

  invalidate(request: Calls['deviceInvalidate']['request']): PeerAnswer | Promise<PeerAnswer> {
    return this.#when(request.function, (fn) => fn.invalidate(request));
  }

  #make(fn: number, handlers: DeviceHandlers): ClaimedFunction {
    return new ClaimedFunction(this.#channel, fn, handlers, async (options) => {
      await ask(this.#channel, 'deviceRelease', { function: fn }, options);
      this.#functions.delete(fn);
    });
  }

  /** What is asked right behind the answer to a claim waits until that answer has been read. */
  #when(at: number | null | undefined, run: (fn: ClaimedFunction) => PeerAnswer | Promise<PeerAnswer>): PeerAnswer | Promise<PeerAnswer> {
    if (this.#coming.size === 0 || this.#functions.has(at ?? 0)) return run(this.#at(at));
    return Promise.all(this.#coming).then(() => run(this.#at(at)));
  }

  #at(fn: number | null | undefined): ClaimedFunction {
    const claimed = this.#functions.get(fn ?? 0);
    if (claimed === undefined) throw new IommudError({ code: 'ENODEV', message: `${bdfText(fn ?? 0)} is not emulated here` });
    return claimed;
  }
}

function termsOf(
  bdf: string | undefined,
  { config, declare, postedWrites, widths, atc, resetDeadlineMs }: ClaimOptions = {},
): Omit<Calls['deviceClaim']['request'], 'function'> {
  const entry = { model: 'remote', ...(bdf === undefined ? {} : { address: bdf }), ...declare };
  return {
    config: config === undefined ? null : CONFIG_KEEPER.numberOf(config, 'config'),
    declare: declare === undefined ? null : JSON.stringify({ functions: [entry] }),
    postedWrites: postedWrites ?? null,
    widths: widths === undefined ? null : widths.reduce((sum, width) => sum | width, 0),
    // The handlers see one write at a time in any case.
    writeMulti: true,
    resetDeadlineMs: resetDeadlineMs === undefined ? null : u32(resetDeadlineMs, 'resetDeadlineMs'),
    atc: atc === undefined ? null : ATC_OWNER.numberOf(atc, 'atc'),
  };
}

function accessOf(request: Pick<Calls['regionRead']['request'], 'region' | 'offset' | 'bytes'>): RegionAccess {
  return { region: request.region ?? 0, offset: request.offset ? numberOf(request.offset) : 0, bytes: request.bytes ?? 0 };
}
