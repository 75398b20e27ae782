/** Commands of what comes and goes, of errors, slots and interrupts, drawn by chance, on a hierarchy that has all of it. */
import { bdf, type Bdf } from '../../server/src/core/base/index.ts';
import type { Command, FunctionSpec } from '../../server/src/core/machine/index.ts';
import { bridgeConfig } from '../../server/src/core/pci/index.ts';
import { BELOW, MS, PORT, PROBE, probe } from './core-machine.ts';
import type { RandomCommands } from './random-commands.ts';
import { FIRST as VF_FIRST, SECOND as VF_SECOND, physical } from './sriov-machine.ts';

/** An empty slot, and where its card is. */
const SLOT_PORT = bdf(0, 0, 0x1d, 0);
const CARD = bdf(0, 3, 0, 0);
const CONFIG = 7;
const EXPRESS = 0x10;
const MSI = 5;
const MSIX = 0x11;
const [AER, SRIOV, DPC] = [0x1_0001, 0x1_0010, 0x1_001d];
const SLOT = {
  number: 1,
  hotPlug: true,
  surprise: true,
  attentionButton: true,
  powerController: true,
  attentionIndicator: true,
  powerIndicator: true,
  mrlSensor: true,
  interlock: true,
  commandCompleted: true,
};

function port(at: Bdf, secondary: number, empty: boolean): FunctionSpec {
  const capabilities = { slot: SLOT, dpc: { poisonedBlocking: false, softwareTrigger: true } };
  const config = bridgeConfig({ kind: 'root-port', primary: 0, secondary, subordinate: secondary + (empty ? 0 : 1), empty, capabilities });
  config[0x3d] = 1;
  return { bdf: at, model: 'bridge', config, label: '', latencyNs: 0 };
}

/** A function with SR-IOV below a root port, and a root port with an empty slot: for a machine that has others too. */
export const HIERARCHY: readonly FunctionSpec[] = [port(PORT, 1, false), physical(1, 0x80, true), port(SLOT_PORT, 3, true)];

/** Where a capability is in an image; those above 64 Ki are extended. */
function placeOf(image: Uint8Array, id: number): number {
  const view = new DataView(image.buffer, image.byteOffset);
  if (id < 0x1_0000) {
    let at = image[0x34]!;
    while (at !== 0 && image[at] !== id) at = image[at + 1]!;
    return at;
  }
  let at = 0x100;
  while (at !== 0 && view.getUint16(at, true) !== (id & 0xffff)) at = view.getUint32(at, true) >>> 20;
  return at;
}
const imageOf = (at: Bdf): Uint8Array => HIERARCHY.find((fn) => fn.bdf === at)!.config;
const PORT_AT = {
  express: placeOf(imageOf(PORT), EXPRESS),
  msi: placeOf(imageOf(PORT), MSI),
  aer: placeOf(imageOf(PORT), AER),
  dpc: placeOf(imageOf(PORT), DPC),
};
const SRIOV_AT = placeOf(imageOf(BELOW), SRIOV);
const MSIX_AT = placeOf(probe(PROBE).config, MSIX);

/** One of them. */
export function hierarchyCommand(random: RandomCommands): Command {
  return random.pick(makers(random))();
}

