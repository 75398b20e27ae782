import { readPluggedFunctions } from '../app/topology/index.ts';
/** A machine on which a scenario's statements are carried out, one at a time. */
import { ModelError, type TraceRecord } from '../core/base/index.ts';
import {
  Machine,
  type Command,
  type MachineSpec,
  type Outgoing,
  type PeerAnswer,
  type PeerCall,
  type PeerId,
  type Reply,
  type StepName,
} from '../core/machine/index.ts';
import { Arguments, type Value } from './arguments.ts';
import { OK, PENDING, differences, outcomeOf, type Outcome } from './outcome.ts';
import { at, type Statement } from './syntax.ts';
import { VERBS } from './verbs.ts';

/** What a statement came to. */
export interface Done {
  readonly statement: Statement;
  /** Undefined for a verb of the stage itself. */
  readonly command: Command | undefined;
  readonly outcome: Outcome;
  /** What is otherwise than expected; empty when nothing is. */
  readonly wrong: readonly string[];
}

interface Peer {
  readonly id: PeerId;
  readonly calls: { readonly token: number; readonly call: PeerCall }[];
}

/** Verbs of the stage itself. */
export const STAGE_VERBS: Readonly<Record<string, { readonly usage: string; readonly does: string }>> = {
  default: { usage: 'D = default FUNCTION', does: "its value is the default domain of the function's group" },
  expect: { usage: 'expect NAME => …', does: 'what a call that was started has come to by now; `pending` while it waits' },
  deliver: { usage: 'deliver', does: 'lets the oldest Invalidate Request go on that a hold stops at `deliver`' },
  owner: { usage: 'owner NAME ADDRESS BYTES', does: 'a memory owner joins' },
  answer: { usage: 'answer NAME', does: 'it answers what it was asked first' },
  silence: { usage: 'silence NAME', does: 'it is silent past the watchdog' },
  leave: { usage: 'leave NAME', does: 'its connection breaks' },
};

interface Read {
  readonly command: Command;
  readonly used: ReadonlyMap<string, Value>;
}

/** The command of a statement is the same while the names that it uses stand for the same: an explorer tells each some thousand times. */
const COMMANDS = new WeakMap<Statement, Read>();

const REFUSED_WHOLE = { kind: 'refused', about: '', elapsedNs: 0, message: '' } as const;

export class Stage {
  readonly machine: Machine;
  readonly names = new Map<string, Value>();
  /** Everything that the machine traced in the last statement or step. */
  trace: TraceRecord[] = [];
  readonly #replies = new Map<number, Reply>();
  readonly #started = new Map<string, number>();
  /** Calls that were started, with and without a name, by their line. */
  readonly #background: { readonly line: number; readonly token: number }[] = [];
  readonly #peers = new Map<string, Peer>();
  #token = 0;

  /** `hashed`: whether the machine shall have a trace hash, which costs. */
  constructor(spec: MachineSpec, hashed: boolean) {
    this.machine = new Machine(spec, { hashed, readFunctions: readPluggedFunctions });
    this.machine.trace.listen((record) => this.trace.push(record));
  }

  /**
   * Carries a statement out. Its outcome is `pending` for one that was started and is not answered yet; another that is not answered is wrong.
   * Throws {@link ModelError} EINVAL with the line for what cannot be said so.
   */
  perform(statement: Statement): Done {
    const command = this.#commandOf(statement);
    if (command === undefined) return this.#judged(statement, undefined, this.#own(statement));
    const token = this.#tell(command);
    const reply = this.replyTo(token);
    if (statement.started) this.#background.push({ line: statement.line, token });
    if (statement.name !== undefined) this.#note(statement.name, token, reply, statement.started);
    if (reply === undefined && !statement.started) {
      return { statement, command, outcome: PENDING, wrong: ['it is not answered: start it, or let something else answer it first'] };
    }
    return this.#judged(statement, command, reply === undefined ? PENDING : outcomeOf(reply));
  }

  /** Submits the command of a statement: what it is and its token, or undefined for a verb of the stage itself. */
  submit(statement: Statement): { readonly command: Command; readonly token: number } | undefined {
    const command = this.#commandOf(statement);
    return command === undefined ? undefined : { command, token: this.#tell(command) };
  }

  #commandOf(statement: Statement): Command | undefined {
    const known = COMMANDS.get(statement);
    if (known !== undefined && this.#stands(known.used)) return known.command;
    const verb = Object.hasOwn(VERBS, statement.verb) ? VERBS[statement.verb] : undefined;
    if (verb === undefined) {
      if (Object.hasOwn(STAGE_VERBS, statement.verb)) return undefined;
      throw at(
        statement.line,
        `there is no verb "${statement.verb}"; there are ${[...Object.keys(VERBS), ...Object.keys(STAGE_VERBS)].join(', ')}`,
      );
    }
    const args = new Arguments(statement, this.names);
    const command = verb.command(args);
    args.done();
    COMMANDS.set(statement, { command, used: args.used });
    return command;
  }

  #stands(used: ReadonlyMap<string, Value>): boolean {
    for (const [name, value] of used) if (this.names.get(name) !== value) return false;
    return true;
  }

