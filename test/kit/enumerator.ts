/**
 * Finds functions as firmware does: bus numbers cleared, then depth first, with nothing but configuration accesses by address. Registers are restated
 * here. It knows of no machine: whoever uses it says how one configuration register is accessed.
 */
const [VENDOR, HEADER_TYPE, BUS_NUMBERS, CAPABILITIES] = [0x00, 0x0e, 0x18, 0x34];
const [EXPRESS, ARI] = [0x10, 0x0e];
const EXTENDED = 0x100;
const ARI_FORWARDING = 0x20;
const [DEVICE_CAPABILITIES_2, DEVICE_CONTROL_2] = [0x24, 0x28];
const BUS_LAST = 0xff;

/** By bus, device and function number, as programmed. Without extended registers there is no ARI: CONFIG_ADDRESS has only 256. */
export interface ConfigAccess {
  readonly extended: boolean;
  read(bus: number, devfn: number, register: number, bytes: number): Promise<number>;
  write(bus: number, devfn: number, register: number, bytes: number, value: number): Promise<void>;
}

export interface Found {
  readonly bus: number;
  readonly devfn: number;
  readonly id: number;
  readonly isBridge: boolean;
}

export class Enumerator {
  readonly found: Found[] = [];
  readonly #access: ConfigAccess;
  #next = 1;

  constructor(access: ConfigAccess) {
    this.#access = access;
  }

  /** Everything behind root bus 0, in the order in which it is found. */
  async run(): Promise<readonly Found[]> {
    await this.#clear();
    await this.#scan(0, undefined);
    return this.found;
  }

  async #clear(): Promise<void> {
    for (let devfn = 0; devfn < 0x100; devfn++) {
      if ((await this.#access.read(0, devfn, VENDOR, 2)) === 0xffff) continue;
      if (await this.#isBridge(0, devfn)) await this.#number(0, devfn, 0, 0, 0);
    }
  }

  /** `port`: where the bridge above is. */
  async #scan(bus: number, port: readonly [bus: number, devfn: number] | undefined): Promise<void> {
    const ari = port === undefined ? false : await this.#forwardAri(bus, port);
    if (ari) {
      for (let fn = 0, next = 0; ; fn = next) {
        await this.#visit(bus, fn);
        next = ((await this.#read(bus, fn, (await this.#extendedAt(bus, fn, ARI)) + 4, 4)) >>> 8) & 0xff;
        if (next === 0) return;
      }
    }
    for (let device = 0; device < 0x20; device++) {
      if (!(await this.#visit(bus, device * 8))) continue;
      if (((await this.#read(bus, device * 8, HEADER_TYPE, 1)) & 0x80) === 0) continue;
      for (let fn = 1; fn < 8; fn++) await this.#visit(bus, device * 8 + fn);
    }
  }

  async #visit(bus: number, devfn: number): Promise<boolean> {
    const id = await this.#read(bus, devfn, VENDOR, 4);
    if ((id & 0xffff) === 0xffff) return false;
    const isBridge = await this.#isBridge(bus, devfn);
    this.found.push({ bus, devfn, id, isBridge });
    if (!isBridge) return true;
    const secondary = this.#next++;
    // What is below is found while everything from here on belongs to it.
    await this.#number(bus, devfn, bus, secondary, BUS_LAST);
    await this.#scan(secondary, [bus, devfn]);
    await this.#number(bus, devfn, bus, secondary, this.#next - 1);
    return true;
  }

  async #isBridge(bus: number, devfn: number): Promise<boolean> {
    return ((await this.#read(bus, devfn, HEADER_TYPE, 1)) & 0x7f) === 1;
  }

  async #number(bus: number, devfn: number, primary: number, secondary: number, subordinate: number): Promise<void> {
    const timer = (await this.#read(bus, devfn, BUS_NUMBERS, 4)) & 0xff00_0000;
    await this.#access.write(bus, devfn, BUS_NUMBERS, 4, (timer | (subordinate << 16) | (secondary << 8) | primary) >>> 0);
  }

  /** Enables ARI Forwarding where the port and the device at its link can (pci_configure_ari). */
  async #forwardAri(bus: number, port: readonly [bus: number, devfn: number]): Promise<boolean> {
    if (!this.#access.extended || (await this.#extendedAt(bus, 0, ARI)) === 0) return false;
    const express = await this.#capabilityAt(...port, EXPRESS);
    if (express === 0 || ((await this.#read(...port, express + DEVICE_CAPABILITIES_2, 4)) & ARI_FORWARDING) === 0) return false;
    const control = await this.#read(...port, express + DEVICE_CONTROL_2, 2);
    await this.#access.write(...port, express + DEVICE_CONTROL_2, 2, control | ARI_FORWARDING);
    return true;
  }

  async #capabilityAt(bus: number, devfn: number, id: number): Promise<number> {
    let at = await this.#read(bus, devfn, CAPABILITIES, 1);
    for (; at !== 0; at = await this.#read(bus, devfn, at + 1, 1)) if ((await this.#read(bus, devfn, at, 1)) === id) return at;
    return 0;
  }

  async #extendedAt(bus: number, devfn: number, id: number): Promise<number> {
    for (let at = EXTENDED; at !== 0;) {
      const header = await this.#read(bus, devfn, at, 4);
      if (header === 0 || header === 0xffff_ffff) return 0;
      if ((header & 0xffff) === id) return at;
      at = header >>> 20;
    }
    return 0;
  }

  #read(bus: number, devfn: number, register: number, bytes: number): Promise<number> {
    return this.#access.read(bus, devfn, register, bytes);
  }
}
