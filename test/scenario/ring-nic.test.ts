/** The example's network card as a driver's author meets it: rings, packets of several descriptors, interrupts, and what goes wrong. */
import { expect } from 'vitest';
import { checkDevice } from '../../client/src/index.ts';
import {
  CARDS,
  CONTROL,
  DESCRIPTOR_BYTES,
  END,
  HEAD,
  INTERRUPT,
  LEFT,
  REGISTER,
  RIGHT,
  RX,
  RawCard,
  TX,
  TestWire,
  bytes,
  descriptor,
  play,
  twoCards,
} from '../kit/nic-bench.ts';
import { eventually, scenario, settled, type ScenarioMachine } from '../kit/scenario.ts';

const RING = 0x10000;
const BUFFERS = 0x20000;
const NOWHERE = 0x30000;
const ON_CARDS = { topology: CARDS };

const text = (packet: Uint8Array): string => new TextDecoder().decode(packet);
const numbered = (count: number): string[] => Array.from({ length: count }, (_, number) => `${number}:`.repeat(1 + ((number * 37) % 150)));

/** One card at a wire of the test's, with a page for its ring and one for its buffers. */
async function oneCard(m: ScenarioMachine) {
  const wire = new TestWire();
  await play(m, LEFT, wire);
  const card = new RawCard(m, LEFT);
  const [ring, buffers] = [await m.mapped(card.dev, RING), await m.mapped(card.dev, BUFFERS)];
  /** Descriptors into the ring's first places. */
  const put = (...descriptors: readonly Uint8Array[]): Promise<void> =>
    m.memory.write(ring, Uint8Array.from(descriptors.flatMap((one) => [...one])));
  const status = async (index: number): Promise<number> => (await m.memory.read(ring + BigInt(index * DESCRIPTOR_BYTES + 13), 1))[0] ?? 0;
  return { wire, card, ring, buffers, put, status };
}

scenario('packets go and come in order, round the rings and in several descriptors, both ways at once', ON_CARDS, async (m) => {
  const { left, right } = await twoCards(m);
  expect([await left.linkUp(), await right.linkUp()]).toEqual([true, true]);
  const packets = numbered(40);
  const across = async (from: typeof left, to: typeof left): Promise<void> => {
    // A packet has up to three descriptors, and there are seven: not more than two on their way.
    for (let at = 0; at < packets.length; at += 2) {
      const some = packets.slice(at, at + 2);
      await from.send(some.map(bytes));
      expect((await to.receive(2)).map(text)).toEqual(some);
      // The card has its buffers back, since a read is behind the doorbell.
      await to.read('status');
    }
  };
  await Promise.all([across(left, right), across(right, left)]);
  for (const one of [left, right]) {
    expect([await one.read('txPackets'), await one.read('rxPackets'), await one.read('rxDropped')]).toEqual([40, 40, 0]);
    expect([await one.error(), await one.readRing('rx', 'head')]).toEqual([undefined, expect.any(Number)]);
  }
  expect([await left.read('macLow'), await left.read('macHigh')]).toEqual([0x1200_5452, 0x0134]);
});

scenario('a full ring holds the sender back until the wire takes packets again', ON_CARDS, async (m) => {
  const { card, wire, put, buffers, status } = await oneCard(m);
  await m.memory.write(buffers, 'abc');
  wire.held = true;
  await put(...[0, 1, 2].map((at) => descriptor(BUFFERS + at, 1, END)));
  await card.turnOn(TX, RING, 4);
  await card.ring(TX, 3);
  await eventually(async () => expect((await card.read(REGISTER.status)) & 2).toBe(2));
  expect([await card.read(TX + HEAD), await status(0), wire.sent]).toEqual([0, 0, []]);
  wire.letThrough();
  await eventually(async () => expect(await card.read(TX + HEAD)).toBe(3));
  expect([wire.sent, await status(2), (await card.read(REGISTER.status)) & 2]).toEqual([['a', 'b', 'c'], 1, 0]);
});

scenario('the driver waits for room, and what it sends then is behind what it sent before', ON_CARDS, async (m) => {
  const { left, right } = await twoCards(m, { entries: 4 });
  await right.writeRing('rx', 'control', 0);
  const packets = numbered(9).map((packet) => bytes(packet.slice(0, 200)));
  await m.function(LEFT).faults.arm('hold', { point: 'translated' });
  const sending = left.send(packets);
  await eventually(async () => expect(await m.function(LEFT).ledger()).toMatchObject([{ held: true }]));
  expect(await settled(sending, m)).toBe(false);
  await m.function(LEFT).release();
  await sending;
  await left.drain();
  expect([await left.read('txPackets'), await right.read('rxDropped')]).toEqual([9, 9]);
});

