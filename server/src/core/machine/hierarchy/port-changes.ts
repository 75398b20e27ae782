/** What follows from registers of ports that have been written, reset, or set by what happened: the power of slots, and interrupts. */
import { formatBdf } from '../../base/index.ts';
import { isSlotOff, noteSlotSignal } from '../../pci/index.ts';
import type { SlotSignalled } from '../command.ts';
import { behindLinkOf, hasLinkBelow, linkComesUp, linkGoesDown } from '../errors/link.ts';
import { functionNumbered } from '../function-state.ts';
import { followCauses } from '../interrupts/port-interrupts.ts';
import type { Parts } from '../parts.ts';
import { losePower } from '../reset/hardware-reset.ts';
import type { FunctionState, Origin } from '../state.ts';

/** For the machine's loop. */
export function followPorts(m: Parts): void {
  for (const port of m.changedPorts) {
    m.changedPorts.delete(port);
    if (port.config.isBridge && hasLinkBelow(port)) followPower(m, port);
    followCauses(m, port);
  }
}

export function slotSignal(m: Parts, origin: Origin, port: FunctionState, { signal }: SlotSignalled): void {
  if (!noteSlotSignal(port.config, signal)) {
    m.outbox.refuse(origin, 'EOPNOTSUPP', `${formatBdf(port.bdf)} has no slot that could tell of ${signal}`, 'function');
    return;
  }
  m.changedPorts.add(port);
  m.outbox.ok(origin);
}

/** Power Controller Control may have been written, restored or reset. */
function followPower(m: Parts, port: FunctionState): void {
  const off = isSlotOff(port.config);
  if (off === (port.unpowered !== undefined)) return;
  if (off) powerOff(m, port);
  else powerOn(m, port);
}

function powerOff(m: Parts, port: FunctionState): void {
  const below = behindLinkOf(m, port);
  port.unpowered = below.map(({ index }) => index);
  linkGoesDown(m, below);
  m.changedPorts.add(port);
}

/** What is in it is as at power-up, and not ready yet. */
function powerOn(m: Parts, port: FunctionState): void {
  const below = (port.unpowered ?? []).map((index) => functionNumbered(m, index)).filter((fn) => fn !== undefined);
  port.unpowered = undefined;
  linkComesUp(m, below);
  losePower(
    m,
    below.filter((fn) => fn.linkDown === 0 && fn.physical === undefined),
  );
  m.changedPorts.add(port);
}
