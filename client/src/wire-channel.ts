/** The contract over a socket. */
import {
  BODY,
  CLOSE,
  FrameError,
  KIND,
  PacketReader,
  PacketWriter,
  type CallName,
  type Calls,
  type EventName,
  type iommud,
} from '../../proto/index.ts';
import {
  ERROR_ABOUT_CHARS_MAX,
  ERROR_MESSAGE_CHARS_MAX,
  FRAME_BYTES_MAX,
  PACKET_BYTES_MAX,
  PACKET_FRAMES_MAX,
} from '../../proto/limits.ts';
import { PEER_CALLS, type Answer, type Channel, type ChannelListener, type Closed, type Granted, type PeerCallName } from './channel.ts';
import { IommudError, errnoOf, failure, textOf, type Failure } from './errors.ts';
import { later } from './later.ts';
import { OutgoingCalls } from './outgoing-calls.ts';
import type { Socket } from './socket.ts';

const EVENT_NAMES = namesByNumber<EventName>((_, number) => number >= BODY.draining);
const PEER_CALL_NAMES = namesByNumber<PeerCallName>((name) => PEER_CALLS.some((call) => call === name));

/** What the server accepts; 0 is not said. */
type ServerLimits = Pick<iommud.v1.Limits, 'frameBytesMax' | 'packetBytesMax' | 'packetFramesMax' | 'receiveBufferBytesMax'>;

export class WireChannel implements Channel {
  readonly #socket: Socket;
  readonly #writer: PacketWriter;
  readonly #calls: OutgoingCalls;
  #flushing = false;
  #closed: Closed | undefined;
  #granted: Granted | undefined;
  #listener: ChannelListener | undefined;
  /** What came before anybody listened. */
  #early: ((listener: ChannelListener) => void)[] = [];
  readonly #whenClosed: Promise<void>;

