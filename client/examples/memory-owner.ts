/**
 * Guest memory that lives in this program: every DMA to it arrives here, and can be watched, delayed or refused.
 */
import { startMachine } from 'iommud/testing';

const GUEST = { address: 0x8000_0000n, bytes: 0x10_0000 };

await using m = await startMachine({ preset: 'basic', seed: 7 });
await using owner = await m.connect(['memory']);

const ram = new Uint8Array(GUEST.bytes);
await owner.serveMemory(GUEST, {
  read(address, bytes) {
    const from = Number(address - GUEST.address);
    console.log(`read  ${bytes} bytes at +0x${from.toString(16)}`);
    return ram.subarray(from, from + bytes);
  },
  async write(address, data) {
    // An answer may take its time: the machine's clock waits for it.
    await new Promise((resolve) => {
      setTimeout(resolve, 5);
    });
    const from = Number(address - GUEST.address);
    ram.set(data, from);
    console.log(`write ${data.length} bytes at +0x${from.toString(16)}`);
  },
});

// A function writes across two pages and reads it back: each page is a request of its own.
const dev = m.function('00:02.0');
await dev.dma.map({ iova: 0x10000, address: GUEST.address, bytes: 0x2000, access: 'rw' });
console.log(await dev.model.write(0x10ffe, 'over the edge'));
const { data } = await dev.model.read(0x10ffe, 13);
console.log(new TextDecoder().decode(data));
