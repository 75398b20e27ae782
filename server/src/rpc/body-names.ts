import { BODY } from '../../../proto/index.ts';

const BODY_NAMES = new Map<number, string>(Object.entries(BODY).map(([name, number]) => [number, name]));

/** The name of a body in the contract: `resetPrepare`. */
export function bodyName(number: number): string {
  return BODY_NAMES.get(number) ?? (number === 0 ? 'nothing' : `body ${number}`);
}
