/** Sessions in a recording: what they were sent, and that a replay says the same. */
import { readFileSync } from 'node:fs';
import { describe, expect, it } from 'vitest';
import { BODY, KIND, PacketWriter, type CallName, type Calls } from '../../../../proto/index.ts';
import { EVENT_BUFFER_BYTES_MAX, PEER_MISTAKES_MAX } from '../../../../proto/limits.ts';
import { readRecording, replay, type Record, type Recording, type Wire, type WireOwner } from '../../../../server/src/rpc/index.ts';
import { PROBE, RAM, REMOTE, probe, remote, specOf } from '../../../kit/core-machine.ts';
import { RECORDED_VERSION, RecordedMachine, replayed, settle } from '../../../kit/recorded-machine.ts';
import { ROLE, joined, type RawPeer } from '../raw-peer.ts';
import { closedWith } from '../setup.ts';

const PREPARE = { function: PROBE, token: 'w', deadlineNs: { low: 0, high: 0 }, onDeadline: 1 };

function machine(): RecordedMachine {
  return new RecordedMachine(specOf({ functions: [probe(PROBE), remote(REMOTE)] }));
}

/** What the session said, by kind and name. */
function said(recording: Recording): string[] {
  return [...recording.records()].flatMap(({ what }) => {
    if (what.kind === 'session-sent') return [`${what.frame.kind} ${what.frame.number} ${what.frame.id}`];
    return what.kind === 'closed' ? [`closed ${what.code} ${what.by}`] : [];
  });
}

/** The recording with its records changed. */
function changed(recording: Recording, change: (record: Record) => Record): Recording {
  return { ...recording, records: () => [...recording.records()].map(change) };
}

/** A peer that reads when the test says so. */
class SlowPeer {
  bufferedBytes = 0;
  #owner: WireOwner | undefined;
  readonly #written: (() => void)[] = [];
  readonly #writer = new PacketWriter((packet) => this.#owner?.message(packet));

