import { BODY, u64FromBigint, u64FromNumber, type iommud } from '../../../proto/index.ts';
import { PEER_WATCHDOG_MS } from '../../../proto/limits.ts';
import { NO_PASID } from '../core/base/index.ts';
import type { PeerAnswer, PeerCall } from '../core/machine/index.ts';
/** What the machine asks of the device and memory roles, and what they answer. */
import { METHODS } from './enums.ts';
import { codeOf } from './errors.ts';

/** The body number of the call's request. */
export function peerCallNumber(call: PeerCall): number {
  switch (call.kind) {
    case 'memory-read':
      return BODY.memoryRead;
    case 'memory-write':
      return BODY.memoryWrite;
    case 'memory-fence':
      return BODY.memoryFence;
    case 'region-read':
      return BODY.regionRead;
    case 'region-write':
      return BODY.regionWrite;
    case 'device-alarm':
      return BODY.deviceAlarm;
    case 'region-write-multi':
      return BODY.regionWriteMulti;
    case 'device-reset':
      return BODY.deviceReset;
    case 'device-invalidate':
      return BODY.deviceInvalidate;
  }
}

export function peerCallBody(call: PeerCall): object {
  switch (call.kind) {
    case 'memory-read':
      return { address: u64FromBigint(call.address), bytes: call.bytes, epoch: call.epoch } satisfies iommud.v1.MemoryRead.$Properties;
    case 'memory-write':
      return { address: u64FromBigint(call.address), epoch: call.epoch } satisfies iommud.v1.MemoryWrite.$Properties;
    case 'memory-fence':
      return {
        address: u64FromBigint(call.address),
        bytes: u64FromBigint(call.bytes),
        epoch: call.epoch,
      } satisfies iommud.v1.MemoryFence.$Properties;
    case 'region-read':
      return {
        function: call.bdf,
        region: call.region,
        offset: u64FromNumber(call.offset),
        bytes: call.bytes,
      } satisfies iommud.v1.RegionRead.$Properties;
    case 'region-write':
      return {
        function: call.bdf,
        region: call.region,
        offset: u64FromNumber(call.offset),
        bytes: call.bytes,
        value: { low: call.valueLow, high: call.valueHigh },
      } satisfies iommud.v1.RegionWrite.$Properties;
    case 'device-alarm':
      return {
        function: call.bdf,
        alarm: call.alarm,
        nowNs: u64FromNumber(call.nowNs),
      } satisfies iommud.v1.DeviceAlarm.$Properties;
    case 'region-write-multi':
      return {
        function: call.bdf,
        writes: call.writes.map(({ region, offset, bytes, valueLow, valueHigh }) => ({
          region,
          offset: u64FromNumber(offset),
          bytes,
          value: { low: valueLow, high: valueHigh },
        })),
      } satisfies iommud.v1.RegionWriteMulti.$Properties;
    case 'device-invalidate':
      return {
        function: call.bdf,
        itag: call.itag,
        pasid: call.pasid === NO_PASID ? null : call.pasid,
        iova: u64FromBigint(call.iova),
        bytes: call.bytes === undefined ? null : u64FromBigint(call.bytes),
      } satisfies iommud.v1.DeviceInvalidate.$Properties;
    case 'device-reset':
      return {
        function: call.bdf,
        method: METHODS.number[call.method],
        cold: call.cold ?? null,
        deadlineMs: answerMs(call),
      } satisfies iommud.v1.DeviceReset.$Properties;
  }
}

/** How long the peer may take to answer, wall clock. */
export function answerMs(call: PeerCall): number {
  return call.kind === 'device-reset' ? (call.deadlineMs ?? PEER_WATCHDOG_MS) : PEER_WATCHDOG_MS;
}

export function peerCallData(call: PeerCall): Uint8Array | undefined {
  return call.kind === 'memory-write' ? call.data : undefined;
}

/**
 * A peer's reply with body `number` to the call whose request was `asked`. What is no reply to it, or lacks what it asked for, is the error EPROTO: whoever waits
 * for it learns so.
 */
export function peerAnswer(asked: number, number: number, body: object | undefined, data: Uint8Array | undefined): PeerAnswer {
  if (number === BODY.error && body !== undefined) {
    const error = body as iommud.v1.Error;
    return { kind: 'error', code: codeOf(error), message: error.message };
  }
  if (number !== asked + 1 || body === undefined) return wrong(`body ${number} is no reply to a call with body ${asked}`);
  switch (number) {
    case BODY.memoryReadReply:
      return data === undefined ? wrong('a read of memory was answered without data') : { kind: 'data', data };
    case BODY.regionReadReply: {
      const { value } = body as iommud.v1.RegionReadReply;
      return { kind: 'value', valueLow: value.low, valueHigh: value.high };
    }
    case BODY.deviceInvalidateReply:
      return { kind: (body as iommud.v1.DeviceInvalidateReply).later === true ? 'later' : 'ok' };
    default:
      return { kind: 'ok' };
  }
}

function wrong(message: string): PeerAnswer {
  return { kind: 'error', code: 'EPROTO', message };
}
