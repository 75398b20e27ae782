/** The INTx lines at the root, which functions share. */
import { intxLineOf, type IntxLine } from '../../pci/index.ts';
import type { Parts } from '../parts.ts';
import type { FunctionState } from '../state.ts';

/** The message is at the root: the line there is asserted while any of its sources is. */
export function intxArrived(m: Parts, fn: FunctionState, asserted: boolean): void {
  const { interrupts } = fn;
  const line = asserted ? lineOf(fn) : interrupts.line;
  if (line === undefined || (asserted && interrupts.line !== undefined)) return;
  // Where it was asserted is where it is taken back, whatever bus numbers were written in between.
  interrupts.line = asserted ? line : undefined;
  const key = 4 * line.device + line.pin - 1;
  const sources = (m.intxSources.get(key) ?? 0) + (asserted ? 1 : -1);
  if (sources === 0) m.intxSources.delete(key);
  else m.intxSources.set(key, sources);
  m.trace.emit('intx', fn.bdf, asserted ? 1 : 0, line.device, line.pin);
  const { interruptPin: pin } = fn.config;
  m.outbox.event({ kind: 'intx', bdf: fn.bdf, pin, asserted, line, sources, timeNs: m.clock.nowNs });
}

function lineOf(fn: FunctionState): IntxLine {
  return intxLineOf(
    fn.bdf,
    fn.config.interruptPin,
    fn.path.map((bridge) => bridge.bdf),
  );
}
