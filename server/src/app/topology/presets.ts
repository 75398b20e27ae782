/** Machines to start from. Each is a topology document, so that what is built in can be printed, changed and read back. */
import { ModelError } from '../../core/base/index.ts';
import { parseTopology, type NamedTopology } from './topology-spec.ts';

export const PRESETS = {
  basic: `# A dma-probe and an edu behind an IOMMU, and a slot that a device role can claim.
schema: iommud.topology/v1
name: basic
memory:
  - { address: "0x40000000", size: 1GiB }
iommu:
  invalidationTimeout: 60s
functions:
  - { address: "00:00.0", model: host-bridge }
  - { address: "00:02.0", model: dma-probe }
  - { address: "00:03.0", model: edu }
  - { address: "00:04.0", model: remote }
`,
  switch: `# Two dma-probes below a switch; ACS in its ports keeps them in groups of their own.
schema: iommud.topology/v1
name: switch
memory:
  - { address: "0x40000000", size: 1GiB }
iommu:
  invalidationTimeout: 60s
functions:
  - { address: "00:00.0", model: host-bridge }
  - address: "00:01.0"
    model: root-port
    children:
      - address: "01:00.0"
        model: upstream-port
        children:
          - address: "02:00.0"
            model: downstream-port
            children:
              - { address: "03:00.0", model: dma-probe }
          - address: "02:01.0"
            model: downstream-port
            children:
              - { address: "04:00.0", model: dma-probe }
`,
  'no-iommu': `# A dma-probe with nothing in between: its addresses are physical.
schema: iommud.topology/v1
name: no-iommu
memory:
  - { address: "0x40000000", size: 1GiB }
iommu: none
functions:
  - { address: "00:00.0", model: host-bridge }
  - { address: "00:02.0", model: dma-probe }
`,
  siblings: `# One device with two functions that reach each other without ACS: both are in one group.
schema: iommud.topology/v1
name: siblings
memory:
  - { address: "0x40000000", size: 1GiB }
iommu:
  invalidationTimeout: 60s
functions:
  - { address: "00:00.0", model: host-bridge }
  - { address: "00:05.0", model: dma-probe }
  - { address: "00:05.1", model: dma-probe }
`,
} as const;

export type PresetName = keyof typeof PRESETS;

/** An unknown name is `EINVAL` with the names that there are. */
export function presetText(name: string): string {
  const text = Object.entries(PRESETS).find(([known]) => known === name)?.[1];
  if (text === undefined) {
    throw new ModelError('EINVAL', `there is no preset "${name.slice(0, 40)}"; there are ${Object.keys(PRESETS).join(', ')}`, 'preset');
  }
  return text;
}

export function preset(name: string): NamedTopology {
  return parseTopology(presetText(name), 'yaml');
}
