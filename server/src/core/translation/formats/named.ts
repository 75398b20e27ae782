import { amdV1 } from './amd-v1.ts';
import { lpae, type Granule } from './arm-lpae.ts';
import type { Format } from './format.ts';
import { riscv } from './risc-v.ts';
import { vtdSecondStage } from './vtd-second-stage.ts';
import { x86Format } from './x86-64.ts';

/** What Arm tables put out at most, where nothing else is said. */
const ARM_OUTPUT_BITS = 48;
const ARM_NAME = /^arm-s([12])-(4|16|64)k-(\d\d)$/;
const GRANULES: Readonly<Record<string, Granule>> = { 4: 12, 16: 14, 64: 16 };
const ARM_INPUT_BITS_MIN = 25;
const ARM_INPUT_BITS_MAX = 48;

const FIXED = [
  x86Format(4),
  x86Format(5),
  ...([3, 4, 5] as const).map(vtdSecondStage),
  ...([1, 2, 3, 4, 5, 6] as const).map(amdV1),
  ...([1, 2] as const).flatMap((stage) => ([3, 4, 5] as const).map((levels) => riscv(levels, stage))),
];
const BY_NAME = new Map(FIXED.map((format) => [format.name, format]));

/** Every name without a number to choose; besides them `arm-s<stage>-<4, 16 or 64>k-<bits of an input address, 25 to 48>`. */
export const FORMAT_NAMES: readonly string[] = FIXED.map(({ name }) => name);

/** Undefined for a name that is none. */
export function formatNamed(name: string): Format | undefined {
  return BY_NAME.get(name) ?? armFormat(name);
}

function armFormat(name: string): Format | undefined {
  const [, stage, kib, bits] = ARM_NAME.exec(name) ?? [];
  const granule = GRANULES[kib ?? ''];
  const inputBits = Number(bits);
  if (granule === undefined || inputBits < ARM_INPUT_BITS_MIN || inputBits > ARM_INPUT_BITS_MAX) return undefined;
  return lpae({ stage: stage === '1' ? 1 : 2, granule, inputBits, outputBits: ARM_OUTPUT_BITS });
}

/** Whether tables of one format can be the first stage above those of another: stages of one architecture. */
export function nests(first: Format, second: { readonly format: string }): boolean {
  const below = formatNamed(second.format);
  return first.stage === 1 && below?.stage === 2 && architecture(first.name) === architecture(below.name);
}

/** AMD's guest tables are x86-64 too: both vendors' second stages go below it. */
function architecture(name: string): string {
  return /^(arm|riscv)/.exec(name)?.[0] ?? 'x86';
}
