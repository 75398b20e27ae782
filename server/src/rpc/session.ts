import { BODY, CLOSE, FrameError, KIND, type CloseCode, type PacketReader, type iommud } from '../../../proto/index.ts';
import { HELLO_MS_MAX } from '../../../proto/limits.ts';
import { ModelError, type TraceRecord } from '../core/base/index.ts';
import type { Command, MachineEvent, PeerCall, PeerId, Reply } from '../core/machine/index.ts';
import { CallTable } from './call-table.ts';
import { commandOf } from './command-of.ts';
import { Conduct } from './conduct.ts';
import { replyBody, replyData, replyNumber } from './encode.ts';
import { errorBody } from './errors.ts';
import { EventFeed } from './event-feed.ts';
import { NO_ROLES, grant, helloReply, type Authorize } from './hello.ts';
import { Inbox } from './inbox.ts';
import { Outlet } from './outlet.ts';
import { PeerDebts } from './peer-debts.ts';
import type { RecordedPeer } from './recording/record.ts';
import type { SessionHost } from './session-host.ts';
import { MEANINGS, arrival, type SessionState } from './session-state.ts';
import type { SessionStatus } from './session-status.ts';
import { subscription } from './subscribe.ts';
import type { Wire } from './wire.ts';

/** One connection to a machine, from its first byte to its last. */
export class Session {
  readonly #host: SessionHost;
  readonly #wire: Wire;
  readonly #authorize: Authorize;
  readonly #calls = new CallTable();
  readonly #inbox: Inbox;
  readonly #outlet: Outlet;
  readonly #feed: EventFeed;
  readonly #conduct: Conduct;
  readonly #helloTimer: NodeJS.Timeout;
  #state: SessionState = 'awaiting-hello';
  #peer: PeerId = 0;
  #client = '';
  #roles = NO_ROLES;
  #debts: PeerDebts | undefined;

