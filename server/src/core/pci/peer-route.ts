/**
 * The way of a memory request upwards: where a switch or a conventional bus gives it to a peer before it comes to the root complex, and what Access Control
 * Services make of that (PCIe Base r6.0 §6.12). Root ports pass everything on: the root complex translates before it looks who is there.
 */
import type { AddressClaim } from './address-claims.ts';
import { routeAddress } from './address-route.ts';
import { PORT_TYPE } from './capability-body.ts';
import type { Topology, TopologyFunction } from './topology.ts';

/** Bits of ACS Control (§7.7.11.3). */
export const ACS = {
  sourceValidation: 1,
  translationBlocking: 2,
  requestRedirect: 4,
  upstreamForwarding: 0x10,
  egressControl: 0x20,
  directTranslated: 0x40,
} as const;

/** `root`: it comes to the root complex. */
export type PeerRoute =
  | { readonly to: 'root' }
  | { readonly to: 'peer'; readonly claim: AddressClaim }
  /** This bridge completes it so: nobody takes it, or it is a violation. */
  | { readonly to: 'unsupported' | 'violation'; readonly by: TopologyFunction };

const ROOT: PeerRoute = { to: 'root' };

/** A bridge where requests from below may go to a peer. */
export function mayTurn({ config }: TopologyFunction): boolean {
  return config.portType === PORT_TYPE.downstreamPort || isConventional(config.portType);
}

/** `path`: bridges above the requester, the nearest first. `translated`: AT says so, and the address is physical. */
export function routePeer(
  topology: Topology,
  requester: TopologyFunction,
  path: readonly TopologyFunction[],
  address: bigint,
  translated: boolean,
): PeerRoute {
  let from = requester;
  for (const [i, bridge] of path.entries()) {
    let route = ROOT;
    if (bridge.config.portType === PORT_TYPE.downstreamPort) route = throughSwitch(topology, bridge, path[i + 1], address, translated);
    else if (isConventional(bridge.config.portType)) route = onConventionalBus(topology, bridge, from, address);
    if (route.to !== 'root') return route;
    from = bridge;
  }
  return ROOT;
}

/** Whether a request to this page may go to a peer, or nowhere: what {@link routePeer} says otherwise is `root`. */
export function meetsPeer(topology: Topology, path: readonly TopologyFunction[], page: number): boolean {
  for (let i = 0; i < path.length; i++) {
    const bridge = path[i]!;
    const { portType } = bridge.config;
    if (portType === PORT_TYPE.downstreamPort) {
      const upstream = path[i + 1];
      if (bridge.config.passesPage(page) || upstream?.config.passesPage(page) === true) return true;
      if (upstream !== undefined) for (const peer of topology.functionsBelow(upstream.bdf)) if (peer.config.passesPage(page)) return true;
    } else if (isConventional(portType)) {
      if (bridge.config.passesPage(page)) return true;
      for (const peer of topology.functionsBelow(bridge.bdf))
        if (peer.config.passesPage(page) || peer.config.decodesPage(page)) return true;
    }
  }
  return false;
}

function isConventional(portType: number): boolean {
  return portType === PORT_TYPE.none || portType === PORT_TYPE.expressToPci;
}

/** A request comes up to a downstream port: out by another one, or on upwards (§6.12.1.1). */
function throughSwitch(
  topology: Topology,
  port: TopologyFunction,
  upstream: TopologyFunction | undefined,
  address: bigint,
  translated: boolean,
): PeerRoute {
  const page = Number(address >> 12n);
  const control = port.config.acsControl;
  // Without Upstream Forwarding what becomes of it is not defined; here the port refuses it.
  if (port.config.passesPage(page)) return (control & ACS.upstreamForwarding) !== 0 ? ROOT : { to: 'unsupported', by: port };
  if (upstream === undefined) return ROOT;
  const peers = topology.functionsBelow(upstream.bdf);
  const egress = peers.find((peer) => peer !== port && peer.config.passesPage(page));
  // Unclaimed Request Redirect is a service that ports do not have here.
  if (egress === undefined) return upstream.config.passesPage(page) ? { to: 'unsupported', by: port } : ROOT;
  const way = translated && (control & ACS.directTranslated) !== 0 ? 'direct' : controlled(port, egress);
  if (way === 'up') return ROOT;
  if (way === 'violation') return { to: 'violation', by: port };
  return arrives(topology, [egress], address, egress);
}

/** Table 6-11 of §6.12.3. */
function controlled(port: TopologyFunction, egress: TopologyFunction): 'direct' | 'up' | 'violation' {
  const control = port.config.acsControl;
  const redirects = (control & ACS.requestRedirect) !== 0;
  if ((control & ACS.egressControl) === 0) return redirects ? 'up' : 'direct';
  if (!port.config.acsEgress(egress.config.portNumber)) return 'direct';
  return redirects ? 'up' : 'violation';
}

/** Every device of the bus sees the address. What the bridge passes down does not come up through it. */
function onConventionalBus(topology: Topology, bridge: TopologyFunction, from: TopologyFunction, address: bigint): PeerRoute {
  const others = topology.functionsBelow(bridge.bdf).filter(({ bdf }) => bdf !== from.bdf);
  const there = routeAddress(topology, 'memory', address, others);
  if (there.claim !== undefined || there.bridge !== undefined) return arrives(topology, others, address, bridge);
  return bridge.config.passesPage(Number(address >> 12n)) ? { to: 'unsupported', by: bridge } : ROOT;
}

function arrives(topology: Topology, functions: readonly TopologyFunction[], address: bigint, last: TopologyFunction): PeerRoute {
  const { claim, bridge = last } = routeAddress(topology, 'memory', address, functions);
  return claim === undefined ? { to: 'unsupported', by: bridge } : { to: 'peer', claim };
}
