/**
 * Where configuration requests go by address: the buses are found by the bus number registers of bridges as they stand now, and what is on a bus by how the
 * machine is wired ({@link Topology}). Rules: PCIe Base r6.0 §7.3.3.
 */
import { busOf, type Bdf } from '../base/index.ts';
import { PORT_TYPE } from './capability-body.ts';
import type { Topology, TopologyFunction } from './topology.ts';

export interface ConfigRoute {
  /** Who takes the request; undefined: nobody. */
  readonly found: TopologyFunction | undefined;
  /**
   * Who else answers that nobody is there: the port whose link or bus it was sent to, or a function of the device that has no such function. Undefined: it
   * reached none, and the host bridge answers.
   */
  readonly completer: TopologyFunction | undefined;
}

const NOBODY: ConfigRoute = { found: undefined, completer: undefined };
const FUNCTION_BITS = 7;
const DEVFN_BITS = 0xff;

/** `at` is an address, not a name: bus numbers are those that software has given. */
export function routeConfig(topology: Topology, segment: number, at: Bdf): ConfigRoute {
  const bus = busOf(at);
  const devfn = at & DEVFN_BITS;
  const root = topology.rootBusOf(segment, bus);
  if (root === undefined) return NOBODY;
  let functions = topology.functionsOnRoot(segment, root);
  if (bus === root) return { found: functions.find((fn) => (fn.bdf & DEVFN_BITS) === devfn), completer: undefined };
  let above: TopologyFunction | undefined;
  for (;;) {
    const bridge = functions.find((fn) => reaches(fn, bus));
    if (bridge === undefined) return { found: above === undefined ? undefined : onLaterBus(topology, above, bus, devfn), completer: above };
    // Not in D0 it takes requests of type 0 only (§5.3.1.4).
    if (bridge.config.powerState !== 0) return { found: undefined, completer: bridge };
    functions = topology.functionsBelow(bridge.bdf);
    if (bridge.config.secondaryBus === bus) return onSecondaryBus(topology, bridge, devfn);
    above = bridge;
  }
}

/** A request of type 1 that the bridge takes. Primary Bus Number routes nothing over PCI Express (§7.5.1.3.2). */
function reaches({ config }: TopologyFunction, bus: number): boolean {
  return config.isBridge && config.secondaryBus <= bus && bus <= config.subordinateBus;
}

/** The bridge makes a request of type 0 of it. */
function onSecondaryBus(topology: Topology, bridge: TopologyFunction, devfn: number): ConfigRoute {
  const wired = topology.busesAt(bridge.bdf)?.secondary;
  const onBus = topology.functionsBelow(bridge.bdf).filter(({ bdf }) => busOf(bdf) === wired);
  if (!isAboveLink(bridge)) return answerOf(onBus, devfn, bridge);
  // Without ARI Forwarding only device 0 is at the other end of a link (§7.3.1).
  if (!bridge.config.ariForwarding) return devfn > FUNCTION_BITS ? { found: undefined, completer: bridge } : answerOf(onBus, devfn, bridge);
  // A device without ARI answers to whatever Device Number the request bears.
  if (!onBus.some(hasEightBits)) return answerOf(onBus, devfn & FUNCTION_BITS, bridge);
  return { found: onBus.find(({ bdf }) => (bdf & DEVFN_BITS) === devfn), completer: onBus[0] ?? bridge };
}

/** Function numbers of its device have eight bits: it has ARI, or what it has could not be told apart without. */
function hasEightBits({ bdf, config }: TopologyFunction): boolean {
  return config.isAri || (bdf & DEVFN_BITS) > FUNCTION_BITS;
}

/** On the other side is one device. */
function isAboveLink({ config }: TopologyFunction): boolean {
  const { portType } = config;
  return portType === PORT_TYPE.rootPort || portType === PORT_TYPE.downstreamPort || portType === PORT_TYPE.pciToExpress;
}

function answerOf(onBus: readonly TopologyFunction[], devfn: number, bridge: TopologyFunction): ConfigRoute {
  const device = onBus.filter(({ bdf }) => (bdf & DEVFN_BITS & ~FUNCTION_BITS) === (devfn & ~FUNCTION_BITS));
  return { found: device.find(({ bdf }) => (bdf & DEVFN_BITS) === devfn), completer: device[0] ?? bridge };
}

/** A device takes requests of type 1 to the bus numbers after its own, where its virtual functions are (§9.2.1.2): as many after it as they are wired. */
function onLaterBus(topology: Topology, above: TopologyFunction, bus: number, devfn: number): TopologyFunction | undefined {
  const wired = topology.busesAt(above.bdf)?.secondary ?? 0;
  const on = wired + bus - above.config.secondaryBus;
  return topology.functionsBelow(above.bdf).find(({ bdf }) => busOf(bdf) === on && (bdf & DEVFN_BITS) === devfn);
}
