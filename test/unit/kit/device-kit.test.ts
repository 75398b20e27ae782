/** Each check of the device kit, on a model that is wrong in just that way: a check that cannot fail shows nothing. */
import { describe, expect, it } from 'vitest';
import { DmaProbe } from '../../../server/src/core/devices/dma-probe/index.ts';
import type { DmaEnd, ModelPorts, ModelState } from '../../../server/src/core/devices/index.ts';
import { CHECKS, type Models } from '../../kit/device-kit.ts';
import { SUBJECTS } from '../../kit/device-subjects.ts';

const PROBE = SUBJECTS['dma-probe'];
const SCRATCH = 0x08;

class Scribbled extends DmaProbe {
  readonly #scribbles = new Map<number, number>();
  override barRead(bar: number, offset: number, bytes: number): number {
    return this.#scribbles.get(offset) ?? super.barRead(bar, offset, bytes);
  }
  override barWrite(bar: number, offset: number, bytes: number, low: number, high?: number): void {
    if (bar === 0 && offset === 0 && bytes === 1) this.#scribbles.set(0, low);
    else super.barWrite(bar, offset, bytes, low, high);
  }
}

/** Something is where nothing is named. */
class Haunted extends DmaProbe {
  override barRead(bar: number, offset: number, bytes: number): number {
    return offset === 0x80 ? 0 : super.barRead(bar, offset, bytes);
  }
}

class KeepsScratch extends DmaProbe {
  override reset(): void {
    const scratch = this.barRead(0, SCRATCH, 4);
    super.reset();
    this.barWrite(0, SCRATCH, 4, scratch);
  }
}

/** A reset does not reach its queues. */
class GoesOn extends DmaProbe {
  override reset(): void {
    const state = this.save();
    super.reset();
    this.load(state);
  }
}

/** It does again after a reset what it was doing before. */
class StartsAgain extends DmaProbe {
  readonly #ports: ModelPorts;
  constructor(ports: ModelPorts) {
    super(ports);
    this.#ports = ports;
  }
  override reset(): void {
    super.reset();
    this.#ports.alarms.set(0, 300_000_000);
  }
  override alarmRang(): void {
    this.#ports.dma.start({
      tag: 0,
      operation: 'write',
      iovaLow: 0x20_0000,
      iovaHigh: 0,
      bytes: 1,
      data: Uint8Array.of(1),
      pasid: -1 as never,
      translated: false,
      pageRequests: false,
    });
  }
}

class Forgetful extends DmaProbe {
  override save(): ModelState {
    const { registers: _, ...rest } = super.save();
    return rest;
  }
  override load(state: ModelState): void {
    super.load({ registers: new Uint32Array(0), ...state });
  }
}

/** Its saved state is what it goes on working with. */
class Shared extends DmaProbe {
  readonly #kept = { life: 0 };
  override reset(): void {
    super.reset();
    this.#kept.life++;
  }
  override save(): ModelState {
    return { ...super.save(), kept: this.#kept };
  }
}

class Impure extends DmaProbe {
  override save(): ModelState {
    return { ...super.save(), later: () => undefined };
  }
}

/** A DMA that ends otherwise than well is one that it waits for all its life. */
class Hangs extends DmaProbe {
  #hung = false;
  override dmaEnded(tag: number, end: DmaEnd): void {
    if (end.outcome !== 'performed') this.#hung = true;
    if (!this.#hung) super.dmaEnded(tag, end);
  }
}

/** It keeps trying until it may. */
class Insists extends DmaProbe {
  readonly #ports: ModelPorts;
  constructor(ports: ModelPorts) {
    super(ports);
    this.#ports = ports;
  }
  override dmaEnded(tag: number, end: DmaEnd): void {
    if (end.outcome === 'gate-closed') this.#ports.alarms.set(1, 1_500_000_000);
    super.dmaEnded(tag, end);
  }
  override alarmRang(): void {
    const data = Uint8Array.of(1);
    const at = { iovaLow: 0x20_0000, iovaHigh: 0, pasid: -1 as never };
    this.#ports.dma.start({ tag: 0, operation: 'write', bytes: 1, data, ...at, translated: false, pageRequests: false });
  }
}

const SPECIMENS: readonly (readonly [check: string, what: string, made: new (ports: ModelPorts) => DmaProbe, problem: string])[] = [
  ['readOnlyBits', 'an identification that a byte changes', Scribbled, 'ident (0x0): read-only bits change'],
  ['readOnlyBits', 'a register that no table has', Haunted, '0x80: nothing is there'],
  ['resets', 'a register that a reset leaves', KeepsScratch, 'scratch (0x8) is'],
  ['resets', 'queues that a reset does not reach', GoesOn, 'its state is not that of power-up after flr'],
  ['resetInDma', 'queues that go on after a reset', GoesOn, 'state (0x144) is'],
  ['resetInDma', 'DMA that a reset starts', StartsAgain, 'memory was written after flr'],
  ['stateRoundTrip', 'registers that are not in the state', Forgetful, 'is lost in the state'],
  ['stateRoundTrip', 'state that is not a copy', Shared, 'what was saved changes with the model'],
  ['stateRoundTrip', 'state that is no data', Impure, 'state.later is not plain data'],
  ['busMasterOff', 'a model that hangs', Hangs, 'its DMA does nothing after Bus Master Enable was clear'],
  ['busMasterOff', 'a model that insists', Insists, 'memory was written by what was started with Bus Master Enable clear'],
  ['sleeping', 'a model that hangs', Hangs, 'its DMA does nothing after D3hot'],
  ['sleeping', 'a model that insists', Insists, 'memory was written by what was started before D3hot'],
];

describe('the device kit', () => {
  it.each(SPECIMENS)('%s finds %s', (check, _, Model, problem) => {
    const models: Models = (_name, ports) => new Model(ports);
    const problems = CHECKS[check]?.(PROBE, models) ?? [];
    expect(
      problems.some((found) => found.includes(problem)),
      problems.join('\n'),
    ).toBe(true);
  });

  it('has a specimen for each check, and nothing to say of a model that is right', () => {
    expect(new Set(SPECIMENS.map(([check]) => check))).toEqual(new Set(Object.keys(CHECKS)));
  });
});
