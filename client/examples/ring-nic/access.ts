import type { FunctionHandle } from 'iommud';
import {
  CAUSE,
  NIC_ERRORS,
  NIC_REGISTERS,
  RING_BLOCKS,
  RING_REGISTERS,
  STATUS,
  type RegisterName,
  type RingName,
  type RingRegisterName,
} from './registers.ts';

/** A card's registers as its driver has them. */
export class NicAccess {
  readonly fn: FunctionHandle;

  constructor(fn: FunctionHandle) {
    this.fn = fn;
  }

  async linkUp(): Promise<boolean> {
    return ((await this.read('status')) & STATUS.link) !== 0;
  }
  read(name: RegisterName): Promise<number> {
    return this.fn.bar(0).read(NIC_REGISTERS[name].offset, 4);
  }
  async write(name: RegisterName, value: number): Promise<void> {
    await this.fn.bar(0).write(NIC_REGISTERS[name].offset, 4, value);
  }
  readRing(ring: RingName, name: RingRegisterName): Promise<number> {
    return this.fn.bar(0).read(RING_BLOCKS[ring] + RING_REGISTERS[name].offset, 4);
  }
  async writeRing(ring: RingName, name: RingRegisterName, value: number): Promise<void> {
    await this.fn.bar(0).write(RING_BLOCKS[ring] + RING_REGISTERS[name].offset, 4, value);
  }

  /** Why a ring has stopped; undefined: none has. */
  async error(): Promise<string | undefined> {
    if (((await this.read('cause')) & CAUSE.error) === 0) return undefined;
    const code = await this.read('errorCode');
    const [name = `error ${code}`] = Object.entries(NIC_ERRORS).find(([, { value }]) => value === code) ?? [];
    const ring = (await this.read('errorRing')) === 0 ? 'transmit' : 'receive';
    const address = (BigInt(await this.read('errorHigh')) << 32n) | BigInt(await this.read('errorLow'));
    return `${this.fn.bdf}: the ${ring} ring has stopped at descriptor ${await this.read('errorIndex')}: ${name}, 0x${address.toString(16)}`;
  }
}
