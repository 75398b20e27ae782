/** A machine whose guest has written 64 MiB, to a file's bytes and back; beside it a copy of as many bytes. */
import { Machine } from '../../../server/src/core/machine/index.ts';
import { decodeSnapshot, encodeSnapshot } from '../../../server/src/rpc/index.ts';
import { RAM, specOf } from '../../kit/core-machine.ts';
import type { Measure } from '../harness/index.ts';

const TOUCHED_BYTES = 64 << 20;
const WRITE_BYTES = 1 << 20;
const VERSION = 'bench';

let written: Machine | undefined;

function writtenMachine(): Machine {
  if (written !== undefined) return written;
  const machine = new Machine(specOf({ ramBytes: 4n << 30n }));
  const data = Uint8Array.from({ length: WRITE_BYTES }, (_, i) => (i * 31) | 1);
  for (let at = 0; at < TOUCHED_BYTES; at += WRITE_BYTES) machine.submit(0, 0, { kind: 'memory-write', address: RAM + BigInt(at), data });
  machine.takeOutbox();
  return (written = machine);
}

/** Bytes of guest memory in a second. */
function rateOf(act: () => void): Promise<number> {
  const start = performance.now();
  act();
  return Promise.resolve((TOUCHED_BYTES * 1000) / (performance.now() - start));
}

let file: Uint8Array | undefined;
const saved = (): Uint8Array => (file ??= encodeSnapshot(writtenMachine(), VERSION));

function copy(): Promise<number> {
  const from = saved();
  return rateOf(() => void new Uint8Array(from));
}

export const measures: readonly Measure[] = [
  {
    name: 'snapshot/save',
    unit: 'B/s',
    floor: 'copy',
    run: () => {
      const machine = writtenMachine();
      return rateOf(() => void encodeSnapshot(machine, VERSION));
    },
    runFloor: copy,
  },
  {
    name: 'snapshot/load',
    unit: 'B/s',
    floor: 'copy',
    run: () => {
      const bytes = saved();
      return rateOf(() => void Machine.restore(decodeSnapshot(bytes, VERSION)));
    },
    runFloor: copy,
  },
];
