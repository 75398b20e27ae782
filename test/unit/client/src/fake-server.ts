/** The other end of a client's socket, in the hands of a test: what came, packet by packet, and what to answer. */
import { connectOver, type Connection, type HelloOptions, type Socket, type SocketListener } from '../../../../client/src/index.ts';
import { BODY, KIND, PacketReader, PacketWriter, type BodyName, type FrameKind } from '../../../../proto/index.ts';

export interface SeenFrame {
  readonly id: number;
  readonly kind: FrameKind;
  readonly number: number;
  readonly body: object | undefined;
  readonly data: Uint8Array | undefined;
}

export interface Credit {
  readonly class: number;
  readonly calls: number;
  readonly replyBytes: number;
}

export const CLASS = { control: 1, access: 2, dma: 3, memory: 4 };
export const AMPLE: readonly Credit[] = Object.values(CLASS).map((each) => ({ class: each, calls: 1000, replyBytes: 1 << 24 }));

export class FakeServer implements Socket {
  /** Each message that came, as its frames. */
  readonly packets: SeenFrame[][] = [];
  /** How the client closed it. */
  closedWith: { readonly code: number; readonly reason: string } | undefined;
  #listener: SocketListener | undefined;
  readonly #writer = new PacketWriter((packet) => this.#listener?.message(packet));

  /** Calls and cancels that came, without Hello. */
  get frames(): SeenFrame[] {
    return this.packets.flat().filter((frame) => frame.number !== BODY.hello);
  }

  /** Calls of one kind that came. */
  calls(name: BodyName): SeenFrame[] {
    return this.frames.filter((frame) => frame.kind === KIND.call && frame.number === BODY[name]);
  }

  send(message: Uint8Array): void {
    const frames: SeenFrame[] = [];
    const reader = new PacketReader(message);
    while (reader.next()) {
      const { id, kind, number, body, data } = reader;
      frames.push({ id, kind, number, body, data });
    }
    this.packets.push(frames);
  }

  close(code: number, reason: string): void {
    this.closedWith ??= { code, reason };
    setImmediate(() => this.#listener?.closed({ code, reason }));
  }

  listen(listener: SocketListener): void {
    this.#listener = listener;
  }

  /** Puts frames into one message. */
  say(...frames: readonly (readonly [id: number, kind: FrameKind, name: BodyName, body: object, data?: Uint8Array])[]): void {
    for (const [id, kind, name, body, data] of frames) this.#writer.add(id, kind, BODY[name], body, data);
    this.#writer.flush();
  }

  reply(id: number, name: BodyName, body: object, data?: Uint8Array): void {
    this.say(data === undefined ? [id, KIND.reply, name, body] : [id, KIND.reply, name, body, data]);
  }

  refuse(id: number, code: number, name: string, message = 'refused', about = ''): void {
    this.reply(id, 'error', { code, name, message, about });
  }

  event(name: BodyName, body: object, number = 0): void {
    this.say([number, KIND.event, name, body]);
  }

  /** Bytes as they are. */
  raw(bytes: Uint8Array): void {
    this.#listener?.message(bytes);
  }

  /** The connection ends from this side. */
  end(code: number, reason: string): void {
    this.#listener?.closed({ code, reason });
  }
}

/** Everything that is ready to run has run, and what was asked in it has been sent. */
export async function tick(): Promise<void> {
  for (let i = 0; i < 3; i++) {
    await new Promise((resolve) => {
      setImmediate(resolve);
    });
  }
}

/** A connection whose Hello has been answered. */
export async function connected(
  options: HelloOptions & { readonly credits?: readonly Credit[]; readonly limits?: object } = {},
): Promise<{ readonly server: FakeServer; readonly connection: Connection }> {
  const { credits = AMPLE, limits, ...hello } = options;
  const server = new FakeServer();
  const connecting = connectOver(server, hello);
  await tick();
  greet(server, credits, limits);
  return { server, connection: await connecting };
}

/** Answers Hello. */
export function greet(server: FakeServer, credits: readonly Credit[] = AMPLE, limits?: object): void {
  const hello = server.packets.flat().find((frame) => frame.number === BODY.hello);
  server.reply(hello?.id ?? 0, 'helloReply', {
    product: 'iommud',
    productVersion: '9.9.9',
    contractVersion: '1.0',
    roles: [1],
    pageBytes: [{ low: 4096, high: 0 }],
    machine: 'box',
    preset: 'basic',
    credits: [...credits],
    ...(limits === undefined ? {} : { limits }),
  });
}
