/**
 * A remote function whose emulator keeps its configuration space. What the server has of it is a shadow: it takes what hosts write, by the masks of the image,
 * and the machine obeys it. What the server writes itself, as Linux does round a reset or when it enables ATS, the emulator is told as posted writes.
 */
import { REGION, formatBdf, hex } from '../../base/index.ts';
import type { Parts } from '../parts.ts';
import type { FunctionState } from '../state.ts';

const WORD_BYTES = 4;

export function keepsOwnConfig(fn: FunctionState): boolean {
  return fn.claim?.config === 'emulator';
}

/** The emulator knows what stands in the shadow now: it was told, or was reset as the shadow was. */
export function toldConfig(fn: FunctionState): void {
  const { claim, config } = fn;
  if (claim === undefined) return;
  claim.told.set(config.image());
  claim.changes = config.changes;
  claim.resets = config.resets;
}

/** For the machine's loop: tells emulators what the server has written since they were told. */
export function tellOwnConfigs(m: Parts): void {
  for (const fn of m.ownConfigs) {
    const { claim, config } = fn;
    if (claim === undefined || claim.changes === config.changes) continue;
    const peer = m.peers.get(fn.claimedBy);
    if (peer !== undefined && claim.resets === config.resets) {
      const told = new DataView(claim.told.buffer);
      for (let offset = 0; offset < config.bytes; offset += WORD_BYTES) {
        const value = config.read(offset, WORD_BYTES);
        const changed = (value ^ told.getUint32(offset, true)) & config.writableBits(offset, WORD_BYTES);
        if (changed === 0) continue;
        // Word by word: the other half of Command is Status, in which a written 1 clears.
        for (const half of [0, 2]) {
          if (((changed >>> (8 * half)) & 0xffff) === 0) continue;
          const valueLow = (value >>> (8 * half)) & 0xffff;
          m.peers.post(peer, {
            kind: 'region-write',
            bdf: fn.bdf,
            region: REGION.config,
            offset: offset + half,
            bytes: 2,
            valueLow,
            valueHigh: 0,
          });
        }
      }
    }
    toldConfig(fn);
  }
}

/** The emulator has answered a read. What it says is the host's answer; where it is not what was written, the machine obeys what was written, and says so. */
export function noteConfigRead(m: Parts, fn: FunctionState, offset: number, bytes: number, value: number): void {
  const { claim, config } = fn;
  if (claim === undefined || fn.resetting) return;
  const shadow = config.read(offset, bytes);
  const differs = (value ^ shadow) & config.writableBits(offset, bytes);
  if (differs === 0 || claim.differs.has(offset)) return;
  claim.differs.add(offset);
  const text = `its emulator has ${hex(value >>> 0)} at ${hex(offset)} of configuration space where ${hex(shadow >>> 0)} was written, which the machine obeys`;
  m.outbox.log('warn', fn.bdf, `${formatBdf(fn.bdf)}: ${text}`);
}

/** Nobody plays the function any more. */
export function unclaim(m: Parts, fn: FunctionState): void {
  fn.claimedBy = 0;
  fn.claim = undefined;
  fn.peerResets = 0;
  m.ownConfigs.delete(fn);
}