  constructor(socket: Socket) {
    this.#socket = socket;
    this.#writer = new PacketWriter((packet) => socket.send(packet));
    this.#calls = new OutgoingCalls(this.#writer, () => this.#flushLater());
    this.#whenClosed = new Promise((resolve) => {
      socket.listen({
        message: (bytes) => this.#read(bytes),
        closed: (how) => {
          this.#end(how);
          resolve();
        },
      });
    });
  }

  get granted(): Granted {
    if (this.#granted === undefined) throw new Error('nothing is granted before Hello');
    return this.#granted;
  }

  /** What the first exchange gave: from now on calls may go. */
  start(granted: Granted, { credits, limits }: Pick<iommud.v1.HelloReply, 'credits'> & { readonly limits: ServerLimits | null }): void {
    this.#granted = granted;
    this.#calls.grant(credits, limits?.receiveBufferBytesMax || undefined);
    if (limits !== null) {
      this.#writer.limit({
        frameBytesMax: limits.frameBytesMax || FRAME_BYTES_MAX,
        packetBytesMax: limits.packetBytesMax || PACKET_BYTES_MAX,
        packetFramesMax: limits.packetFramesMax || PACKET_FRAMES_MAX,
      });
    }
  }

  request<K extends CallName>(
    name: K,
    request: Calls[K]['request'],
    data?: Uint8Array,
    signal?: AbortSignal,
  ): Promise<Answer<K> | Failure> {
    if (this.#closed !== undefined) return Promise.resolve(lostWith(this.#closed, 'the call was not made'));
    // The reply's number is checked against the call's, so its type is the call's.
    return this.#calls.make(BODY[name], request, data, signal);
  }

  listen(listener: ChannelListener): void {
    this.#listener = listener;
    const early = this.#early;
    this.#early = [];
    for (const tell of early) tell(listener);
  }

  close(): Promise<void> {
    return this.#close(CLOSE.normal, 'closed by this client');
  }

  #close(code: number, reason: string): Promise<void> {
    if (this.#closed === undefined) {
      this.#writer.flush();
      this.#socket.close(code, reason);
      this.#end({ code, reason });
    }
    return this.#whenClosed;
  }

  #end(how: Closed): void {
    if (this.#closed !== undefined) return;
    this.#closed = how;
    this.#calls.fail(lostWith(how, 'what the call did is unknown'));
    this.#tell((listener) => listener.closed(how));
  }

  #flushLater(): void {
    if (this.#flushing) return;
    this.#flushing = true;
    later(this.#flush);
  }

  readonly #flush = (): void => {
    this.#flushing = false;
    if (this.#closed === undefined) this.#writer.flush();
  };

  #read(bytes: Uint8Array): void {
    if (this.#closed !== undefined) return;
    try {
      const frame = new PacketReader(bytes);
      // A handler may close the connection: what is behind its frame reaches nobody then.
      while (this.#closed === undefined && frame.next()) this.#frame(frame);
      // What it answers goes now: whoever asked waits for it.
      if (this.#flushing) this.#flush();
    } catch (error) {
      void this.#close(error instanceof FrameError ? error.closeCode : CLOSE.undecodable, textOf(error));
    }
  }

  #frame(frame: PacketReader): void {
    switch (frame.kind) {
      case KIND.reply:
        this.#calls.reply(frame);
        break;
      case KIND.call:
        this.#peerCall(frame.id, frame.number, frame.body, frame.data);
        break;
      case KIND.event:
        this.#event(frame.number, frame.body);
        break;
      // A call of the server is answered in any case.
      case KIND.cancel:
    }
  }

  /** One that this client does not know is ignored. */
  #event(number: number, body: object | undefined): void {
    const name = EVENT_NAMES[number];
    if (name !== undefined && body !== undefined) this.#tell((listener) => listener.event(name, body as never));
  }

  #tell(tell: (listener: ChannelListener) => void): void {
    if (this.#listener === undefined) this.#early.push(tell);
    else tell(this.#listener);
  }

  #peerCall(id: number, number: number, body: object | undefined, data: Uint8Array | undefined): void {
    const name = PEER_CALL_NAMES[number];
    if (name === undefined || body === undefined) {
      this.#answerError(id, new IommudError({ code: 'ENOSYS', message: `this client does not know call ${number}` }));
      return;
    }
    this.#tell((listener) => {
      try {
        const answer = listener.peerCall({ name, request: body, data });
        if (!(answer instanceof Promise)) {
          this.#put(id, number + 1, answer.body ?? {}, answer.data);
          return;
        }
        answer
          .then((settled) => this.#put(id, number + 1, settled.body ?? {}, settled.data))
          .catch((error: unknown) => this.#answerError(id, error));
      } catch (error) {
        this.#answerError(id, error);
      }
    });
  }

  #answerError(id: number, error: unknown): void {
    const { code, about } = error instanceof IommudError ? error : { code: 'EIO' as const, about: '' };
    const message = textOf(error).slice(0, ERROR_MESSAGE_CHARS_MAX);
    this.#put(id, BODY.error, { code: errnoOf(code), name: code, message, about: about.slice(0, ERROR_ABOUT_CHARS_MAX) });
  }

  /** A posted call (id 0) has no reply. */
  #put(id: number, number: number, body: object, data?: Uint8Array): void {
    if (id === 0 || this.#closed !== undefined) return;
    this.#writer.add(id, KIND.reply, number, body, data);
    this.#flushLater();
  }
}

function namesByNumber<Name extends string>(wanted: (name: string, number: number) => boolean): (Name | undefined)[] {
  const names: (Name | undefined)[] = [];
  for (const [name, number] of Object.entries(BODY)) if (wanted(name, number)) names[number] = name as Name;
  return names;
}

function lostWith(how: Closed, meaning: string): Failure {
  const why = how.reason === '' ? `code ${how.code}` : `${how.reason} (${how.code})`;
  return failure('ECONNRESET', `the connection is closed: ${why}; ${meaning}`);
}
