/** One recording of a machine: takes its inputs and outputs as they happen and writes blocks. */
import { crc32 } from 'node:zlib';
import protobuf from 'protobufjs/minimal.js';
import { KIND, type PacketReader } from '../../../../proto/index.ts';
import { RECORDING_BLOCK_BYTES, RECORDING_BUFFER_BYTES_MAX, RECORDING_BYTES_MAX } from '../../../../proto/limits.ts';
import type { ModelError } from '../../core/base/index.ts';
import type { Command, Outgoing, PeerId } from '../../core/machine/index.ts';
import type { RoleName } from '../enums.ts';
import { OutputRecords } from './output-records.ts';
import { plainText } from './plain-text.ts';
import { writeRecord, type Record, type RecordHead, type RecordedPeer, type What } from './record.ts';
import { BLOCK, CHECKSUM_BYTES, END, FORMAT, MAGIC, RECORDING } from './recording-format.ts';

/** Where a recording goes. */
export interface RecordingSink {
  /** The next bytes of the file, the sink's to keep. */
  write(bytes: Uint8Array): void;
  /** Written and not yet taken. */
  readonly bufferedBytes: number;
  /** Nothing follows. */
  end(reason: string): void;
}

/** What a recorder wants to know of its machine. */
export interface RecordedClock {
  readonly nowNs: number;
  readonly traceHash: string;
}

/** Which session; it has no peer before its Hello is granted. */
export interface SessionOf {
  readonly connection: number;
  readonly peer: PeerId | undefined;
}

export class Recorder {
  readonly #machine: RecordedClock;
  readonly #sink: RecordingSink;
  readonly #outputs = new OutputRecords();
  #block = protobuf.Writer.create();
  #checksum = 0;
  #writtenBytes = 0;
  #inputs = 0;
  /** Time of the last record. */
  #atNs = 0;
  #wallMs = 0;
  #flushQueued = false;
  #ended = false;

  /** `start`: the encoded RecordingStart, in pieces. */
  constructor(machine: RecordedClock, sink: RecordingSink, start: readonly Uint8Array[], peers: readonly RecordedPeer[]) {
    this.#machine = machine;
    this.#atNs = machine.nowNs;
    this.#sink = sink;
    for (const peer of peers) this.#outputs.arrived(peer);
    const head = Buffer.concat([Buffer.of(RECORDING.magic), MAGIC, Buffer.of(RECORDING.format, FORMAT, 0, 0, 0)]);
    this.#checksum = crc32(head);
    this.#write(head);
    const bytes = start.reduce((sum, piece) => sum + piece.length, 0);
    const tags = protobuf.Writer.create().uint32(BLOCK.start).uint32(bytes).finish();
    this.#writeBlock(Buffer.concat([tags, ...start]));
  }

  get ended(): boolean {
    return this.#ended;
  }
  get inputs(): number {
    return this.#inputs;
  }

  // ---- inputs, each before it happens ------------------------------------------------------------------------------------

  arrived(peer: RecordedPeer, connection: number): void {
    this.#outputs.arrived(peer);
    this.#input(peer.id, undefined, { kind: 'arrived', arrived: peer }, { connection });
  }

  gone(peer: PeerId, reason: string, realNs: number | undefined): void {
    this.#input(peer, realNs, { kind: 'gone', reason });
    this.#outputs.gone(peer);
  }

  silent(peer: PeerId, realNs: number | undefined): void {
    this.#input(peer, realNs, { kind: 'silent' });
  }

  alarm(realNs: number | undefined): void {
    this.#input(undefined, realNs, { kind: 'alarm' });
  }

  call(peer: PeerId, frame: PacketReader, realNs: number | undefined): void {
    this.#outputs.called(peer, { id: frame.id, body: frame.number }, this.#machine.nowNs);
    this.#input(peer, realNs, received(frame.id, frame));
  }

  answer(peer: PeerId, token: number, frame: PacketReader, realNs: number | undefined): void {
    this.#outputs.takeAsked(peer, token);
    this.#input(peer, realNs, received(token, frame), { wireId: frame.id });
  }

  command(token: number, command: Command, realNs: number | undefined): void {
    this.#outputs.calledOwn(token, this.#machine.nowNs);
    this.#input(0, realNs, { kind: 'command', token, json: plainText(command) });
  }

  /** Of a session, and not of the machine. */
  session(of: SessionOf, what: What, allowed?: readonly RoleName[]): void {
    this.#input(of.peer, undefined, what, { connection: of.connection, ...(allowed === undefined ? {} : { allowed }) });
  }

