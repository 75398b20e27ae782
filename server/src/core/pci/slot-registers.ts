/**
 * The slot below a port, and the link to what is in it: what events set there, and what software has asked for (PCIe Base r6.0 §6.7, §7.5.3.8 to
 * §7.5.3.11). A port without a slot has only the link.
 */
import { CAPABILITY } from './capability-table.ts';
import type { ConfigSpace } from './config-space.ts';
import { EXPRESS } from './express-registers.ts';

/** Slot Implemented, of the capability's flags. */
const SLOT = 0x100;
const LINK_REPORTING = 1 << 20;
const LINK_ACTIVE = 1 << 13;
/** The same bits in Link Capabilities and Link Status. */
const SPEED_AND_WIDTH = 0x3ff;
/** Slot Capabilities (§7.5.3.9). */
const OFFERS = { attentionButton: 1, powerController: 2, latchSensor: 4, hotPlug: 0x40, noCommandCompleted: 1 << 18 } as const;
/** Slot Control (§7.5.3.10). The enables of events have the bits that the events have in Slot Status, but for the last. */
const CONTROL = { events: 0x1f, interruptEnable: 0x20, powerOff: 0x400, linkStateEnable: 0x1000 } as const;
/** Slot Status (§7.5.3.11). */
const STATUS = {
  attentionButton: 1,
  powerFault: 2,
  latchChanged: 4,
  presenceChanged: 8,
  commandCompleted: 0x10,
  latchOpen: 0x20,
  present: 0x40,
  interlock: 0x80,
  linkStateChanged: 0x100,
} as const;

/** What happens at a slot besides cards that come and go: what a hand does there, and what the power controller sees. */
export const SLOT_SIGNALS = ['attention-button', 'power-fault', 'latch-opened', 'latch-closed'] as const;
export type SlotSignal = (typeof SLOT_SIGNALS)[number];

/** 0 where there is no slot. */
function slotAt(config: ConfigSpace): number {
  const at = expressAt(config);
  return at > 0 && (config.read(at + EXPRESS.flags, 2) & SLOT) !== 0 ? at : 0;
}

function expressAt(config: ConfigSpace): number {
  return config.capabilities.find((one) => !one.extended && one.id === CAPABILITY.express)?.offset ?? 0;
}

function setStatus(config: ConfigSpace, at: number, set: number, cleared = 0): void {
  config.put(at + EXPRESS.slotStatus, 2, (config.read(at + EXPRESS.slotStatus, 2) & ~cleared) | set);
}

export function hasSlot(config: ConfigSpace): boolean {
  return slotAt(config) > 0;
}

/** Software has turned the slot's power off. Without a power controller it is always on. */
export function isSlotOff(config: ConfigSpace): boolean {
  const at = slotAt(config);
  if (at === 0 || (config.read(at + EXPRESS.slotCapabilities, 4) & OFFERS.powerController) === 0) return false;
  return (config.read(at + EXPRESS.slotControl, 2) & CONTROL.powerOff) !== 0;
}

/** Presence Detect State, and that it has changed where it has. */
export function setPresence(config: ConfigSpace, present: boolean): void {
  const at = slotAt(config);
  if (at === 0 || ((config.read(at + EXPRESS.slotStatus, 2) & STATUS.present) !== 0) === present) return;
  setStatus(config, at, STATUS.presenceChanged | (present ? STATUS.present : 0), present ? 0 : STATUS.present);
}

/** Data Link Layer Link Active of a port that reports it; of one with a slot also that it has changed. True where it has. */
export function setLinkActive(config: ConfigSpace, active: boolean): boolean {
  const at = expressAt(config);
  if (at === 0 || (config.read(at + EXPRESS.linkCapabilities, 4) & LINK_REPORTING) === 0) return false;
  const status = config.read(at + EXPRESS.linkStatus, 2);
  if (((status & LINK_ACTIVE) !== 0) === active) return false;
  // Of one that was empty at power-up nobody knew the speed and the width.
  const trained = (status & SPEED_AND_WIDTH) === 0 ? config.read(at + EXPRESS.linkCapabilities, 2) & SPEED_AND_WIDTH : 0;
  config.put(at + EXPRESS.linkStatus, 2, active ? status | LINK_ACTIVE | trained : status & ~LINK_ACTIVE);
  if (slotAt(config) > 0) setStatus(config, at, STATUS.linkStateChanged);
  return true;
}

/** False: the slot, if there is one, has nothing that could tell of it. */
export function noteSlotSignal(config: ConfigSpace, signal: SlotSignal): boolean {
  const at = slotAt(config);
  const offered = at === 0 ? 0 : config.read(at + EXPRESS.slotCapabilities, 4);
  switch (signal) {
    case 'attention-button':
      if ((offered & OFFERS.attentionButton) === 0) return false;
      setStatus(config, at, STATUS.attentionButton);
      return true;
    case 'power-fault':
      if ((offered & OFFERS.powerController) === 0) return false;
      setStatus(config, at, STATUS.powerFault);
      return true;
    case 'latch-opened':
    case 'latch-closed': {
      if ((offered & OFFERS.latchSensor) === 0) return false;
      const opened = signal === 'latch-opened';
      const isOpen = (config.read(at + EXPRESS.slotStatus, 2) & STATUS.latchOpen) !== 0;
      if (isOpen !== opened) setStatus(config, at, STATUS.latchChanged | (opened ? STATUS.latchOpen : 0), opened ? 0 : STATUS.latchOpen);
      return true;
    }
  }
}

/** Whether a write of these bytes is a write of Slot Control, which every time is a command. */
export function writesSlotControl(config: ConfigSpace, offset: number, bytes: number): boolean {
  const at = slotAt(config);
  return at > 0 && offset < at + EXPRESS.slotStatus && offset + bytes > at + EXPRESS.slotControl;
}

/** The command has been done, which is told where the slot tells it (§6.7.3.2). `interlock`: it toggles the interlock. */
export function completeSlotCommand(config: ConfigSpace, interlock: boolean): void {
  const at = slotAt(config);
  const offered = config.read(at + EXPRESS.slotCapabilities, 4);
  const locked = config.read(at + EXPRESS.slotStatus, 2) & STATUS.interlock;
  if (interlock) setStatus(config, at, locked ^ STATUS.interlock, locked);
  if ((offered & OFFERS.hotPlug) !== 0 && (offered & OFFERS.noCommandCompleted) === 0) setStatus(config, at, STATUS.commandCompleted);
}

/** An event of the slot that has happened is one that software wants an interrupt for (§6.7.3.4). */
export function slotInterrupts(config: ConfigSpace): boolean {
  const at = slotAt(config);
  if (at === 0) return false;
  const control = config.read(at + EXPRESS.slotControl, 2);
  const status = config.read(at + EXPRESS.slotStatus, 2);
  if ((control & CONTROL.interruptEnable) === 0) return false;
  const wanted = (control & CONTROL.events) | ((control & CONTROL.linkStateEnable) === 0 ? 0 : STATUS.linkStateChanged);
  return (status & wanted) !== 0;
}
