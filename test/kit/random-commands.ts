/** Commands of every kind, drawn by chance; much of what they name is there. */
import { NO_PASID, Prng, pasid } from '../../server/src/core/base/index.ts';
import type { Command } from '../../server/src/core/machine/index.ts';
import { FIRST, MS, PROBE, RAM, REMOTE, SECOND } from './core-machine.ts';

export const FUNCTIONS = [PROBE, FIRST, SECOND, REMOTE];
/** What a memory owner may claim. */
export const OWNED = 0x4000_0000n;
/** Page tables that the owner has: x86-64 entries that lead back there, that map, and that map 2 MiB or 1 GiB. */
const TABLES = OWNED + 0x4000n;
export const ENTRIES = [TABLES | 0x27n, TABLES | 0x27n, TABLES | 0x27n, RAM | 0x67n, 0xe7n];
const REGISTERS = [0x04, 0x06, 0x08, 0x0c, 0x10, 0x14, 0x3c, 0x44, 0x48, 0x4a, 0x104, 0x106];

type ModelDma = Extract<Command, { kind: 'model-dma' }>;

export class RandomCommands {
  readonly #chance: Prng;

  constructor(seed: number) {
    this.#chance = new Prng(seed);
  }

  pick<T>(from: readonly T[]): T {
    return from[this.#chance.below(from.length)]!;
  }

  below(bound: number): number {
    return this.#chance.below(bound);
  }

  // long: one way to draw each kind of command
  command(): Command {
    const bdf = this.pick(FUNCTIONS);
    const target = this.below(4) === 0 ? { domain: this.below(14) } : { bdf, pasid: this.pick([NO_PASID, pasid(1), pasid(2)]) };
    const iova = this.pick([0x1_0000n, 0x1_1000n, 0x20_0000n, 0xfee0_0000n, 0x7fff_ffff_f000n, 0xffff_8000_0000_0000n]);
    const low = Number(BigInt.asIntN(32, iova)) + this.pick([0, 0, 4, 0xff0]);
    const high = Number(BigInt.asIntN(32, iova >> 32n));
    const address = this.pick([RAM, RAM + 0x1000n, OWNED, OWNED + 0x1000n, 0x5000_0000n, 1n << 51n]);
    const token = this.pick(['a', 'b']);
    const onDeadline = this.pick(['abort', 'fail'] as const);
    const deadlineNs = this.pick([0, 1, 10, 2000]) * MS;
    const data = new Uint8Array(this.pick([1, 8, 4096, 9000]));
    const hold = this.pick([undefined, undefined, 'issued', 'translated', 'performed'] as const);
    const holdNs = this.pick([0, 5 * MS]);
    const dma = (fields: Pick<ModelDma, 'operation' | 'bytes'> & Partial<ModelDma>): Command => ({
      kind: 'model-dma',
      bdf,
      iovaLow: low,
      iovaHigh: high,
      data: undefined,
      pasid: NO_PASID,
      translated: this.below(2) === 0,
      hold,
      holdNs,
      ...fields,
    });
    const makers: (() => Command)[] = [
      () => ({ kind: 'map', target, iova, address, bytes: this.pick([4096n, 0x2000n, 0x20_0000n]), access: this.pick([1, 2, 3]) }),
      () => ({ kind: 'map', target: { bdf, pasid: NO_PASID }, iova, address, bytes: 4096n, access: 3 }),
      () => ({ kind: 'unmap', target, iova, bytes: this.pick([4096n, 0x2000n, 0x20_0000n]) }),
      () => ({ kind: 'iova-to-phys', target, iova }),
      () => ({ kind: 'domain-alloc', type: this.pick(['paging', 'identity', 'blocked']), sharedAddress: this.below(2) === 0 }),
      () => ({ kind: 'domain-alloc', type: 'paging', sharedAddress: false, root: TABLES }),
      () => ({ kind: 'domain-free', domain: this.below(14) }),
      () => ({ kind: 'domain-attach', bdf, domain: this.below(14) }),
      () => ({ kind: 'domain-detach', bdf }),
      () => ({ kind: 'pasid-attach', bdf, pasid: this.pick([pasid(1), pasid(2)]), domain: this.below(14), replace: this.below(2) === 0 }),
      () => ({ kind: 'pasid-detach', bdf, pasid: this.pick([pasid(1), pasid(2)]) }),
      () => ({ kind: this.pick(['owner-claim', 'owner-release']), bdf }),
      () => dma({ operation: 'write', bytes: data.length, data, pasid: this.pick([NO_PASID, NO_PASID, pasid(1)]) }),
      () => dma({ operation: 'read', bytes: data.length }),
      () => dma({ operation: 'translate', bytes: 4096, iovaLow: low & ~0xfff, pasid: this.pick([NO_PASID, pasid(1)]), translated: false }),
      () => dma({ operation: 'fetch-add', bytes: 8, iovaLow: low & ~7, data: new Uint8Array(8) }),
      () => ({ kind: 'dma-release', bdf, request: this.below(3) }),
      () => ({ kind: 'ledger', bdf }),
      () => ({ kind: 'reset-prepare', bdf, token, deadlineNs, onDeadline }),
      () => ({ kind: 'reset-done', bdf, token, all: this.below(4) === 0 }),
      () => ({ kind: 'reset', bdf, method: this.pick(['flr', 'pm'] as const), window: this.below(3) > 0, deadlineNs, onDeadline }),
      () => ({ kind: 'reset-trigger', bdf, method: 'flr' }),
      () => ({
        kind: 'fault-arm',
        bdf,
        fault: this.pick([
          'hold',
          'ignore-invalidations',
          'late-invalidations',
          'atc-survives-reset',
          'never-ready',
          'attach-fails',
          'coalesced-completions',
          'late-completions',
          'duplicate-completions',
          'wrong-itag',
          'corrupt-completions',
          'poisoned-data',
          'surprise-down',
        ] as const),
        fromNs: this.pick([undefined, 5 * MS]),
        first: 1 + this.below(2),
        count: this.below(3),
        point: this.pick(['issued', 'translated', 'performed'] as const),
        delayNs: this.pick([0, 3 * MS, 2000 * MS]),
      }),
      () => ({
        kind: 'fault-arm',
        bdf: this.pick([bdf, undefined]),
        fault: this.pick(['memory-errors', 'memory-stalls'] as const),
        first: 1 + this.below(2),
        count: 1 + this.below(2),
        point: undefined,
        delayNs: this.pick([0, 3 * MS, 2000 * MS]),
        range: { address: 0n, bytes: 1n << 40n },
        error: this.pick(['unsupported-request', 'completer-abort', 'poisoned'] as const),
      }),
      () => ({ kind: 'fault-list' }),
      () => ({
        kind: 'fault-disarm',
        bdf,
        fault: this.pick([
          'hold',
          'ignore-invalidations',
          'never-ready',
          'coalesced-completions',
          'surprise-down',
          'memory-stalls',
        ] as const),
      }),
      () => ({ kind: 'clock-advance', ns: this.pick([0, 1, 100, 5000]) * MS, force: this.below(2) === 0 }),
      () => ({
        kind: 'region-write',
        bdf,
        region: 7,
        offset: this.pick(REGISTERS),
        bytes: 2,
        valueLow: this.below(0x1_0000),
        valueHigh: 0,
      }),
      () => ({ kind: 'region-read', bdf, region: this.pick([0, 7]), offset: 4 * this.below(16), bytes: 4 }),
      () => ({ kind: 'memory-alloc', bytes: 0x1000n }),
      () => ({ kind: 'memory-free', address: RAM + 0x1000n * BigInt(this.below(4)) }),
      () => ({ kind: 'memory-write', address, data }),
      () => ({ kind: 'memory-read', address, bytes: data.length }),
      () => ({ kind: this.pick(['function-list', 'machine-info', 'fault-records']) }),
      () => ({ kind: this.pick(['function-info', 'group-info']), bdf }),
    ];
    return this.pick(makers)();
  }
}