  /** The service stops. */
  stopping(what: What): void {
    this.#input(undefined, undefined, what);
  }

  // ---- outputs, as they are handed on ------------------------------------------------------------------------------------

  output(item: Outgoing): void {
    this.#add(this.#outputs.of(item, this.#machine.nowNs));
  }

  refused(peer: PeerId, id: number, error: ModelError): void {
    this.#add(this.#outputs.refused(peer, id, error, this.#machine.nowNs));
  }

  refusedOwn(token: number, error: ModelError): void {
    this.#add(this.#outputs.refusedOwn(token, error, this.#machine.nowNs));
  }

  /** What came of a session's input, or what is shown and compared with nothing. */
  sessionOutput({ peer, connection }: SessionOf, what: What): void {
    // That of what the machine said, which may be before its clock.
    this.#add({ timeNs: this.#atNs, input: undefined, peer, realNs: undefined, connection, what });
  }

  /** Between two inputs: ends it when whoever reads is too slow, or when it has as many bytes as one may have. */
  settle(): void {
    if (this.#sink.bufferedBytes + this.#block.pos > RECORDING_BUFFER_BYTES_MAX) {
      this.end(`what was recorded is not read: ${RECORDING_BUFFER_BYTES_MAX} bytes wait`);
    } else if (this.#writtenBytes + this.#block.pos > RECORDING_BYTES_MAX) {
      this.end(`a recording has at most ${RECORDING_BYTES_MAX} bytes`);
    }
  }

  /** Writes what is left and the end. `crash`: what the bug says that ends the machine. */
  end(reason: string, crash?: string): void {
    if (this.#ended) return;
    this.#ended = true;
    this.#block
      .uint32(BLOCK.end)
      .fork()
      .uint32(END.reason)
      .string(reason)
      .uint32(END.nowNs)
      .uint64(this.#machine.nowNs)
      .uint32(END.traceHash)
      .string(this.#machine.traceHash)
      .uint32(END.inputs)
      .uint64(this.#inputs);
    if (crash !== undefined) this.#block.uint32(END.crash).string(crash);
    this.#block.ldelim();
    this.#flush();
    this.#sink.end(reason);
  }

  #input(peer: number | undefined, realNs: number | undefined, what: What, more: Partial<RecordHead> = {}): void {
    const wallMs = Date.now();
    const passed = wallMs === this.#wallMs ? more : { ...more, wallMs };
    this.#wallMs = wallMs;
    this.#add({ timeNs: this.#machine.nowNs, input: this.#inputs + 1, peer, realNs, ...passed, what });
    if (!this.#ended) this.#inputs++;
  }

  #add(record: Record | undefined): void {
    if (record === undefined || this.#ended) return;
    this.#atNs = record.timeNs;
    writeRecord(this.#block.uint32(BLOCK.record).fork(), record).ldelim();
    if (this.#block.pos >= RECORDING_BLOCK_BYTES) {
      this.#flush();
    } else if (!this.#flushQueued) {
      this.#flushQueued = true;
      setImmediate(() => {
        this.#flushQueued = false;
        this.#flush();
      });
    }
  }

  #flush(): void {
    if (this.#block.pos === 0) return;
    const content = this.#block.finish();
    this.#block = protobuf.Writer.create();
    this.#writeBlock(content);
  }

  #writeBlock(content: Uint8Array): void {
    const head = protobuf.Writer.create()
      .uint32(RECORDING.block)
      .uint32(content.length + CHECKSUM_BYTES)
      .finish();
    const bytes = Buffer.allocUnsafe(head.length + content.length + CHECKSUM_BYTES);
    bytes.set(head);
    bytes.set(content, head.length);
    const end = head.length + content.length;
    const sum = crc32(bytes.subarray(0, end), this.#checksum);
    bytes[end] = BLOCK.checksum;
    bytes.writeUInt32LE(sum, end + 1);
    this.#checksum = crc32(bytes.subarray(end), sum);
    this.#write(bytes);
  }

  #write(bytes: Uint8Array): void {
    this.#writtenBytes += bytes.length;
    this.#sink.write(bytes);
  }
}

function received(id: number, frame: PacketReader): What {
  // A view of the packet: it is written before the packet goes.
  const { number, data } = frame;
  return { kind: 'received', frame: { id, kind: frame.kind === KIND.reply ? KIND.reply : KIND.call, number, body: frame.rawBody(), data } };
}
