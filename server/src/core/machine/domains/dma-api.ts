/** The DMA API of a function's driver: addresses that the kernel chooses in the group's default domain (`drivers/iommu/dma-iommu.c`). */
import {
  ACCESS,
  ModelError,
  NO_PASID,
  OK,
  PAGE_BYTES,
  addressOfPage,
  errno,
  formatBdf,
  hex,
  pageOf,
  physicalAddress,
} from '../../base/index.ts';
import { PAGES_32BIT, tablesOf, type DmaDomain, type Domain, type GroupDevice } from '../../iommu/index.ts';
import type { MapPages } from '../command.ts';
import { isDirect, warnDirect } from '../dma/dma-direct.ts';
import type { Parts } from '../parts.ts';
import type { Origin } from '../state.ts';
import { deviceOf } from './iommu-commands.ts';

const PAGE = BigInt(PAGE_BYTES);
/** Above this no address has room: 47 bits. */
const BYTES_MAX = 1n << 47n;
/** Addresses that are tried where somebody has mapped by hand what is free: then it is as if there were no room. */
const TRIES_MAX = 1024;

/** iommu_dma_map_phys(): maps where there is room, and replies with the address; dma_direct_map_phys() where there is nothing to map in. */
export function dmaMap(m: Parts, origin: Origin, command: MapPages): void {
  const { target, bytes, access } = command;
  if ('domain' in target || target.pasid !== NO_PASID) {
    throw new ModelError('EINVAL', 'iova is missing: only in the default domain of a function is one chosen', 'iova');
  }
  const address = physicalAddress(command.address);
  const text = `map of ${hex(bytes)} bytes at ${hex(address)} for ${formatBdf(target.bdf)}`;
  if (bytes === 0n || (address | bytes) % PAGE !== 0n || (access & ACCESS.readWrite) === 0) {
    m.outbox.refuse(origin, 'EINVAL', `${text}: address and size are multiples of 4 KiB; readable or writable`, 'bytes');
    return;
  }
  if (isDirect(m, target.bdf)) {
    warnDirect(m, target.bdf);
    m.outbox.reply(origin, { kind: 'mapped', iova: address, elapsedNs: 0 });
    return;
  }
  const device = deviceOf(m, target.bdf);
  const domain = device.group.defaultDomain;
  if (domain === undefined) {
    m.outbox.refuse(origin, 'EOPNOTSUPP', `${text}: its group has no default domain`, 'function');
    return;
  }
  const { dma } = domain;
  const page = dma === undefined || bytes > BYTES_MAX ? undefined : mapSomewhere(m, device, domain, dma, { address, bytes, access });
  if (page === undefined) {
    m.outbox.refuse(origin, 'ENOMEM', `${text}: no IOVA, or no room for its tables`, 'bytes');
    return;
  }
  m.trace.emit('mapped', domain.id, page, pageOf(address), pageOf(bytes));
  m.outbox.reply(origin, { kind: 'mapped', iova: addressOfPage(page), elapsedNs: m.outbox.elapsed(origin) });
}

interface Wanted {
  readonly address: bigint;
  readonly bytes: bigint;
  readonly access: number;
}

function mapSomewhere(m: Parts, device: GroupDevice, domain: Domain, dma: DmaDomain, wanted: Wanted): number | undefined {
  if (device.dma32First) {
    const low = mapBelow(domain, dma, PAGES_32BIT, wanted);
    if (low !== undefined) return low;
    device.dma32First = false;
    m.outbox.log('info', device.bdf, `${formatBdf(device.bdf)} using 64-bit DMA addresses`);
  }
  return mapBelow(domain, dma, Infinity, wanted);
}

/** What was mapped there by hand is passed over. */
function mapBelow(domain: Domain, dma: DmaDomain, limit: number, { address, bytes, access }: Wanted): number | undefined {
  const tables = tablesOf(domain);
  let below = limit;
  for (let tries = 0; tries < TRIES_MAX; tries++) {
    const page = dma.iova.alloc(pageOf(bytes), below);
    if (page === undefined) return undefined;
    const error = tables.map(addressOfPage(page), address, bytes, access);
    if (error === OK) return page;
    dma.iova.release(page);
    if (error !== errno('EADDRINUSE')) return undefined;
    // Below the page that is in the way, where it is a large one; else one place further down.
    const inTheWay = tables.lookup(addressOfPage(page));
    below =
      inTheWay === undefined ? page + pageOf(bytes) - 1 : Number(addressOfPage(page) / inTheWay.pageBytes) * pageOf(inTheWay.pageBytes);
  }
  return undefined;
}
