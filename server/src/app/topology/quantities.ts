/** Numbers as documents write them. Each reader returns undefined for what is none. */
import { hex } from '../../core/base/index.ts';

const SIZE_UNITS: Readonly<Record<string, bigint>> = { B: 1n, KiB: 1n << 10n, MiB: 1n << 20n, GiB: 1n << 30n, TiB: 1n << 40n };
const TIME_UNITS_NS: Readonly<Record<string, number>> = { ns: 1, us: 1e3, ms: 1e6, s: 1e9, min: 60e9 };

/** `0x40000000` or `1073741824`: up to 64 bits. */
export function readAddress(text: string): bigint | undefined {
  if (!/^(0x[0-9a-f]{1,16}|[0-9]{1,20})$/i.test(text)) return undefined;
  const value = BigInt(text);
  return value >> 64n === 0n ? value : undefined;
}

/** Bytes: `1GiB`, `64KiB`, `4096`, `0x1000`. */
export function readSize(text: string): bigint | undefined {
  const match = /^([0-9]{1,15}) ?(B|KiB|MiB|GiB|TiB)$/.exec(text);
  if (match === null) return readAddress(text);
  const value = BigInt(match[1] ?? '') * (SIZE_UNITS[match[2] ?? ''] ?? 0n);
  return value >> 64n === 0n ? value : undefined;
}

/** Whole nanoseconds: `60s`, `1.5ms`, `250ns`. At most a safe integer. */
export function readDurationNs(text: string): number | undefined {
  const match = /^([0-9]{1,12})(?:\.([0-9]{1,9}))? ?(ns|us|ms|s|min)$/.exec(text);
  if (match === null) return undefined;
  const unit = TIME_UNITS_NS[match[3] ?? ''] ?? 0;
  const fraction = match[2] ?? '';
  // In integers, so that a decimal fraction of a unit stays exact.
  const scaled = Number(fraction === '' ? 0n : (BigInt(fraction) * BigInt(unit) * 1_000_000_000n) / 10n ** BigInt(fraction.length)) / 1e9;
  const ns = Number(match[1]) * unit + scaled;
  return Number.isSafeInteger(ns) ? ns : undefined;
}

/** `1 GiB`, in the largest unit that divides it; hex for what no unit divides. */
export function formatSize(bytes: bigint): string {
  for (const unit of ['TiB', 'GiB', 'MiB', 'KiB']) {
    const factor = SIZE_UNITS[unit] ?? 1n;
    if (bytes >= factor && bytes % factor === 0n) return `${bytes / factor} ${unit}`;
  }
  return `${hex(bytes)} bytes`;
}

/** `60 s`, in the largest unit that divides it. */
export function formatDurationNs(ns: number): string {
  for (const unit of ['s', 'ms', 'us']) {
    const factor = TIME_UNITS_NS[unit] ?? 1;
    if (ns >= factor && ns % factor === 0) return `${ns / factor} ${unit}`;
  }
  return `${ns} ns`;
}
