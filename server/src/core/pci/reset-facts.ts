/** What configuration space says of resets besides the methods that a function announces: how long they take, and what a port lets through. */
import { PORT_TYPE } from './capability-body.ts';
import { CAPABILITY, POWER } from './capability-table.ts';
import type { ConfigSpace } from './config-space.ts';
import { EXPRESS } from './express-registers.ts';
import { CXL } from './extended-capability-registers.ts';
import { EXTENDED_CAPABILITY } from './extended-capability-table.ts';
import { HEADER } from './header.ts';

/** Bit 0 of Status (PCIe Base r6.0 §7.5.1.1.4). */
const IMMEDIATE_READINESS = 1;
/** Bit 6 of Bridge Control (§7.5.1.3.13). */
const SECONDARY_BUS_RESET = 0x40;
/** Configuration RRS Software Visibility Enable: bit 4 of Root Control (§7.5.3.12). */
const RRS_VISIBLE = 0x10;
/** Data Link Layer Link Active Reporting Capable, bit 20 of Link Capabilities, and Link Active, bit 13 of Link Status. */
const LINK_REPORTING = 1 << 20;
const LINK_ACTIVE = 1 << 13;
/** Slot Implemented, bit 8 of the capability's flags; Hot-Plug Capable, bit 6 of Slot Capabilities. */
const SLOT = 1 << 8;
const HOT_PLUG = 1 << 6;

/** It may be asked at once after a reset: no time need pass. */
export function isImmediatelyReady(config: ConfigSpace): boolean {
  return (config.read(HEADER.status, 1) & IMMEDIATE_READINESS) !== 0;
}

/** Of a bridge: its Secondary Bus Reset is set, and what is below is in reset. */
export function assertsBusReset(config: ConfigSpace): boolean {
  return config.isBridge && (config.read(HEADER.bridgeControl, 1) & SECONDARY_BUS_RESET) !== 0;
}

/** As a write of Secondary Bus Reset. */
export function setBusReset(config: ConfigSpace, on: boolean): void {
  const control = config.read(HEADER.bridgeControl, 2);
  config.write(HEADER.bridgeControl, 2, on ? control | SECONDARY_BUS_RESET : control & ~SECONDARY_BUS_RESET);
}

/** A root port that shows software that a function answers Request Retry Status. */
export function showsRetryStatus(config: ConfigSpace): boolean {
  if (config.portType !== PORT_TYPE.rootPort) return false;
  const express = expressAt(config);
  return express >= 0 && (config.read(express + EXPRESS.rootControl, 1) & RRS_VISIBLE) !== 0;
}

export interface Link {
  /** Encoded as in Max Link Speed: 2 is 5 GT/s. */
  readonly speedMax: number;
  readonly reportsActive: boolean;
  readonly active: boolean;
}

/** The link below a root port or a switch's downstream port; undefined for what has none. */
export function linkBelow(config: ConfigSpace): Link | undefined {
  if (config.portType !== PORT_TYPE.rootPort && config.portType !== PORT_TYPE.downstreamPort) return undefined;
  const express = expressAt(config);
  if (express < 0) return undefined;
  const capabilities = config.read(express + EXPRESS.linkCapabilities, 4);
  return {
    speedMax: capabilities & 0xf,
    reportsActive: (capabilities & LINK_REPORTING) !== 0,
    active: (config.read(express + EXPRESS.linkStatus, 2) & LINK_ACTIVE) !== 0,
  };
}

/** The port has a slot whose function can be exchanged while the machine runs. */
export function hasHotPlugSlot(config: ConfigSpace): boolean {
  if (linkBelow(config) === undefined) return false;
  const express = expressAt(config);
  if ((config.read(express + EXPRESS.flags, 2) & SLOT) === 0) return false;
  return (config.read(express + EXPRESS.slotCapabilities, 4) & HOT_PLUG) !== 0;
}

/** A port of a CXL hierarchy, by its DVSEC. */
export function isCxlPort(config: ConfigSpace): boolean {
  return cxlControlAt(config) >= 0;
}

/** A CXL port whose control keeps a Secondary Bus Reset from having any effect. */
export function masksBusReset(config: ConfigSpace): boolean {
  const at = cxlControlAt(config);
  return at >= 0 && (config.read(at, 2) & CXL.unmaskBusReset) === 0;
}

/** As a write of Unmask SBR in the port's control. */
export function setBusResetMask(config: ConfigSpace, masked: boolean): void {
  const at = cxlControlAt(config);
  if (at < 0) return;
  const control = config.read(at, 2);
  config.write(at, 2, masked ? control & ~CXL.unmaskBusReset : control | CXL.unmaskBusReset);
}

/** As a write of the power state: 0 for D0, 3 for D3hot. Nothing without the capability. */
export function setPowerState(config: ConfigSpace, state: number): void {
  const power = config.capabilities.find((one) => !one.extended && one.id === CAPABILITY.powerManagement);
  if (power === undefined) return;
  const at = power.offset + 4;
  // PME Status is cleared by writing one: that is left alone.
  config.write(at, 1, (config.read(at, 1) & ~POWER.state) | state);
}

/** A function whose last D3hot was left by a write of D0 has lost its context: No_Soft_Reset is clear. */
export function losesContextInD3(config: ConfigSpace): boolean {
  return config.resetMethods().includes('pm');
}

function expressAt(config: ConfigSpace): number {
  return config.capabilities.find((one) => !one.extended && one.id === CAPABILITY.express)?.offset ?? -1;
}

function cxlControlAt(config: ConfigSpace): number {
  const { dvsec } = EXTENDED_CAPABILITY;
  for (const { id, extended, offset } of config.capabilities) {
    if (!extended || id !== dvsec || offset + CXL.portControl + 2 > config.bytes) continue;
    if (config.read(offset + 4, 2) === CXL.vendor && config.read(offset + 8, 2) === CXL.port) return offset + CXL.portControl;
  }
  return -1;
}
