/** QEMU's vendor ID for devices that no registered vendor makes; the device IDs are this project's choice in it. */
export const VENDOR_UNREGISTERED = 0x1234;
export const DEVICE = {
  probe: 0x11d0,
  hostBridge: 0x11d1,
  rootPort: 0x11d2,
  upstreamPort: 0x11d3,
  downstreamPort: 0x11d4,
  remote: 0x11d5,
  /** A virtual function of a `dma-probe`, and of a `remote`. */
  probeVirtual: 0x11d6,
  remoteVirtual: 0x11d7,
  expressToPciBridge: 0x11d8,
  pciBridge: 0x11d9,
} as const;

export const CLASS = { hostBridge: 0x060000, pciBridge: 0x060400, otherDevice: 0xff0000 } as const;

/** SV, TB, RR, CR, UF and DT are offered; SV, RR, CR and UF enabled, as Linux's pci_enable_acs leaves them. */
export const DEFAULT_ACS = { offered: 0x5f, enabled: 0x1d } as const;
