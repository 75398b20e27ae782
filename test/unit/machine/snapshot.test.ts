import { describe, expect, it } from 'vitest';
import { NO_PASID } from '../../../server/src/core/base/index.ts';
import { Machine, type Command, type MachineSpec, type Outgoing } from '../../../server/src/core/machine/index.ts';
import { decodeSnapshot, encodeSnapshot } from '../../../server/src/rpc/index.ts';
import { MS, PROBE, RAM, READ_WRITE, REMOTE, SIBLINGS, probe, remote, specOf, writeCommand } from '../../kit/core-machine.ts';

const VERSION = 'test';
const IOVA = 0x1_0000;

function restored(machine: Machine): Machine {
  return Machine.restore(decodeSnapshot(encodeSnapshot(machine, VERSION), VERSION));
}

class Run {
  machine: Machine;
  #token = 0;

  constructor(spec: MachineSpec) {
    this.machine = new Machine(spec);
  }

  give(command: Command, peer = 0): readonly Outgoing[] {
    this.machine.submit(peer, ++this.#token, command);
    return this.machine.takeOutbox();
  }

  /** The same inputs from here on, in this machine and in one of its snapshot. */
  both(commands: readonly Command[]): readonly Outgoing[] {
    const twin = restored(this.machine);
    const items: Outgoing[] = [];
    for (const command of commands) {
      const mine = this.give(command);
      twin.submit(0, this.#token, command);
      expect(twin.takeOutbox()).toEqual(mine);
      items.push(...mine);
    }
    expect(twin.traceHash).toBe(this.machine.traceHash);
    return items;
  }
}

const PREPARE: Command = { kind: 'reset-prepare', bdf: PROBE, token: 'w', deadlineNs: 10 * MS, onDeadline: 'abort' };
const DONE: Command = { kind: 'reset-done', bdf: PROBE, token: 'w', all: false };
const MAP: Command = {
  kind: 'map',
  target: { bdf: PROBE, pasid: NO_PASID },
  iova: BigInt(IOVA),
  address: RAM,
  bytes: 4096n,
  access: READ_WRITE,
};
const LATER: Command = { kind: 'clock-advance', ns: 5000 * MS, force: true };

function windows(behaviour: MachineSpec['behaviour']): Run {
  const run = new Run(specOf({ behaviour, clock: 'manual', functions: [probe(PROBE), ...SIBLINGS] }));
  run.give(MAP);
  run.give(writeCommand(PROBE, IOVA, 'cached', { translated: true }));
  return run;
}

describe('in the middle of a reset window', () => {
  const steps = [
    'lock',
    'check',
    'gate',
    'drained',
    'rid',
    'iotlb',
    'atc-sent',
    'atc-completed',
    'ats-enable',
    'blocked',
    'count',
    'unlock',
  ] as const;

  it.each(['strict', 'linux-7.1', 'linux-7.0'] as const)('of %s, with prepare held before each of its steps', (behaviour) => {
    const held = new Set<string>();
    for (const step of steps) {
      const run = windows(behaviour);
      run.give(writeCommand(PROBE, IOVA, 'in flight', { hold: 'translated', holdNs: 3 * MS }));
      const [hold] = run.give({ kind: 'call-hold', call: 'prepare', step, bdf: undefined, count: 1 });
      run.give(PREPARE);
      run.give({ kind: 'clock-advance', ns: 20 * MS, force: true });
      for (const { step: before } of run.machine.stopped()) held.add(before);
      const number = (hold as { reply: { hold: number } }).reply.hold;
      run.both([
        { kind: 'call-release', hold: number, stopped: 0, keep: false },
        LATER,
        writeCommand(PROBE, IOVA, 'refused'),
        DONE,
        writeCommand(PROBE, IOVA, 'again'),
        LATER,
      ]);
    }
    expect([...held].toSorted()).toEqual([...steps].toSorted());
  });

  it.each(['lock', 'check', 'rid', 'ats-enable', 'blocked', 'count', 'unlock'] as const)('with done held before %s', (step) => {
    const run = windows('strict');
    run.give(PREPARE);
    run.give(LATER);
    run.give({ kind: 'call-hold', call: 'done', step, bdf: undefined, count: 1 });
    run.give(DONE);
    const [stopped] = run.machine.stopped();
    expect(stopped?.step).toBe(step);
    run.both([{ kind: 'call-release', hold: stopped!.hold, stopped: 0, keep: false }, writeCommand(PROBE, IOVA, 'after'), LATER]);
  });

  it('while the drain, the ATC and the readiness of a whole reset are awaited', () => {
    for (let ns = 0; ns < 300 * MS; ns += 13 * MS) {
      const run = windows('strict');
      run.give({ kind: 'fault-arm', bdf: PROBE, fault: 'late-invalidations', first: 1, count: 1, point: undefined, delayNs: 40 * MS });
      run.give(writeCommand(PROBE, IOVA, 'in flight', { hold: 'performed', holdNs: 30 * MS }));
      run.give({ kind: 'reset', bdf: PROBE, method: 'flr', window: true, deadlineNs: 100 * MS, onDeadline: 'abort' });
      run.give({ kind: 'clock-advance', ns, force: true });
      run.both([writeCommand(PROBE, IOVA, 'meanwhile'), LATER, writeCommand(PROBE, IOVA, 'after'), LATER]);
    }
  });
});

describe('what is cached and stale stays so', () => {
  it('an IOTLB entry of a mapping that the guest has changed behind its back', () => {
    const run = windows('strict');
    run.both([
      writeCommand(PROBE, IOVA, 'hit'),
      { kind: 'unmap', target: { bdf: PROBE, pasid: NO_PASID }, iova: BigInt(IOVA), bytes: 4096n },
      LATER,
    ]);
  });

  it('an ATC entry past an invalidation that its function ignored', () => {
    const run = windows('linux-7.1');
    run.give({ kind: 'fault-arm', bdf: PROBE, fault: 'ignore-invalidations', first: 1, count: 1, point: undefined, delayNs: 0 });
    run.give({ kind: 'unmap', target: { bdf: PROBE, pasid: NO_PASID }, iova: BigInt(IOVA), bytes: 4096n });
    const items = run.both([LATER, writeCommand(PROBE, IOVA, 'stale', { translated: true })]);
    expect(
      items.some(
        (item) =>
          item.type === 'event' &&
          JSON.stringify(item.event, (_key, value: unknown) => (typeof value === 'bigint' ? String(value) : value)).includes('stale'),
      ),
    ).toBe(true);
  });
});

describe('peers are gone from it', () => {
  const OWNED = 0x4000_0000n;
  const spec = specOf({ clock: 'manual', functions: [probe(PROBE), remote(REMOTE)] });
  const map: Command = {
    kind: 'map',
    target: { bdf: PROBE, pasid: NO_PASID },
    iova: BigInt(IOVA),
    address: OWNED,
    bytes: 4096n,
    access: READ_WRITE,
  };
  const read: Command = { ...writeCommand(PROBE, IOVA, ''), operation: 'read', bytes: 8, data: undefined } as Command;

  it('a read of memory that one owned ends as a completer abort', () => {
    const run = new Run(spec);
    const owner = run.machine.peerAttach({ host: false, device: false, memory: true, observer: false });
    run.give({ kind: 'memory-claim', address: OWNED, bytes: 0x1000n, depth: 1 }, owner);
    run.give(map);
    expect(run.give(read).some((item) => item.type === 'call')).toBe(true);
    const twin = restored(run.machine);
    expect(twin.takeOutbox()).toContainEqual(
      expect.objectContaining({ type: 'reply', reply: expect.objectContaining({ kind: 'dma', outcome: 'completer-abort' }) }),
    );
    expect(twin.owedBy(owner)).toBe(0);
  });

  it('a function that one had claimed is absent until it is claimed again', () => {
    const run = new Run(spec);
    const device = run.machine.peerAttach({ host: false, device: true, memory: false, observer: false });
    run.give({ kind: 'device-claim', bdf: REMOTE }, device);
    run.machine = restored(run.machine);
    expect(run.machine.takeOutbox()).toContainEqual(
      expect.objectContaining({ event: expect.objectContaining({ kind: 'log', text: '00:04.0 is absent: its peer is gone' }) }),
    );
    const other = run.machine.peerAttach({ host: false, device: true, memory: false, observer: false });
    expect(run.give({ kind: 'device-claim', bdf: REMOTE }, other)).toContainEqual(
      expect.objectContaining({ to: other, reply: expect.objectContaining({ kind: 'device-claim', restarted: true }) }),
    );
  });
});

it('a machine without an IOMMU, and one that waits for nothing, are saved too', () => {
  const run = new Run(specOf({ iommu: false }));
  run.both([writeCommand(PROBE, Number(RAM), 'direct'), LATER]);
  const idle = new Machine(specOf());
  expect(restored(idle).traceHash).toBe(idle.traceHash);
});
