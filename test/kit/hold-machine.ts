/** A {@link CoreMachine} whose calls a test holds before their steps, and lets go. */
import type { CallHold, CallName, Reply, StepName } from '../../server/src/core/machine/index.ts';
import { CoreMachine } from './core-machine.ts';

export class HoldMachine extends CoreMachine {
  hold(call: CallName | '', step: StepName | '', fields: Partial<CallHold> = {}, peer = 0): number {
    return this.call('call-hold', { kind: 'call-hold', call, step, bdf: undefined, count: 0, ...fields }, peer).hold;
  }
  letGo(hold: number, fields: { stopped?: number; keep?: boolean } = {}): Reply | undefined {
    return this.start({ kind: 'call-release', hold, stopped: 0, keep: false, ...fields }).reply;
  }
  held(): readonly string[] {
    return this.call('calls-held', { kind: 'calls-held' }).calls.map(({ call, step }) => `${call} ${step}`);
  }
  /** Every step that a call comes to, in order. */
  stepsOf(start: (m: this) => { readonly reply: Reply | undefined }): {
    readonly steps: readonly string[];
    readonly reply: Reply | undefined;
  } {
    const hold = this.hold('', '');
    const call = start(this);
    const steps: string[] = [];
    for (let held = this.held(); held.length > 0; held = this.held()) {
      steps.push(...held);
      this.letGo(hold, { keep: true });
    }
    this.letGo(hold);
    return { steps, reply: call.reply };
  }
}
