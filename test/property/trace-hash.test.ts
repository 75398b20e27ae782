/** Same inputs, same trace hash; other inputs, another. */
import { describe, expect, it } from 'vitest';
import { ModelError, Prng } from '../../server/src/core/base/index.ts';
import { Machine, type Command } from '../../server/src/core/machine/index.ts';
import { MS, PROBE, READ_WRITE, specOf, writeCommand } from '../kit/core-machine.ts';

const RUNS = 100;
const EDITS = 200;
const INPUTS = 120;

/** A random but fixed history that touches every room: mappings, DMA with and without ATS and holds, faults, resets, time. */
function history(seed: number): Command[] {
  const chance = new Prng(seed);
  const inputs: Command[] = [{ kind: 'memory-alloc', bytes: 0x8000n }];
  while (inputs.length < INPUTS) inputs.push(randomCommand(chance, inputs.length));
  return inputs;
}

function randomCommand(chance: Prng, serial: number): Command {
  const iova = 0x1_0000 + chance.below(8) * 0x1000;
  const target = { bdf: PROBE, pasid: -1 as never };
  switch (chance.below(12)) {
    case 0:
    case 1:
      return {
        kind: 'map',
        target,
        iova: BigInt(iova),
        address: 0x10_0000n + BigInt(chance.below(8)) * 4096n,
        bytes: 4096n,
        access: READ_WRITE,
      };
    case 2:
      return { kind: 'unmap', target, iova: BigInt(iova), bytes: 4096n };
    case 3:
    case 4:
      return writeCommand(PROBE, iova, `data ${serial}`, { translated: chance.below(2) === 1 });
    case 5:
      return writeCommand(PROBE, iova, `held ${serial}`, {
        hold: chance.below(2) === 1 ? 'issued' : 'translated',
        holdNs: 1 + chance.below(50) * MS,
      });
    case 6:
      return { kind: 'region-read', bdf: PROBE, region: 7, offset: 4 * chance.below(16), bytes: 4 };
    case 7:
      return { kind: 'region-write', bdf: PROBE, region: 7, offset: 0x3c, bytes: 1, valueLow: serial & 0xff, valueHigh: 0 };
    case 8:
      return {
        kind: 'fault-arm',
        bdf: PROBE,
        fault: 'ignore-invalidations',
        first: 1 + chance.below(3),
        count: 1,
        point: undefined,
        delayNs: 0,
      };
    case 9:
      return {
        kind: 'reset',
        bdf: PROBE,
        method: 'flr',
        window: chance.below(3) > 0,
        deadlineNs: (1 + chance.below(20)) * MS,
        onDeadline: 'abort',
      };
    case 10:
      return { kind: 'reset-prepare', bdf: PROBE, token: `w${chance.below(3)}`, deadlineNs: chance.below(10) * MS, onDeadline: 'fail' };
    default:
      return { kind: 'reset-done', bdf: PROBE, token: `w${chance.below(3)}`, all: chance.below(4) === 0 };
  }
}

/** A malformed command (some edits make one) is an input too. */
function submit(machine: Machine, token: number, command: Command): void {
  try {
    machine.submit(0, token, command);
  } catch (error) {
    if (!(error instanceof ModelError)) throw error;
  }
}

interface Run {
  readonly hash: string;
  readonly items: number;
}

function run(inputs: readonly Command[], watch: 'nobody' | 'observer' = 'nobody'): Run {
  const machine = new Machine(specOf());
  const observer = watch === 'observer' ? machine.peerAttach({ host: false, device: false, memory: false, observer: true }) : 0;
  let records = 0;
  if (watch === 'observer') machine.trace.listen(() => records++);
  let items = 0;
  for (const [i, command] of inputs.entries()) {
    submit(machine, i + 1, command);
    if (observer !== 0 && i % 7 === 0) machine.submit(observer, i + 1, { kind: 'function-list' });
    items += machine.takeOutbox().length;
  }
  if (watch === 'observer') expect(records).toBeGreaterThan(0);
  return { hash: machine.traceHash, items };
}

describe('trace hash', () => {
  it(`is equal over ${RUNS} runs, with and without observers`, () => {
    const inputs = history(7);
    const first = run(inputs);
    expect(first.items).toBeGreaterThan(INPUTS / 2);
    for (let i = 1; i < RUNS; i++) expect(run(inputs, i % 2 === 0 ? 'nobody' : 'observer').hash).toBe(first.hash);
  });

  it('is the same when the same inputs come at once or one by one', () => {
    const inputs = history(8);
    const machine = new Machine(specOf());
    for (const [i, command] of inputs.entries()) machine.submit(0, i + 1, command);
    expect(machine.traceHash).toBe(run(inputs).hash);
  });

  it(`differs after each of ${EDITS} random edits of the inputs`, () => {
    const inputs = history(9);
    const chance = new Prng(99);
    const original = run(inputs).hash;
    const same: string[] = [];
    for (let i = 0; i < EDITS; i++) {
      const { edited, what } = edit(inputs, chance);
      if (run(edited).hash === original) same.push(what);
    }
    expect(same).toEqual([]);
  });

  it('differs between seeds, behaviours and histories', () => {
    const hashes = [1, 2, 3, 4].map((seed) => run(history(seed)).hash);
    const other = new Machine(specOf({ behaviour: 'linux-7.1' }));
    for (const [i, command] of history(1).entries()) other.submit(0, i + 1, command);
    expect(new Set([...hashes, other.traceHash]).size).toBe(5);
  });
});

/** Drops one input, swaps two that differ, or changes one field of one. */
function edit(inputs: readonly Command[], chance: Prng): { edited: Command[]; what: string } {
  const edited = [...inputs];
  const at = chance.below(edited.length);
  const kind = chance.below(3);
  if (kind === 0) {
    edited.splice(at, 1);
    return { edited, what: `drop ${at}` };
  }
  if (kind === 1) {
    const text = (command: Command) => JSON.stringify(command, (_key, value: unknown) => (typeof value === 'bigint' ? `${value}n` : value));
    let other = chance.below(edited.length);
    while (text(edited[other]!) === text(edited[at]!)) other = (other + 1) % edited.length;
    [edited[at], edited[other]] = [edited[other]!, edited[at]!];
    return { edited, what: `swap ${at} and ${other}` };
  }
  const before = edited[at]!;
  edited[at] = changed(before, chance);
  return { edited, what: `change ${at} (${before.kind})` };
}

function changed(command: Command, chance: Prng): Command {
  const fields = Object.entries(command).filter(([name, value]) => name !== 'kind' && name !== 'bdf' && CHANGES.has(typeof value));
  const [name, value] = fields[chance.below(fields.length)] ?? [];
  if (name === undefined) return { kind: 'clock-info' };
  return { ...command, [name]: CHANGES.get(typeof value)!(value) };
}

const CHANGES = new Map<string, (value: unknown) => unknown>([
  ['bigint', (value) => (value as bigint) + 4096n],
  ['boolean', (value) => !(value as boolean)],
  ['string', (value) => (value === 'abort' ? 'fail' : `${value as string}x`)],
  ['number', (value) => (value as number) + 4],
]);
