/** Configuration requests of the host by address: ECAM, and the ports CONFIG_ADDRESS and CONFIG_DATA. */
import { ModelError, bdf, bdfFromNumber, hex, segmentOf, type Bdf } from '../../base/index.ts';
import { routeConfig } from '../../pci/index.ts';
import { isDisconnected } from '../dma/gate.ts';
import { isLost } from '../errors/link.ts';
import type { Parts } from '../parts.ts';
import type { EcamSpec, MachineSpec } from '../spec.ts';
import type { FunctionState } from '../state.ts';
import { unclaimed } from './unclaimed.ts';

/** A function has a page of ECAM, a bus a MiB (PCIe Base r6.0 §7.2.2). */
const REGISTER_BITS = 12n;
const REGISTER_LAST = 0xfff;
const BUS_BITS = 20n;
const BUSES = 256;

/** PCI Local Bus r3.0 §3.2.2.3.2. */
export const CONFIG_ADDRESS = 0xcf8n;
export const CONFIG_DATA = 0xcfcn;
const CONFIG_ADDRESS_BITS = 0x80ff_fffc;

/** An address, not a name: bus numbers are those that software has given. */
export interface ConfigPlace {
  readonly at: Bdf;
  readonly register: number;
}

/** EINVAL names which ranges cannot be. */
export function checkEcam({ ecam = [], memory }: Pick<MachineSpec, 'ecam' | 'memory'>): void {
  for (const [i, one] of ecam.entries()) {
    const { segment, base, firstBus, lastBus } = one;
    const text = rangeText(one);
    const fits = Number.isInteger(segment) && segment >= 0 && segment <= 0xffff && Number.isInteger(firstBus) && Number.isInteger(lastBus);
    if (!fits || firstBus < 0 || lastBus < firstBus || lastBus >= BUSES) {
      throw new ModelError(
        'EINVAL',
        `the ECAM of segment ${segment} has buses ${firstBus} to ${lastBus}; 0 to 255 in order are buses`,
        'ecam',
      );
    }
    const buses = 2 ** Math.ceil(Math.log2(lastBus + 1));
    if (base % (BigInt(buses) << BUS_BITS) !== 0n) {
      throw new ModelError('EINVAL', `${text} does not begin at a multiple of ${buses} MiB, as bus numbers up to ${lastBus} need`, 'ecam');
    }
    const { first, last } = rangeOf(one);
    const ram = memory.find(({ address, bytes }) => address <= last && first < address + bytes);
    if (ram !== undefined)
      throw new ModelError('EINVAL', `${text} overlaps memory ${hex(ram.address)} to ${hex(ram.address + ram.bytes - 1n)}`, 'ecam');
    for (const other of ecam.slice(0, i)) {
      const theirs = rangeOf(other);
      if (theirs.first <= last && first <= theirs.last) throw new ModelError('EINVAL', `${rangeText(other)} and ${text} overlap`, 'ecam');
      if (other.segment === segment && other.firstBus <= lastBus && firstBus <= other.lastBus) {
        throw new ModelError('EINVAL', `${rangeText(other)} and ${text} have buses of segment ${segment} in common`, 'ecam');
      }
    }
  }
}

/** Whether one of them has a byte of this range. */
export function meetsEcam({ ecam = [] }: Pick<MachineSpec, 'ecam'>, address: bigint, bytes: bigint): boolean {
  return ecam.some((one) => {
    const { first, last } = rangeOf(one);
    return address <= last && first < address + bytes;
  });
}

/** The register at a physical address; undefined outside of ECAM. */
export function ecamPlace({ ecam = [] }: Pick<MachineSpec, 'ecam'>, address: bigint): ConfigPlace | undefined {
  for (const one of ecam) {
    const { first, last } = rangeOf(one);
    if (address < first || address > last) continue;
    const offset = Number(address - one.base);
    return { at: bdfFromNumber(one.segment * 0x1_0000 + (offset >>> Number(REGISTER_BITS))), register: offset & REGISTER_LAST };
  }
  return undefined;
}

/** The register of an address of space `config`: function << 12 | offset. */
export function configPlace(address: bigint): ConfigPlace {
  if (address < 0n || address >> (32n + REGISTER_BITS) !== 0n) {
    throw new ModelError('EINVAL', `${hex(address)} is no address of configuration space: function << 12 | offset`, 'address');
  }
  return { at: bdfFromNumber(Number(address >> REGISTER_BITS)), register: Number(address) & REGISTER_LAST };
}

/** What CONFIG_ADDRESS selects, with the lower bits of a port in CONFIG_DATA; undefined while its enable bit is clear. */
export function selectedPlace({ configAddress }: Pick<Parts, 'configAddress'>, port: bigint): ConfigPlace | undefined {
  if (configAddress >>> 31 === 0) return undefined;
  const at = bdf(0, (configAddress >>> 16) & 0xff, (configAddress >>> 11) & 0x1f, (configAddress >>> 8) & 7);
  return { at, register: (configAddress & 0xfc) | Number(port & 3n) };
}

export function selectConfig(m: Parts, value: number): void {
  m.configAddress = (value & CONFIG_ADDRESS_BITS) >>> 0;
}

/** The function that a request comes to and that has the register; undefined: nobody, which has been told where it is told. */
export function registerOwner(m: Parts, { at, register }: ConfigPlace, bytes: number): FunctionState | undefined {
  const { found, completer } = routeConfig(m.topology, segmentOf(at), at);
  const fn = stateOf(m, found?.bdf);
  // What is below a link that is down is not there; its port says so. One in reset is there and does not answer yet.
  if (fn !== undefined && !isLost(m, fn) && !isDisconnected(fn) && register + bytes <= fn.config.bytes) return fn;
  unclaimed(m, fn === undefined ? stateOf(m, completer?.bdf) : fn.path[0], false);
  return undefined;
}

function stateOf(m: Parts, at: Bdf | undefined): FunctionState | undefined {
  return at === undefined ? undefined : m.functions.get(at);
}

function rangeOf({ base, firstBus, lastBus }: EcamSpec): { readonly first: bigint; readonly last: bigint } {
  return { first: base + (BigInt(firstBus) << BUS_BITS), last: base + (BigInt(lastBus + 1) << BUS_BITS) - 1n };
}

function rangeText(one: EcamSpec): string {
  const { first, last } = rangeOf(one);
  return `the ECAM of segment ${one.segment} (${hex(first)} to ${hex(last)})`;
}