  constructor(host: SessionHost, wire: Wire, authorize: Authorize) {
    this.#host = host;
    this.#wire = wire;
    this.#authorize = authorize;
    this.#inbox = new Inbox(
      {
        frame: (frame) => this.#frame(frame),
        broken: (code, why) => this.close(code, why),
        bug: (error) => host.crash(error),
      },
      host.counters,
    );
    this.#outlet = new Outlet(wire, this.#calls, host, {
      written: () => this.#feed.resume(),
      stuck: () => this.close(CLOSE.slow, 'what was sent is not read'),
    });
    const outlet = this.#outlet;
    this.#feed = new EventFeed({
      hasRoom: () => outlet.hasRoomForEvents,
      event: (id, number, body) => outlet.add(id, KIND.event, number, body),
      lost: (count) => {
        host.counters.eventsLostTotal += count;
      },
    });
    this.#conduct = new Conduct({
      noted: (why, count) => host.mistake(this, why, count),
      close: (code, why) => this.close(code, why),
    });
    this.#helloTimer = setTimeout(() => this.close(CLOSE.limits, 'no Hello in time'), HELLO_MS_MAX).unref();
  }

  /** Begins to take what arrives. */
  start(): void {
    this.#wire.start({ message: (bytes) => this.#inbox.message(bytes), closed: (code, why) => this.#end(`${code} ${why}`) });
  }

  get state(): SessionState {
    return this.#state;
  }
  /** 0 before Hello. */
  get peer(): PeerId {
    return this.#peer;
  }
  /** What connected, for logs: product and version. */
  get client(): string {
    return this.#client;
  }
  /** Calls that have no reply yet. */
  get pendingCalls(): number {
    return this.#calls.size;
  }
  /** Who it is, and what it and the machine owe each other, for a recording. */
  get recorded(): RecordedPeer {
    return {
      id: this.#peer,
      roles: this.#roles,
      client: this.#client,
      calls: this.#calls.pending(),
      asked: this.#debts?.unanswered() ?? [],
    };
  }
  /** Who it is and what it owes, for people. */
  get status(): SessionStatus {
    return {
      peer: this.#peer,
      client: this.#client,
      roles: this.#roles,
      calls: this.#calls.size,
      owes: this.#debts?.owed() ?? [],
      mistakes: this.#conduct.mistakes,
    };
  }
  get wantsTrace(): boolean {
    return this.#feed.wants('trace');
  }

  /** The machine's reply to the call with this token. One whose call is no longer known is dropped. */
  reply(token: number, reply: Reply): void {
    const number = this.#calls.take(token);
    if (number === 0) return;
    if (reply.kind === 'refused') this.#host.counters.errorsTotal++;
    this.#conduct.replied(reply);
    const data = replyData(reply);
    try {
      this.#inbox.replied(this.#outlet.add(token, KIND.reply, replyNumber(number, reply), replyBody(reply), data));
      // The packet has a copy.
      if (data !== undefined) this.#host.buffers.give(data);
    } catch (error) {
      if (!(error instanceof FrameError)) throw error;
      this.#outlet.add(token, KIND.reply, BODY.error, errorBody('ENOSPC', `the reply does not fit a frame: ${error.message}`));
    }
  }

  /** Something that the machine asks of this peer. */
  ask(token: number, call: PeerCall): void {
    try {
      this.#debts?.ask(token, call);
    } catch (error) {
      if (!(error instanceof FrameError)) throw error;
      this.close(error.closeCode, `a call does not fit what this client accepts: ${error.message}`);
    }
  }

  event(event: MachineEvent): void {
    this.#feed.machine(event);
  }

  trace(record: TraceRecord): void {
    this.#feed.trace(record);
  }

  /** No new calls from now on. */
  drain(deadlineMs: number): void {
    if (this.#state === 'awaiting-hello') this.close(CLOSE.goingAway, 'the service is stopping');
    if (this.#state !== 'open') return;
    this.#state = 'draining';
    this.#outlet.add(0, KIND.event, BODY.draining, { deadlineMs } satisfies iommud.v1.Draining.$Properties);
  }

  /** Answers every call that is still in flight. */
  shutDown(): void {
    const error = new ModelError('ESHUTDOWN', 'the service stopped before this call ended; its outcome is unknown');
    for (const id of this.#calls.ids()) this.#refuse(id, error);
  }

  /** Ends the connection after what was answered. */
  close(code: CloseCode, reason: string): void {
    if (this.#state === 'closed') return;
    this.#outlet.stop();
    this.#wire.close(code, reason);
    this.#end(`${code} ${reason}`);
  }

  #frame(frame: PacketReader): void {
    switch (MEANINGS[this.#state][arrival(frame)]) {
      case 'serve':
        if (this.#accept(frame)) this.#serve(frame);
        break;
      case 'settle':
        this.#settle(frame);
        break;
      case 'greet':
        this.#greet(frame);
        break;
      case 'refuse':
        if (this.#accept(frame)) this.#refuse(this.#calls.serving, new ModelError('ESHUTDOWN', 'the service is stopping'));
        break;
      case 'break':
        this.close(CLOSE.order, `a ${arrival(frame)} does not belong here: the session is ${this.#state}`);
        break;
      case 'ignore':
        break;
    }
  }

  #greet(frame: PacketReader): void {
    if (frame.id === 0) {
      this.close(CLOSE.order, 'Hello needs an id');
      return;
    }
    try {
      const granted = grant(frame.body as iommud.v1.Hello, this.#authorize);
      clearTimeout(this.#helloTimer);
      this.#outlet.limit(granted.limits);
      this.#state = 'open';
      this.#roles = granted.roles;
      this.#conduct.isWorker = !granted.roles.host && !granted.roles.observer;
      this.#client = granted.client;
      this.#debts = new PeerDebts(
        {
          call: (id, number, body, data) => this.#outlet.add(id, KIND.call, number, body, data),
          silent: () => this.#host.silent(this),
          overrun: () => this.close(CLOSE.slow, 'too many calls wait for its credits'),
        },
        granted.credits,
      );
      this.#outlet.add(frame.id, KIND.reply, BODY.helloReply, helloReply(this.#host.welcome, granted));
      if (granted.roles.host || granted.roles.observer)
        this.#feed.choose(['fault', 'interrupt', 'window', 'log', 'page-fault', 'hotplug', 'driver-callback', 'error', 'memory']);
      this.#peer = this.#host.attach(this, granted.roles);
    } catch (error) {
      if (!(error instanceof ModelError)) throw error;
      this.#outlet.add(frame.id, KIND.reply, BODY.error, errorBody(error.code, error.message, error.field));
      this.close(CLOSE.limits, error.message);
    }
  }

  /** Notes the call and takes its credit; false when the connection had to be closed. */
  #accept(frame: PacketReader): boolean {
    const wrong = this.#calls.accept(frame.id, frame.number, frame.body);
    if (wrong === 'in-use') this.close(CLOSE.order, `id ${frame.id} is in use by a call that has no reply yet`);
    if (wrong === 'no-credit') this.close(CLOSE.limits, `call ${frame.id} with body ${frame.number} is past the credits of its class`);
    return wrong === undefined;
  }

  #serve(frame: PacketReader): void {
    let command: Command | undefined;
    try {
      if (frame.number === BODY.subscribe) this.#subscribe(frame.body as iommud.v1.Subscribe);
      else command = commandOf(frame.number, frame.body, frame.data, this.#roles);
    } catch (error) {
      if (!(error instanceof ModelError)) throw error;
      this.#host.kept(this, frame, error);
      this.#refuse(frame.id, error);
      this.#calls.served();
      return;
    }
    if (command === undefined) this.#host.kept(this, frame, undefined);
    else this.#submit(frame, command);
    this.#calls.served();
  }

  #submit(frame: PacketReader, command: Command): void {
    this.#host.counters.callsTotal++;
    try {
      this.#host.submit(this, frame, command);
      if (this.#conduct.isWorker) this.#conduct.unserved(this.#host.unserved(this));
    } catch (error) {
      if (!(error instanceof ModelError)) throw error;
      this.#refuse(frame.id, error);
    }
  }

  #subscribe(body: iommud.v1.Subscribe): void {
    this.#feed.choose(subscription(body, this.#roles, this.#host.traceable));
    this.#host.traceChanged();
    const id = this.#calls.serving;
    const reply = { nextNumber: this.#feed.nextNumber } satisfies iommud.v1.SubscribeReply.$Properties;
    if (this.#calls.take(id) !== 0) this.#outlet.add(id, KIND.reply, BODY.subscribeReply, reply);
  }

  #settle(frame: PacketReader): void {
    const settled = this.#debts?.settle(frame.id, frame.number, frame.body, frame.data);
    const nothing = `a reply to call ${frame.id}, which is not outstanding`;
    const wrong = settled === undefined ? nothing : this.#host.answer(this, settled.token, settled.answer, frame);
    if (wrong !== undefined) this.#conduct.mistake(wrong);
    else if (settled?.answer.kind === 'error' && settled.answer.code === 'EPROTO') this.#conduct.mistake(settled.answer.message);
  }

  /** A posted call has no reply to say it in. */
  #refuse(id: number, error: ModelError): void {
    this.#host.counters.errorsTotal++;
    this.#conduct.answered(error.code, error.message);
    if (this.#calls.take(id) === 0) return;
    this.#outlet.add(id, KIND.reply, BODY.error, errorBody(error.code, error.message, error.field));
  }

  #end(reason: string): void {
    if (this.#state === 'closed') return;
    this.#state = 'closed';
    clearTimeout(this.#helloTimer);
    this.#outlet.stop();
    this.#inbox.stop();
    this.#debts?.stop();
    this.#calls.clear();
    this.#feed.choose([]);
    this.#host.gone(this, reason);
  }
}
