/** What the card is made of inside: its registers, its rings, and the interrupts that it raises. */
import type { DmaResult, Outcome, RunningFunction } from 'iommud';
import type { Inbox, Wire } from './cable.ts';
import { bytesOf, descriptorsIn, joined, runsOf, type Descriptor } from './descriptors.ts';
import {
  CAUSE,
  DESCRIPTOR_BYTES,
  NIC_ERRORS,
  NIC_REGISTERS,
  RING_BLOCKS,
  RING_REGISTERS,
  VECTORS,
  type NicError,
  type RegisterName,
  type RingName,
  type RingRegisterName,
} from './registers.ts';

const ADDRESSES = 1n << 64n;
const NS_PER_US = 1000;

/** A ring from when it is turned on until it is turned off, or stops. */
export interface Ring {
  readonly name: RingName;
  readonly base: bigint;
  readonly length: number;
  on: boolean;
  /** Its engine is at work. */
  busy: boolean;
  /** Settles when what its engine had in flight has ended, whatever became of it. */
  work: Promise<void>;
}

export interface NicState {
  /** By offset / 4. */
  readonly registers: Uint32Array;
  readonly rings: Record<RingName, Ring | undefined>;
  readonly inbox: Inbox;
  readonly wire: Wire;
  /** Vectors, by bit, that are silent for now, and of those the ones that have something to say. */
  silent: number;
  waiting: number;
}
export type Nic = RunningFunction<NicState>;

export function read({ registers }: NicState, name: RegisterName): number {
  return registers[NIC_REGISTERS[name].offset / 4] ?? 0;
}
export function set({ registers }: NicState, name: RegisterName, value: number): void {
  registers[NIC_REGISTERS[name].offset / 4] = value;
}
export function count(state: NicState, name: RegisterName, by: number): void {
  set(state, name, read(state, name) + by);
}
export function readRing({ registers }: NicState, ring: RingName, name: RingRegisterName): number {
  return registers[(RING_BLOCKS[ring] + RING_REGISTERS[name].offset) / 4] ?? 0;
}
export function setRing({ registers }: NicState, ring: RingName, name: RingRegisterName, value: number): void {
  registers[(RING_BLOCKS[ring] + RING_REGISTERS[name].offset) / 4] = value;
}

/** Descriptors between head and tail: those that are the card's. */
export function owned(state: NicState, { name, length }: Ring): number {
  return (readRing(state, name, 'tail') - readRing(state, name, 'head') + length) % length;
}

/** The first `count` of them; undefined: they could not be had, and the ring has stopped. */
export async function fetch(nic: Nic, ring: Ring, howMany: number): Promise<Descriptor[] | undefined> {
  const head = readRing(nic.state, ring.name, 'head');
  const runs = runsOf(ring.length, head, howMany);
  const results = await nic.dma.readList(
    runs.map(({ from, count: each }) => ({ iova: addressOf(ring, from), bytes: each * DESCRIPTOR_BYTES })),
  );
  const failed = results.find(({ outcome }) => outcome !== 'performed');
  if (failed === undefined) return descriptorsIn(joined(results.map(({ data }) => data)));
  stop(nic, ring, errorOf(failed.outcome), failed.failedIova ?? 0n);
  return undefined;
}

/** Writes the first of them back and makes them the driver's; false: it could not, and the ring has stopped. */
export async function giveBack(nic: Nic, ring: Ring, descriptors: readonly Descriptor[]): Promise<boolean> {
  const head = readRing(nic.state, ring.name, 'head');
  const data = bytesOf(descriptors);
  let at = 0;
  const results = await nic.dma.writeList(
    runsOf(ring.length, head, descriptors.length).map(({ from, count: each }) => {
      const start = at;
      at += each * DESCRIPTOR_BYTES;
      return { iova: addressOf(ring, from), data: data.subarray(start, at) };
    }),
  );
  const failed = results.find(({ outcome }) => outcome !== 'performed');
  if (failed !== undefined) {
    stop(nic, ring, errorOf(failed.outcome), failed.failedIova ?? 0n);
    return false;
  }
  setRing(nic.state, ring.name, 'head', (head + descriptors.length) % ring.length);
  return true;
}