  constructor(recorded: RecordedMachine) {
    const buffered = (): number => this.bufferedBytes;
    const wire: Wire = {
      start: (owner) => (this.#owner = owner),
      send: (_bytes, written) => void this.#written.push(written ?? (() => undefined)),
      close: () => undefined,
      get bufferedBytes() {
        return buffered();
      },
    };
    recorded.host.open(wire, () => ({ roles: ['host', 'observer'] }));
    this.call(1, 'hello', { product: 'slow', productVersion: '0', contractVersion: '1.0', roles: [ROLE.host, ROLE.observer] });
  }

  call<Name extends CallName>(id: number, name: Name, body: Calls[Name]['request']): void {
    this.#writer.add(id, KIND.call, BODY[name], body);
    this.#writer.flush();
  }

  pinged(): void {
    this.#owner?.keepalive?.('ping-sent');
  }

  async read(): Promise<void> {
    this.bufferedBytes = 0;
    await settle();
    for (const written of this.#written.splice(0)) written();
    await settle();
  }
}

describe('a session in a recording', () => {
  it('has the events that it was sent, each with its number, and its replay says the same', async () => {
    const recorded = machine();
    const { stop } = recorded.record();
    const host = await recorded.join('host');
    host.call(2, 'subscribe', { events: [3] }).send();
    await host.replyTo(2);
    recorded.own({ kind: 'reset-prepare', bdf: PROBE, token: 'w', deadlineNs: 0, onDeadline: 'abort' });
    recorded.own({ kind: 'reset-done', bdf: PROBE, token: 'w', all: false });
    await settle();
    host.add(0, KIND.cancel, 0).send();
    await settle();
    const recording = stop();
    const windows = host.events('windowEvent').map(({ id }) => `${KIND.event} ${BODY.windowEvent} ${id}`);
    expect(windows).toHaveLength(2);
    expect(said(recording)).toEqual([`${KIND.reply} ${BODY.helloReply} 1`, `${KIND.reply} ${BODY.subscribeReply} 2`, ...windows]);
    expect([...recording.records()].at(-1)?.what).toMatchObject({ kind: 'session-received', frame: { kind: KIND.cancel } });
    expect(replayed(recording).difference).toBeUndefined();

    const renumbered = changed(recording, (record) =>
      record.what.kind === 'session-sent' && record.what.frame.number === BODY.windowEvent && record.what.frame.id === 2
        ? { ...record, what: { ...record.what, frame: { ...record.what.frame, id: 3 } } }
        : record,
    );
    const { difference } = replayed(renumbered);
    expect(difference?.recorded).toContain('to peer 1: event 3 windowEvent');
    expect(difference?.came).toContain('to peer 1: event 2 windowEvent');
    const refused = changed(recording, (record) => (record.allowed === undefined ? record : { ...record, allowed: ['observer'] }));
    expect(replayed(refused).difference).toMatchObject({ input: 2, came: expect.stringContaining('error') as string });
  });

  it('of another version is held against this build in all but what HelloReply says of a build', async () => {
    const recorded = machine();
    const { stop } = recorded.record();
    const host = await recorded.join('host');
    host.call(2, 'subscribe', { events: [3] }).send();
    await host.replyTo(2);
    const recording = stop();
    const older = changed(recording, (record) =>
      record.what.kind === 'session-sent' && record.what.frame.number === BODY.helloReply
        ? { ...record, what: { ...record.what, frame: { ...record.what.frame, body: new Uint8Array(0) } } }
        : record,
    );
    expect(replayed(older).difference).toMatchObject({ input: 2 });
    expect(replay(older, { productVersion: '10.0.0' }).difference).toBeUndefined();
  });

  it('that reads slowly has what it was not sent, and what was held back when it read on', async () => {
    const recorded = machine();
    const { stop } = recorded.record();
    const slow = new SlowPeer(recorded);
    await slow.read();
    slow.pinged();
    const window = (id: number): void => {
      slow.call(id, 'resetPrepare', PREPARE);
      slow.call(id + 1, 'resetDone', { function: PROBE, token: 'w' });
    };
    window(2);
    slow.bufferedBytes = EVENT_BUFFER_BYTES_MAX;
    window(4);
    await slow.read();
    window(6);
    await slow.read();
    const recording = stop();
    const lost = [...recording.records()].filter(({ what }) => what.kind === 'session-sent' && what.frame.number === BODY.lost);
    expect(lost).toHaveLength(1);
    expect([...recording.records()].map(({ what }) => what)).toContainEqual({ kind: 'keepalive', keepalive: 'ping-sent' });
    const rooms = [...recording.records()].flatMap(({ input, what }) => (what.kind === 'room' ? [[what.room, input !== undefined]] : []));
    expect(rooms).toEqual([
      [false, false],
      [true, true],
    ]);
    expect(replayed(recording).difference).toBeUndefined();
    const without = changed(recording, (record) =>
      record.what.kind === 'session-sent' && record.what.frame.number === BODY.lost
        ? { ...record, connection: 1, what: { kind: 'room', room: true } }
        : record,
    );
    expect(replayed(without).difference).toMatchObject({
      recorded: 'nothing more',
      came: expect.stringMatching(/^to peer 1: event lost /),
    });
  });
});

/** What ends a connection, and how that is in its recording. */
const ENDS: readonly [string, string, (recorded: RecordedMachine, peer: RawPeer) => Promise<unknown>][] = [
  [
    'an id in use',
    'closed 1002 rule',
    async (recorded, peer) => {
      recorded.own({ kind: 'call-hold', step: 'prepare:gate', count: 1 } as never);
      peer.call(0, 'memoryWrite', { address: { low: Number(RAM), high: 0 } }, Uint8Array.of(1));
      peer
        .call(2, 'clockHold', {})
        .call(3, 'clockAdvance', { ns: { low: 5, high: 0 } })
        .call(3, 'clockInfo', {})
        .send();
      return closedWith(peer, 1002);
    },
  ],
  [
    'credits that are exceeded',
    'closed 1008 circumstance',
    async (_recorded, peer) => {
      peer.call(2, 'clockHold', {});
      for (let id = 3; id < 3 + 64; id++) peer.call(id, 'clockAdvance', { ns: { low: 5, high: 0 } });
      peer.send();
      return closedWith(peer, 1008);
    },
  ],
  [
    'bytes that are no packet',
    'closed 1007 circumstance',
    async (_recorded, peer) => {
      peer.sendBytes(Uint8Array.of(255, 255, 255));
      return closedWith(peer, 1007);
    },
  ],
  [
    'a second Hello',
    'closed 1002 rule',
    async (_recorded, peer) => {
      peer.hello([ROLE.host]).send();
      return closedWith(peer, 1002);
    },
  ],
  [
    'wrong answers',
    'closed 1002 rule',
    async (_recorded, peer) => {
      for (let i = 0; i < PEER_MISTAKES_MAX; i++) peer.reply(77, 'memoryReadReply');
      peer.send();
      return closedWith(peer, 1002);
    },
  ],
  [
    'its other end',
    'closed 1000 peer',
    async (_recorded, peer) => {
      peer.close();
      return settle();
    },
  ],
  [
    'a service that stops, with a call in flight',
    'closed 1001 circumstance',
    async (recorded, peer) => {
      peer
        .call(2, 'clockHold', {})
        .call(3, 'clockAdvance', { ns: { low: 5, high: 0 } })
        .send();
      await settle();
      const drained = recorded.host.drain(20);
      peer.call(4, 'clockInfo', {}).send();
      await drained;
      await settle();
      expect(peer.got.filter(({ number }) => number === BODY.error)).toHaveLength(2);
      return closedWith(peer, 1001);
    },
  ],
];

describe('the end of a connection', () => {
  it.each(ENDS)('by %s is in its recording as %s, and replays', async (_what, how, end) => {
    const recorded = machine();
    const { sink } = recorded.record();
    const peer = await recorded.join('host', 'memory');
    await end(recorded, peer);
    recorded.host.close();
    const recording = readRecording(sink.file);
    expect(said(recording).filter((line) => line.startsWith('closed'))).toEqual([how]);
    expect(replayed(recording).difference).toBeUndefined();
  });

  it('in the middle of what came of an input comes behind that', async () => {
    const recorded = machine();
    const { stop } = recorded.record();
    const owner = await recorded.join('memory');
    // It accepts frames that are too small for what it is asked.
    const tight = joined((wire) => recorded.host.open(wire, () => ({ roles: ['device'] })));
    tight.hello([ROLE.device], { credits: [{ class: 2, calls: 1, replyBytes: 0 }] }).send();
    await tight.replyTo(1);
    tight.call(2, 'deviceClaim', { function: REMOTE, postedWrites: false }).send();
    await tight.replyTo(2);
    for (let i = 0; i < 4100; i++)
      recorded.own({ kind: 'region-write', bdf: REMOTE, region: 0, offset: 0, bytes: 4, valueLow: i, valueHigh: 0 });
    await closedWith(tight, 1013);
    owner.close();
    await settle();
    expect(replayed(stop()).difference).toBeUndefined();
  });
});

describe('a recording that begins when a session is there', () => {
  it('shows what that says and compares what the machine says', async () => {
    const recorded = machine();
    const early = await recorded.join('host');
    const { stop } = recorded.record();
    early
      .call(2, 'subscribe', { events: [3] })
      .call(3, 'resetPrepare', PREPARE)
      .send();
    await early.replyTo(3);
    const late = await recorded.join('host');
    late.call(2, 'clockInfo', {}).send();
    await late.replyTo(2);
    early.close();
    await settle();
    const recording = stop();
    expect(said(recording)).toContain(`${KIND.reply} ${BODY.subscribeReply} 2`);
    expect(replayed(recording).difference).toBeUndefined();
  });
});

it('a file of format 1, which has nothing of sessions, replays', () => {
  const recording = readRecording(readFileSync(new URL('../../../fixtures/recording/format-1.iommurec', import.meta.url)));
  expect(recording.start.welcome).toBeUndefined();
  expect(replay(recording, { productVersion: RECORDED_VERSION })).toMatchObject({ difference: undefined, inputs: 10 });
});
