/**
 * A network card that lives in this program: a transmit and a receive ring of descriptors in guest memory, packets of several descriptors, MSI-X, interrupts that are
 * moderated, and what goes wrong in registers. `docs/ring-nic.md` describes it for authors of drivers; `ring-nic-driver.ts` plays two of them at the ends of a cable, and
 * drives them. Everything the card does behind a doorbell is work of `fn.run()`, so a reset ends it wherever it is.
 */
import { defineFunction, type DefinedFunction } from 'iommud';
import { inbox, type Wire } from './ring-nic/cable.ts';
import { receive } from './ring-nic/receive.ts';
import {
  CAUSE,
  DESCRIPTOR_BYTES,
  NIC_REGISTERS,
  RESET,
  RING_BLOCKS,
  RING_LENGTH,
  RING_ON,
  RING_REGISTERS,
  STATUS,
  VECTORS,
  type RegisterName,
  type RingName,
  type RingRegisterName,
} from './ring-nic/registers.ts';
import { enable, raise, read, readRing, report, set, setRing, speakAgain, turnOff, type Nic, type NicState } from './ring-nic/rings.ts';
import { startTransmit } from './ring-nic/transmit.ts';

export interface RingNicOptions {
  /** Six bytes: `52:54:00:12:34:56`. */
  readonly mac: string;
  readonly wire: Wire;
}

const BAR_BYTES = 4096;
/** Packets that have come and are not in memory yet: so many bear a driver and a memory that are slow for a while. */
const INBOX_DEPTH = 256;
const ADDRESSES = 1n << 64n;
const RINGS = Object.keys(RING_BLOCKS) as RingName[];

/** One card. It is played in one place at a time. */
export function ringNic({ mac, wire }: RingNicOptions): DefinedFunction<NicState> {
  const incoming = inbox(INBOX_DEPTH);
  let unplug = (): void => undefined;
  return defineFunction<NicState>({
    vendor: 0x1234,
    device: 0x11ca,
    class: 0x02_0000,
    bars: [
      { bar: 0, size: '4KiB' },
      { bar: 2, size: '64KiB' },
    ],
    capabilities: { pm: {}, flr: true, msix: { vectors: VECTORS.length } },
    widths: [4],
    // As on the bus: a driver does not wait for its doorbells.
    postedWrites: true,
    state() {
      incoming.clear();
      const registers = new Uint32Array(BAR_BYTES / 4);
      for (const { offset, reset } of Object.values(NIC_REGISTERS)) registers[offset / 4] = reset;
      const state: NicState = { registers, rings: { tx: undefined, rx: undefined }, inbox: incoming, wire, silent: 0, waiting: 0 };
      const address = mac.split(':').map((byte) => Number.parseInt(byte, 16));
      const word = (from: number, bytes: number): number =>
        address.slice(from, from + bytes).reduceRight((sum, byte) => sum * 256 + byte, 0);
      set(state, 'macLow', word(0, 4));
      set(state, 'macHigh', word(4, 2));
      return state;
    },
    onStart(nic) {
      unplug = wire.plug({
        receive: (packet, signal) => receive(nic, packet, signal),
        linkChanged: () => raise(nic, CAUSE.link),
      });
    },
    onEnd() {
      unplug();
      incoming.clear();
    },
    onRead: ({ state }, { bar, offset }) =>
      bar !== 0 ? 0 : offset === NIC_REGISTERS.status.offset ? statusOf(state) : (state.registers[offset / 4] ?? 0),
    onWrite(nic, { bar, offset }, value) {
      const place = bar === 0 ? REGISTERS.get(offset) : undefined;
      if (place === undefined) return;
      if (place.ring === undefined) write(nic, place.name, Number(value));
      else writeRing(nic, place.ring, place.name, Number(value));
    },
    onAlarm: speakAgain,
  });
}

type Place = { readonly ring: RingName; readonly name: RingRegisterName } | { readonly ring?: undefined; readonly name: RegisterName };
/** What is at an offset. */
const REGISTERS: ReadonlyMap<number, Place> = new Map<number, Place>([
  ...Object.entries(NIC_REGISTERS).map(([name, { offset }]) => [offset, { name: name as RegisterName }] as const),
  ...RINGS.flatMap((ring) =>
    Object.entries(RING_REGISTERS).map(
      ([name, { offset }]) => [RING_BLOCKS[ring] + offset, { ring, name: name as RingRegisterName }] as const,
    ),
  ),
]);

function statusOf({ wire, rings: { tx, rx } }: NicState): number {
  return (wire.up() ? STATUS.link : 0) | (tx?.busy === true ? STATUS.tx : 0) | (rx?.busy === true ? STATUS.rx : 0);
}

function write(nic: Nic, name: RegisterName, value: number): void {
  const register: { readonly access: string; readonly bits?: number } = NIC_REGISTERS[name];
  const bits = value & (register.bits ?? -1);
  if (name === 'control') resetItself(nic, bits);
  else if (name === 'enable') enable(nic, bits);
  else if (register.access === 'rw1c') set(nic.state, name, read(nic.state, name) & ~bits);
  else if (register.access === 'rw') set(nic.state, name, bits);
}

function resetItself(nic: Nic, bits: number): void {
  if ((bits & RESET) === 0 || resetting(nic.state)) return;
  const ends = RINGS.map((name) => nic.state.rings[name]?.work ?? Promise.resolve());
  nic.renew();
  const { state } = nic;
  set(state, 'control', RESET);
  void Promise.all(ends).then(() => set(state, 'control', 0));
  void nic.run(async (mine) => {
    for (const vector of VECTORS.keys()) await mine.cancelAlarm(vector);
  });
}

function resetting(state: NicState): boolean {
  return (read(state, 'control') & RESET) !== 0;
}

function writeRing(nic: Nic, name: RingName, register: RingRegisterName, value: number): void {
  const { state } = nic;
  const ring = state.rings[name];
  const on = ring?.on === true;
  const { access, bits = -1 }: { readonly access: string; readonly bits?: number } = RING_REGISTERS[register];
  if (register === 'control') {
    if ((value & RING_ON) !== 0) turnOn(nic, name);
    else if (ring !== undefined && on) turnOff(state, ring);
  } else if (register === 'tail') {
    if (ring === undefined || !on) return;
    setRing(state, name, 'tail', value & bits);
    if (readRing(state, name, 'tail') >= ring.length) {
      turnOff(state, ring);
      report(nic, name, 'ring', ring.base, value & bits);
    } else if (name === 'tx') startTransmit(nic);
  } else if (access === 'rw' && !on) setRing(state, name, register, value & bits);
}

function turnOn(nic: Nic, name: RingName): void {
  const { state } = nic;
  const before = state.rings[name];
  if (before?.on === true || before?.busy === true || resetting(state)) return;
  const length = readRing(state, name, 'length');
  const base = (BigInt(readRing(state, name, 'baseHigh')) << 32n) | BigInt(readRing(state, name, 'baseLow'));
  if (length < RING_LENGTH.least || length > RING_LENGTH.most || base + BigInt(length * DESCRIPTOR_BYTES) > ADDRESSES) {
    report(nic, name, 'ring', base, 0);
    return;
  }
  setRing(state, name, 'head', 0);
  setRing(state, name, 'tail', 0);
  setRing(state, name, 'control', RING_ON);
  state.rings[name] = { name, base, length, on: true, busy: false, work: Promise.resolve() };
}
