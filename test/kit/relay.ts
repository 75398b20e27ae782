/** A TCP relay between a client and a service that is as bad as networks are: it delays, cuts bytes anywhere, stalls, and breaks. */
import { connect, createServer, type AddressInfo, type Server, type Socket } from 'node:net';

export interface RelayOptions {
  /** Each piece waits up to so long, in order; 0: none does. */
  readonly delayMs: number;
  /** Bytes of a piece at most. */
  readonly pieceBytes: number;
  readonly seed: number;
}

/** One direction: pieces leave in order, each behind its delay. */
class Way {
  readonly #to: Socket;
  readonly #options: RelayOptions;
  readonly #random: () => number;
  readonly #queue: Buffer[] = [];
  #busy = false;
  stalled = false;

  constructor(to: Socket, options: RelayOptions, random: () => number) {
    this.#to = to;
    this.#options = options;
    this.#random = random;
  }

  push(bytes: Buffer): void {
    for (let at = 0; at < bytes.length;) {
      const size = 1 + Math.floor(this.#random() * this.#options.pieceBytes);
      this.#queue.push(bytes.subarray(at, at + size));
      at += size;
    }
    this.go();
  }

  go(): void {
    const piece = this.stalled || this.#busy ? undefined : this.#queue.shift();
    if (piece === undefined) return;
    const wait = this.#random() * this.#options.delayMs;
    this.#busy = true;
    const leave = (): void => {
      this.#busy = false;
      // What waited when it began to stall stays.
      if (this.stalled) this.#queue.unshift(piece);
      else if (!this.#to.destroyed) this.#to.write(piece);
      this.go();
    };
    if (wait < 1) setImmediate(leave);
    else setTimeout(leave, wait);
  }
}

export class Relay implements AsyncDisposable {
  readonly #server: Server;
  readonly #ways: Way[] = [];
  readonly #sockets = new Set<Socket>();

  private constructor(server: Server) {
    this.#server = server;
  }

  static async to(url: string, options: RelayOptions): Promise<Relay> {
    const { hostname, port } = new URL(url);
    const server = createServer();
    const relay = new Relay(server);
    let state = options.seed;
    // xorshift32: any sequence will do, as long as a seed repeats it.
    const random = (): number => {
      state ^= state << 13;
      state ^= state >>> 17;
      state ^= state << 5;
      return (state >>> 0) / 2 ** 32;
    };
    server.on('connection', (near) => relay.#join(near, connect(Number(port), hostname), options, random));
    await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
    return relay;
  }

  /** The same address by way of the relay. */
  via(url: string): string {
    const through = new URL(url);
    through.host = `127.0.0.1:${(this.#server.address() as AddressInfo).port}`;
    return through.href;
  }

  /** Nothing passes, and nobody is told. */
  stall(on: boolean): void {
    for (const way of this.#ways) {
      way.stalled = on;
      way.go();
    }
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
      const way = new Way(to, options, random);
      this.#ways.push(way);
      this.#sockets.add(from);
      from.setNoDelay(true);
      from.on('data', (bytes) => way.push(bytes));
      from.on('close', () => to.destroy());
      from.on('error', () => undefined);
    }
  }
}