scenario('a packet waits for its last descriptor, and one that comes finds buffers or is dropped', ON_CARDS, async (m) => {
  const { card, wire, put, buffers, ring, status } = await oneCard(m);
  await m.memory.write(buffers, 'here and there');
  await put(descriptor(BUFFERS, 5), descriptor(BUFFERS + 9, 5, END | INTERRUPT));
  await card.turnOn(TX, RING, 4);
  await card.ring(TX, 1);
  await eventually(async () => expect((await card.read(REGISTER.status)) & 2).toBe(0));
  expect([await card.read(TX + HEAD), wire.sent]).toEqual([0, []]);
  await card.ring(TX, 2);
  await eventually(() => expect(wire.sent).toEqual(['here there']));
  await eventually(async () => expect(await card.read(REGISTER.cause)).toBe(1));
  await card.write(TX + CONTROL, 0);

  void wire.deliver('off');
  expect(await card.read(REGISTER.rxDropped)).toBe(1);
  await put(descriptor(BUFFERS, 4), descriptor(BUFFERS + 100, 4), descriptor(BUFFERS + 200, 4));
  await card.turnOn(RX, RING, 4);
  await card.ring(RX, 2);
  // Ten bytes do not fit into two buffers of four; six do, and the next has none.
  for (const packet of ['0123456789', 'eleven', 'no']) void wire.deliver(packet);
  await eventually(async () => expect(await card.read(REGISTER.rxDropped)).toBe(3));
  expect([await m.text(buffers, 4), await m.text(buffers + 100n, 4)]).toEqual(['elev', 'en\0\0']);
  expect([await status(0), await status(1), await status(2)]).toEqual([1, 3, 0]);
  expect((await m.memory.read(ring + 16n + 8n, 4))[0]).toBe(2);
  await card.ring(RX, 3);
  void wire.deliver('yes');
  await eventually(async () => expect(await card.read(RX + HEAD)).toBe(3));
  expect([await m.text(buffers + 200n, 3), await card.read(REGISTER.rxPackets)]).toEqual(['yes', 2]);
});

scenario('a rogue descriptor stops its ring behind what was good, and the card and the IOMMU say where', ON_CARDS, async (m) => {
  const { card, wire, put, buffers, status } = await oneCard(m);
  await card.enableMsix();
  await card.write(REGISTER.enable, 8);
  await m.memory.write(buffers, 'good');
  await put(descriptor(BUFFERS, 4, END), descriptor(BUFFERS, 2), descriptor(NOWHERE + 8, 2, END), descriptor(BUFFERS, 4, END));
  await card.turnOn(TX, RING, 8);
  await card.ring(TX, 4);
  expect(await m.interrupts.next()).toMatchObject({ function: LEFT, sourceVector: 2 });
  expect(await m.faults.next()).toMatchObject({ text: `${LEFT} read 0x30008: not present` });
  expect([await card.error(), wire.sent, await card.read(TX + CONTROL)]).toEqual([[1, 0, 2, 0x30008n], ['good'], 0]);
  expect([await card.read(TX + HEAD), await status(0), await status(1)]).toEqual([1, 1, 0]);

  // The first error stands until it was noted; the other ring is none the worse.
  await put(descriptor(BUFFERS, 64), descriptor(NOWHERE, 64));
  await card.turnOn(RX, RING, 8);
  await card.ring(RX, 2);
  void wire.deliver('fits');
  await eventually(async () => expect(await status(0)).toBe(3));
  void wire.deliver('does not');
  expect(await m.faults.next()).toMatchObject({ text: `${LEFT} write 0x30000: not present` });
  await eventually(async () => expect(await card.read(RX + CONTROL)).toBe(0));
  expect([await card.error(), await card.read(REGISTER.rxDropped)]).toEqual([[1, 0, 2, 0x30008n], 1]);
  await card.write(REGISTER.cause, 8);
  await card.turnOn(TX, NOWHERE, 8);
  await card.ring(TX, 1);
  expect(await m.interrupts.next()).toMatchObject({ function: LEFT, sourceVector: 2 });
  expect(await card.error()).toEqual([1, 0, 0, 0x30000n]);
});

scenario(
  'a ring that the card may only read stops when it is written back: the packet has gone, and nothing says so',
  ON_CARDS,
  async (m) => {
    const { card, wire, put, buffers, ring, status } = await oneCard(m);
    await m.memory.write(buffers, 'gone');
    await card.dev.dma.unmap({ iova: RING, bytes: 4096 });
    await card.dev.dma.map({ iova: RING, address: ring, bytes: 4096, access: 'r' });
    await put(descriptor(BUFFERS, 4, END | INTERRUPT));
    await card.turnOn(TX, RING, 8);
    await card.ring(TX, 1);
    expect(await m.faults.next()).toMatchObject({ text: `${LEFT} write 0x10000: not permitted` });
    await eventually(async () => expect(await card.read(REGISTER.cause)).toBe(8));
    expect([await card.error(), wire.sent, await status(0), await card.read(TX + HEAD)]).toEqual([[1, 0, 0, BigInt(RING)], ['gone'], 0, 0]);
    // The same of the ring that takes packets: this one is lost.
    await put(descriptor(BUFFERS, 64));
    await card.turnOn(RX, RING, 8);
    await card.ring(RX, 1);
    void wire.deliver('lost');
    expect(await m.faults.next()).toMatchObject({ cause: 'not-permitted' });
    await eventually(async () => expect(await card.read(RX + CONTROL)).toBe(0));
    expect([await card.read(REGISTER.rxDropped), await card.read(REGISTER.rxPackets), await status(0)]).toEqual([1, 0, 0]);
  },
);

