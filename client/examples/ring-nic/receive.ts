/** The receive ring: packets from the wire to memory, as many as have come at a time. */
import type { Descriptor } from './descriptors.ts';
import { CAUSE, DONE, PACKET_BYTES_MAX } from './registers.ts';
import { count, fetch, firstFailed, giveBack, inMemory, owned, raise, stop, type Nic, type Ring } from './rings.ts';

const BATCH = 64;

/** A descriptor and what goes there. */
interface Placed {
  readonly data: Uint8Array;
  readonly end: boolean;
}

/** A packet has come. */
export function receive(nic: Nic, packet: Uint8Array, signal: AbortSignal): void | Promise<void> {
  const { state } = nic;
  const { rx } = state.rings;
  if (rx === undefined || !rx.on || packet.length === 0 || packet.length > PACKET_BYTES_MAX) {
    count(state, 'rxDropped', 1);
    return;
  }
  const room = state.inbox.put(packet, signal);
  if (!rx.busy) startReceive(nic, rx);
  return room;
}

function startReceive(nic: Nic, rx: Ring): void {
  rx.busy = true;
  rx.work = nic.run(async (mine) => {
    while (rx.on && mine.state.inbox.length > 0) await receiveSome(mine, rx);
    rx.busy = false;
  });
}

async function receiveSome(nic: Nic, ring: Ring): Promise<void> {
  const there = Math.min(owned(nic.state, ring), BATCH);
  const fetched = there === 0 ? [] : await fetch(nic, ring, there);
  if (fetched === undefined) return;
  const wrong = fetched.find((descriptor) => !inMemory(descriptor));
  const descriptors = wrong === undefined ? fetched : fetched.slice(0, fetched.indexOf(wrong));
  const placed = place(nic, ring, descriptors, fetched.length);
  if (placed.length > 0) await write(nic, ring, descriptors, placed);
  else if (ring.on && wrong !== undefined) stop(nic, ring, 'descriptor', wrong.address, descriptors.length);
}

/** Bytes first, and when they are in memory what says so. */
async function write(nic: Nic, ring: Ring, descriptors: readonly Descriptor[], placed: readonly Placed[]): Promise<void> {
  const { state } = nic;
  const written = await nic.dma.writeList(placed.map(({ data }, index) => ({ iova: descriptors[index]?.address ?? 0n, data })));
  const failed = firstFailed(written);
  // What came before the packet that failed is whole.
  const done = placed.slice(0, placed.slice(0, failed?.index ?? placed.length).findLastIndex(({ end }) => end) + 1);
  if (done.length > 0) {
    const back = descriptors.slice(0, done.length).map((descriptor, index) => finished(descriptor, done[index]));
    if (!(await giveBack(nic, ring, back))) {
      count(state, 'rxDropped', packetsIn(placed));
      return;
    }
    count(state, 'rxPackets', packetsIn(done));
    count(
      state,
      'rxBytes',
      done.reduce((sum, { data }) => sum + data.length, 0),
    );
    raise(nic, CAUSE.rx);
  }
  if (failed === undefined) return;
  count(state, 'rxDropped', packetsIn(placed.slice(done.length)));
  stop(nic, ring, failed.error, failed.address, failed.index - done.length);
}

/**
 * Takes packets out of the inbox as far as these descriptors go, a piece for each. One that there are no descriptors for is dropped, once it is sure that there
 * are none: `fetched` of them, those that cannot be too, were there before.
 */
function place(nic: Nic, ring: Ring, descriptors: readonly Descriptor[], fetched: number): Placed[] {
  const { state } = nic;
  const placed: Placed[] = [];
  for (let packet = state.inbox.first(); packet !== undefined; packet = state.inbox.first()) {
    const pieces = piecesOf(packet, descriptors.slice(placed.length));
    if (pieces === undefined) {
      const more = fetched < BATCH && owned(state, ring) > fetched;
      if (placed.length > 0 || more || descriptors.length < fetched) return placed;
      count(state, 'rxDropped', 1);
    } else {
      placed.push(...pieces);
    }
    state.inbox.shift();
  }
  return placed;
}

/** Undefined: there are too few descriptors. */
function piecesOf(packet: Uint8Array, descriptors: readonly Descriptor[]): Placed[] | undefined {
  const pieces: Placed[] = [];
  let at = 0;
  for (const descriptor of descriptors) {
    const data = packet.subarray(at, at + descriptor.bytes);
    at += data.length;
    pieces.push({ data, end: at === packet.length });
    if (at === packet.length) return pieces;
  }
  return undefined;
}

function packetsIn(placed: readonly Placed[]): number {
  return placed.filter(({ end }) => end).length;
}

function finished(descriptor: Descriptor, placed: Placed | undefined): Descriptor {
  return { ...descriptor, bytes: placed?.data.length ?? 0, status: placed?.end === true ? DONE.done | DONE.end : DONE.done };
}
