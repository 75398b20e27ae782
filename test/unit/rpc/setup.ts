import type { MachineEvent } from '../../../server/src/core/machine/index.ts';
import { MachineHost, type Authorization, type HostOptions } from '../../../server/src/rpc/index.ts';
import { FakeMachine } from './fake-machine.ts';
import { ROLE, joined, type RawPeer } from './raw-peer.ts';

export const WELCOME = { product: 'iommud', productVersion: '9.9.9', machine: 'm1', preset: 'basic', pageBytes: [4096, 2 << 20] };
export const EVERY_ROLE: Authorization = { roles: ['host', 'device', 'memory', 'observer'] };

export interface Setup {
  readonly machine: FakeMachine;
  readonly host: MachineHost;
  readonly connect: (authorize?: () => Authorization | undefined) => RawPeer;
  /** A peer that has said Hello with these roles. */
  readonly greeted: (...roles: (keyof typeof ROLE)[]) => Promise<RawPeer>;
}

/** A host of a {@link FakeMachine}, and peers on loopbacks. */
export function setup(options: Partial<HostOptions> = {}): Setup {
  const machine = new FakeMachine();
  const host = new MachineHost(machine, { welcome: WELCOME, seed: 7, ...options });
  const connect = (authorize: () => Authorization | undefined = () => EVERY_ROLE): RawPeer => joined((wire) => host.open(wire, authorize));
  return {
    machine,
    host,
    connect,
    greeted: async (...roles) => {
      const peer = connect()
        .hello(roles.map((role) => ROLE[role]))
        .send();
      await peer.replyTo(1);
      return peer;
    },
  };
}

export const READ = { function: 0x10, region: 7, offset: { low: 0, high: 0 }, bytes: 4 };
export const FAULT = {
  kind: 'fault',
  number: 1,
  timeNs: 2,
  bdf: 16,
  pasid: -1,
  iova: 0x1000n,
  access: 2,
  cause: 'not-present',
  text: 'f',
} as unknown as MachineEvent;
export const INTERRUPT = { kind: 'interrupt', bdf: 16, address: 0xfee0_0000n, data: 3, count: 1, timeNs: 9 } as unknown as MachineEvent;

/** Waits for the connection's end and says why it ended; fails on another code. */
export async function closedWith(peer: RawPeer, code: number): Promise<string> {
  await peer.until(() => peer.closed !== undefined, `close ${code}`);
  if (peer.closed?.code !== code) throw new Error(`closed with ${peer.closed?.code} ${peer.closed?.reason}, not ${code}`);
  return peer.closed.reason;
}
