/** What a recording begins with: the machine, as it was made or as it is, and who takes part in it. */
import protobuf from 'protobufjs/minimal.js';
import { BODY, u64FromNumber, type iommud } from '../../../../proto/index.ts';
import type { Graph } from '../../core/base/index.ts';
import type { Machine } from '../../core/machine/index.ts';
import { readGraph } from '../decode-snapshot.ts';
import { graphPieces, lengthOf } from '../encode-snapshot.ts';
import type { Welcome } from '../hello.ts';
import { inner, numberOf } from './reading.ts';
import { decodeBody, encodeBody, readPeer, writePeer, type RecordedPeer } from './record.ts';
import { START } from './recording-format.ts';

/** What of a machine is recorded; `Machine` has it. */
export type RecordedMachine = Pick<Machine, 'spec' | 'nowNs' | 'traceHash' | 'save' | 'saveSpec' | 'inspect'>;

export interface RecordingStart {
  readonly productVersion: string;
  readonly name: string;
  readonly behaviour: string;
  readonly clock: string;
  readonly seed: number;
  readonly nowNs: number;
  readonly functions: number;
  readonly traceHash: string;
  readonly spec: Graph;
  /** Undefined: the machine had just been made. */
  readonly state: Graph | undefined;
  readonly peers: readonly RecordedPeer[];
  /** What HelloReply says besides; undefined: it is of a format that had nothing of sessions. */
  readonly welcome: Welcome | undefined;
}

/** `isNew`: it has had no input, so that what it was made from says all. EOPNOTSUPP names what in the machine cannot be saved. */
export function encodeStart(
  machine: RecordedMachine,
  welcome: Welcome,
  isNew: boolean,
  peers: readonly RecordedPeer[],
): readonly Uint8Array[] {
  const { name, behaviour, clock, seed } = machine.spec;
  const { spec, state } = isNew ? { spec: machine.saveSpec(), state: undefined } : machine.save();
  const writer = protobuf.Writer.create()
    .uint32(START.productVersion)
    .string(welcome.productVersion)
    .uint32(START.name)
    .string(name)
    .uint32(START.behaviour)
    .string(behaviour)
    .uint32(START.clock)
    .string(clock)
    .uint32(START.seed)
    .uint32(seed)
    .uint32(START.nowNs)
    .uint64(machine.nowNs)
    .uint32(START.functions)
    .uint32(machine.inspect().functions.length)
    .uint32(START.traceHash)
    .string(machine.traceHash);
  const pieces: Uint8Array[] = [writer.finish()];
  for (const [tag, graph] of [[START.spec, spec] as const, [START.state, state] as const]) {
    if (graph === undefined) continue;
    const { all, bytes } = graphPieces(graph);
    pieces.push(lengthOf(tag, bytes), ...all);
  }
  const ofPeers = protobuf.Writer.create();
  for (const peer of peers) writePeer(ofPeers.uint32(START.peers).fork(), peer).ldelim();
  ofPeers.uint32(START.welcome).bytes(encodeBody(BODY.helloReply, welcomeBody(welcome)));
  pieces.push(ofPeers.finish());
  return pieces;
}

/** Throws RangeError for one that has no machine in it, and what a reader throws for bytes that are none. */
export function readStart(bytes: Uint8Array): RecordingStart {
  const reader = protobuf.Reader.create(bytes);
  const start = { productVersion: '', name: '', behaviour: '', clock: '', seed: 0, nowNs: 0, functions: 0, traceHash: '' };
  let spec: Graph | undefined;
  let state: Graph | undefined;
  const peers: RecordedPeer[] = [];
  let welcome: Welcome | undefined;
  const texts = new Map<number, 'productVersion' | 'name' | 'behaviour' | 'clock' | 'traceHash'>([
    [START.productVersion, 'productVersion'],
    [START.name, 'name'],
    [START.behaviour, 'behaviour'],
    [START.clock, 'clock'],
    [START.traceHash, 'traceHash'],
  ]);
  while (reader.pos < reader.len) {
    const tag = reader.uint32();
    const text = texts.get(tag);
    if (text !== undefined) start[text] = reader.string();
    else if (tag === START.seed) start.seed = reader.uint32();
    else if (tag === START.nowNs) start.nowNs = numberOf(reader);
    else if (tag === START.functions) start.functions = reader.uint32();
    else if (tag === START.spec) spec = readGraph(inner(reader));
    else if (tag === START.state) state = readGraph(inner(reader));
    else if (tag === START.peers) peers.push(readPeer(inner(reader)));
    else if (tag === START.welcome) welcome = readWelcome(reader.bytes());
    else reader.skipType(tag & 7);
  }
  if (spec === undefined) throw new RangeError('it has no machine in it');
  return { ...start, spec, state, peers, welcome };
}

function welcomeBody({ product, productVersion, machine, preset, pageBytes }: Welcome): iommud.v1.HelloReply.$Properties {
  return { product, productVersion, machine, preset, pageBytes: pageBytes.map(u64FromNumber) };
}

function readWelcome(bytes: Uint8Array): Welcome | undefined {
  const body = decodeBody({ number: BODY.helloReply, body: bytes }) as iommud.v1.HelloReply | undefined;
  if (body === undefined) return undefined;
  const { product, productVersion, machine, preset } = body;
  return {
    product,
    productVersion,
    machine,
    preset,
    pageBytes: body.pageBytes.map(({ low, high }) => (high >>> 0) * 2 ** 32 + (low >>> 0)),
  };
}
