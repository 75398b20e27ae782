/** A remote function in the hands of a test: who plays it, what it is asked, and how a host gets at it. */
import { expect } from 'vitest';
import type { Bdf } from '../../server/src/core/base/index.ts';
import type { Command, MachineOptions, PeerCall, Reply } from '../../server/src/core/machine/index.ts';
import { CoreMachine, REMOTE, remote, type Options, type Pending, type TestPeer } from './core-machine.ts';

export const CONFIG = 7;
type Terms = Omit<Extract<Command, { kind: 'device-claim' }>, 'kind' | 'bdf'>;

export interface RemoteBench {
  readonly m: CoreMachine;
  readonly emulator: TestPeer;
}

export function claim(m: CoreMachine, emulator: TestPeer, terms: Terms = {}, at: Bdf = REMOTE): Reply | undefined {
  return m.start({ kind: 'device-claim', bdf: at, ...terms }, emulator.id).reply;
}

/** A machine with one remote function, which a peer has claimed. */
export function remoteBench(terms: Terms = {}, options: Options = {}, machineOptions: MachineOptions = {}): RemoteBench {
  const m = new CoreMachine({ functions: [remote(REMOTE)], ...options }, machineOptions);
  const emulator = m.attachPeer({ device: true });
  expect(claim(m, emulator, terms)).toMatchObject({ kind: 'device-claim' });
  return { m, emulator };
}

export function startRead(m: CoreMachine, region: number, offset: number, bytes = 4, at: Bdf = REMOTE): Pending {
  return m.start({ kind: 'region-read', bdf: at, region, offset, bytes });
}
export function startWrite(m: CoreMachine, region: number, offset: number, value: number, bytes = 4, at: Bdf = REMOTE): Pending {
  return m.start({ kind: 'region-write', bdf: at, region, offset, bytes, valueLow: value, valueHigh: 0 });
}

/** What it has been asked since it was last asked here. */
export function asked({ calls }: TestPeer): readonly { readonly token: number; readonly call: PeerCall }[] {
  return calls.splice(0);
}
export function answerAll(m: CoreMachine, emulator: TestPeer, value = 0): void {
  for (const { token, call } of asked(emulator)) {
    if (token === 0) continue;
    m.answer(emulator, token, call.kind === 'region-read' ? { kind: 'value', valueLow: value, valueHigh: 0 } : { kind: 'ok' });
  }
}
