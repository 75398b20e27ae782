/** Calls of the device role, and those that only its functions are the reason for. */
import type { Calls } from '../../../proto/index.ts';
import { LIST_ITEMS_MAX, PLUG_CHARS_MAX, RESET_DEADLINE_MS_MAX } from '../../../proto/limits.ts';
import type { Command, RegionWriteItem } from '../core/machine/index.ts';
import { ATC_OWNERS, CONFIG_KEEPER, OPERATIONS } from './enums.ts';
import { invalid } from './errors.ts';
import { needCount, needData, needFunction, needHalves, needNumber, needText, needUint32, needWord, optionalPasid } from './fields.ts';

type CommandOf<K extends Command['kind']> = Extract<Command, { kind: K }>;

export const DEVICE_ROWS = {
  regionWriteMulti: {
    roles: ['host'] as const,
    decode: (b: Calls['regionWriteMulti']['decoded']): CommandOf<'region-write-multi'> => ({
      kind: 'region-write-multi',
      bdf: needFunction(b.function),
      writes: writesOf(b.writes),
    }),
  },
  deviceClaim: {
    roles: ['device'] as const,
    decode: (b: Calls['deviceClaim']['decoded']): CommandOf<'device-claim'> => ({
      kind: 'device-claim',
      ...(b.function === null && b.port !== null ? {} : { bdf: needFunction(b.function) }),
      ...(b.port === null ? {} : { port: needFunction(b.port, 'port') }),
      ...(b.declare === null && b.port === null ? {} : { declare: needText(b.declare, 'declare', PLUG_CHARS_MAX) }),
      ...(b.config === null ? {} : { config: needWord(b.config, 'config', CONFIG_KEEPER) }),
      ...(b.postedWrites === null ? {} : { postedWrites: b.postedWrites }),
      ...(b.widths === null ? {} : { widths: b.widths }),
      ...(b.writeMulti === null ? {} : { writeMulti: b.writeMulti }),
      ...(b.resetDeadlineMs === null ? {} : { resetDeadlineMs: needCount(b.resetDeadlineMs, 'reset_deadline_ms', RESET_DEADLINE_MS_MAX) }),
      ...(b.atc === null ? {} : { ownAtc: needWord(b.atc, 'atc', ATC_OWNERS) === 'peer' }),
    }),
  },
  deviceAlarmSet: {
    roles: ['device'] as const,
    decode: (b: Calls['deviceAlarmSet']['decoded']): CommandOf<'device-alarm-set'> => ({
      kind: 'device-alarm-set',
      bdf: needFunction(b.function),
      alarm: needUint32(b.alarm, 'alarm'),
      delayNs: b.delayNs === null ? undefined : needNumber(b.delayNs, 'delay_ns'),
    }),
  },
  dmaList: {
    roles: ['device'] as const,
    decode: (b: Calls['dmaList']['decoded'], data: Uint8Array | undefined): CommandOf<'dma-list'> => ({
      kind: 'dma-list',
      bdf: needFunction(b.function),
      ranges: dmaRangesOf(b.ranges),
      write: b.write ?? false,
      data,
      pasid: optionalPasid(b.pasid),
      ...(b.translated === null ? {} : { translated: b.translated }),
      ...(b.privileged === null ? {} : { privileged: b.privileged }),
      ...(b.execute === null ? {} : { execute: b.execute }),
    }),
  },
  dmaAtomic: {
    roles: ['device'] as const,
    decode: (b: Calls['dmaAtomic']['decoded'], data: Uint8Array | undefined): CommandOf<'dma-atomic'> => {
      const iova = needHalves(b.iova, 'iova');
      return {
        kind: 'dma-atomic',
        bdf: needFunction(b.function),
        operation: needWord(b.operation, 'operation', OPERATIONS),
        iovaLow: iova.low,
        iovaHigh: iova.high,
        bytes: needUint32(b.bytes, 'bytes'),
        data: needData(data),
        pasid: optionalPasid(b.pasid),
        ...(b.translated === null ? {} : { translated: b.translated }),
        ...(b.privileged === null ? {} : { privileged: b.privileged }),
      };
    },
  },
  deviceRelease: {
    roles: ['device'] as const,
    decode: (b: Calls['deviceRelease']['decoded']): CommandOf<'device-release'> => ({
      kind: 'device-release',
      bdf: needFunction(b.function),
    }),
  },
};

function dmaRangesOf(ranges: Calls['dmaList']['decoded']['ranges']): CommandOf<'dma-list'>['ranges'] {
  if (ranges.length > LIST_ITEMS_MAX) throw invalid('ranges', `has ${ranges.length} elements; at most ${LIST_ITEMS_MAX} are allowed`);
  return ranges.map((range) => {
    const iova = needHalves(range.iova, 'ranges.iova');
    return { iovaLow: iova.low, iovaHigh: iova.high, bytes: needUint32(range.bytes, 'ranges.bytes') };
  });
}

function writesOf(items: Calls['regionWriteMulti']['decoded']['writes']): readonly RegionWriteItem[] {
  if (items.length > LIST_ITEMS_MAX) throw invalid('writes', `has ${items.length} elements; at most ${LIST_ITEMS_MAX} are allowed`);
  return items.map((b) => {
    const value = needHalves(b.value, 'writes.value');
    return {
      region: needUint32(b.region, 'writes.region'),
      offset: needNumber(b.offset, 'writes.offset'),
      bytes: needUint32(b.bytes, 'writes.bytes'),
      valueLow: value.low,
      valueHigh: value.high,
    };
  });
}