// long: one way to draw each kind of command
function makers(random: RandomCommands): readonly (() => Command)[] {
  const pick = <T>(from: readonly T[]): T => random.pick(from);
  const below = (bound: number): number => random.below(bound);
  const write = (at: Bdf, offset: number, bytes: number, value: number, region = CONFIG): Command => ({
    kind: 'region-write',
    bdf: at,
    region,
    offset,
    bytes,
    valueLow: value | 0,
    valueHigh: 0,
  });
  const interrupting = pick([PROBE, BELOW, VF_FIRST, VF_SECOND, CARD]);
  const any = pick([PORT, SLOT_PORT, BELOW, VF_FIRST, VF_SECOND, CARD]);
  const onPort = pick([PORT, SLOT_PORT]);
  const entry = 16 * below(3);
  return [
    () => write(BELOW, SRIOV_AT + 0x10, 2, below(4)),
    () => write(BELOW, SRIOV_AT + 8, 2, pick([0, 1, 9, 9])),
    () => ({ kind: 'function-plug', port: SLOT_PORT, functions: [probe(CARD)] }),
    () => ({ kind: 'function-unplug', bdf: pick([SLOT_PORT, CARD, VF_SECOND]), surprise: below(2) === 0, deadlineNs: pick([0, 5]) * MS }),
    () => ({
      kind: 'slot-signal',
      bdf: onPort,
      signal: pick(['attention-button', 'power-fault', 'latch-opened', 'latch-closed'] as const),
    }),
    () => write(onPort, PORT_AT.express + 0x18, 2, pick([0, 0x103f, 0x143f, 0x400, 0x83f])),
    () => write(onPort, PORT_AT.express + 0x1a, 2, 0x11f),
    () => write(onPort, PORT_AT.msi + 4, 4, 0xfee0_0000),
    () => write(onPort, PORT_AT.msi + 2, 2, pick([0, 1, 0x21])),
    () => write(onPort, PORT_AT.msi + 0x10, 4, below(8)),
    () => write(onPort, PORT_AT.aer + 0x2c, 4, below(8)),
    () => write(onPort, PORT_AT.aer + 0x30, 4, 0x7f),
    () => write(onPort, PORT_AT.dpc + 6, 2, pick([0, 0xa, 0x9, 0x4a])),
    () => write(onPort, PORT_AT.dpc + 8, 2, pick([1, 8, 9])),
    () => write(onPort, 0x3e, 2, pick([0, 0x40, 2])),
    () => write(any, 4, 2, pick([0, 2, 6, 0x406])),
    () => write(interrupting, MSIX_AT + 2, 2, pick([0, 0x8000, 0xc000])),
    () => write(interrupting, entry, 4, 0xfee0_0000, 2),
    () => write(interrupting, entry + 8, 4, below(256), 2),
    () => write(interrupting, entry + 12, 4, below(2), 2),
    () => ({ kind: 'model-interrupt', bdf: interrupting, vector: below(3), line: undefined }),
    () => ({ kind: 'model-interrupt', bdf: interrupting, vector: undefined, line: below(2) === 0 }),
    () => ({ kind: 'irq-info', bdf: any }),
    () => ({ kind: 'error-reporting' }),
    () => ({
      kind: 'error-vote',
      bdf: any,
      callback: pick(['error-detected', 'mmio-enabled', 'slot-reset'] as const),
      vote: pick(['can-recover', 'need-reset', 'disconnect', 'recovered', 'no-driver'] as const),
    }),
    () => ({ kind: 'error-recover', bdf: any, frozen: below(2) === 0 }),
    () => ({ kind: 'call-hold', call: pick(['recover', 'leave', 'done']), step: '', bdf: undefined, count: 1 }),
    () => ({
      kind: 'fault-arm',
      bdf: any,
      fault: pick(['malformed-completions', 'surprise-down', 'late-completions', 'never-ready', 'poisoned-data'] as const),
      first: 1,
      count: below(2),
      point: undefined,
      delayNs: pick([3, 80]) * MS,
    }),
    () => ({ kind: 'fault-disarm', bdf: any, fault: pick(['surprise-down', 'never-ready'] as const) }),
    () => ({
      kind: 'reset',
      bdf: any,
      method: pick([undefined, 'flr', 'bus'] as const),
      window: true,
      deadlineNs: 5 * MS,
      onDeadline: 'abort',
    }),
    () => ({ kind: 'reset-prepare', bdf: any, token: pick(['a', 'b']), deadlineNs: 5 * MS, onDeadline: 'abort' }),
    () => ({ kind: 'reset-done', bdf: any, token: pick(['a', 'b']), all: below(3) === 0 }),
    () => ({ kind: 'cold-reset', bdf: pick([undefined, PORT]) }),
    () => ({ kind: 'map', target: { bdf: any, pasid: -1 as never }, iova: 0x1_0000n, address: 0x10_0000n, bytes: 4096n, access: 3 }),
    () => dma(random, any),
    () => dma(random, any),
    () => ({ kind: 'function-info', bdf: any }),
    () => ({ kind: 'function-list' }),
  ];
}

function dma(random: RandomCommands, at: Bdf): Command {
  const writes = random.below(2) === 0;
  return {
    kind: 'model-dma',
    bdf: at,
    operation: writes ? 'write' : 'read',
    bytes: 4,
    data: writes ? new Uint8Array(4) : undefined,
    iovaLow: random.pick([0x1_0000, 0x7_0000]),
    iovaHigh: 0,
    pasid: -1 as never,
    translated: random.below(2) === 0,
    hold: random.pick([undefined, undefined, 'issued', 'performed'] as const),
    holdNs: random.pick([0, 3 * MS]),
  };
}