/** A place in memory that there can be. */
export function inMemory({ address, bytes }: { readonly address: bigint; readonly bytes: number }): boolean {
  return bytes > 0 && address + BigInt(bytes) <= ADDRESSES;
}

/** The first that failed, in its place. */
export function firstFailed(
  results: readonly DmaResult[],
): { readonly index: number; readonly error: NicError; readonly address: bigint } | undefined {
  const index = results.findIndex(({ outcome }) => outcome !== 'performed');
  const failed = results[index];
  return failed === undefined ? undefined : { index, error: errorOf(failed.outcome), address: failed.failedIova ?? 0n };
}

/** The ring does nothing more until it is turned on again. `ahead`: descriptors from the head to the one that is to blame. */
export function stop(nic: Nic, ring: Ring, error: NicError, address: bigint, ahead = 0): void {
  turnOff(nic.state, ring);
  report(nic, ring.name, error, address, (readRing(nic.state, ring.name, 'head') + ahead) % ring.length);
}

/** The first error stands in the registers until the driver has taken note of it. */
export function report(nic: Nic, ring: RingName, error: NicError, address: bigint, index: number): void {
  const { state } = nic;
  if ((read(state, 'cause') & CAUSE.error) === 0) {
    set(state, 'errorCode', NIC_ERRORS[error].value);
    set(state, 'errorRing', ring === 'tx' ? 0 : 1);
    set(state, 'errorIndex', index);
    set(state, 'errorLow', Number(BigInt.asUintN(32, address)));
    set(state, 'errorHigh', Number(address >> 32n));
  }
  raise(nic, CAUSE.error);
}

/** What comes in finds no place from now on. */
export function turnOff(state: NicState, ring: Ring): void {
  ring.on = false;
  setRing(state, ring.name, 'control', 0);
  if (ring.name === 'rx') count(state, 'rxDropped', state.inbox.clear());
}

/** Something has happened. A cause that is there already does not interrupt again. */
export function raise(nic: Nic, causes: number): void {
  const { state } = nic;
  const before = interrupting(state);
  set(state, 'cause', read(state, 'cause') | causes);
  interruptFor(nic, interrupting(state) & ~before);
}

export function enable(nic: Nic, causes: number): void {
  const before = interrupting(nic.state);
  set(nic.state, 'enable', causes);
  interruptFor(nic, interrupting(nic.state) & ~before);
}

/** The time of its silence is over. */
export function speakAgain(nic: Nic, vector: number): void {
  const { state } = nic;
  state.silent &= ~(1 << vector);
  if ((state.waiting & (1 << vector)) === 0) return;
  state.waiting &= ~(1 << vector);
  interruptFor(nic, interrupting(state) & (VECTORS[vector] ?? 0));
}

function interrupting(state: NicState): number {
  return read(state, 'cause') & read(state, 'enable');
}

function interruptFor(nic: Nic, causes: number): void {
  for (const [vector, of] of VECTORS.entries()) if ((causes & of) !== 0) interrupt(nic, vector, of);
}

function interrupt(nic: Nic, vector: number, causes: number): void {
  const { state } = nic;
  if ((state.silent & (1 << vector)) !== 0) {
    state.waiting |= 1 << vector;
    return;
  }
  set(state, 'cause', read(state, 'cause') & ~(read(state, 'autoClear') & causes));
  // Not awaited: it stands behind all writes of the card, also those of the other ring, whose memory may be slow.
  void nic.run(async (mine) => void (await mine.interrupt(vector)));
  const us = read(state, 'moderation');
  if (us === 0) return;
  state.silent |= 1 << vector;
  void nic.run((mine) => mine.setAlarm(vector, { ns: us * NS_PER_US }));
}

function addressOf({ base }: Ring, index: number): bigint {
  return base + BigInt(index * DESCRIPTOR_BYTES);
}

function errorOf(outcome: Outcome): NicError {
  switch (outcome) {
    case 'unsupported-request':
    case 'completer-abort':
    case 'poisoned':
    case 'completion-timeout':
      return 'memory';
    case 'gate-closed':
    case 'aborted':
    case 'indeterminate':
      return 'lost';
    default:
      return 'fault';
  }
}
