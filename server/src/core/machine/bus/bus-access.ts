/** Accesses of a processor by address, as a host's root complex routes them: memory, ECAM, I/O ports, and what decodes now. */
import { ModelError, REGION, hex, pageOf, physicalAddress } from '../../base/index.ts';
import { routeAddress } from '../../pci/index.ts';
import { BUS_SPACES, type BusRead, type BusWrite } from '../command.ts';
import { allOnes } from '../dma/gate.ts';
import { askOwner } from '../memory-commands.ts';
import type { Parts } from '../parts.ts';
import { regionRead, regionWrite } from '../region-access.ts';
import { isAbsent } from '../remote/absent-memory.ts';
import type { FunctionState, Origin } from '../state.ts';
import {
  CONFIG_ADDRESS,
  CONFIG_DATA,
  configPlace,
  ecamPlace,
  registerOwner,
  selectConfig,
  selectedPlace,
  type ConfigPlace,
} from './config-requests.ts';
import { bytesOf, valueReply } from './ram-value.ts';
import { completerBelow, unclaimed } from './unclaimed.ts';

const IO_END = 0x1_0000_0000n;
const WORD_BYTES = 4;

type Access = Pick<BusRead, 'space' | 'address' | 'bytes'>;

/** Who takes an access. `select`: CONFIG_ADDRESS itself. */
type Taken =
  | { readonly by: 'ram'; readonly owner: number }
  | { readonly by: 'select' }
  | { readonly by: 'region'; readonly fn: FunctionState; readonly region: number; readonly offset: number }
  | { readonly by: 'nobody'; readonly completer: FunctionState | undefined };

export function busRead(m: Parts, origin: Origin, command: BusRead): void {
  const { bytes, address } = command;
  const taken = takenBy(m, command);
  switch (taken.by) {
    case 'ram':
      if (taken.owner === 0) m.outbox.reply(origin, valueReply(m.memory.readBytes(address, bytes)));
      else if (isAbsent(m, taken.owner)) answer(m, origin, allOnes(bytes), bytes > 4 ? -1 : 0);
      else askOwner(m, origin, address, bytes, { kind: 'memory-read', address, bytes, epoch: 0 }, 'region-read');
      return;
    case 'select':
      answer(m, origin, m.configAddress, 0);
      return;
    case 'region':
      if (taken.region === REGION.rom) answer(m, origin, allOnes(bytes), bytes > 4 ? -1 : 0);
      else regionRead(m, origin, taken.fn, { kind: 'region-read', bdf: taken.fn.bdf, region: taken.region, offset: taken.offset, bytes });
      return;
    case 'nobody':
      unclaimed(m, taken.completer, false);
      answer(m, origin, allOnes(bytes), bytes > 4 ? -1 : 0);
  }
}

export function busWrite(m: Parts, origin: Origin, command: BusWrite): void {
  const { bytes, address, valueLow, valueHigh } = command;
  const taken = takenBy(m, command);
  switch (taken.by) {
    case 'ram': {
      const data = bytesOf(bytes, valueLow, valueHigh);
      if (taken.owner === 0) m.memory.writeBytes(address, data);
      else if (!isAbsent(m, taken.owner)) {
        askOwner(m, origin, address, bytes, { kind: 'memory-write', address, data, epoch: 0 }, 'ok');
        return;
      }
      break;
    }
    case 'select':
      selectConfig(m, valueLow);
      break;
    case 'region': {
      const { fn, region, offset } = taken;
      // There is no image in it to change.
      if (region === REGION.rom) break;
      regionWrite(m, origin, fn, { kind: 'region-write', bdf: fn.bdf, region, offset, bytes, valueLow, valueHigh });
      return;
    }
    case 'nobody':
      unclaimed(m, taken.completer, command.space === 'memory');
  }
  m.outbox.ok(origin);
}

function takenBy(m: Parts, access: Access): Taken {
  check(access);
  const { space, address, bytes } = access;
  if (space === 'config') return register(m, configPlace(address), bytes);
  if (space === 'memory') {
    const owner = m.memory.ownerOf(pageOf(physicalAddress(address)));
    if (owner >= 0) return { by: 'ram', owner };
    const place = ecamPlace(m.spec, address);
    if (place !== undefined) return register(m, place, bytes);
  } else {
    if (address === CONFIG_ADDRESS && bytes === WORD_BYTES) return { by: 'select' };
    const place = address >= CONFIG_DATA && address < CONFIG_DATA + 4n ? selectedPlace(m, address) : undefined;
    if (place !== undefined) return register(m, place, bytes);
  }
  return decodedBy(m, space, address);
}

/** A root complex need not make requests of an access that crosses words (PCIe Base r6.0 §7.2.2), and this one does not. */
function register(m: Parts, place: ConfigPlace, bytes: number): Taken {
  const fn = bytes > WORD_BYTES ? undefined : registerOwner(m, place, bytes);
  return fn === undefined ? { by: 'nobody', completer: undefined } : { by: 'region', fn, region: REGION.config, offset: place.register };
}

function decodedBy(m: Parts, space: 'memory' | 'io', address: bigint): Taken {
  const { claim, bridge } = routeAddress(m.topology, space, address);
  const fn = claim === undefined ? undefined : m.functions.get(claim.bdf);
  if (claim !== undefined && fn !== undefined) return { by: 'region', fn, region: claim.bar, offset: Number(address - claim.first) };
  return { by: 'nobody', completer: bridge === undefined ? undefined : completerBelow(m, bridge) };
}

function check({ space, address, bytes }: Access): void {
  if (!BUS_SPACES.includes(space)) throw new ModelError('EINVAL', `unknown space "${String(space)}"`, 'space');
  const widths = space === 'memory' ? [1, 2, 4, 8] : [1, 2, 4];
  if (!widths.includes(bytes)) throw new ModelError('EINVAL', `${space} is accessed in ${widths.join(', ')} bytes, not ${bytes}`, 'bytes');
  if (address % BigInt(bytes) !== 0n)
    throw new ModelError('EINVAL', `${hex(address)} is not a multiple of the access's ${bytes} bytes`, 'address');
  if (space === 'io' && address >= IO_END) throw new ModelError('EINVAL', `${hex(address)} is beyond the 4 GiB of I/O space`, 'address');
}

function answer(m: Parts, origin: Origin, valueLow: number, valueHigh: number): void {
  m.outbox.reply(origin, { kind: 'region-read', valueLow, valueHigh });
}
