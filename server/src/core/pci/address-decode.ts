/**
 * Who answers an address: BARs as they stand, with their enable bits, behind windows that are open all the way up. Decoding goes down from the root buses:
 * on each bus the function with the lowest address takes what two of them claim, and such overlaps are told.
 */
import type { Bdf } from '../base/index.ts';
import { claimText, claimsOf, type AddressClaim, type AddressSpaceName } from './address-claims.ts';
import type { Topology, TopologyFunction } from './topology.ts';

/** What answers a range of addresses. */
export interface Decoded {
  readonly first: bigint;
  readonly last: bigint;
  readonly bdf: Bdf;
  /** 0 to 6. */
  readonly bar: number;
  /** Where the BAR begins, of which the range may be a part. */
  readonly base: bigint;
}

/** Two claims of one bus that meet; `winner` answers. */
export interface Overlap {
  readonly winner: AddressClaim;
  readonly loser: AddressClaim;
}

interface Range {
  readonly first: bigint;
  readonly last: bigint;
}

const EVERYWHERE: readonly Range[] = [{ first: 0n, last: (1n << 64n) - 1n }];

export interface AddressMap {
  /** By address; they do not overlap. */
  readonly ranges: readonly Decoded[];
  readonly overlaps: readonly Overlap[];
  /** What is claimed on each bus, by the bridge above it. */
  readonly below: ReadonlyMap<Bdf, readonly AddressClaim[]>;
  readonly onRoots: readonly AddressClaim[];
}

/** The map of one space as configuration space says now. Segments share the host's addresses. */
export function decodeAddresses(topology: Topology, space: AddressSpaceName): AddressMap {
  const ranges: Decoded[] = [];
  const overlaps: Overlap[] = [];
  const below = new Map<Bdf, readonly AddressClaim[]>();
  const visit = (functions: readonly TopologyFunction[], through: readonly Range[]): readonly AddressClaim[] => {
    const claims = functions.flatMap((fn) => claimsOf(fn.bdf, fn.config, space));
    for (const { claim, pieces } of settle(claims, through, overlaps)) {
      if (claim.bar < 0) below.set(claim.bdf, [...(below.get(claim.bdf) ?? []), ...visit(topology.functionsBelow(claim.bdf), pieces)]);
      else for (const piece of pieces) ranges.push({ ...piece, bdf: claim.bdf, bar: claim.bar, base: claim.first });
    }
    return claims;
  };
  const roots = topology.rootBuses().flatMap(({ segment, bus }) => topology.functionsOnRoot(segment, bus));
  const onRoots = visit(roots, EVERYWHERE);
  ranges.sort((a, b) => (a.first < b.first ? -1 : 1));
  return { ranges, overlaps, below, onRoots };
}

/** `00:05.0 BAR 0 (…) and 00:06.0 BAR 2 (…) both decode 0x… to 0x…; 00:05.0 answers` */
export function overlapText({ winner, loser }: Overlap): string {
  const first = winner.first > loser.first ? winner.first : loser.first;
  const last = winner.last < loser.last ? winner.last : loser.last;
  return `${claimText(winner)} and ${claimText(loser)} both decode 0x${first.toString(16)} to 0x${last.toString(16)}`;
}

/** What of each claim is left by those before it, within what comes through from above. Two windows of one bridge are one. */
function settle(
  claims: readonly AddressClaim[],
  through: readonly Range[],
  overlaps: Overlap[],
): { claim: AddressClaim; pieces: readonly Range[] }[] {
  const settled: { claim: AddressClaim; pieces: readonly Range[] }[] = [];
  const clashes = clashing(claims);
  for (const claim of claims) {
    let pieces = through.flatMap((range) => intersection(range, claim));
    for (const winner of clashes.get(claim) ?? []) {
      if (
        pieces.some((piece) => intersection(piece, winner).length > 0) &&
        (winner.bdf !== claim.bdf || winner.bar >= 0 || claim.bar >= 0)
      ) {
        overlaps.push({ winner, loser: claim });
      }
      pieces = pieces.flatMap((piece) => without(piece, winner));
    }
    if (pieces.length > 0) settled.push({ claim, pieces });
  }
  return settled;
}

/** Of each claim that meets earlier ones of the list: these. */
function clashing(claims: readonly AddressClaim[]): ReadonlyMap<AddressClaim, readonly AddressClaim[]> {
  const found = new Map<AddressClaim, AddressClaim[]>();
  const ordered = claims.map((claim, order) => ({ claim, order })).sort((a, b) => (a.claim.first < b.claim.first ? -1 : 1));
  let open: typeof ordered = [];
  for (const next of ordered) {
    open = open.filter(({ claim }) => claim.last >= next.claim.first);
    for (const other of open) {
      const [winner, loser] = other.order < next.order ? [other, next] : [next, other];
      const winners = found.get(loser.claim);
      if (winners === undefined) found.set(loser.claim, [winner.claim]);
      else winners.push(winner.claim);
    }
    open.push(next);
  }
  return found;
}

function intersection(one: Range, other: Range): Range[] {
  const first = one.first > other.first ? one.first : other.first;
  const last = one.last < other.last ? one.last : other.last;
  return first <= last ? [{ first, last }] : [];
}

function without(piece: Range, taken: Range): Range[] {
  if (intersection(piece, taken).length === 0) return [piece];
  return [
    { first: piece.first, last: taken.first - 1n },
    { first: taken.last + 1n, last: piece.last },
  ].filter(({ first, last }) => first <= last);
}
