/** The example's network card is reset, or its program is started anew, while packets are on their way in memory that another process owns. */
import { expect } from 'vitest';
import { ringNic } from '../../client/examples/ring-nic.ts';
import {
  CARDS,
  CONTROL,
  DESCRIPTOR_BYTES,
  END,
  HEAD,
  LEFT,
  REGISTER,
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
const OWNED = 0x8000_0000n;
const PAGE_BYTES = 4096;
const COMMAND = 4;
const ON_CARDS = { topology: CARDS };

/** Memory whose owner answers only when it is told to. */
class SlowOwner {
  readonly content = new Uint8Array(PAGE_BYTES);
  /** Accesses as they were asked, and as they were let through. */
  readonly log: string[] = [];
  readonly #held: (() => void)[] = [];
  slow = true;

  async read(address: bigint, count: number): Promise<Uint8Array> {
    await this.#wait('read');
    const from = Number(address - OWNED);
    return this.content.slice(from, from + count);
  }
  async write(address: bigint, data: Uint8Array): Promise<void> {
    await this.#wait('write');
    this.content.set(data, Number(address - OWNED));
  }
  fence(): void {
    this.log.push('fence');
  }
  letThrough(): void {
    this.slow = false;
    for (const go of this.#held.splice(0)) go();
  }
  text(from: number, count: number): string {
    return new TextDecoder().decode(this.content.slice(from, from + count));
  }
  async #wait(what: string): Promise<void> {
    this.log.push(what);
    if (!this.slow) return;
    await new Promise<void>((resolve) => void this.#held.push(resolve));
    this.log.push(`${what} let through`);
  }
}

/** A card whose ring is in the machine's memory and whose buffers are another process's. */
async function withOwner(m: ScenarioMachine) {
  const [wire, owner, memory] = [new TestWire(), new SlowOwner(), await m.connect(['memory'])];
  await memory.serveMemory({ address: OWNED, bytes: PAGE_BYTES }, owner);
  const { inside } = await play(m, LEFT, wire);
  const card = new RawCard(m, LEFT);
  const ring = await m.mapped(card.dev, RING);
  await card.dev.dma.map({ iova: BUFFERS, address: OWNED, bytes: PAGE_BYTES, access: 'rw' });
  const put = (...descriptors: readonly Uint8Array[]): Promise<void> =>
    m.memory.write(ring, Uint8Array.from(descriptors.flatMap((one) => [...one])));
  const status = async (index: number): Promise<number> => (await m.memory.read(ring + BigInt(index * DESCRIPTOR_BYTES + 13), 1))[0] ?? 0;
  return { wire, owner, card, inside, put, status };
}
type Cast = Awaited<ReturnType<typeof withOwner>>;

/** A packet that has come is on its way into the owner's memory, and another one stands behind it. */
async function receiving({ wire, owner, card, put }: Cast): Promise<void> {
  await put(descriptor(BUFFERS, 64), descriptor(BUFFERS + 64, 64), descriptor(BUFFERS + 128, 64));
  await card.turnOn(RX, RING, 8);
  await card.ring(RX, 3);
  void wire.deliver('first');
  await eventually(() => expect(owner.log).toEqual(['write']));
  void wire.deliver('second');
}

/** What a driver does after a reset, and that it is of use. */
async function expectTraffic({ wire, owner, card, put, status }: Cast): Promise<void> {
  owner.content.set(bytes('again'), 1024);
  await put(descriptor(BUFFERS + 1024, 5, END), descriptor(BUFFERS, 64));
  await card.turnOn(TX, RING, 4);
  await card.ring(TX, 1);
  await eventually(() => expect(wire.sent).toEqual(['again']));
  await eventually(async () => expect(await card.read(TX + HEAD)).toBe(1));
  await put(descriptor(BUFFERS + 256, 64));
  await card.turnOn(RX, RING, 4);
  await card.ring(RX, 1);
  void wire.deliver('and back');
  await eventually(async () => expect(await status(0)).toBe(3));
  expect(owner.text(256, 8)).toBe('and back');
}

scenario(
  'a reset while a packet is on its way into memory: its fate is known before it ends, and nothing lands after',
  ON_CARDS,
  async (m) => {
    const cast = await withOwner(m);
    const { owner, card, status } = cast;
    await card.enableMsix();
    await card.write(REGISTER.enable, 0xf);
    await receiving(cast);
    const reset = card.dev.reset({ method: 'flr', deadlineMs: 0, onDeadline: 'abort' });
    await eventually(async () => expect(await card.dev.ledger()).toMatchObject([{ point: 'indeterminate', bytes: 5, address: OWNED }]));
    expect(await settled(reset, m)).toBe(false);
    owner.letThrough();
    expect(await reset).toMatchObject({ method: 'flr', indeterminate: 1 });
    const log = ['write', 'write let through', 'fence'];
    expect([owner.log, owner.text(0, 5), await card.dev.ledger()]).toEqual([log, 'first', []]);
    // The ring is forgotten: nothing says that the packet is there, and the one behind it does not come.
    expect([await status(0), await status(1), owner.text(64, 6)]).toEqual([0, 0, '\0'.repeat(6)]);
    expect([await card.read(RX + CONTROL), await card.read(REGISTER.rxPackets), await card.read(REGISTER.enable)]).toEqual([0, 0, 0]);
    expect([m.interrupts.take(), owner.log]).toEqual([[], log]);
    await expectTraffic(cast);
  },
);

scenario('a reset while a packet to send is read: it does not go out, whenever the bytes come', ON_CARDS, async (m) => {
  const cast = await withOwner(m);
  const { owner, card, wire, put, status } = cast;
  await put(descriptor(BUFFERS, 5, END), descriptor(BUFFERS, 6, END));
  await card.turnOn(TX, RING, 8);
  await card.ring(TX, 1);
  await eventually(() => expect(owner.log).toEqual(['read']));
  await card.ring(TX, 2);
  // A reset by one call waits first until nothing is pending; one that takes the window in its own hands drops it.
  const window = await card.dev.resetPrepare({ deadlineMs: 0, onDeadline: 'abort' });
  expect([window.report.aborted, await card.dev.ledger()]).toEqual([1, []]);
  const command = await card.dev.config.read(COMMAND, 2);
  // The machine's time, of which a reset takes 100 ms, does not pass while a peer owes an answer: this one nobody has use for.
  owner.letThrough();
  await card.dev.resetTrigger('flr');
  await card.dev.config.write(COMMAND, 2, command);
  await window.done();
  expect([await card.read(REGISTER.txPackets), await status(0), wire.sent]).toEqual([0, 0, []]);
  await expectTraffic(cast);
  expect(owner.log.filter((what) => what === 'read')).toHaveLength(2);
});

scenario('a reset while the wire has no room: what waits for it does not go out', ON_CARDS, async (m) => {
  const cast = await withOwner(m);
  const { owner, card, wire, put, status } = cast;
  owner.slow = false;
  wire.held = true;
  await put(descriptor(BUFFERS, 5, END), descriptor(BUFFERS, 6, END));
  await card.turnOn(TX, RING, 8);
  await card.ring(TX, 2);
  await eventually(() => expect(owner.log).toEqual(['read', 'read']));
  await eventually(async () => expect(await card.dev.ledger()).toEqual([]));
  wire.held = false;
  expect(await card.dev.reset({ method: 'flr', deadlineMs: 10 })).toMatchObject({ aborted: 0 });
  wire.letThrough();
  expect([await card.read(REGISTER.txPackets), await status(0), wire.sent]).toEqual([0, 0, []]);
  await expectTraffic(cast);
});

scenario('the reset bit of the card itself: it reads 1 until what was in flight has ended', ON_CARDS, async (m) => {
  const cast = await withOwner(m);
  const { owner, card, wire, put, status } = cast;
  await put(descriptor(BUFFERS, 5, END));
  await card.turnOn(TX, RING, 8);
  await card.ring(TX, 1);
  await eventually(() => expect(owner.log).toEqual(['read']));
  await card.write(REGISTER.control, 1);
  expect([await card.read(REGISTER.control), await card.read(TX + CONTROL)]).toEqual([1, 0]);
  await card.turnOn(TX, RING, 8);
  expect(await card.read(TX + CONTROL)).toBe(0);
  owner.letThrough();
  await eventually(async () => expect(await card.read(REGISTER.control)).toBe(0));
  expect([await card.read(REGISTER.txPackets), await status(0), wire.sent]).toEqual([0, 0, []]);
  await expectTraffic(cast);
});

scenario('the reset bit while a packet is on its way into memory: a read waits for that, as it does on the bus', ON_CARDS, async (m) => {
  const cast = await withOwner(m);
  const { owner, card, inside, status } = cast;
  await receiving(cast);
  await card.write(REGISTER.control, 1);
  await eventually(() => expect(inside.state.rings.rx).toBeUndefined());
  const read = card.read(RX + CONTROL);
  expect(await settled(read, m)).toBe(false);
  owner.letThrough();
  expect(await read).toBe(0);
  await eventually(async () => expect(await card.read(REGISTER.control)).toBe(0));
  // Nobody has told the machine of this reset: the bytes are where they were to go, and nothing says so.
  expect([owner.log, owner.text(0, 5), await status(0)]).toEqual([['write', 'write let through'], 'first', 0]);
  await expectTraffic(cast);
});

scenario('a reset window without a reset takes an access away from a ring, which stops and says so', ON_CARDS, async (m) => {
  const cast = await withOwner(m);
  const { owner, card, wire, put } = cast;
  await put(descriptor(BUFFERS + 8, 5, END));
  await card.turnOn(TX, RING, 8);
  await card.ring(TX, 1);
  await eventually(() => expect(owner.log).toEqual(['read']));
  const window = await card.dev.resetPrepare({ deadlineMs: 0, onDeadline: 'abort' });
  await eventually(async () => expect(await card.read(REGISTER.cause)).toBe(8));
  expect([await card.error(), await card.read(TX + CONTROL), wire.sent]).toEqual([[3, 0, 0, BigInt(BUFFERS + 8)], 0, []]);
  owner.letThrough();
  await window.done();
  await card.write(REGISTER.cause, 8);
  await expectTraffic(cast);
});

scenario('the program of a card is started anew in the middle of its traffic, and hosts see a reset', ON_CARDS, async (m) => {
  const { left, right, programs, ends } = await twoCards(m);
  const packets = Array.from({ length: 12 }, (_, number) => bytes(`packet ${number} `.repeat(1 + number)));
  await left.send(packets.slice(0, 2));
  expect(await right.receive(2)).toEqual(packets.slice(0, 2));

  await left.fn.faults.arm('hold', { point: 'translated' });
  await left.post(packets.slice(2, 4));
  await eventually(async () => expect(await left.fn.ledger()).toMatchObject([{ held: true }]));
  await programs[0].close();
  await eventually(async () => expect((await left.fn.info()).absent).toBe(true));
  expect([await left.read('status'), await right.linkUp(), await left.fn.ledger()]).toEqual([0xffff_ffff, false, []]);
  m.driverCalls.take();

  const { program } = await play(m, LEFT, ends[0]);
  await eventually(() =>
    expect(m.driverCalls.take().map(({ function: bdf, callback }) => [bdf, callback])).toContainEqual([LEFT, 'reset_done']),
  );
  expect([await left.readRing('tx', 'control'), await right.linkUp()]).toEqual([0, true]);
  await left.start();
  for (let at = 4; at < packets.length; at += 2) {
    const some = packets.slice(at, at + 2);
    await left.send(some);
    expect(await right.receive(2)).toEqual(some);
    await right.send(some);
    expect(await left.receive(2)).toEqual(some);
    await Promise.all([left.read('status'), right.read('status')]);
  }
  expect([await right.read('rxDropped'), await right.error(), await left.error()]).toEqual([0, undefined, undefined]);
  await program.close();
});

const WITH_PORT = {
  schema: 'iommud.topology/v1',
  functions: [{ address: '00:1c.0', model: 'root-port', slot: { memory: '2MiB' } }],
};

scenario('a card is pulled out while it works: its program goes on, and nothing goes out any more', { topology: WITH_PORT }, async (m) => {
  const [wire, program] = [new TestWire(), await m.connect(['device'])];
  const { fn: inside } = await ringNic({ mac: '52:54:00:00:00:01', wire }).plug(program, '00:1c.0', '00.0');
  const card = new RawCard(m, '01:00.0');
  await card.dev.config.write(COMMAND, 2, 6);
  const [ring] = [await m.mapped(card.dev, RING), await m.mapped(card.dev, BUFFERS)];
  await m.memory.write(ring, descriptor(BUFFERS, 4, END));
  await card.turnOn(TX, RING, 8);
  await card.dev.faults.arm('hold', { point: 'translated' });
  await card.ring(TX, 1);
  await eventually(async () => expect(await card.dev.ledger()).toMatchObject([{ held: true }]));
  await m.function('00:1c.0').unplug({ surprise: true });
  // Its own code may try what it likes.
  await inside.run(async (nic) => void (await nic.interrupt(0)));
  await inside.run(async (nic) => void (await nic.dma.read(RING, 4)));
  expect([wire.sent, await m.functions()]).toEqual([[], [expect.objectContaining({ function: '00:1c.0' })]]);
});
