/** Guest memory against plain arrays: the allocator, the claims of peers, and the bytes. */
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { GuestMemory } from '../../server/src/core/memory/index.ts';

const PAGE = 4096n;
const PAGES = 24;
const EINVAL = -22;
const EADDRINUSE = -98;
const ENOENT = -2;
/** RAM in pages 0 to 7 and 12 to 15 of the 24 that the tests look at. */
const RAM = [
  { address: 12n * PAGE, bytes: 4n * PAGE },
  { address: 0n, bytes: 8n * PAGE },
];

describe('the allocator', () => {
  const step = fc.oneof(
    fc.record({ kind: fc.constant('alloc' as const), bytes: fc.bigInt({ min: 1n, max: 6n * PAGE }) }),
    fc.record({ kind: fc.constant('free' as const), which: fc.nat(20) }),
  );

  it('gives the lowest run of free RAM pages, never page 0, never a page twice', () => {
    fc.assert(
      fc.property(fc.array(step, { maxLength: 60 }), (steps) => {
        const memory = new GuestMemory(RAM);
        const free = Array.from({ length: PAGES }, (_, page) => (page > 0 && page < 8) || (page >= 12 && page < 16));
        const live: { page: number; pages: number }[] = [];
        for (const one of steps) {
          if (one.kind === 'alloc') {
            const pages = Number((one.bytes + PAGE - 1n) / PAGE);
            const first = free.findIndex((_, page) => page + pages <= PAGES && free.slice(page, page + pages).every(Boolean));
            expect(memory.alloc(one.bytes)).toBe(first === -1 ? undefined : BigInt(first) * PAGE);
            if (first === -1) continue;
            free.fill(false, first, first + pages);
            live.push({ page: first, pages });
          } else {
            const [gone] = live.splice(one.which, 1);
            if (gone === undefined) continue;
            expect(memory.free(BigInt(gone.page) * PAGE)).toBe(true);
            free.fill(true, gone.page, gone.page + gone.pages);
          }
          for (let page = 0; page < PAGES; page++) {
            const run = live.find((other) => other.page === page);
            expect(memory.allocatedBytes(BigInt(page) * PAGE)).toBe(run === undefined ? undefined : BigInt(run.pages) * PAGE);
          }
        }
      }),
    );
  });
});

describe('ownership', () => {
  const address = fc.integer({ min: -1, max: PAGES }).map((page) => BigInt(page) * PAGE);
  const owner = fc.integer({ min: 1, max: 3 });
  const step = fc.oneof(
    fc.record({ kind: fc.constant('claim' as const), owner, address, bytes: fc.nat(4).map((pages) => BigInt(pages) * PAGE) }),
    fc.record({ kind: fc.constant('release' as const), owner, address }),
    fc.record({ kind: fc.constant('release-all' as const), owner }),
  );

  it('is what the claims and releases made it', () => {
    fc.assert(
      fc.property(fc.array(step, { maxLength: 60 }), (steps) => {
        const memory = new GuestMemory(RAM);
        let claims: { owner: number; first: number; end: number }[] = [];
        const ownerOf = (page: number): number => {
          if ((page >= 0 && page < 8) || (page >= 12 && page < 16)) return 0;
          return claims.find(({ first, end }) => page >= first && page < end)?.owner ?? -1;
        };
        for (const one of steps) {
          if (one.kind === 'claim') {
            const first = Number(one.address / PAGE);
            const end = first + Number(one.bytes / PAGE);
            let expected = 0;
            if (first < 0 || one.bytes === 0n) expected = EINVAL;
            else for (let page = first; page < end; page++) if (ownerOf(page) !== -1) expected = EADDRINUSE;
            expect(memory.claim(one.owner, one.address, one.bytes)).toBe(expected);
            if (expected === 0) claims.push({ owner: one.owner, first, end });
          } else if (one.kind === 'release') {
            const mine = claims.find((claim) => claim.owner === one.owner && BigInt(claim.first) * PAGE === one.address);
            expect(memory.release(one.owner, one.address)).toBe(mine === undefined ? ENOENT : 0);
            claims = claims.filter((claim) => claim !== mine);
          } else {
            const mine = claims.filter((claim) => claim.owner === one.owner).sort((a, b) => a.first - b.first);
            const owned = mine.map(({ first, end }) => ({
              owner: one.owner,
              address: BigInt(first) * PAGE,
              bytes: BigInt(end - first) * PAGE,
            }));
            expect(memory.owned().filter((range) => range.owner === one.owner)).toEqual(owned);
            const to = one.owner + 10;
            for (const range of owned) expect(memory.hand(one.owner, range.address, to)).toBe(true);
            claims = claims.map((claim) => (claim.owner === one.owner ? { ...claim, owner: to } : claim));
          }
          for (let page = 0; page < PAGES + 5; page++) expect(memory.ownerOf(page)).toBe(ownerOf(page));
        }
      }),
    );
  });
});

describe('bytes', () => {
  const step = fc.record({
    bulk: fc.boolean(),
    at: fc.nat(8 * 4096 - 1),
    data: fc.oneof(fc.uint8Array({ maxLength: 64 }), fc.uint8Array({ minLength: 4000, maxLength: 5000 })),
  });

  it('are those of one flat array, however they are written and read', () => {
    fc.assert(
      fc.property(fc.array(step, { maxLength: 20 }), (steps) => {
        // Two ranges side by side, so that copies cross from one to the other.
        const memory = new GuestMemory([
          { address: 3n * PAGE, bytes: 5n * PAGE },
          { address: 0n, bytes: 3n * PAGE },
        ]);
        const flat = new Uint8Array(8 * 4096);
        for (const { bulk, at, data } of steps) {
          const room = bulk ? flat.length - at : 4096 - (at % 4096);
          const piece = data.subarray(0, room);
          flat.set(piece, at);
          if (bulk) memory.writeBytes(BigInt(at), piece);
          else memory.write(Math.floor(at / 4096), at % 4096, data, 0, piece.length);
        }
        expect(Buffer.compare(memory.readBytes(0n, flat.length), flat)).toBe(0);
        const paged = new Uint8Array(flat.length);
        for (let page = 0; page < 8; page++) memory.read(page, 0, paged, page * 4096, 4096);
        expect(Buffer.compare(paged, flat)).toBe(0);
      }),
    );
  });
});
