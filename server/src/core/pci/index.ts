export { claimText, claimsOf, type AddressClaim, type AddressSpaceName } from './address-claims.ts';
export { decodeAddresses, overlapText } from './address-decode.ts';
export { ACS, mayTurn, meetsPeer, routePeer, type PeerRoute } from './peer-route.ts';
export { routeAddress, type AddressRoute } from './address-route.ts';
export { CONFIG_SIZES, checkConfigAccess } from './config-access.ts';
export { routeConfig, type ConfigRoute } from './config-route.ts';
export { completionTimeoutNs } from './completion-timeout.ts';
export { contain, containBySoftware, endContainment, isContaining, wouldContain } from './containment-registers.ts';
export {
  BUS_ERRORS,
  clearErrors,
  enableReporting,
  logError,
  noteSecondaryStatus,
  noteStatus,
  passesMessage,
  receiveMessage,
  type BusError,
  type ErrorMessage,
  type LoggedError,
} from './error-registers.ts';
export { ConfigSpace, type ConfigSpaceOptions } from './config-space.ts';
export { type PageRequestRegisters } from './page-request-registers.ts';
export { CONFIG_EFFECT, type ResetKind } from './register-table.ts';
export {
  assertsBusReset,
  hasHotPlugSlot,
  isCxlPort,
  isImmediatelyReady,
  linkBelow,
  losesContextInD3,
  masksBusReset,
  setBusReset,
  setBusResetMask,
  setPowerState,
  showsRetryStatus,
  type Link,
} from './reset-facts.ts';
export { intxLineOf, type IntxLine } from './intx.ts';
export { MsiRegisters, MsixRegisters } from './interrupt-registers.ts';
export { PORT_CAUSES, assignMessageNumbers, hasPortCauses, messageNumber, portCauses } from './port-interrupts.ts';
export {
  SLOT_SIGNALS,
  completeSlotCommand,
  hasSlot,
  isSlotOff,
  noteSlotSignal,
  setLinkActive,
  setPresence,
  writesSlotControl,
  type SlotSignal,
} from './slot-registers.ts';
export { MsixVectors } from './msix-vectors.ts';
export { PORT_TYPE } from './capability-body.ts';
export { walkCapabilities, type Capability, type CapabilityWalk } from './capabilities.ts';
export { type Bar, type BarKind } from './bars.ts';
export type {
  AcsSpec,
  AllocationSpec,
  AtsSpec,
  CapabilitySet,
  DpcSpec,
  ExpressSpec,
  LtrSpec,
  MsiSpec,
  MsixSpec,
  Placed,
  PowerSpec,
  ResizableSpec,
  SlotSpec,
  SriovSpec,
  VfBarSpec,
} from './capability-spec.ts';
export { endpointConfig, type BarSpec, type EndpointSpec } from './build-config.ts';
export type { CapabilityChoices } from './capability-choices.ts';
export { DEVICE } from './function-ids.ts';
export { bridgeConfig, hostBridgeConfig, type BridgeSpec } from './port-config.ts';
export {
  PROBE_BAR_BYTES,
  RESIZABLE_BAR_INDEX,
  dmaProbeConfig,
  probeBarBytes,
  probeResources,
  remoteConfig,
  type ProbeSpec,
  type Resource,
} from './probe-config.ts';
export { EDU_BAR_BYTES, eduConfig, type EduSpec } from './edu-config.ts';
export { sriovOf, virtualConfig, virtualPlaces, type Sriov } from './sriov.ts';
export { VPD_BYTES_MAX, accessVpd, asksForVpd } from './vital-product-data.ts';
export { pciBridgeConfig } from './pci-bridge-config.ts';
export { Topology, type TopologyFunction } from './topology.ts';
export { sysfsFiles, sysfsName, sysfsSlot, type SysfsFunction, type SysfsRegion } from './sysfs.ts';
export { formatLspci, parseLspci, type LspciDump, type LspciFunction, type LspciHex } from './lspci-text.ts';
export { PCI_KINDS } from './state-kinds.ts';
