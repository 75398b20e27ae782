/** Page tables in memory that a peer owns: a machine with a domain of them, and the owner, which a test plays. */
import { expect } from 'vitest';
import type { Command } from '../../server/src/core/machine/index.ts';
import { CoreMachine, PROBE, type Options, type TestPeer } from './core-machine.ts';

type Alloc = Extract<Command, { kind: 'domain-alloc' }>;

/** Where the tables are; nothing else has that memory. */
export const TABLES = 0x80_0000_0000n;

export interface OwnedTables {
  readonly m: CoreMachine;
  readonly owner: TestPeer;
  /** On it is {@link PROBE}, unless it is said not to be. */
  readonly domain: number;
  /** In RAM, for the tables to lead to. */
  readonly page: bigint;
}

export interface OwnedTablesOptions extends Options {
  readonly guest: Pick<Alloc, 'format' | 'accessedDirty'>;
  readonly bytes: bigint;
  /** Accesses that the owner takes at a time. */
  readonly depth?: number;
  readonly attached?: boolean;
}

export function ownedTables({ guest, bytes, depth = 4, attached = true, ...options }: OwnedTablesOptions): OwnedTables {
  const m = new CoreMachine({ clock: 'manual', ...options });
  const owner = m.attachPeer({ memory: true });
  m.start({ kind: 'memory-claim', address: TABLES, bytes, depth }, owner.id);
  const page = m.allocPage();
  const { domain } = m.call('domain-alloc', { kind: 'domain-alloc', type: 'paging', sharedAddress: false, root: TABLES, ...guest });
  if (attached) m.call('ok', m.attach(PROBE, domain));
  return { m, owner, domain, page };
}

/** Answers what the owner has been asked, in order, until it is asked no more; returns the addresses. Words that are not there are 0. */
export function serveTables({ m, owner }: OwnedTables, words: ReadonlyMap<bigint, bigint>, most = Infinity): readonly bigint[] {
  const addresses: bigint[] = [];
  while (owner.calls.length > 0 && addresses.length < most) {
    const { token, call } = owner.calls.shift()!;
    expect(call).toMatchObject({ kind: 'memory-read', bytes: 8 });
    if (call.kind !== 'memory-read') return addresses;
    addresses.push(call.address);
    const data = new Uint8Array(new BigUint64Array([words.get(call.address) ?? 0n]).buffer);
    m.answer(owner, token, { kind: 'data', data });
  }
  return addresses;
}
