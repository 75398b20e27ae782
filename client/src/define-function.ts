/** PCI functions as plain objects: what one is, and what it does when it is accessed. */
import type { CallOptions } from './ask.ts';
import type { DeviceAts, Invalidation, InvalidationAnswer } from './device-ats.ts';
import type { DeviceDma } from './device-dma.ts';
import type { ClaimOptions, ClaimedFunction, DeviceHandlers, RegionAccess } from './device-role.ts';
import { FunctionLife } from './function-life.ts';
import type { InterruptOutcome, ResetMethod } from './names.ts';

/** A base address register: 0 to 5, its size (`64KiB`), and its kind, `memory32` where none is given. */
export interface BarDefinition {
  readonly bar: number;
  readonly size: string;
  readonly kind?: 'memory32' | 'memory64' | 'io';
  readonly prefetchable?: boolean;
}

/** One access to a BAR. */
export interface BarAccess {
  readonly bar: number;
  readonly offset: number;
  readonly bytes: number;
}

/** The function as its own code sees it. */
export interface RunningFunction<State> {
  /** `00:04.0`. */
  readonly bdf: string;
  /** Its registers and whatever else it has: made anew by each reset. What began before one and ends after it is to compare this with what it began with. */
  readonly state: State;
  /** Aborted when `state` is made anew, when the function is given up, and when its connection ends. */
  readonly signal: AbortSignal;
  readonly dma: DeviceDma;
  /** Translation requests and late completions, of one with `atc: 'peer'`. */
  readonly ats: DeviceAts;
  /** MSI-X, MSI or INTx, as configuration space has enabled; behind the DMA writes that were made before. */
  interrupt(vector: number): Promise<InterruptOutcome>;
  /** Its cause for INTx comes or goes. */
  line(asserted: boolean): Promise<InterruptOutcome>;
  /** `onAlarm` is called so much later on the machine's clock. */
  setAlarm(alarm: number, delay: { readonly ms?: number; readonly ns?: number }): Promise<void>;
  cancelAlarm(alarm: number): Promise<void>;
  /**
   * Work that goes on behind the access or alarm that began it: `void fn.run(async (fn) => …)`. What it is given has the state of now and is good until
   * `signal` is aborted: from then on each call of it, and each that was waiting, rejects, nothing goes out any more, and the work ends quietly there. So it
   * does at the call that finds the function gone.
   * Resolves when it has ended; rejects with what it threw besides.
   */
  run(work: (fn: RunningFunction<State>) => Promise<void>): Promise<void>;
  /** Makes `state` anew as a reset does, for a reset bit of the function's own. Alarms stay, and DMA that was sent goes on: nobody is told of its end. */
  renew(): void;
  /** Configuration space as it stood when the function was claimed. */
  readonly config: Uint8Array;
  /** Its last reset was a loss of power, which sticky registers do not survive either. */
  readonly lostPower: boolean;
}

/**
 * What a function is (as a topology has it, checked by the server when it is claimed) and what it does. Accesses and alarms start one after the other, each
 * when the one before has settled.
 */
export interface FunctionDefinition<State> {
  readonly vendor: number;
  readonly device: number;
  /** 24 bits. Absent: ff0000h, unassigned. */
  readonly class?: number;
  readonly revision?: number;
  readonly bars: readonly BarDefinition[];
  /** As a topology's `capabilities`: `{ msi: { vectors: 4 }, ats: false }`. Absent: those of `remote` functions. */
  readonly capabilities?: object;
  readonly interruptPin?: 'A' | 'B' | 'C' | 'D';
  /** Widths of accesses that it takes; others are refused for it. Absent: all. */
  readonly widths?: ClaimOptions['widths'];
  readonly postedWrites?: boolean;
  /** How long `onReset` may take, wall clock, 1 to 600,000 ms. Absent: 30,000. */
  readonly resetDeadlineMs?: number;
  /** `peer`: it caches its translations itself, by `fn.ats` and `onInvalidate`. Absent: the server does. */
  readonly atc?: ClaimOptions['atc'];
  /** Its state after power-up and after each reset. */
  readonly state: () => State;
  /** It is claimed; the first access comes when this has settled. `restarted`: it had vanished, and is as hosts have set it up; a reset follows. */
  onStart?(fn: RunningFunction<State>, restarted: boolean): void | Promise<void>;
  /** It was given up, or its connection has ended: once, and nothing comes after. */
  onEnd?(fn: RunningFunction<State>): void;
  /** The register's value. Absent: 0. */
  onRead?(fn: RunningFunction<State>, access: BarAccess): bigint | number | Promise<bigint | number>;
  onWrite?(fn: RunningFunction<State>, access: BarAccess, value: bigint): void | Promise<void>;
  /** After its state was made anew; it is ready when this settles. */
  onReset?(fn: RunningFunction<State>, method: ResetMethod): void | Promise<void>;
  /** The machine's clock stands until this settles. */
  onAlarm?(fn: RunningFunction<State>, alarm: number): void | Promise<void>;
  /** With `atc: 'peer'`: drop what is cached of the range, as {@link DeviceHandlers.onInvalidate} says. Starts at once, as a reset does. */
  onInvalidate?(fn: RunningFunction<State>, invalidation: Invalidation): InvalidationAnswer | Promise<InvalidationAnswer>;
}

/** Whatever it can be played on: a connection with the device role. */
export interface DeviceConnection {
  /** Resolves when it has ended. */
  readonly closed: Promise<unknown>;
  claimDevice(bdf: string, handlers: DeviceHandlers, options?: ClaimOptions): Promise<ClaimedFunction>;
  plugDevice(port: string, handlers: DeviceHandlers, options: ClaimOptions & { readonly declare: object }): Promise<ClaimedFunction>;
}