  #tell(command: Command): number {
    const token = ++this.#token;
    try {
      this.machine.submit(0, token, command);
    } catch (error) {
      if (!(error instanceof ModelError)) throw error;
      this.#replies.set(token, { ...REFUSED_WHOLE, code: error.code, message: error.message });
    }
    this.collect();
    return token;
  }

  replyTo(token: number): Reply | undefined {
    return this.#replies.get(token);
  }

  /** What the calls that were started have come to by now, by line. */
  background(): readonly string[] {
    return this.#background.map(({ line, token }) => {
      const reply = this.#replies.get(token);
      return `${line} ${reply === undefined ? PENDING.word : outcomeOf(reply).word}`;
    });
  }

  /** Takes what the machine has said. */
  collect(): void {
    for (const item of this.machine.takeOutbox()) this.#take(item);
  }

  #take(item: Outgoing): void {
    if (item.type === 'reply') this.#replies.set(item.token, item.reply);
    else if (item.type === 'call') for (const peer of this.#peers.values()) if (peer.id === item.to) peer.calls.push(item);
  }

  #note(name: string, token: number, reply: Reply | undefined, started: boolean): void {
    if (started) this.#started.set(name, token);
    if (reply === undefined) return;
    if (reply.kind === 'memory-alloc') this.names.set(name, reply.address);
    else if (reply.kind === 'domain-alloc') this.names.set(name, BigInt(reply.domain));
    else if (reply.kind === 'mapped') this.names.set(name, reply.iova);
    else if (reply.kind === 'call-hold') this.names.set(name, BigInt(reply.hold));
    else if (reply.kind === 'fault-armed') this.names.set(name, BigInt(reply.armed));
  }

  #judged(statement: Statement, command: Command | undefined, outcome: Outcome): Done {
    return { statement, command, outcome, wrong: statement.expect === undefined ? [] : differences(outcome, this.#resolved(statement)) };
  }

  /** `domain=A` expects what A is the name of. */
  #resolved({ expect }: Statement): NonNullable<Statement['expect']> {
    const fields = [...(expect?.fields ?? [])].map(([name, value]): [string, string] => {
      const named = this.names.get(value);
      if (typeof named !== 'bigint') return [name, value];
      return [name, name === 'address' ? `0x${named.toString(16)}` : `${named}`];
    });
    return { word: expect?.word ?? '', fields: new Map(fields) };
  }

  #own(statement: Statement): Outcome {
    const args = new Arguments(statement, this.names);
    if (statement.verb === 'deliver') {
      args.done();
      return this.deliver() ? OK : { word: 'nothing', fields: {} };
    }
    if (statement.verb === 'default') {
      const fn = args.fn();
      args.done();
      const id = this.machine.inspect().functions.find(({ bdf }) => bdf === fn)?.group.defaultDomain?.id;
      if (id === undefined || statement.name === undefined)
        throw at(statement.line, 'write "D = default FUNCTION", of a function behind the IOMMU');
      this.names.set(statement.name, BigInt(id));
      return { word: 'ok', fields: { domain: `${id}` } };
    }
    const name = args.word('a name');
    if (statement.verb === 'owner') return this.#join(name, args);
    args.done();
    if (statement.verb === 'expect') {
      const token = this.#started.get(name);
      if (token === undefined) throw at(statement.line, `"${name}" is no call that was started`);
      const reply = this.#replies.get(token);
      return reply === undefined ? PENDING : outcomeOf(reply);
    }
    const peer = this.#peers.get(name);
    if (peer === undefined) throw at(statement.line, `"${name}" is no memory owner`);
    this.#act(statement, peer);
    this.collect();
    return OK;
  }

  #join(name: string, args: Arguments): Outcome {
    const peer: Peer = { id: this.machine.peerAttach({ host: false, device: false, memory: true, observer: false }), calls: [] };
    const claim = { kind: 'memory-claim', address: args.bigint('an address'), bytes: args.bigint('a number of bytes'), depth: 16 } as const;
    args.done();
    this.#peers.set(name, peer);
    const token = ++this.#token;
    this.machine.submit(peer.id, token, claim);
    this.collect();
    const reply = this.#replies.get(token);
    return reply === undefined ? PENDING : outcomeOf(reply);
  }

  #act({ verb, line }: Statement, peer: Peer): void {
    if (verb === 'leave') {
      this.machine.peerDetach(peer.id);
    } else if (verb === 'silence') {
      this.machine.peerTimeout(peer.id);
    } else {
      const asked = peer.calls.shift();
      if (asked === undefined) throw at(line, 'it has been asked nothing that it has not answered');
      this.machine.answer(peer.id, asked.token, answerTo(asked.call));
    }
  }

  /** Holds every call before each of these steps; returns the hold. */
  holdAll(step: readonly StepName[]): number {
    const reply = this.#ask({ kind: 'call-hold', call: '', step, bdf: undefined, count: 0 });
    return reply?.kind === 'call-hold' ? reply.hold : 0;
  }
  /** Lets one call go that a hold stops, or with 0 all of them, and the hold goes. */
  letGo(hold: number, stopped: number): void {
    this.#ask({ kind: 'call-release', hold, stopped, keep: false });
  }
  advance(ns: number): void {
    this.#ask({ kind: 'clock-advance', ns, force: true });
  }
  #ask(command: Command): Reply | undefined {
    const token = ++this.#token;
    this.machine.submit(0, token, command);
    this.collect();
    return this.#replies.get(token);
  }

  /** Lets the oldest Invalidate Request go on that is held on its way; false when none is. */
  deliver(): boolean {
    const held = this.machine.stopped().find(({ call }) => call === 'invalidate');
    if (held === undefined) return false;
    this.letGo(held.hold, held.id);
    return true;
  }
}

function answerTo(call: PeerCall): PeerAnswer {
  if (call.kind === 'memory-read') return { kind: 'data', data: new Uint8Array(call.bytes) };
  if (call.kind === 'region-read') return { kind: 'value', valueLow: 0, valueHigh: 0 };
  return { kind: 'ok' };
}
