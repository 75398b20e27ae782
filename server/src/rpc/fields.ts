import { u64ToNumber, type U64 } from '../../../proto/index.ts';
import { DMA_BYTES_MAX } from '../../../proto/limits.ts';
/** Reads one field of a call: absence, an unknown value or one out of range is `EINVAL` naming the field. */
import { NO_PASID, bdfFromNumber, join64, pasid, type Bdf, type Pasid } from '../core/base/index.ts';
import type { EnumMap } from './enums.ts';
import { invalid, missing } from './errors.ts';

type Optional<T> = T | null;

export function needFunction(value: Optional<number>, field = 'function'): Bdf {
  if (value === null) throw missing(field);
  return bdfFromNumber(value);
}

export function needUint32(value: Optional<number>, field: string): number {
  if (value === null) throw missing(field);
  return value;
}

export function needBoolean(value: Optional<boolean>, field: string): boolean {
  if (value === null) throw missing(field);
  return value;
}

/** 1 to `most`. */
export function needCount(value: Optional<number>, field: string, most: number): number {
  const count = needUint32(value, field);
  if (count < 1 || count > most) throw invalid(field, `${count} is not from 1 to ${most}`);
  return count;
}

export function needHalves(value: Optional<U64>, field: string): U64 {
  if (value === null) throw missing(field);
  return value;
}

export function needBigint(value: Optional<U64>, field: string): bigint {
  const halves = needHalves(value, field);
  return join64(halves.low, halves.high);
}

/** Up to 2^53 - 1: a time, or an offset. */
export function needNumber(value: Optional<U64>, field: string): number {
  const exact = u64ToNumber(needHalves(value, field));
  if (exact === undefined) throw invalid(field, 'is beyond 2^53 - 1');
  return exact;
}

export function optionalNumber(value: Optional<U64>, field: string): number {
  return value === null ? 0 : needNumber(value, field);
}

export function needWord<Word extends string>(value: Optional<number>, field: string, words: EnumMap<Word>): Word {
  if (value === null) throw missing(field);
  const word = words.word[value];
  if (word === undefined) throw invalid(field, `${value} is not known; allowed are ${Object.values(words.number).join(', ')}`);
  return word;
}

export function optionalWord<Word extends string>(value: Optional<number>, field: string, words: EnumMap<Word>): Word | undefined {
  return value === null ? undefined : needWord(value, field, words);
}

/** Characters are UTF-16 code units, as JavaScript counts them. */
export function needText(value: Optional<string>, field: string, charsMax: number): string {
  if (value === null) throw missing(field);
  if (value.length === 0) throw invalid(field, 'is empty');
  if (value.length > charsMax) throw invalid(field, `has ${value.length} characters; at most ${charsMax} are allowed`);
  return value;
}

export function needPasid(value: Optional<number>): Pasid {
  return pasid(needUint32(value, 'pasid'));
}

/** Absent: {@link NO_PASID}. */
export function optionalPasid(value: Optional<number>): Pasid {
  return value === null ? NO_PASID : pasid(value);
}

export function needData(data: Uint8Array | undefined): Uint8Array {
  if (data === undefined) throw missing('data');
  if (data.length === 0) throw invalid('data', 'is empty');
  return data;
}

/** Bytes of a transfer that travels in `data`. */
export function needTransfer(value: Optional<number>): number {
  return needCount(value, 'bytes', DMA_BYTES_MAX);
}
