/** A machine with peers on loopbacks, that is recorded. */
import { ModelError } from '../../server/src/core/base/index.ts';
import { Machine, type Command, type MachineSpec } from '../../server/src/core/machine/index.ts';
import { MachineHost, readRecording, replay, type Recording, type RecordingSink, type Replayed } from '../../server/src/rpc/index.ts';
import { ROLE, joined, settle, type RawPeer } from '../unit/rpc/raw-peer.ts';

export const RECORDED_VERSION = '9.9.9';
const WELCOME = { product: 'iommud', productVersion: RECORDED_VERSION, machine: 'recorded', preset: '', pageBytes: [4096] };

/** Keeps what it is given; `bufferedBytes` is what a test says. */
export class KeptRecording implements RecordingSink {
  readonly pieces: Uint8Array[] = [];
  bufferedBytes = 0;
  ended: string | undefined;

  write(bytes: Uint8Array): void {
    this.pieces.push(bytes);
  }
  end(reason: string): void {
    this.ended = reason;
  }
  get file(): Uint8Array {
    return Buffer.concat(this.pieces);
  }
}

export class RecordedMachine {
  readonly machine: Machine;
  readonly host: MachineHost;

  constructor(spec: MachineSpec, options: { readonly restored?: boolean; readonly machine?: Machine } = {}) {
    this.machine = options.machine ?? new Machine(spec);
    this.host = new MachineHost(this.machine, {
      welcome: WELCOME,
      seed: spec.seed,
      realTime: spec.clock === 'real',
      restored: options.restored ?? false,
    });
  }

  /** A command of the service itself, whatever comes of it. */
  own(command: Command): void {
    this.host.call(command).catch((error: unknown) => {
      if (!(error instanceof ModelError)) throw error;
    });
  }

  async join(...roles: (keyof typeof ROLE)[]): Promise<RawPeer> {
    const peer = joined((wire) => this.host.open(wire, () => ({ roles: ['host', 'device', 'memory', 'observer'] })));
    peer
      .hello(
        roles.map((role) => ROLE[role]),
        { credits: [1, 2, 3, 4].map((name) => ({ class: name, calls: 64, replyBytes: 1 << 22 })) },
      )
      .send();
    await peer.replyTo(1);
    return peer;
  }

  record(): { readonly sink: KeptRecording; readonly stop: (reason?: string) => Recording } {
    const sink = new KeptRecording();
    const running = this.host.record(sink);
    return {
      sink,
      stop: (reason = 'asked to') => {
        running.stop(reason);
        return readRecording(sink.file);
      },
    };
  }
}

export function replayed(recording: Recording): Replayed {
  return replay(recording, { productVersion: RECORDED_VERSION });
}

export { settle };
