/**
 * A clone of QEMU's educational device (docs/specs/edu.rst of QEMU) that lives in this program: identification, liveness, a factorial that takes its time,
 * interrupts, and a DMA engine with a buffer. `edu-driver.ts` plays it in a machine, and drives it.
 */
import { defineFunction, type RunningFunction } from 'iommud';

const IDENTIFICATION = 0x0100_00ed;
/** The buffer has addresses of the device's own: only the DMA engine reaches it. */
const BUFFER = { start: 0x40000, bytes: 4096 } as const;
const ADDRESS_MASK = (1n << 28n) - 1n;
const STATUS = { computing: 1, raise: 0x80 } as const;
const COMMAND = { run: 1n, toRam: 2n, raise: 4n } as const;
const INTERRUPT = { factorial: 1, dma: 0x100 } as const;
const ALARM = { factorial: 0, dma: 1 } as const;

interface EduState {
  liveness: number;
  factorial: number;
  status: number;
  interrupts: number;
  source: bigint;
  destination: bigint;
  count: bigint;
  command: bigint;
  readonly buffer: Uint8Array;
}
type Edu = RunningFunction<EduState>;

export const edu = defineFunction<EduState>({
  vendor: 0x1234,
  device: 0x11e8,
  class: 0x00ff00,
  revision: 0x10,
  bars: [{ bar: 0, size: '1MiB' }],
  interruptPin: 'A',
  // A conventional function that is reset by its power state.
  capabilities: { express: false, pm: { noSoftReset: false }, msi: { vectors: 1 } },
  widths: [4, 8],
  state: () => ({
    liveness: 0,
    factorial: 0,
    status: 0,
    interrupts: 0,
    source: 0n,
    destination: 0n,
    count: 0n,
    command: 0n,
    buffer: new Uint8Array(BUFFER.bytes),
  }),

  onRead({ state }, { offset }) {
    switch (offset) {
      case 0x00:
        return IDENTIFICATION;
      case 0x04:
        return state.liveness;
      case 0x08:
        return state.factorial;
      case 0x20:
        return state.status;
      case 0x24:
        return state.interrupts;
      case 0x80:
        return state.source;
      case 0x88:
        return state.destination;
      case 0x90:
        return state.count;
      case 0x98:
        return state.command;
      default:
        return 0;
    }
  },

  async onWrite(fn, { offset }, value) {
    const { state } = fn;
    const word = Number(value & 0xffff_ffffn);
    const transfers = (state.command & COMMAND.run) !== 0n;
    switch (offset) {
      case 0x04:
        state.liveness = ~word >>> 0;
        break;
      case 0x08:
        if ((state.status & STATUS.computing) !== 0) break;
        state.factorial = word;
        state.status |= STATUS.computing;
        await fn.setAlarm(ALARM.factorial, { ms: 1 });
        break;
      case 0x20:
        state.status = (state.status & ~STATUS.raise) | (word & STATUS.raise);
        break;
      case 0x60:
        await raise(fn, word);
        break;
      case 0x64:
        await setInterrupts(fn, state.interrupts & ~word);
        break;
      case 0x80:
        if (!transfers) state.source = value;
        break;
      case 0x88:
        if (!transfers) state.destination = value;
        break;
      case 0x90:
        if (!transfers) state.count = value;
        break;
      case 0x98:
        if (transfers || (value & COMMAND.run) === 0n) break;
        state.command = value;
        await fn.setAlarm(ALARM.dma, { ms: 100 });
        break;
    }
  },

  async onAlarm(fn, alarm) {
    const { state } = fn;
    if (alarm === ALARM.dma) {
      // It may be held on its way: the clock, which stands until this returns, is not to wait for it. A reset ends it.
      void fn.run(transfer);
      return;
    }
    state.factorial = factorial(state.factorial);
    state.status &= ~STATUS.computing;
    if ((state.status & STATUS.raise) !== 0) await raise(fn, INTERRUPT.factorial);
  },

  onReset: async (fn) => void (await fn.line(false)),
});

/** What would copy beyond the buffer transfers nothing. */
async function transfer(fn: Edu): Promise<void> {
  const { state } = fn;
  const toRam = (state.command & COMMAND.toRam) !== 0n;
  const at = Number((toRam ? state.source : state.destination) - BigInt(BUFFER.start));
  const iova = (toRam ? state.destination : state.source) & ADDRESS_MASK;
  const bytes = Number(state.count);
  if (bytes > 0 && at >= 0 && at + bytes <= BUFFER.bytes) {
    if (toRam) {
      await fn.dma.write(iova, state.buffer.slice(at, at + bytes));
    } else {
      const { data, bytes: done } = await fn.dma.read(iova, bytes);
      if (data !== undefined) state.buffer.set(data.subarray(0, done), at);
    }
  }
  state.command &= ~COMMAND.run;
  if ((state.command & COMMAND.raise) !== 0n) await raise(fn, INTERRUPT.dma);
}

async function raise(fn: Edu, value: number): Promise<void> {
  await setInterrupts(fn, fn.state.interrupts | value);
  if (fn.state.interrupts !== 0) await fn.interrupt(0);
}

/** The line is asserted as long as there is a value; the machine keeps it low while MSI is enabled. */
async function setInterrupts(fn: Edu, value: number): Promise<void> {
  fn.state.interrupts = value >>> 0;
  await fn.line(value !== 0);
}

function factorial(of: number): number {
  let product = 1;
  for (let factor = of; factor > 0 && product !== 0; factor--) product = Math.imul(product, factor);
  return product >>> 0;
}
