/** Where a request of a function leaves its way to memory for the registers of another one: on its way up, or at the root complex. */
import { PAGE_BYTES, REGION, addressOfPage } from '../../base/index.ts';
import { routeAddress, routePeer, type AddressClaim } from '../../pci/index.ts';
import { STATUS } from '../../translation/index.ts';
import type { Parts } from '../parts.ts';
import type { PeerDmaTask, PeerTarget, Request } from '../state.ts';

/** Nobody there any more, or not wholly. */
const ABSENT: PeerTarget = { index: -1, region: 0, offset: 0 };

/**
 * Where the request goes before it comes to the root complex: noted in it. A status when it goes nowhere. `page` of it is set when it has a translated address.
 */
export function turnAtPeer(m: Parts, request: Request, address: bigint): number {
  const { fn } = request;
  const route = routePeer(m.topology, fn, fn.path, address, request.translated);
  switch (route.to) {
    case 'root':
      return STATUS.performed;
    case 'peer':
      request.page = Number(address >> 12n);
      request.peer = targetOf(m, route.claim, address, request.bytes) ?? ABSENT;
      return STATUS.performed;
    case 'unsupported':
      request.stoppedBy = m.functions.get(route.by.bdf);
      return STATUS['unsupported-request'];
    case 'violation':
      request.stoppedBy = m.functions.get(route.by.bdf);
      return STATUS['completer-abort'];
  }
}

/** Who has the registers at a request's physical address, as the root complex finds them; undefined: nobody. */
export function targetAtRoot(m: Parts, request: Pick<Request, 'page' | 'iovaLow' | 'bytes'>): PeerTarget | undefined {
  const address = addressOfPage(request.page) + BigInt(request.iovaLow & (PAGE_BYTES - 1));
  const { claim } = routeAddress(m.topology, 'memory', address);
  return claim === undefined ? undefined : targetOf(m, claim, address, request.bytes);
}

function targetOf(m: Parts, { bdf, bar, first, last }: AddressClaim, address: bigint, bytes: number): PeerTarget | undefined {
  const index = m.functions.get(bdf)?.index;
  if (index === undefined || bar === REGION.rom || address + BigInt(bytes) - 1n > last) return undefined;
  return { index, region: bar, offset: Number(address - first) };
}

/** The request leaves the ledger's hands until all of its words are answered. */
export function startPeerAccess(m: Parts, request: Request, target: PeerTarget): void {
  request.point = 'sent';
  request.owner = 0;
  m.trace.emit('dma-sent', request.fn.bdf, request.id, 0, request.epoch);
  const task = m.operations.start<PeerDmaTask>(
    { peer: 0, token: 0, sinceNs: m.clock.nowNs },
    { kind: 'peer-dma', request, target, at: 0, word: 0 },
  );
  m.operations.wake(task);
}
