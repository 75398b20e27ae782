/** A TCP relay between a client and a service that is as bad as networks are: it delays, cuts bytes anywhere, stalls, breaks, and lets connections overtake each other. */
import { connect, createServer, type AddressInfo, type Server, type Socket } from 'node:net';

export interface RelayOptions {
  /** Each piece waits up to so long, in order; 0: none does. */
  readonly delayMs: number;
  /** Bytes of a piece at most. */
  readonly pieceBytes: number;
  readonly seed: number;
  /** Where it meets other relays, in whose traffic its own may have to wait. */
  readonly crossing?: Crossing;
}

/** xorshift32, from 0 to 1: any sequence will do, as long as a seed repeats it. */
export function sequence(seed: number): () => number {
  let state = seed | 0 || 1;
  return () => {
    state ^= state << 13;
    state ^= state >>> 17;
    state ^= state << 5;
    return (state >>> 0) / 2 ** 32;
  };
}

export interface CrossingOptions {
  readonly seed: number;
  /** How many of its pieces in a hundred each connection holds back. */
  readonly percent: number;
  /** Pieces of other connections that go before one that is held back, at most. */
  readonly overtakers: number;
  /** Where no others come it goes after so long. */
  readonly patienceMs: number;
}

interface HeldBack {
  readonly connection: object;
  /** Pieces of others that are still to go first. */
  left: number;
  go(): void;
}

/**
 * Connections of several relays, put into another order between each other on purpose: a piece may be held back until others, which came later, have been
 * delivered. What is behind it on its own connection waits with it, for within a connection TCP keeps the order.
 */
export class Crossing {
  readonly #options: CrossingOptions;
  readonly #random: () => number;
  readonly #held = new Set<HeldBack>();
  /** Pieces that went before one that had come earlier on another connection. */
  overtaken = 0;

  constructor(options: CrossingOptions) {
    this.#options = options;
    this.#random = sequence(options.seed);
  }

  /** `go` is called when the piece may be delivered. */
  ask(connection: object, go: () => void): void {
    const { percent, overtakers, patienceMs } = this.#options;
    if (this.#random() * 100 >= percent) {
      go();
      return;
    }
    const held: HeldBack = { connection, left: 1 + Math.floor(this.#random() * overtakers), go: () => this.#free(held, go, timer) };
    const timer = setTimeout(() => held.go(), patienceMs);
    this.#held.add(held);
  }

  /** A piece of this connection has been delivered. */
  delivered(connection: object): void {
    for (const held of this.#held) {
      if (held.connection === connection) continue;
      this.overtaken++;
      if (--held.left === 0) held.go();
    }
  }

  #free(held: HeldBack, go: () => void, timer: NodeJS.Timeout): void {
    clearTimeout(timer);
    if (this.#held.delete(held)) go();
  }
}

/** One direction: pieces leave in order, each behind its delay. */
class Way {
  readonly #to: Socket;
  /** What both directions have in common. */
  readonly #connection: object;
  readonly #options: RelayOptions;
  readonly #random: () => number;
  readonly #delivered: (bytes: number) => void;
  readonly #queue: Buffer[] = [];
  #busy = false;
  #closing = false;
  stalled = false;

  constructor(to: Socket, connection: object, options: RelayOptions, random: () => number, delivered: (bytes: number) => void) {
    this.#to = to;
    this.#connection = connection;
    this.#options = options;
    this.#random = random;
    this.#delivered = delivered;
  }

  push(bytes: Buffer): void {
    for (let at = 0; at < bytes.length;) {
      const size = 1 + Math.floor(this.#random() * this.#options.pieceBytes);
      this.#queue.push(bytes.subarray(at, at + size));
      at += size;
    }
    this.go();
  }

  /** Behind what is on its way. */
  close(): void {
    this.#closing = true;
    this.go();
  }

  go(): void {
    if (this.stalled || this.#busy) return;
    const piece = this.#queue.shift();
    if (piece === undefined) {
      if (this.#closing) this.#to.destroy();
      return;
    }
    const wait = this.#random() * this.#options.delayMs;
    this.#busy = true;
    const ask = (): void => {
      const { crossing } = this.#options;
      if (crossing === undefined) this.#leave(piece);
      else crossing.ask(this.#connection, () => this.#leave(piece));
    };
    if (wait < 1) setImmediate(ask);
    else setTimeout(ask, wait);
  }

  #leave(piece: Buffer): void {
    this.#busy = false;
    // What waited when it began to stall stays.
    if (this.stalled) {
      this.#queue.unshift(piece);
    } else if (!this.#to.destroyed) {
      this.#to.write(piece);
      this.#delivered(piece.length);
      this.#options.crossing?.delivered(this.#connection);
    }
    this.go();
  }
}

/** Of a relay: what it has delivered is looked at by others that wait for it. */
interface Awaiting {
  readonly bytes: number;
  go(): void;
}

export class Relay implements AsyncDisposable {
  readonly #server: Server;
  readonly #ways: Way[] = [];
  readonly #sockets = new Set<Socket>();
  readonly #awaiting = new Set<Awaiting>();
  /** Bytes, both ways together. */
  #delivered = 0;
  #stalled = false;

  private constructor(server: Server) {
    this.#server = server;
  }

  /** `host`: where it listens; this machine alone when absent. */
  static async to(url: string, options: RelayOptions, host = '127.0.0.1'): Promise<Relay> {
    const { hostname, port } = new URL(url);
    const server = createServer();
    const relay = new Relay(server);
    const random = sequence(options.seed);
    server.on('connection', (near) => relay.#join(near, connect(Number(port), hostname), options, random));
    await new Promise<void>((resolve) => server.listen(0, host, resolve));
    return relay;
  }

  /** The same address by way of the relay, which the caller finds at `host`. */
  via(url: string, host = '127.0.0.1'): string {
    const through = new URL(url);
    through.host = `${host}:${(this.#server.address() as AddressInfo).port}`;
    return through.href;
  }

  /** Nothing passes, and nobody is told. */
  stall(on: boolean): void {
    this.#stalled = on;
    for (const way of this.#ways) {
      way.stalled = on;
      way.go();
    }
  }

  /** Nothing passes until the other relay has delivered so many more bytes, both ways together: what came here earlier arrives later. */
  after(other: Relay, bytes: number): void {
    this.stall(true);
    const awaiting: Awaiting = {
      bytes: other.#delivered + bytes,
      go: () => {
        other.#awaiting.delete(awaiting);
        this.stall(false);
      },
    };
    other.#awaiting.add(awaiting);
  }

  /** The connections break. */
  cut(): void {
    for (const socket of this.#sockets) socket.resetAndDestroy();
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.cut();
    await new Promise((resolve) => this.#server.close(resolve));
  }

  #join(near: Socket, far: Socket, options: RelayOptions, random: () => number): void {
    for (const [from, to] of [
      [near, far],
      [far, near],
    ] as const) {
      const way = new Way(to, near, options, random, (bytes) => this.#count(bytes));
      // It stalls for who connects meanwhile too.
      way.stalled = this.#stalled;
      this.#ways.push(way);
      this.#sockets.add(from);
      from.setNoDelay(true);
      from.on('data', (bytes) => way.push(bytes));
      from.on('close', () => way.close());
      from.on('error', () => undefined);
    }
  }

  #count(bytes: number): void {
    this.#delivered += bytes;
    for (const awaiting of this.#awaiting) if (this.#delivered >= awaiting.bytes) awaiting.go();
  }
}
