export type { Floor, Sizes } from './floor.ts';
export { FLOOR_NAMES, openFloor, type FloorName } from './open.ts';
export { SELF_MEASURES } from './self.ts';
export { startTranslationProgram, whyNoC, type TranslationOutcome, type TranslationProgram, type TranslationWork } from './c/program.ts';
