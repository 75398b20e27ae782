/**
 * Makes docs/dma-probe.md, docs/edu.md and docs/ring-nic.md from the models' tables of registers: `node test/tidy/register-pages.mjs`. With `--check` it compares instead and
 * exits with 1 on a difference.
 */
import { readFileSync, writeFileSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import { tsImport } from 'tsx/esm/api';

const DEVICES = '../../server/src/core/devices';
/** From there. */
const NIC = '../../../../client/examples/ring-nic/registers.ts';
const MADE = 'Made from the tables of the model by `node test/tidy/register-pages.mjs`; do not edit.';

/** The pages by their path, from what the models' `registers.ts` export and the names of outcomes. */
export function registerPages(probe, edu, nic, outcomes) {
  return new Map([
    ['docs/dma-probe.md', probePage(probe, outcomes)],
    ['docs/edu.md', eduPage(edu)],
    ['docs/ring-nic.md', nicPage(nic)],
  ]);
}

function probePage(probe, outcomes) {
  const { QUEUE_BLOCK: block } = probe;
  return page(
    '# dma-probe',
    MADE,
    `A function that exists to provoke DMA. It does what the command \`model-dma\` says (\`dev.model\` in the client), and what a driver puts into the rings of its
${probe.PROBE_QUEUES} queues: writes of a pattern and reads with a checksum, scattered, with a PASID, through its ATC, with page requests for what is missing.
Its DMA passes the gate of a reset window and is in the in-flight ledger as any other; a reset ends all of it and leaves the registers as listed here.`,
    '## BAR 0',
    `Little-endian; accessed in 1, 2, 4 or 8 naturally aligned bytes, by part and together. Where nothing is, and of write-only registers, reads are all ones.`,
    registerTable(probe.PROBE_REGISTERS),
    `Queue q has its registers at ${hex(block.first)} + q × ${hex(block.each)}:`,
    registerTable(probe.QUEUE_REGISTERS),
    '## Descriptors',
    `A ring is an array of descriptors of ${probe.DESCRIPTOR_BYTES} bytes. The driver fills those from the tail on and moves the tail past them; the probe does those
from the head to the tail in order, writes each one's status, moves the head, and then raises the queue's vector where the descriptor asks for it. Ring, lists and
status are reached with the queue's PASID, untranslated. All offsets are in bytes, all words little-endian.`,
    partTable(probe.DESCRIPTOR),
    'An entry of a scatter list:',
    partTable(probe.SEGMENT),
    `A descriptor moves at most ${probe.TRANSFER_BYTES_MAX} bytes, whole or in at most ${probe.SEGMENTS_MAX} entries of a list.`,
    '## Control word',
    valueTable('operation', {
      write: { value: 1, means: 'memory gets the pattern' },
      read: { value: 2, means: 'memory is read and its checksum taken' },
    }),
    table(
      ['flag', 'bit', 'means'],
      Object.entries(probe.FLAG).map(([name, { bit, means }]) => [code(name), bit, means]),
    ),
    valueTable('pattern', probe.PATTERNS),
    '## Errors',
    `In bits 7:0 of a descriptor's status, or of the queue's error register. Errors 1 to 9 are the descriptor's, and the queue goes on; with 10 to 12 the queue has failed
and raises its vector; 13 and 14 only note a write that was ignored. Bits 15:8 are the outcome of the DMA that ended it:`,
    valueTable('error', probe.PROBE_ERRORS),
    `${outcomes.map((name, index) => `${index} ${code(name)}`).join(', ')}.`,
  );
}

function eduPage(edu) {
  return page(
    '# edu',
    MADE,
    `QEMU's educational device, register for register as QEMU documents it (docs/specs/edu.rst): vendor 1234, device 11e8, one BAR of 1 MiB, INTx or MSI. A driver that was
written against QEMU's runs against this one, here with an IOMMU that can be seen into.`,
    registerTable(edu.EDU_REGISTERS),
    `Below 0x80 only accesses of 4 bytes find a register, from there on those of 4 and 8; others read all ones and write nothing. A write of 4 bytes to a register of 8 is
extended with zeros.`,
    `The DMA engine moves bytes between RAM and a buffer of ${edu.EDU_BUFFER.bytes} bytes, which it knows as address ${hex(edu.EDU_BUFFER.start)}; addresses in RAM have 28 bits, and the
upper ones are dropped. A transfer is on the bus 100 ms after its command, by the machine's clock, and a factorial takes 1 ms: with \`clock: manual\` both can be
watched. While one is going on its registers are not written.`,
    `Where QEMU's copies beyond the buffer this one transfers nothing; the command ends as always. What a failed read did not bring stays in the buffer as it was; the device
reports no errors, but the fault records of the IOMMU do.`,
  );
}

function nicPage(nic) {
  const { RING_BLOCKS: blocks, DESCRIPTOR_BYTES: bytes } = nic;
  return page(
    '# ring-nic',
    MADE,
    `A network card that lives in a program of its own: \`client/examples/ring-nic.ts\`, made with \`defineFunction\`. \`client/examples/ring-nic-driver.ts\` plays two of them at
the ends of a cable and drives them; \`npx tsx client/examples/ring-nic-driver.ts\` says how many packets a second that moves. Vendor 1234, device 11ca, a BAR 0 of 4 KiB,
MSI-X with ${nic.VECTORS.length} vectors. It sends and takes packets of up to ${nic.PACKET_BYTES_MAX} bytes.`,
    '## BAR 0',
    `Little-endian, accessed in 4 bytes. Writes are posted: a read behind them sees what they did. Where nothing is, reads are 0.`,
    registerTable(nic.NIC_REGISTERS),
    `The transmit ring has its registers at ${hex(blocks.tx)}, the receive ring at ${hex(blocks.rx)}:`,
    registerTable(nic.RING_REGISTERS),
    '## Rings',
    `A ring is an array of descriptors of ${bytes} bytes. Those from the head to before the tail are the card's: it reads them, as many at a time as there are, does them in order,
writes them back whole, and moves the head. One is always the driver's: with the tail at the head there is none for the card. All words are little-endian.`,
    partTable(nic.DESCRIPTOR),
    `A packet to send is one descriptor or several, up to ${nic.PIECES_MAX}; the card begins with it when it has the last. It has gone out when its descriptors are written back. A packet that
comes fills as many buffers as it needs, and each is in memory before its descriptor says so. One that finds too few is dropped and counted, and so is each while
the ring is off. When many have come that are not in memory yet, the cable holds the sender back.`,
    `A ring that is turned off finishes what it is doing; the status register says when it has.`,
    '## Interrupts',
    `Vector 0 has cause bit 0, vector 1 bit 1, vector 2 bits 2 and 3. A message is sent each time one of them begins to be set and enabled, by an event or by software, and
not again while it is so. With \`moderation\` a vector says nothing for that time after a message; what happens meanwhile is told at its end, once.`,
    '## Errors',
    `When an access of a ring is refused, or what it finds in memory cannot be, the ring stops behind the last packet that was whole, \`control\` of it is 0, and bit 3 of \`cause\` is set.
The other ring goes on. The driver reads what and where, writes the cause back, and turns the ring on again.`,
    valueTable('error', nic.NIC_ERRORS),
    '## Resets',
    `After any reset all registers are as listed here and the rings are forgotten; what was on its way is dropped, on the wire too, and nothing of it lands in memory later than
the reset. Bit 0 of \`control\` does the same from within; since nobody else is told of it, accesses that are in flight then still end, and the bit reads 1 until they have. When
the card's program is started again, hosts see a reset: the driver sets the card up anew. The cable's other end sees the link go and come.`,
  );
}

function registerTable(registers) {
  return table(
    ['offset', 'bytes', 'register', 'access', 'after a reset', 'is'],
    Object.entries(registers).map(([name, { offset, bytes, access, reset, means }]) => [
      hex(offset),
      bytes,
      code(name),
      access,
      access === 'wo' ? '' : hex(reset),
      means,
    ]),
  );
}

function partTable(parts) {
  return table(
    ['offset', 'bytes', 'field', 'is'],
    Object.entries(parts).map(([name, { offset, bytes, means }]) => [hex(offset), bytes, code(name), means]),
  );
}

function valueTable(what, values) {
  return table(
    [what, 'value', 'means'],
    Object.entries(values).map(([name, { value, means }]) => [code(name), value, means]),
  );
}

function table(heads, rows) {
  return [heads, heads.map(() => '---'), ...rows].map((cells) => `| ${cells.join(' | ')} |`).join('\n');
}

function page(...blocks) {
  return `${blocks.join('\n\n')}\n`;
}

function code(name) {
  return `\`${name}\``;
}

function hex(value) {
  return `0x${value.toString(16).padStart(2, '0')}`;
}

async function main(args) {
  if (args.length > 1 || (args.length === 1 && args[0] !== '--check')) {
    console.error('usage: node test/tidy/register-pages.mjs [--check]');
    return 2;
  }
  const load = (path) => tsImport(`${DEVICES}/${path}`, import.meta.url);
  const [probe, edu, bus, nic] = await Promise.all(['dma-probe/registers.ts', 'edu/registers.ts', '../base/bus.ts', NIC].map(load));
  let status = 0;
  for (const [path, text] of registerPages(probe, edu, nic, bus.OUTCOMES)) {
    const file = fileURLToPath(new URL(`../../${path}`, import.meta.url));
    if (args.length === 0) {
      writeFileSync(file, text);
    } else if (readFileSync(file, 'utf8') !== text) {
      console.error(`${path} is not what the model's tables give; run node test/tidy/register-pages.mjs`);
      status = 1;
    }
  }
  return status;
}

if (process.argv[1] === fileURLToPath(import.meta.url)) process.exitCode = await main(process.argv.slice(2));
