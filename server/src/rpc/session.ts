// long: a connection, from its first byte to its last
import { BODY, CLOSE, FrameError, KIND, type CloseCode, type FrameKind, type PacketReader, type iommud } from '../../../proto/index.ts';
import { HELLO_MS_MAX } from '../../../proto/limits.ts';
import { ModelError, type TraceRecord } from '../core/base/index.ts';
import type { Command, MachineEvent, PeerCall, PeerId, Reply } from '../core/machine/index.ts';
import { CallTable } from './call-table.ts';
import { commandOf } from './command-of.ts';
import { Conduct } from './conduct.ts';
import { replyBody, replyData, replyNumber } from './encode.ts';
import type { EventClassName } from './enums.ts';
import { errorBody } from './errors.ts';
import { EventFeed } from './event-feed.ts';
import { NO_ROLES, grant, helloReply, type Authorization, type Authorize, type Granted } from './hello.ts';
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
  /** Of its machine's connections, from 1. */
  readonly connection: number;
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

  constructor(host: SessionHost, connection: number, wire: Wire, authorize: Authorize) {
    this.connection = connection;
    this.#host = host;
    this.#wire = wire;
    this.#authorize = authorize;
    this.#inbox = new Inbox(
      {
        frame: (frame) => this.#frame(frame),
        broken: (code, why) => this.close(code, why, 'circumstance'),
        bug: (error) => host.crash(error),
      },
      host.counters,
    );
    this.#outlet = new Outlet(wire, this.#calls, host, {
      written: () => this.#feed.resume(),
      stuck: () => this.close(CLOSE.slow, 'what was sent is not read', 'circumstance'),
    });
    const outlet = this.#outlet;
    this.#feed = new EventFeed({
      hasRoom: () => host.room(this, outlet.hasRoomForEvents),
      event: (id, number, body) => this.#say(id, KIND.event, number, body),
      resumes: () => outlet.hasRoomForEvents && host.resumes(this),
      lost: (count) => {
        host.counters.eventsLostTotal += count;
      },
    });
    this.#conduct = new Conduct({
      noted: (why, count) => host.mistake(this, why, count),
      close: (code, why) => this.close(code, why),
    });
    this.#helloTimer = setTimeout(() => this.close(CLOSE.limits, 'no Hello in time', 'circumstance'), HELLO_MS_MAX).unref();
  }

  /** Begins to take what arrives. */
  start(): void {
    this.#wire.start({
      message: (bytes) => this.#inbox.message(bytes),
      closed: (code, why) => {
        if (this.#state !== 'closed') this.#host.record.closing(this, code, why, 'peer');
        this.#end(`${code} ${why}`);
      },
      keepalive: (what) => this.#host.record.keepalive(this, what),
    });
  }

  /** One frame, as if it had come on the wire. */
  receive(frame: PacketReader): void {
    this.#frame(frame);
  }
  /** Sends what there is now. */
  flush(): void {
    this.#outlet.flush();
  }
  /** What was held back of events follows, where there is room. */
  resume(): void {
    this.#feed.resume();
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
      this.#say(token, KIND.reply, BODY.error, errorBody('ENOSPC', `the reply does not fit a frame: ${error.message}`));
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
    this.#say(0, KIND.event, BODY.draining, { deadlineMs } satisfies iommud.v1.Draining.$Properties);
  }

  /** Answers every call that is still in flight. */
  shutDown(): void {
    const error = new ModelError('ESHUTDOWN', 'the service stopped before this call ended; its outcome is unknown');
    for (const id of this.#calls.ids()) this.#refuse(id, error, true);
  }

  /** Ends the connection after what was answered. */
  close(code: CloseCode, reason: string, by: 'rule' | 'circumstance' = 'rule'): void {
    if (this.#state === 'closed') return;
    this.#host.record.closing(this, code, reason, by);
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
        if (!this.#accept(frame)) break;
        this.#host.record.heard(this, frame);
        this.#refuse(this.#calls.serving, new ModelError('ESHUTDOWN', 'the service is stopping'), true);
        break;
      case 'break':
        this.#host.record.heard(this, frame);
        this.close(CLOSE.order, `a ${arrival(frame)} does not belong here: the session is ${this.#state}`);
        break;
      case 'ignore':
        if (this.#state !== 'closed') this.#host.record.heard(this, frame);
        break;
    }
  }

  /** Something that is no reply or call of the machine's. */
  #say(id: number, kind: FrameKind, number: number, body: object): void {
    this.#host.record.told(this, id, kind, number, body);
    this.#outlet.add(id, kind, number, body);
  }

  #greet(frame: PacketReader): void {
    if (frame.id === 0) {
      this.#host.record.heard(this, frame);
      this.close(CLOSE.order, 'Hello needs an id');
      return;
    }
    try {
      const granted = this.#grant(frame);
      clearTimeout(this.#helloTimer);
      this.#outlet.limit(granted.limits);
      this.#state = 'open';
      this.#roles = granted.roles;
      this.#conduct.isWorker = !granted.roles.host && !granted.roles.observer;
      this.#client = granted.client;
      this.#debts = new PeerDebts(
        {
          call: (id, token, number, body, data) => {
            if (token !== 0) this.#host.record.asked(this, token, id);
            this.#outlet.add(id, KIND.call, number, body, data);
          },
          silent: () => this.#host.silent(this),
          overrun: () => this.close(CLOSE.slow, 'too many calls wait for its credits'),
        },
        granted.credits,
      );
      this.#say(frame.id, KIND.reply, BODY.helloReply, helloReply(this.#host.welcome, granted));
      if (granted.roles.host || granted.roles.observer)
        this.#feed.choose(['fault', 'interrupt', 'window', 'log', 'page-fault', 'hotplug', 'driver-callback', 'error', 'memory']);
      this.#peer = this.#host.attach(this, granted.roles);
    } catch (error) {
      if (!(error instanceof ModelError)) throw error;
      this.#say(frame.id, KIND.reply, BODY.error, errorBody(error.code, error.message, error.field));
      this.close(CLOSE.limits, error.message);
    }
  }

  #grant(frame: PacketReader): Granted {
    let allowed: Authorization | undefined;
    try {
      return grant(frame.body as iommud.v1.Hello, (token) => (allowed = this.#authorize(token)));
    } finally {
      this.#host.record.heard(this, frame, allowed?.roles);
    }
  }

  /** Notes the call and takes its credit; false when the connection had to be closed. */
  #accept(frame: PacketReader): boolean {
    const wrong = this.#calls.accept(frame.id, frame.number, frame.body);
    if (wrong === 'in-use') {
      this.#host.record.heard(this, frame);
      this.close(CLOSE.order, `id ${frame.id} is in use by a call that has no reply yet`);
    }
    if (wrong === 'no-credit') {
      this.close(CLOSE.limits, `call ${frame.id} with body ${frame.number} is past the credits of its class`, 'circumstance');
      // In that order: who replays it does not know when credits came back.
      this.#host.record.heard(this, frame);
    }
    return wrong === undefined;
  }

  #serve(frame: PacketReader): void {
    try {
      if (frame.number === BODY.subscribe) {
        const classes = subscription(frame.body as iommud.v1.Subscribe, this.#roles, this.#host.traceable);
        this.#host.kept(this, frame, undefined);
        this.#subscribe(classes);
      } else {
        this.#submit(frame, commandOf(frame.number, frame.body, frame.data, this.#roles));
      }
    } catch (error) {
      if (!(error instanceof ModelError)) throw error;
      this.#host.kept(this, frame, error);
      this.#refuse(frame.id, error);
    }
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

  #subscribe(classes: readonly EventClassName[]): void {
    this.#feed.choose(classes);
    this.#host.traceChanged();
    const id = this.#calls.serving;
    const reply = { nextNumber: this.#feed.nextNumber } satisfies iommud.v1.SubscribeReply.$Properties;
    if (this.#calls.take(id) !== 0) this.#say(id, KIND.reply, BODY.subscribeReply, reply);
  }

  #settle(frame: PacketReader): void {
    const settled = this.#debts?.settle(frame.id, frame.number, frame.body, frame.data);
    if (settled === undefined) {
      this.#host.record.heard(this, frame);
      this.#conduct.mistake(`a reply to call ${frame.id}, which is not outstanding`);
      return;
    }
    const wrong = this.#host.answer(this, settled.token, settled.answer, frame);
    this.#debts?.sendWaiting(settled.class);
    if (wrong !== undefined) this.#conduct.mistake(wrong);
    else if (settled.answer.kind === 'error' && settled.answer.code === 'EPROTO') this.#conduct.mistake(settled.answer.message);
  }

  /** A posted call has no reply to say it in. `itself`: the machine knows nothing of it. */
  #refuse(id: number, error: ModelError, itself = false): void {
    this.#host.counters.errorsTotal++;
    this.#conduct.answered(error.code, error.message);
    if (this.#calls.take(id) === 0) return;
    const body = errorBody(error.code, error.message, error.field);
    if (itself) this.#say(id, KIND.reply, BODY.error, body);
    else this.#outlet.add(id, KIND.reply, BODY.error, body);
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
