import { describe, expect, it } from 'vitest';
import { BODY, KIND, PacketReader, PacketWriter } from '../../../../proto/index.ts';
import { DMA_BYTES_MAX, RECORDINGS_MAX, RECORDING_BUFFER_BYTES_MAX, RECORDING_BYTES_MAX } from '../../../../proto/limits.ts';
import { ModelError } from '../../../../server/src/core/base/index.ts';
import { MachineHost, readRecording } from '../../../../server/src/rpc/index.ts';
import { Recorder } from '../../../../server/src/rpc/recording/recorder.ts';
import { PROBE, RAM, probe, specOf } from '../../../kit/core-machine.ts';
import { KeptRecording, RecordedMachine, replayed, settle } from '../../../kit/recorded-machine.ts';
import { FakeMachine } from '../fake-machine.ts';
import { joined } from '../raw-peer.ts';
import { WELCOME } from '../setup.ts';

const SESSION = new Set(['opened', 'session-received', 'session-sent', 'closed', 'asked', 'room', 'keepalive']);

function machine(clock: 'auto' | 'manual' | 'real' = 'auto'): RecordedMachine {
  return new RecordedMachine(specOf({ functions: [probe(PROBE)], clock }));
}

function code(act: () => void): string {
  try {
    act();
  } catch (error) {
    if (!(error instanceof ModelError)) throw error;
    return error.code;
  }
  return 'none';
}

