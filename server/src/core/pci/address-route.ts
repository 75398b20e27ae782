/**
 * Who answers one address: down from the root buses through windows that are open, to a BAR that decodes, as registers stand. What two functions of one bus
 * claim goes to the one with the lower address, as in {@link ./address-decode.ts}.
 */
import { barClaim, isEnabled, type AddressClaim, type AddressSpaceName } from './address-claims.ts';
import { bridgeWindows } from './bridge-windows.ts';
import { HEADER } from './header.ts';
import type { Topology, TopologyFunction } from './topology.ts';

export interface AddressRoute {
  /** The BAR that takes it; undefined: none does. */
  readonly claim: AddressClaim | undefined;
  /** The last bridge that passed it down; undefined: none did. */
  readonly bridge: TopologyFunction | undefined;
}

/** Bridge Control (PCIe Base r6.0 §7.5.1.3.13). */
const CONTROL = { isa: 4, vga: 8, vga16: 0x10 } as const;
const VGA_MEMORY = { first: 0xa_0000n, last: 0xb_ffffn } as const;
const VGA_PORTS = [
  { first: 0x3b0n, last: 0x3bbn },
  { first: 0x3c0n, last: 0x3dfn },
] as const;
const ISA_END = 0x1_0000n;

/** Segments share the host's addresses. `from`: the functions of a bus on which the request is; absent: it comes from the host. */
export function routeAddress(topology: Topology, space: AddressSpaceName, address: bigint, from = topology.onRoots()): AddressRoute {
  let functions = from;
  let bridge: TopologyFunction | undefined;
  for (;;) {
    const hop = takes(functions, space, address);
    if (hop === undefined) return { claim: undefined, bridge };
    if (hop.claim !== undefined) return { claim: hop.claim, bridge };
    bridge = hop.fn;
    functions = topology.functionsBelow(bridge.bdf);
  }
}

/** The first of the functions that claims it, by a BAR or to pass it down. */
function takes(
  functions: readonly TopologyFunction[],
  space: AddressSpaceName,
  address: bigint,
): { readonly fn: TopologyFunction; readonly claim: AddressClaim | undefined } | undefined {
  for (const fn of functions) {
    for (const bar of fn.config.bars()) {
      const claim = barClaim(fn.bdf, fn.config, bar, space);
      if (claim !== undefined && claim.first <= address && address <= claim.last) return { fn, claim };
    }
    if (passesDown(fn, space, address)) return { fn, claim: undefined };
  }
  return undefined;
}

/** Whether a bridge passes the request from its primary side to its secondary one. */
function passesDown({ config }: TopologyFunction, space: AddressSpaceName, address: bigint): boolean {
  if (!config.isBridge || !isEnabled(config, space)) return false;
  const control = config.headerType === 1 ? config.read(HEADER.bridgeControl, 2) : 0;
  if ((control & CONTROL.vga) !== 0 && isVga(control, space, address)) return true;
  // ISA Enable: the upper 768 bytes of each KiB are ports of ISA cards, which are above the bridge.
  if (space === 'io' && (control & CONTROL.isa) !== 0 && address < ISA_END && (address & 0x300n) !== 0n) return false;
  return bridgeWindows(config, space).some(({ first, last }) => first <= address && address <= last);
}

function isVga(control: number, space: AddressSpaceName, address: bigint): boolean {
  if (space === 'memory') return VGA_MEMORY.first <= address && address <= VGA_MEMORY.last;
  if (address >= ISA_END) return false;
  // A card that decodes ten bits of the address has its ports again in each KiB.
  const port = (control & CONTROL.vga16) !== 0 ? address : address & 0x3ffn;
  return VGA_PORTS.some(({ first, last }) => first <= port && port <= last);
}
