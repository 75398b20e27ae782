import { BODY, KIND, PacketReader, PacketWriter, type BodyName, type CallName, type Calls, type iommud } from '../../../proto/index.ts';
import type { Wire } from '../../../server/src/rpc/index.ts';
import { loopbackPair } from '../../../server/src/transport/index.ts';

/** What may come over a socket of a busy machine takes longer than some turns of the loop. */
const UNTIL_MS = 5000;
/** Of what it got, in the words of a failure. */
const GOT_CHARS = 2000;

/** One frame as a peer got it. */
export interface Got {
  readonly id: number;
  readonly kind: number;
  readonly number: number;
  // The test that looks into it knows what it asked for.
  readonly body: Record<string, never>;
  readonly data: Uint8Array | undefined;
}

const HELLO: iommud.v1.Hello.$Properties = { product: 'test', productVersion: '0', contractVersion: '1.0' };
export const ROLE = { host: 1, device: 2, memory: 3, observer: 4 } as const;

/** The other end of a session, speaking frames and nothing above them. */
export class RawPeer {
  readonly got: Got[] = [];
  readonly packets: Uint8Array[] = [];
  closed: { readonly code: number; readonly reason: string } | undefined;
  readonly #wire: Wire;
  readonly #writer: PacketWriter;
  #wake: (() => void)[] = [];

  constructor(wire: Wire) {
    this.#wire = wire;
    this.#writer = new PacketWriter((packet) => wire.send(packet));
    wire.start({
      message: (bytes) => {
        this.packets.push(bytes);
        const reader = new PacketReader(bytes);
        while (reader.next()) {
          const data = reader.data === undefined ? undefined : Uint8Array.from(reader.data);
          this.got.push({ id: reader.id, kind: reader.kind, number: reader.number, body: reader.body as Record<string, never>, data });
        }
        this.#wakeAll();
      },
      closed: (code, reason) => {
        this.closed = { code, reason };
        this.#wakeAll();
      },
    });
  }

  /** Adds a frame to the packet that `send` sends. */
  add(id: number, kind: 1 | 2 | 3 | 4, number: number, body: object = {}, data?: Uint8Array): this {
    this.#writer.add(id, kind, number, body, data);
    return this;
  }
  call<Name extends CallName>(id: number, name: Name, body: Calls[Name]['request'], data?: Uint8Array): this {
    return this.add(id, KIND.call, BODY[name], body, data);
  }
  reply(id: number, name: BodyName, body: object = {}, data?: Uint8Array): this {
    return this.add(id, KIND.reply, BODY[name], body, data);
  }
  hello(roles: readonly number[], more: iommud.v1.Hello.$Properties = {}): this {
    return this.call(1, 'hello', { ...HELLO, roles: [...roles], ...more });
  }
  send(): this {
    this.#writer.flush();
    return this;
  }
  sendBytes(bytes: Uint8Array): void {
    this.#wire.send(bytes);
  }
  close(): void {
    this.#wire.close(1000, 'done');
  }

  /** Waits until `done` holds; rejects when the event loop has turned often and it still does not. */
  async until(done: () => boolean, what = 'what the test waits for'): Promise<void> {
    const deadline = performance.now() + UNTIL_MS;
    for (let turns = 0; !done(); turns++) {
      if (turns > 2000 && performance.now() > deadline)
        throw new Error(`${what} did not come; got ${JSON.stringify(this.got).slice(-GOT_CHARS)} ${JSON.stringify(this.closed)}`);
      await turn();
    }
  }
  /** The reply to call `id`, once it is there. */
  async replyTo(id: number): Promise<Got> {
    const find = (): Got | undefined => this.got.find((frame) => frame.id === id && frame.kind === KIND.reply);
    await this.until(() => find() !== undefined, `the reply to ${id}`);
    return find() as Got;
  }
  events(name: BodyName): Got[] {
    return this.got.filter((frame) => frame.kind === KIND.event && frame.number === BODY[name]);
  }
  calls(): Got[] {
    return this.got.filter((frame) => frame.kind === KIND.call);
  }

  #wakeAll(): void {
    const wake = this.#wake;
    this.#wake = [];
    for (const go of wake) go();
  }
}

/** One turn of the event loop. */
export function turn(): Promise<void> {
  return new Promise((resolve) => {
    setImmediate(resolve);
  });
}

/** Some turns: enough for what is under way on a loopback to arrive. */
export async function settle(): Promise<void> {
  for (let i = 0; i < 10; i++) await turn();
}

export function joined(open: (wire: Wire) => void): RawPeer {
  const [near, far] = loopbackPair();
  open(near);
  return new RawPeer(far);
}