describe('a recording', () => {
  it('has a Hello, and never its token, of a connection that is refused too', async () => {
    const recorded = machine();
    const { sink, stop } = recorded.record();
    for (const token of ['secret-of-mine', 'secret'.repeat(1000)]) {
      const peer = joined((wire) => recorded.host.open(wire, () => ({ roles: ['host'] })));
      peer.hello([1], { token }).send();
      await peer.replyTo(1);
    }
    const stranger = joined((wire) => recorded.host.open(wire, () => undefined));
    stranger.hello([1], { token: 'secret-of-another' }).send();
    await stranger.replyTo(1);
    await settle();
    stop();
    expect(Buffer.from(sink.file).includes('secret')).toBe(false);
    expect(Buffer.from(sink.file).includes('(not recorded)')).toBe(true);
    const records = [...readRecording(sink.file).records()];
    const hellos = records.filter(({ what }) => what.kind === 'session-received');
    expect(hellos.map(({ connection, allowed }) => [connection, allowed])).toEqual([
      [1, ['host']],
      [2, undefined],
      [3, undefined],
    ]);
    expect(records.filter(({ what }) => what.kind === 'closed')).toMatchObject([
      { connection: 2, what: { code: 1008, reason: expect.stringContaining('too long') as string, by: 'rule' } },
      { connection: 3, what: { code: 1008, by: 'rule' } },
    ]);
    expect(replayed(readRecording(sink.file)).difference).toBeUndefined();
  });

  it('has calls that are refused before the machine, posted ones, and answers, in the order in which they came', async () => {
    const recorded = machine();
    const { sink, stop } = recorded.record();
    const owner = await recorded.join('memory');
    owner.call(2, 'memoryClaim', { address: { low: 0x4000_0000, high: 0 }, bytes: { low: 0x1000, high: 0 }, depth: 4 }).send();
    await owner.replyTo(2);
    owner.call(3, 'resetPrepare', { function: PROBE }).call(4, 'memoryClaim', {}).send();
    await owner.replyTo(4);
    // Posted, and in no contract: body 900.
    owner.sendBytes(Uint8Array.from(Buffer.from('0a051001a23800', 'hex')));
    await settle();
    recorded.own({ kind: 'memory-read', address: 0x4000_0000n, bytes: 4 });
    await owner.until(() => owner.calls().length === 1);
    owner.reply(owner.calls()[0]!.id, 'memoryReadReply', {}, Uint8Array.of(9, 8, 7, 6)).send();
    owner.close();
    await settle();
    const { end } = stop();
    const ofMachine = [...readRecording(sink.file).records()].filter(({ what }) => !SESSION.has(what.kind));
    const shown = ofMachine.map(({ peer, what }) => [
      peer,
      what.kind,
      'frame' in what ? [what.frame.kind, what.frame.id, what.frame.number] : '',
    ]);
    expect(shown).toEqual([
      [1, 'arrived', ''],
      [1, 'received', [1, 2, 136]],
      [undefined, 'sent', [3, 0, 1130]],
      [1, 'sent', [2, 2, 137]],
      [1, 'received', [1, 3, 160]],
      [1, 'sent', [2, 3, 16]],
      [1, 'received', [1, 4, 136]],
      [1, 'sent', [2, 4, 16]],
      [1, 'received', [1, 0, 900]],
      [0, 'command', ''],
      [1, 'sent', [1, 1, 132]],
      [1, 'received', [2, 1, 133]],
      [0, 'reply', ''],
      [1, 'gone', ''],
      [undefined, 'sent', [3, 0, 1029]],
      [undefined, 'sent', [3, 0, 1130]],
    ]);
    // Besides, of the session: opened, Hello and its reply, the call that went out, closed.
    expect(end).toMatchObject({ inputs: 11, reason: 'asked to' });
    expect(replayed(readRecording(sink.file))).toMatchObject({ difference: undefined, inputs: 11, outputs: 10 });
  });

  it('ends where it is not read, whole and playable, and the machine goes on', async () => {
    const recorded = machine();
    const { sink } = recorded.record();
    recorded.own({ kind: 'memory-write', address: RAM, data: Uint8Array.of(1) });
    sink.bufferedBytes = RECORDING_BUFFER_BYTES_MAX - 4096;
    recorded.own({ kind: 'memory-write', address: RAM, data: Uint8Array.of(2) });
    expect(sink.ended).toBeUndefined();
    sink.bufferedBytes = RECORDING_BUFFER_BYTES_MAX;
    recorded.own({ kind: 'memory-write', address: RAM, data: Uint8Array.of(3) });
    expect(sink.ended).toContain('is not read');
    const pieces = sink.pieces.length;
    recorded.own({ kind: 'memory-write', address: RAM, data: Uint8Array.of(4) });
    await settle();
    expect(sink.pieces).toHaveLength(pieces);
    expect(recorded.host.state).toBe('open');
    expect(replayed(readRecording(sink.file))).toMatchObject({ difference: undefined, inputs: 3 });
  });

  it('ends when it has as many bytes as one may have', () => {
    const packets: Uint8Array[] = [];
    const writer = new PacketWriter((packet) => packets.push(packet));
    writer.add(1, KIND.call, BODY.memoryWrite, { address: { low: 0, high: 0 } }, new Uint8Array(DMA_BYTES_MAX));
    writer.flush();
    const frame = new PacketReader(packets[0]!);
    frame.next();
    let bytes = 0;
    let ended: string | undefined;
    const sink = {
      write: (piece: Uint8Array) => void (bytes += piece.length),
      bufferedBytes: 0,
      end: (reason: string) => (ended = reason),
    };
    const recorder = new Recorder({ nowNs: 0, traceHash: '' }, sink, [], []);
    let calls = 0;
    for (; ended === undefined && calls < 2 * (RECORDING_BYTES_MAX / DMA_BYTES_MAX); calls++) {
      expect(bytes).toBeLessThanOrEqual(RECORDING_BYTES_MAX);
      recorder.call(1, frame, undefined);
      recorder.settle();
    }
    expect([ended, calls]).toEqual([expect.stringContaining(`at most ${RECORDING_BYTES_MAX} bytes`), RECORDING_BYTES_MAX / DMA_BYTES_MAX]);
    expect(bytes).toBeLessThan(RECORDING_BYTES_MAX + 2 * DMA_BYTES_MAX);
  });

  it('ends with the machine', async () => {
    const recorded = machine();
    const { sink } = recorded.record();
    const peer = await recorded.join('host');
    recorded.host.close();
    expect(sink.ended).toBe('the machine was deleted');
    expect(peer.closed).toBeUndefined();
    expect(readRecording(sink.file).end).toMatchObject({ reason: 'the machine was deleted', inputs: 4 });
    expect([...readRecording(sink.file).records()].at(-1)).toMatchObject({
      peer: 1,
      what: { kind: 'closed', code: 1001, by: 'circumstance' },
    });
    expect(code(() => recorded.record())).toBe('ESHUTDOWN');
  });

  it('is one of few at the same time, each with its own beginning', async () => {
    const recorded = machine();
    const all = [];
    for (let i = 0; i < RECORDINGS_MAX; i++) {
      all.push(recorded.record());
      recorded.own({ kind: 'memory-write', address: RAM, data: Uint8Array.of(i) });
    }
    expect(code(() => recorded.record())).toBe('EBUSY');
    for (const [i, { stop }] of all.entries()) {
      const recording = stop();
      expect(recording.start.state === undefined).toBe(i === 0);
      expect(replayed(recording)).toMatchObject({
        difference: undefined,
        inputs: RECORDINGS_MAX - i,
        traceHash: recorded.machine.traceHash,
      });
    }
    expect(code(() => recorded.record())).toBe('none');
    await settle();
  });

  it('is not possible of a machine that cannot be saved, nor from within an event', async () => {
    const fake = new MachineHost(new FakeMachine(), { welcome: WELCOME, seed: 1 });
    expect(code(() => fake.record(new KeptRecording()))).toBe('EOPNOTSUPP');
    const recorded = machine();
    const codes: string[] = [];
    recorded.host.listen(() => codes.push(code(() => recorded.record())));
    recorded.own({ kind: 'reset-prepare', bdf: PROBE, token: 'w', deadlineNs: 0, onDeadline: 'abort' });
    await settle();
    expect(new Set(codes)).toEqual(new Set(['EBUSY']));
  });

  it('keeps real time, with alarms that came by themselves', async () => {
    const recorded = machine('real');
    const { sink, stop } = recorded.record();
    recorded.own({ kind: 'fault-arm', bdf: PROBE, fault: 'never-ready', first: 1, count: 1, point: undefined, delayNs: 0 });
    recorded.own({ kind: 'reset', bdf: PROBE, method: 'flr', window: true, deadlineNs: 1e6, onDeadline: 'abort' });
    await new Promise((resolve) => {
      setTimeout(resolve, 250);
    });
    stop();
    const records = [...readRecording(sink.file).records()];
    expect(records.some(({ what }) => what.kind === 'alarm')).toBe(true);
    expect(records.filter(({ input }) => input !== undefined).every(({ realNs }) => realNs !== undefined)).toBe(true);
    expect(replayed(readRecording(sink.file))).toMatchObject({ difference: undefined, traceHash: recorded.machine.traceHash });
    recorded.host.close();
  });
});
