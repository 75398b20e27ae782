/** Two cards of `ring-nic.ts` at the ends of a cable, each played by a connection of its own, and the drivers that send packets from one to the other. */
import { startMachine } from 'iommud/testing';
import { ringNic } from './ring-nic.ts';
import { cable } from './ring-nic/cable.ts';
import { NicStopped, dispatchInterrupts, openNic, type NicDriver } from './ring-nic/driver.ts';

const [LEFT, RIGHT] = ['00:03.0', '00:04.0'];
const IOVA = 0x10_0000;
const ENTRIES = 256;
const PACKET_BYTES = 1500;
const AT_ONCE = 64;
const PACKETS = 16 * AT_ONCE;
const ON_THEIR_WAY = 2 * AT_ONCE;

const topology = {
  schema: 'iommud.topology/v1',
  functions: [LEFT, RIGHT].map((address) => ({ address, model: 'remote' })),
};
await using m = await startMachine({ topology, seed: 7 });
const [one, other] = cable();
await using leftProgram = await m.connect(['device']);
await using rightProgram = await m.connect(['device']);
await ringNic({ mac: '52:54:00:00:00:01', wire: one }).claim(leftProgram, LEFT);
await ringNic({ mac: '52:54:00:00:00:02', wire: other }).claim(rightProgram, RIGHT);

const left = await openNic(m, LEFT, { iova: IOVA, entries: ENTRIES });
const right = await openNic(m, RIGHT, { iova: IOVA, entries: ENTRIES });
void dispatchInterrupts(m, [left, right]);
console.log(`the link is ${(await left.linkUp()) ? 'up' : 'down'}`);

const text = (words: string): Uint8Array => new TextEncoder().encode(words);
const words = (packet: Uint8Array): string => new TextDecoder().decode(packet);
await left.send([text('from left'), text('to right')]);
console.log((await right.receive(2)).map(words).join(' '));
await right.send([new Uint8Array(9000).fill(0x61)]);
const [jumbo] = await left.receive(1);
console.log(`one of ${jumbo?.length ?? 0} bytes came in ${Math.ceil((jumbo?.length ?? 0) / 2048)} descriptors`);

/** How long it takes until all have arrived. */
async function move(from: NicDriver, to: NicDriver): Promise<number> {
  const began = performance.now();
  const numbered = Array.from({ length: PACKETS }, (_, number) => {
    const packet = new Uint8Array(PACKET_BYTES);
    new DataView(packet.buffer).setUint32(0, number);
    return packet;
  });
  // Fewer on their way than the other card has descriptors: none is dropped.
  for (let sent = 0, come = 0; come < PACKETS;) {
    if (sent < PACKETS && sent - come <= ON_THEIR_WAY) {
      await from.send(numbered.slice(sent, sent + AT_ONCE));
      sent += AT_ONCE;
      continue;
    }
    for (const packet of await to.receive(1)) {
      const number = new DataView(packet.buffer).getUint32(0);
      if (number !== come++) throw new Error(`packet ${number} came in place of ${come - 1}`);
    }
  }
  return performance.now() - began;
}
const ms = await move(left, right);
const dropped = await right.read('rxDropped');
console.log(`${PACKETS} packets of ${PACKET_BYTES} bytes in order, ${dropped} dropped: ${Math.round((PACKETS / ms) * 1000)} packets/s`);

// Without a mapping of its buffers the ring stops: the IOMMU has a record of the access, and the card says where it was.
await left.fn.dma.unmap({ iova: IOVA + 4096, bytes: ENTRIES * 2048 });
await left.send([text('astray')]);
console.log(await left.drain().catch((error: unknown) => (error instanceof NicStopped ? error.message : error)));
console.log((await m.faults.next()).text);
