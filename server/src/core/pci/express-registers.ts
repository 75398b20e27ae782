/** Registers of the PCI Express capability, version 1 and 2 (PCIe Base r6.0 §7.5.3). What a function does not offer is read-only. */
import { PORT_TYPE, type CapabilityBody } from './capability-body.ts';
import { kept, ro, rw, rws, trigger, w1c, w1cs } from './fields.ts';
import { CONFIG_EFFECT, type Field, type Register, type RegisterTable } from './register-table.ts';

/** Byte offsets in the PCI Express capability (§7.5.3). */
export const EXPRESS = {
  flags: 2,
  deviceCapabilities: 4,
  deviceControl: 8,
  deviceStatus: 0xa,
  linkCapabilities: 0xc,
  linkStatus: 0x12,
  slotCapabilities: 0x14,
  slotControl: 0x18,
  slotStatus: 0x1a,
  rootControl: 0x1c,
  deviceControl2: 0x28,
} as const;
const ROOT_CAPABILITIES = 0x1e;
const DEVICE_CAPABILITIES_2 = 0x24;
const LINK_CAPABILITIES_2 = 0x2c;

type Fields = Readonly<Record<string, Field>>;

export function expressBytes(body: CapabilityBody): number {
  if (isVersion2(body)) return 0x3c;
  return body.root ? 0x24 : hasSlot(body) ? 0x1c : 0x14;
}

export function expressRegisters(body: CapabilityBody): RegisterTable {
  return {
    ...device(body),
    ...(hasLink(body) ? link(body) : {}),
    ...(hasSlot(body) ? slot(body) : {}),
    ...(body.root ? root(body) : {}),
    ...(isVersion2(body) ? device2(body) : {}),
    ...(isVersion2(body) && hasLink(body) ? link2(body) : {}),
  };
}

function isVersion2(body: CapabilityBody): boolean {
  return (body.u16(EXPRESS.flags) & 0xf) >= 2;
}

function hasSlot(body: CapabilityBody): boolean {
  return body.downstream && body.bit(EXPRESS.flags, 8);
}

/** An integrated endpoint or event collector has no link. */
function hasLink(body: CapabilityBody): boolean {
  return body.portType !== PORT_TYPE.integratedEndpoint && body.portType !== PORT_TYPE.eventCollector;
}

function isEndpoint(body: CapabilityBody): boolean {
  const { portType } = body;
  return portType === PORT_TYPE.endpoint || portType === PORT_TYPE.legacyEndpoint || portType === PORT_TYPE.integratedEndpoint;
}

function isSwitchPort(body: CapabilityBody): boolean {
  return body.portType === PORT_TYPE.upstreamPort || body.portType === PORT_TYPE.downstreamPort;
}

/** The fields where a capability bit offers them. */
function where(offered: boolean, fields: Fields): Fields {
  return offered ? fields : {};
}

function device(body: CapabilityBody): RegisterTable {
  const offers = (bit: number): boolean => body.bit(EXPRESS.deviceCapabilities, bit);
  const retry = body.portType === PORT_TYPE.expressToPci;
  const emergencyPower = isVersion2(body) && (body.bit(DEVICE_CAPABILITIES_2, 24) || body.bit(DEVICE_CAPABILITIES_2, 25));
  return {
    deviceControl: {
      offset: EXPRESS.deviceControl,
      bytes: 2,
      cite: '§7.5.3.4',
      effect: CONFIG_EFFECT.deviceControl,
      fields: {
        errorReporting: rw(0, 3),
        relaxedOrdering: rw(4, 4, 1),
        maxPayload: kept(5, 7),
        ...where(offers(5), { extendedTag: rw(8) }),
        ...where(offers(3) || offers(4), { phantomFunctions: rw(9) }),
        auxPower: rws(10),
        noSnoop: rw(11, 11, 1),
        maxReadRequest: rw(12, 14, 2),
        ...where(offers(28) && !retry, { initiateFlr: trigger(15, CONFIG_EFFECT.flr) }),
        ...where(retry, { configurationRetry: rw(15) }),
      },
    },
    deviceStatus: {
      offset: EXPRESS.deviceStatus,
      bytes: 2,
      cite: '§7.5.3.5',
      fields: { errors: w1c(0, 3), transactionsPending: ro(5), ...where(emergencyPower, { emergencyPower: w1c(6) }) },
    },
  };
}

function link(body: CapabilityBody): RegisterTable {
  const notifies = body.downstream && body.bit(EXPRESS.linkCapabilities, 21);
  const readiness = body.downstream && isVersion2(body) && body.bit(LINK_CAPABILITIES_2, 31);
  return {
    linkControl: {
      offset: 0x10,
      bytes: 2,
      cite: '§7.5.3.7',
      fields: {
        aspm: kept(0, 1),
        ...where(isEndpoint(body) || body.portType === PORT_TYPE.expressToPci, { readCompletionBoundary: kept(3) }),
        ...where(body.downstream, { linkDisable: rw(4), retrainLink: trigger(5) }),
        commonClock: kept(6),
        extendedSynch: kept(7),
        ...where(body.bit(EXPRESS.linkCapabilities, 18), { clockPowerManagement: kept(8) }),
        widthDisable: kept(9),
        ...where(notifies, { bandwidthInterrupts: rw(10, 11) }),
        ...where(readiness, { drsSignaling: rw(14, 15) }),
      },
    },
    linkStatus: { offset: 0x12, bytes: 2, cite: '§7.5.3.8', fields: where(notifies, { bandwidthStatus: w1c(14, 15) }) },
  };
}