/** A function that is being played. Disposing of it gives it up. */
export interface PlayedFunction<State> extends AsyncDisposable {
  readonly fn: RunningFunction<State>;
  /** It had vanished, and is as hosts have set it up. */
  readonly restarted: boolean;
  release(): Promise<void>;
}

export interface PlayOptions extends CallOptions {
  /** It is what stands in the slot, by the machine's topology: nothing is declared. Absent: false, what stands there is replaced where it is something else. */
  readonly asItStands?: boolean;
}

export interface DefinedFunction<State> {
  readonly definition: FunctionDefinition<State>;
  /** Plays it in a slot. Errors: as of `claimDevice`; EINVAL names what of the definition cannot be. */
  claim(connection: DeviceConnection, bdf: string, options?: PlayOptions): Promise<PlayedFunction<State>>;
  /** Plugs it into the empty slot of a port; `address` is its place below: `00.0`. */
  plug(connection: DeviceConnection, port: string, address: string, options?: CallOptions): Promise<PlayedFunction<State>>;
}

/** A function to be played as often as wanted, each time with a state of its own. */
export function defineFunction<State>(definition: FunctionDefinition<State>): DefinedFunction<State> {
  const declare = declarationOf(definition);
  const terms = {
    ...(definition.widths === undefined ? {} : { widths: definition.widths }),
    ...(definition.postedWrites === undefined ? {} : { postedWrites: definition.postedWrites }),
    ...(definition.resetDeadlineMs === undefined ? {} : { resetDeadlineMs: definition.resetDeadlineMs }),
    ...(definition.atc === undefined ? {} : { atc: definition.atc }),
  };
  return {
    definition,
    claim: (connection, bdf, { asItStands = false, ...options } = {}) =>
      play(definition, connection, (handlers) =>
        connection.claimDevice(bdf, handlers, { ...options, ...terms, ...(asItStands ? {} : { declare }) }),
      ),
    plug: (connection, port, address, options = {}) =>
      play(definition, connection, (handlers) =>
        connection.plugDevice(port, handlers, { ...options, ...terms, declare: { address, ...declare } }),
      ),
  };
}

function declarationOf<State>(definition: FunctionDefinition<State>): object {
  const { vendor, device, class: classCode, revision, bars, capabilities, interruptPin } = definition;
  return {
    vendor: hex(vendor),
    device: hex(device),
    ...(classCode === undefined ? {} : { class: hex(classCode) }),
    ...(revision === undefined ? {} : { revision: hex(revision) }),
    bars,
    ...(capabilities === undefined ? {} : { capabilities }),
    ...(interruptPin === undefined ? {} : { interruptPin }),
  };
}

async function play<State>(
  definition: FunctionDefinition<State>,
  { closed }: DeviceConnection,
  claim: (handlers: DeviceHandlers) => Promise<ClaimedFunction>,
): Promise<PlayedFunction<State>> {
  const life = new FunctionLife(definition.state);
  // The first access may come right behind the answer to the claim: then it is there, and its code has not been told.
  const given: { claimed?: ClaimedFunction; started?: true } = {};
  const fn = running(life, () => {
    if (given.claimed === undefined) throw new Error('the function has not been claimed yet');
    return given.claimed;
  });
  let ready = (): void => undefined;
  const claiming = new Promise<void>((resolve) => {
    ready = resolve;
  });
  /** At once, as soon as the claim is answered. */
  const when = <T>(run: () => T | Promise<T>): T | Promise<T> => (given.started === undefined ? claiming.then(run) : run());
  const claimed = await claim({
    onRegionRead: (access) => when(() => definition.onRead?.(fn, barAccess(access)) ?? 0),
    onRegionWrite: ({ value, ...access }) => when(() => definition.onWrite?.(fn, barAccess(access), value)),
    onAlarm: (alarm) => when(() => definition.onAlarm?.(fn, alarm)),
    onInvalidate: (invalidation) => when(() => definition.onInvalidate?.(fn, invalidation)),
    onReset: (method) =>
      when(() => {
        life.renew();
        return definition.onReset?.(fn, method);
      }),
  });
  given.claimed = claimed;
  const end = (): void => {
    if (life.signal.aborted) return;
    life.end();
    definition.onEnd?.(fn);
  };
  void closed.then(end);
  try {
    await definition.onStart?.(fn, claimed.restarted);
  } catch (error) {
    life.end();
    await claimed.release();
    throw error;
  }
  given.started = true;
  ready();
  return {
    fn,
    restarted: claimed.restarted,
    release: () => claimed.release().then(end),
    [Symbol.asyncDispose]: () => claimed[Symbol.asyncDispose]().then(end),
  };
}

function running<State>(life: FunctionLife<State>, there: () => ClaimedFunction): RunningFunction<State> {
  const fn: RunningFunction<State> = {
    get bdf() {
      return there().bdf;
    },
    get state() {
      return life.state;
    },
    get signal() {
      return life.signal;
    },
    get dma() {
      return there().dma;
    },
    get ats() {
      return there().ats;
    },
    get config() {
      return there().config;
    },
    get lostPower() {
      return there().lostPower;
    },
    interrupt: (vector) => there().interrupt(vector),
    line: (asserted) => there().line(asserted),
    setAlarm: (alarm, delay) => there().setAlarm(alarm, delay),
    cancelAlarm: (alarm) => there().cancelAlarm(alarm),
    run: (work) => life.run(fn, work),
    renew: () => life.renew(),
  };
  return fn;
}

function barAccess({ region, offset, bytes }: RegionAccess): BarAccess {
  return { bar: region, offset, bytes };
}

function hex(value: number): string {
  return `0x${value.toString(16)}`;
}
