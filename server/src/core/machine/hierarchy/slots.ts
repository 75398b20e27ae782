/** Slots of ports: what they show of what comes and goes. */
import { hasSlot, setPresence } from '../../pci/index.ts';
import { hasLinkBelow, showLinks } from '../errors/link.ts';
import type { Parts } from '../parts.ts';
import type { FunctionState } from '../state.ts';

/** These have come into their slots. Where the power is off they are there and answer nothing. */
export function slotsFilled(m: Parts, functions: readonly FunctionState[]): void {
  for (const fn of functions) {
    const off = fn.path.find(({ unpowered }) => unpowered !== undefined);
    if (off?.unpowered === undefined) continue;
    off.unpowered = [...off.unpowered, fn.index];
    fn.linkDown++;
  }
  for (const port of portsOf(functions)) {
    setPresence(port.config, true);
    m.changedPorts.add(port);
  }
  showLinks(m, functions);
}

/** These are in their slots no more, wherever the software's removal of them stands. */
export function slotsEmptied(m: Parts, gone: readonly FunctionState[]): void {
  for (const port of portsOf(gone)) {
    const stays = m.functionList.some((fn) => fn.path[0] === port && fn.physical === undefined && !gone.includes(fn));
    if (!stays) setPresence(port.config, false);
    m.changedPorts.add(port);
  }
  showLinks(m, gone);
}

function portsOf(functions: readonly FunctionState[]): ReadonlySet<FunctionState> {
  const ports = new Set<FunctionState>();
  for (const { path, physical } of functions) {
    if (physical === undefined && path[0] !== undefined && hasLinkBelow(path[0]) && hasSlot(path[0].config)) ports.add(path[0]);
  }
  return ports;
}
