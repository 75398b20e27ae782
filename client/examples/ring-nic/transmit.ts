/** The transmit ring: packets from memory to the wire, as many as there are at a time. */
import type { DmaResult } from 'iommud';
import { joined, type Descriptor } from './descriptors.ts';
import { CAUSE, DONE, FLAG, PACKET_BYTES_MAX, PIECES_MAX } from './registers.ts';
import { count, fetch, firstFailed, giveBack, inMemory, owned, raise, stop, type Nic, type Ring } from './rings.ts';

/** At once at most: so many packets of the longest kind are what one list of reads may have, 1 MiB. */
const BATCH = 64;

/** Descriptors that make whole packets, and where behind them one cannot be. */
interface Batch {
  readonly packets: readonly (readonly Descriptor[])[];
  readonly wrong: { readonly at: number; readonly address: bigint } | undefined;
}

/** The doorbell rang. */
export function startTransmit(nic: Nic): void {
  const { tx } = nic.state.rings;
  if (tx === undefined || !tx.on || tx.busy) return;
  tx.busy = true;
  tx.work = nic.run(async (mine) => {
    while (tx.on && owned(mine.state, tx) > 0 && (await transmitSome(mine, tx)));
    tx.busy = false;
  });
}

/** False: there is nothing more to do for now. */
async function transmitSome(nic: Nic, ring: Ring): Promise<boolean> {
  const descriptors = await fetch(nic, ring, Math.min(owned(nic.state, ring), BATCH));
  if (descriptors === undefined) return false;
  const { packets, wrong } = wholePackets(descriptors);
  if (packets.length === 0 && wrong === undefined) return owned(nic.state, ring) > descriptors.length;
  const pieces = packets.flat();
  const read: readonly DmaResult[] =
    pieces.length === 0 ? [] : await nic.dma.readList(pieces.map(({ address, bytes }) => ({ iova: address, bytes })));
  const failed = firstFailed(read);
  const sent: Descriptor[] = [];
  for (const packet of packets) {
    const until = sent.length + packet.length;
    if (failed !== undefined && failed.index < until) break;
    const data = joined(read.slice(sent.length, until).map((piece) => piece.data));
    await nic.state.wire.send(data, nic.signal);
    // A reset has come while it waited: it and what is behind it stay here.
    if (nic.signal.aborted) return false;
    count(nic.state, 'txPackets', 1);
    count(nic.state, 'txBytes', data.length);
    sent.push(...packet.map((piece) => ({ ...piece, status: DONE.done })));
  }
  if (sent.length > 0 && !(await giveBack(nic, ring, sent))) return false;
  if (sent.some(({ flags }) => (flags & FLAG.interrupt) !== 0)) raise(nic, CAUSE.tx);
  if (failed !== undefined) stop(nic, ring, failed.error, failed.address, failed.index - sent.length);
  else if (wrong !== undefined) stop(nic, ring, 'descriptor', wrong.address, wrong.at - sent.length);
  return ring.on;
}

function wholePackets(descriptors: readonly Descriptor[]): Batch {
  const packets: Descriptor[][] = [];
  let packet: Descriptor[] = [];
  let bytes = 0;
  for (const [at, piece] of descriptors.entries()) {
    packet.push(piece);
    bytes += piece.bytes;
    if (!inMemory(piece) || bytes > PACKET_BYTES_MAX || packet.length > PIECES_MAX) {
      return { packets, wrong: { at, address: piece.address } };
    }
    if ((piece.flags & FLAG.end) === 0) continue;
    packets.push(packet);
    [packet, bytes] = [[], 0];
  }
  return { packets, wrong: undefined };
}