const NEVER = [
  ['of no bytes', descriptor(BUFFERS, 0, END), BigInt(BUFFERS)],
  ['beyond the last address', descriptor(2n ** 64n - 4n, 8, END), 2n ** 64n - 4n],
  ['of a packet that is too long', descriptor(BUFFERS, 20_000, END), BigInt(BUFFERS)],
] as const;
for (const [what, rogue, address] of NEVER) {
  scenario(`a descriptor ${what} stops its ring before anything is accessed`, ON_CARDS, async (m) => {
    const { card, put } = await oneCard(m);
    await put(rogue);
    await card.turnOn(TX, RING, 8);
    await card.ring(TX, 1);
    await eventually(async () => expect(await card.read(REGISTER.cause)).toBe(8));
    expect([await card.error(), m.faults.take()]).toEqual([[4, 0, 0, address], []]);
  });
}

scenario(
  'rings that cannot be are not turned on, or stop at their doorbell; without Bus Master Enable they stop too',
  ON_CARDS,
  async (m) => {
    const { card, put } = await oneCard(m);
    for (const length of [0, 1, 4097]) {
      await card.turnOn(TX, RING, length);
      expect([(await card.error())[0], await card.read(TX + CONTROL), await card.read(REGISTER.cause)]).toEqual([5, 0, 8]);
      await card.write(REGISTER.cause, 8);
    }
    await card.turnOn(TX, RING, 8);
    await card.ring(TX, 8);
    expect([(await card.error())[0], await card.read(TX + CONTROL)]).toEqual([5, 0]);
    await card.write(REGISTER.cause, 8);

    await put(descriptor(BUFFERS, 4, END));
    await card.dev.config.write(4, 2, 2);
    await card.turnOn(TX, RING, 8);
    await card.ring(TX, 1);
    await eventually(async () => expect(await card.error()).toEqual([3, 0, 0, BigInt(RING)]));
  },
);

scenario('a vector that is masked is pending, and is told when it is unmasked', ON_CARDS, async (m) => {
  const { card, put } = await oneCard(m);
  const at = await card.enableMsix();
  await card.dev.bar(2).write(12, 4, 1);
  await card.write(REGISTER.enable, 1);
  await put(descriptor(BUFFERS, 4, END | INTERRUPT));
  await card.turnOn(TX, RING, 8);
  await card.ring(TX, 1);
  const msix = async () => (await card.dev.irqs()).find(({ index }) => index === 'msix');
  await eventually(async () => expect(await msix()).toMatchObject({ enabled: true, pending: [0] }));
  expect([m.interrupts.take(), await card.read(REGISTER.cause)]).toEqual([[], 1]);
  await card.dev.bar(2).write(12, 4, 0);
  expect(await m.interrupts.next()).toMatchObject({ function: LEFT, sourceVector: 0, data: 0 });
  expect((await msix())?.pending).toEqual([]);
  // What has happened before it may interrupt does so when it may.
  await card.write(REGISTER.enable, 0);
  await card.write(REGISTER.autoClear, 1);
  await card.write(REGISTER.enable, 1);
  expect(await m.interrupts.next()).toMatchObject({ sourceVector: 0 });
  expect(await card.read(REGISTER.cause)).toBe(0);
  await card.dev.config.write(at + 2, 2, 0);
});

scenario('moderated interrupts come once in a time of the machine', { ...ON_CARDS, clock: 'manual' }, async (m) => {
  const { card, put } = await oneCard(m);
  await card.enableMsix();
  await card.write(REGISTER.autoClear, 0xf);
  await card.write(REGISTER.moderation, 100);
  await card.write(REGISTER.enable, 1);
  await put(...[0, 1, 2].map(() => descriptor(BUFFERS, 4, END | INTERRUPT)));
  await card.turnOn(TX, RING, 8);
  for (const tail of [1, 2, 3]) {
    await card.ring(TX, tail);
    await eventually(async () => expect(await card.read(TX + HEAD)).toBe(tail));
  }
  expect(await m.interrupts.next()).toMatchObject({ sourceVector: 0, count: 1 });
  await m.clock.advance({ ms: 0.099 });
  expect(m.interrupts.take()).toEqual([]);
  await m.clock.advance({ ms: 0.001 });
  expect(await m.interrupts.next()).toMatchObject({ sourceVector: 0, count: 1 });
  await m.clock.advance({ ms: 1 });
  expect(m.interrupts.take()).toEqual([]);
});

scenario('the card does what any function has to do', ON_CARDS, async (m) => {
  await twoCards(m);
  const failed: string[] = [];
  let tried = 0;
  for await (const { name, passed, text: why } of checkDevice(m, RIGHT)) {
    if (passed === false) failed.push(`${name}: ${why}`);
    if (passed === true) tried++;
  }
  expect([failed, tried]).toEqual([[], expect.any(Number)]);
  expect(tried).toBeGreaterThan(8);
});
