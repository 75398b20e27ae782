/** SR-IOV of a physical function, by its own registers (PCIe §9.3.3), as a driver's sriov_configure does. */
import type { CallOptions } from './ask.ts';
import { bdfText, packBdf } from './bdf.ts';
import { IommudError, failure } from './errors.ts';
import type { Region } from './region.ts';

const EXTENDED_START = 0x100;
const CAPABILITY = 0x10;
/** From the capability's header. */
const AT = { control: 8, total: 0xe, functions: 0x10, firstOffset: 0x14, stride: 0x16 } as const;
/** VF Enable and VF MSE. */
const ENABLED = 0x9;
const ALL_ONES = 0xffff_ffff;

export interface SriovInfo {
  /** VF Enable. */
  readonly enabled: boolean;
  /** NumVFs, and the most that it may be. */
  readonly functions: number;
  readonly totalFunctions: number;
  readonly firstOffset: number;
  readonly stride: number;
}

export class Sriov {
  readonly #config: Region;
  readonly #bdf: string;

  constructor(config: Region, bdf: string) {
    this.#config = config;
    this.#bdf = bdf;
  }

  /** Errors: EOPNOTSUPP (the function has no SR-IOV). */
  async info(options?: CallOptions): Promise<SriovInfo> {
    const at = await this.#find(options);
    const read = (offset: number): Promise<number> => this.#config.read(at + offset, 2, options);
    return {
      enabled: ((await read(AT.control)) & 1) !== 0,
      functions: await read(AT.functions),
      totalFunctions: await read(AT.total),
      firstOffset: await read(AT.firstOffset),
      stride: await read(AT.stride),
    };
  }

  /**
   * Sets NumVFs, VF Enable and VF MSE; returns where the virtual functions are, which answer 100 ms of the machine's clock later. Those that cannot be there are
   * told in the machine's log, and then none comes. Errors: EBUSY (some are enabled), EINVAL (more than there may be), EOPNOTSUPP.
   */
  async enable(functions: number, options?: CallOptions): Promise<string[]> {
    const at = await this.#find(options);
    const { enabled, totalFunctions, firstOffset, stride } = await this.info(options);
    if (enabled) throw new IommudError(failure('EBUSY', `${this.#bdf} has virtual functions; disable them first`));
    if (!Number.isInteger(functions) || functions < 1 || functions > totalFunctions) {
      throw new IommudError(failure('EINVAL', `${functions} virtual functions; ${this.#bdf} has 1 to ${totalFunctions}`));
    }
    await this.#config.write(at + AT.functions, 2, functions, options);
    await this.#config.write(at + AT.control, 2, ENABLED, options);
    const first = packBdf(this.#bdf) + firstOffset;
    return Array.from({ length: functions }, (_, i) => bdfText(first + i * stride));
  }

  /** Clears VF Enable: they are gone when this returns, but for those whose groups a call is at work on. */
  async disable(options?: CallOptions): Promise<void> {
    const at = await this.#find(options);
    await this.#config.write(at + AT.control, 2, 0, options);
    await this.#config.write(at + AT.functions, 2, 0, options);
  }

  async #find(options: CallOptions | undefined): Promise<number> {
    for (let at = EXTENDED_START; at !== 0;) {
      const header = (await this.#config.read(at, 4, options)) >>> 0;
      if ((header & 0xffff) === CAPABILITY) return at;
      if (header === 0 || header === ALL_ONES) break;
      at = header >>> 20;
    }
    throw new IommudError(failure('EOPNOTSUPP', `${this.#bdf} has no SR-IOV`));
  }
}
