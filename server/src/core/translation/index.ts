export { type AddressSpace, type SpaceType } from './address-space.ts';
export { FaultQueue, type FaultEntry } from './fault-queue.ts';
export { type GrantHistory, type RevokedWhy } from './grant-shadow.ts';
export { InvalidationQueue, type Invalidation, type InvalidationEffect } from './invalidation-queue.ts';
export { type PageTables } from './page-tables.ts';
export { STATUS } from './status.ts';
export { Translation } from './translation.ts';
