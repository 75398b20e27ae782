export { CONFIG_SIZES, checkConfigAccess } from './config-access.ts';
export { ConfigSpace, type ConfigSpaceOptions } from './config-space.ts';
export { type PageRequestRegisters } from './page-request-registers.ts';
export { CONFIG_EFFECT, type ResetKind } from './register-table.ts';
export { PORT_TYPE } from './capability-body.ts';
export { walkCapabilities, type Capability, type CapabilityWalk } from './capabilities.ts';
export { type Bar, type BarKind } from './bars.ts';
export { type AcsSpec, type AtsSpec, type CapabilitySet, type ExpressSpec, type MsixSpec } from './capability-image.ts';
export {
  PROBE_BAR_BYTES,
  bridgeConfig,
  dmaProbeConfig,
  endpointConfig,
  hostBridgeConfig,
  remoteConfig,
  type BarSpec,
  type BridgeSpec,
  type EndpointSpec,
  type ProbeSpec,
} from './build-config.ts';
export { Topology, type TopologyFunction } from './topology.ts';
export { sysfsFiles, sysfsName, sysfsSlot, type SysfsFunction, type SysfsRegion } from './sysfs.ts';
export { formatLspci, parseLspci, type LspciDump, type LspciFunction, type LspciHex } from './lspci-text.ts';
