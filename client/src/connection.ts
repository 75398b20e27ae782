import type { CallName, Calls } from '../../proto/index.ts';
import { ask, type CallOptions } from './ask.ts';
import type { Answer, Channel, Closed, Granted, PeerAnswer, PeerCall } from './channel.ts';
import { ClaimedFunctions } from './claimed-functions.ts';
import type { ClaimOptions, ClaimedFunction, DeviceHandlers } from './device-role.ts';
import { EventStreams } from './event-streams.ts';
import { Machine, type MachineLink } from './machine.ts';
import { MemoryOwners, type MemoryHandlers, type MemoryOwner, type MemoryRange } from './memory-owner.ts';

/** A connection to one machine, in the roles that were granted. Disposing of it closes it. */
export class Connection implements MachineLink, AsyncDisposable {
  readonly channel: Channel;
  readonly events: EventStreams;
  /** The machine as hosts and observers see it. */
  readonly machine: Machine;
  /** Resolves when the connection has ended, with the reason. */
  readonly closed: Promise<Closed>;
  readonly #memory: MemoryOwners;
  readonly #functions: ClaimedFunctions;
  readonly #tokenPrefix: string;
  #tokens = 0;

  /** `tokenPrefix`: what the tokens of its reset windows begin with; nobody else may use it on this machine. */
  constructor(channel: Channel, tokenPrefix: string = randomPrefix()) {
    this.channel = channel;
    this.events = new EventStreams(channel);
    this.machine = new Machine(this);
    this.#memory = new MemoryOwners(channel);
    this.#functions = new ClaimedFunctions(channel);
    this.#tokenPrefix = tokenPrefix;
    this.closed = new Promise((resolve) => {
      channel.listen({
        event: (name, event) => this.events.put(name, event),
        peerCall: (call) => this.#answer(call),
        closed: (how) => {
          this.events.end(how.reason === '' ? `closed (${how.code})` : how.reason);
          resolve(how);
        },
      });
    });
  }

  get granted(): Granted {
    return this.channel.granted;
  }

  /** Once the server has said that it stops: the wall-clock milliseconds that it gave then. */
  get drainingMs(): number | undefined {
    return this.events.drainingMs;
  }

  /**
   * Owns a range of guest memory: the server's reads and writes come to the handlers. Needs the memory role. Errors: EINVAL (alignment),
   * EADDRINUSE (overlaps), EPERM.
   */
  serveMemory(range: MemoryRange, handlers: MemoryHandlers, options?: CallOptions): Promise<MemoryOwner> {
    return this.#memory.serve(range, handlers, options);
  }

  /**
   * Emulates a `remote` function: accesses and resets come to the handlers, and it can do DMA. Needs the device role. Errors: ENODEV, EBUSY
   * (claimed by another), EOPNOTSUPP (not a remote function), EPERM, EINVAL (widths).
   */
  claimDevice(bdf: string, handlers: DeviceHandlers = {}, options?: ClaimOptions): Promise<ClaimedFunction> {
    return this.#functions.claim(bdf, handlers, options);
  }

  /**
   * The same of a function that comes with the claim, into the empty slot of a port, and goes with it. `address` of `declare` may leave out the bus. Errors: as of
   * {@link claimDevice}; EBUSY (the slot has something), EINVAL (what is declared).
   */
  plugDevice(port: string, handlers: DeviceHandlers, options: ClaimOptions & { readonly declare: object }): Promise<ClaimedFunction> {
    return this.#functions.plug(port, handlers, options);
  }

  /** Any call of the contract as it stands there; the handles make the same calls. 64-bit fields are `{ low, high }`. */
  call<K extends CallName>(name: K, request: Calls[K]['request'], data?: Uint8Array, options?: CallOptions): Promise<Answer<K>> {
    return ask(this.channel, name, request, options, data);
  }

  nextToken(): string {
    return `${this.#tokenPrefix}-${++this.#tokens}`;
  }

  /** Pending calls are rejected with ECONNRESET. */
  close(): Promise<void> {
    return this.channel.close();
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.close();
  }

  #answer(call: PeerCall): PeerAnswer | Promise<PeerAnswer> {
    switch (call.name) {
      case 'regionRead':
        return this.#functions.regionRead(call.request);
      case 'regionWrite':
        return this.#functions.regionWrite(call.request);
      case 'regionWriteMulti':
        return this.#functions.regionWriteMulti(call.request);
      case 'deviceAlarm':
        return this.#functions.alarm(call.request);
      case 'deviceReset':
        return this.#functions.reset(call.request);
      case 'deviceInvalidate':
        return this.#functions.invalidate(call.request);
      case 'memoryRead':
      case 'memoryWrite':
      case 'memoryFence':
        return this.#memory.answer(call);
    }
  }
}

const PREFIX_BYTES = 8;

function randomPrefix(): string {
  return Array.from(crypto.getRandomValues(new Uint8Array(PREFIX_BYTES)), (byte) => byte.toString(16).padStart(2, '0')).join('');
}