function slot(body: CapabilityBody): RegisterTable {
  const has = (bit: number): boolean => body.bit(EXPRESS.slotCapabilities, bit);
  const commands = !has(18);
  const linkEvents = body.bit(EXPRESS.linkCapabilities, 20);
  const occupied = body.bit(0x1a, 6);
  return {
    slotControl: {
      offset: 0x18,
      bytes: 2,
      cite: '§7.5.3.10',
      effect: CONFIG_EFFECT.slot,
      fields: {
        ...where(has(0), { attentionButtonEnable: rw(0) }),
        ...where(has(1), { powerFaultEnable: rw(1) }),
        ...where(has(2), { latchSensorEnable: rw(2) }),
        presenceEnable: rw(3),
        ...where(commands, { commandCompletedEnable: rw(4) }),
        ...where(has(6), { hotPlugInterruptEnable: rw(5) }),
        // Off; and on or off as the slot is occupied, as QEMU's pcie_cap_slot_reset() has them.
        ...where(has(3), { attentionIndicator: rw(6, 7, 3) }),
        ...where(has(4), { powerIndicator: rw(8, 9, occupied ? 1 : 3) }),
        ...where(has(1), { powerController: rw(10, 10, occupied ? 0 : 1) }),
        ...where(has(17), { interlock: trigger(11, CONFIG_EFFECT.interlock) }),
        ...where(linkEvents, { linkStateEnable: rw(12) }),
        autoPowerLimitDisable: rw(13),
        ...where(isVersion2(body) && body.bit(0x34, 0), { inBandPresenceDisable: rw(14) }),
      },
    },
    slotStatus: {
      offset: 0x1a,
      bytes: 2,
      cite: '§7.5.3.11',
      effect: CONFIG_EFFECT.slot,
      fields: {
        ...where(has(0), { attentionButton: w1c(0) }),
        ...where(has(1), { powerFault: w1c(1) }),
        ...where(has(2), { latchSensor: w1c(2) }),
        presenceChanged: w1c(3),
        ...where(commands, { commandCompleted: w1c(4) }),
        ...where(linkEvents, { linkStateChanged: w1c(8) }),
      },
    },
  };
}

function root(body: CapabilityBody): RegisterTable {
  return {
    rootControl: {
      offset: 0x1c,
      bytes: 2,
      cite: '§7.5.3.12',
      effect: CONFIG_EFFECT.deviceControl,
      fields: {
        systemErrors: rw(0, 2),
        pmeInterruptEnable: rw(3),
        ...where(body.bit(ROOT_CAPABILITIES, 0), { rrsVisibilityEnable: rw(4) }),
      },
    },
    rootStatus: {
      offset: 0x20,
      bytes: 4,
      cite: '§7.5.3.14',
      fields: { pmeRequester: ro(0, 15), pmeStatus: w1c(16), pmePending: ro(17) },
    },
  };
}

/** Every field only where Device Capabilities 2 offers it; ID-Based Ordering and AtomicOp requests have no bit there. */
function device2(body: CapabilityBody): RegisterTable {
  const offers = (bit: number): boolean => body.bit(DEVICE_CAPABILITIES_2, bit);
  const requester = isEndpoint(body) || body.portType === PORT_TYPE.rootPort;
  const forwards = body.downstream || isSwitchPort(body);
  const control: Register = {
    offset: EXPRESS.deviceControl2,
    bytes: 2,
    cite: '§7.5.3.16',
    effect: CONFIG_EFFECT.deviceControl,
    fields: {
      ...where((body.u8(DEVICE_CAPABILITIES_2) & 0xf) !== 0, { completionTimeout: rw(0, 3) }),
      ...where(offers(4), { completionTimeoutDisable: rw(4) }),
      ...where(body.downstream && offers(5), { ariForwarding: rw(5) }),
      ...where(requester, { atomicRequester: rw(6) }),
      ...where(forwards && offers(6), { atomicEgressBlocking: rw(7) }),
      ...where(requester, { idBasedOrdering: rw(8, 9) }),
      ...where(offers(11), { ltrEnable: rw(10) }),
      ...where(offers(24) || offers(25), { emergencyPowerReduction: rw(11) }),
      ...where(offers(17), { tenBitTags: rw(12) }),
      ...where(offers(18) || offers(19), { optimizedFlush: rw(13, 14) }),
      ...where(forwards && offers(21), { prefixBlocking: rw(15) }),
    },
  };
  return { deviceControl2: control };
}

function link2(body: CapabilityBody): RegisterTable {
  const readiness = body.downstream && body.bit(LINK_CAPABILITIES_2, 31);
  return {
    linkControl2: {
      offset: 0x30,
      bytes: 2,
      cite: '§7.5.3.19',
      fields: { targetSpeed: rws(0, 3), enterCompliance: rws(4), speedDisable: rws(5), margin: rws(7, 9), compliance: rws(10, 15) },
    },
    linkStatus2: {
      offset: 0x32,
      bytes: 2,
      cite: '§7.5.3.20',
      fields: { equalizationRequest: w1cs(5), ...where(readiness, { readinessMessage: w1c(15) }) },
    },
  };
}
