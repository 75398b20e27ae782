/**
 * A PCI function that lives in this program: a device that turns text in guest memory into capitals. The host writes the text's length to the
 * doorbell; the function reads the text by DMA, writes it back in capitals, and sets its status register.
 */
import { startMachine } from 'iommud/testing';

const BDF = '00:04.0';
const DOORBELL = 0x0;
const STATUS = 0x4;
const BUFFER_IOVA = 0x10000;

await using m = await startMachine({ preset: 'basic', seed: 7 });
await using emulator = await m.connect(['device']);

let status = 0;
const device = await emulator.claimDevice(BDF, {
  onRegionRead: ({ region, offset }) => (region === 0 && offset === STATUS ? status : 0),
  // The next access waits until this one has settled, so a host that reads the status sees the work done.
  async onRegionWrite({ region, offset, value }) {
    if (region !== 0 || offset !== DOORBELL) return;
    const read = await device.dma.read(BUFFER_IOVA, Number(value));
    if (read.data === undefined || read.outcome !== 'performed') {
      status = 2;
      return;
    }
    const capitals = new TextDecoder().decode(read.data).toUpperCase();
    const written = await device.dma.write(BUFFER_IOVA, new TextEncoder().encode(capitals));
    status = written.outcome === 'performed' ? 1 : 2;
  },
  onReset(method) {
    status = 0;
    console.log(`reset by ${method}`);
  },
});

// The host's side: a driver for it.
const dev = m.function(BDF);
const page = await m.memory.alloc(4096);
await dev.dma.map({ iova: BUFFER_IOVA, address: page.address, bytes: 4096, access: 'rw' });
await m.memory.write(page.address, 'make me loud');
await dev.bar(0).write(DOORBELL, 4, 12);
console.log(`status ${await dev.bar(0).read(STATUS, 4)}: ${new TextDecoder().decode(await m.memory.read(page.address, 12))}`);

// Without a mapping there is nothing to read, and the machine says so.
await dev.dma.unmap({ iova: BUFFER_IOVA, bytes: 4096 });
await dev.bar(0).write(DOORBELL, 4, 12);
console.log(`status ${await dev.bar(0).read(STATUS, 4)}: ${(await m.faults.next()).text}`);
await dev.reset({ method: 'flr', deadlineMs: 10 });
